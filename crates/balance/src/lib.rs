//! Target selection: pure functions over targets and their current state. No sockets and no clock, and
//! no allocation while choosing; random numbers, flow hashes and times are arguments.

pub mod anomaly;
pub mod flow;

mod forward;
mod group;
mod share;
mod target;

pub use anomaly::{Detector, Tally};
pub use forward::{Cutoff, Forward, Forwards, Weighted};
pub use group::{Chosen, Group, choose_weighted};
pub use share::{Share, SlowStart};
pub use target::{InFlight, Target};
