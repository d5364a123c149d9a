//! Target selection: pure functions over targets and their current state. No sockets, no clock, no
//! allocation; random numbers, flow hashes and times are arguments.

mod group;
mod share;
mod target;

pub use group::{Chosen, Group, choose_weighted};
pub use share::{Share, SlowStart};
pub use target::{InFlight, Target};
