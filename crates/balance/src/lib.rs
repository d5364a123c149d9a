//! Target selection: pure functions over targets and their current state. No sockets, no clock, no
//! allocation; random numbers and flow hashes are arguments.

mod group;
mod target;

pub use group::{Chosen, Group, choose_weighted};
pub use target::{InFlight, Target};
