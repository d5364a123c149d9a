//! Listeners, worker threads, the relay, buffers and timers: what every room that handles bytes
//! stands on, and the only unsafe code of the house (`sys`).

mod connect;
mod stream;

pub use connect::{Connect, ConnectError, ConnectErrorKind, TcpConnector};
pub use stream::{ConnMeta, Stream, TlsMeta};
