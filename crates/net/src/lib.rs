//! Listeners, worker threads, the relay, buffers, timers and bounded reading of files: what every room
//! that handles bytes stands on, and the only unsafe code of the house (`sys`).

pub mod file;
pub mod listen;
pub mod open_files;
pub mod proxy;

mod buffer;
mod connect;
mod delivery;
mod memory;
mod pipe;
mod relay;
mod socket;
mod stream;
mod sys;
#[cfg(test)]
mod testing;
mod timeout;
mod timer;
mod transfer;
mod worker;

pub use buffer::{Buffer, Buffers, HEAD, LARGE, SMALL, poll_read_pooled};
pub use connect::{Connect, ConnectError, ConnectErrorKind, Lack, TcpConnector, Transport};
pub use delivery::deliver;
pub use relay::{Direction, Early, RelayEnd, Relayed, relay, relay_counted, relay_until_idle};
pub use stream::{ConnMeta, Stream, TlsMeta};
pub use sys::readable;
pub use timeout::{Elapsed, timeout};
pub use timer::{ClockUse, TICK, Timer, Timers};
pub use transfer::{Transfer, TransferError};
pub use worker::Worker;
