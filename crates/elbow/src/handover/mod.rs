//! Hands the sockets of a running process over to a new one (`elbow upgrade`, SIGUSR2), so that no connection is refused.
//!
//! ```text
//!   old process                                new process (ELBOW_UPGRADE, a socket as stdin)
//!   starts it ------------------------------>
//!   sends what it has (message) ------------>  reads its configuration, builds workers on the sockets
//!                             <--------------  READY, or READY_FOR_FLOWS
//!   sends its UDP flows (flows) ------------>
//!   GO --------------------------------------> accepts connections
//!   stops accepting, drains, exits
//! ```
//!
//! Until GO the new process accepts nothing, so that its failure loses nothing.

mod control;
mod flows;
mod message;
mod predecessor;
mod program;
mod successor;

pub(crate) use control::{Answer, Order, folders};
pub(crate) use predecessor::Start;
pub(crate) use successor::{Handing, Upgrades};

/// Marks the new process; the value is the process id of the old one.
const UPGRADE: &str = "ELBOW_UPGRADE";
/// The new process can serve.
const READY: u8 = b'R';
/// The new process can serve, and takes UDP flows over. Only if the old process offers them.
const READY_FOR_FLOWS: u8 = b'F';
/// The new process has to accept connections.
const GO: u8 = b'G';
