//! Tools of the benches: a load generator and the servers that it loads through a proxy, lean enough
//! that the proxy between them is what is measured.
//!
//! Everything runs on one thread behind one epoll, so that load and servers together cost one core no
//! wake-ups between them, and so that a paced load may spin without starving its own servers.

pub mod certificates;
pub mod client;
pub mod cpu;
pub mod engine;
pub mod io;
pub mod run;
pub mod server;
pub mod wire;
