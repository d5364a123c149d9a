//! Choose a target: pure functions over targets and their live numbers. No sockets, no clock, no
//! allocation; randomness and flow hashes come in as arguments.

mod group;
mod target;

pub use group::{Chosen, Group, choose_weighted};
pub use target::{InFlight, Target};
