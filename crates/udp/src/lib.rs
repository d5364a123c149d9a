//! UDP listeners of an NLB, which relay datagrams between clients and targets.
//!
//! The datagrams of one client address and port to one listener are a flow. It gets a target with its first datagram, and a socket
//! that is connected to the target, and ends when no datagram has passed for a while. One [`Engine`] serves all flows of a worker:
//!
//! ```text
//!   client -> socket of the listener -> Inbox -> Table: which flow -> socket of the flow -> target
//!   client <- socket of the listener <- Inbox <--------------------- socket of the flow <- target
//! ```
//!
//! The kernel chooses the socket of the listener, and so the worker, by a hash of both addresses. The choice is stable: the sockets
//! of a listener are the same as long as it exists. A reload keeps them, and an upgrade passes them on, with the flows
//! ([`Engine::take_flows`], [`Engine::adopt`]). Therefore no program steers datagrams in the kernel (`SO_ATTACH_REUSEPORT_CBPF`). It
//! would not help QUIC either, because every worker finds the target by the server ID. A client whose address changes is a new flow on
//! some worker, with another port towards the target, which has to see that the path changed (RFC 9000, section 9).

pub mod quic;
pub mod runs;
pub mod table;

mod answer;
mod engine;
mod flow;
mod forward;
mod gate;
mod listener;
mod passed;
mod send;
mod state;

pub use engine::Engine;
pub use gate::{Gate, Refusal};
pub use listener::Listener;
pub use passed::Passed;
