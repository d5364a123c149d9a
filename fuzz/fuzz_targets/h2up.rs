//! Targets of HTTP/2 that send arbitrary frames: see `h2up::check`.
#![no_main]

#[path = "../conversation.rs"]
mod conversation;
#[path = "../engine.rs"]
mod engine;
#[path = "../frames.rs"]
mod frames;
#[path = "../h2up.rs"]
mod h2up;

use elbow_fuzz::{feed, peak, strict_requests};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one conversation in bytes: windows of the streams, the buffers of a worker, and the bytes of
/// the script.
const HEAP: usize = 32 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || h2up::check(input)));
