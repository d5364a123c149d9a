//! A conversation over HTTP/2: see `h2conn::check`.
#![no_main]

#[path = "../conversation.rs"]
mod conversation;
#[path = "../engine.rs"]
mod engine;
#[path = "../frames.rs"]
mod frames;
#[path = "../h2conn.rs"]
mod h2conn;

use elbow_fuzz::{feed, peak, strict_requests};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one conversation in bytes: both windows of the client connection, the buffers of a
/// worker, and the bytes of the script.
const HEAP: usize = 32 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || h2conn::check(input)));
