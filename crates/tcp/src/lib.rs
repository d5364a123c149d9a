//! TCP and TLS listeners of NLB and CLB, which relay the bytes of TCP or decrypted TLS connections.
//!
//! One connection is one flow. It gets a target when it starts ([`serve`]), keeps it to the end, and its
//! bytes are relayed unchanged. Metrics and the access log are written from its [`FlowRecord`].

mod context;
mod listener;
mod record;
mod serve;

pub use context::Context;
pub use listener::Listener;
pub use record::{FlowEnd, FlowRecord, Side};
pub use serve::serve;
