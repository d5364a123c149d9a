//! Layer 4 of NLB and CLB: passthrough of TCP, and of what is inside TLS.
//!
//! One connection is one flow: it gets a target when it starts ([`serve`]), keeps it for life, and
//! its bytes are relayed as they are. What happened comes back as a value, [`Served`]: counters are
//! the caller's.

mod flow;
mod serve;

pub use serve::{Listener, Manners, Outcome, Served, serve};
