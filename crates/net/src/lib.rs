//! The I/O foundation of every other crate: listeners, worker state, the TCP relay, buffers, timers, and
//! bounded file reads. `sys` contains the only unsafe code of the project.

pub mod datagram;
pub mod descriptors;
pub mod file;
pub mod inherited;
pub mod listen;
pub mod memory;
pub mod networks;
pub mod open_files;
pub mod proxy;
pub mod source;

mod buffer;
mod connect;
mod delivery;
mod pipe;
mod probes;
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
pub use connect::{Connect, ConnectError, ConnectErrorKind, Resource, TcpConnector, Transport};
pub use delivery::deliver;
pub use relay::{
    Direction, Early, Idle, RelayEnd, Relayed, relay, relay_counted, relay_until_idle,
};
pub use stream::{ClientCertificate, ConnMeta, Stream, TlsMeta};
pub use sys::{readable, take_inherited};
pub use timeout::{Elapsed, timeout};
pub use timer::{ClockUse, TICK, Timer, Timers};
pub use transfer::{Transfer, TransferError};
pub use worker::Worker;
