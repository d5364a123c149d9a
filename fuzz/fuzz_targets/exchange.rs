//! The HTTP/1 exchange against an independent strict reader, see `exchange`.
#![no_main]

#[path = "../exchange/mod.rs"]
mod exchange;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Heap in bytes that one check may hold at once: buffers of a worker, and what was sent.
const HEAP: usize = 16 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || exchange::check(input)));
