//! UDP listeners of an NLB, which relay datagrams between clients and targets.
//!
//! The datagrams of one client address and port to one listener are a flow. It gets a target with its first datagram, and a socket
//! that is connected to the target, and ends when no datagram has passed for a while. One [`Engine`] serves all flows of a worker:
//!
//! ```text
//!   client -> socket of the listener -> Inbox -> Table: which flow -> socket of the flow -> target
//!   client <- socket of the listener <- Inbox <--------------------- socket of the flow <- target
//! ```

pub mod quic;
pub mod runs;
pub mod table;

mod answer;
mod engine;
mod flow;
mod forward;
mod gate;
mod listener;
mod send;
mod state;

pub use engine::Engine;
pub use gate::{Gate, Refusal};
pub use listener::Listener;
