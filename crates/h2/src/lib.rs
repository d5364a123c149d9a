//! HTTP/2 (RFC 9113) and HPACK (RFC 7541) without I/O and without a clock.
//!
//! A [`Connection`] is the state machine of one connection, for a server or a client. Its owner gives
//! it the bytes that arrive with [`Connection::receive`], acts on the [`Event`]s, sends with commands
//! such as [`Connection::send_data`], and writes [`Connection::output`] to the peer. Nothing is
//! allocated for a frame, and received data is not copied.
//!
//! A *turn* is what the owner does between two waits: it reads, acts, calls [`Connection::end_turn`]
//! and writes the output. Everything that the turn has to say leaves in one write.

mod authority;
mod connection;
mod error;
mod flood;
mod frame;
mod head;
pub mod hpack;
mod output;
mod settings;
mod stream;
mod window;

pub use authority::is_host_and_port;
pub use connection::{Connection, Event, HeadWriter, Received};
pub use error::{ConnectionError, ErrorCode};
pub use head::{Head, is_token_byte};
pub use settings::Config;
pub use stream::StreamKey;

/// Bytes that a client sends first (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload of a frame, sent or received. A frame without data is read when all of it is
/// there, so a buffer for input needs this many bytes and nine more.
pub const FRAME_MAX: usize = 16_384;
