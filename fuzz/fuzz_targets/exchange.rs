//! The HTTP/1 exchange, compared with an independent strict reader: see `exchange`.
#![no_main]

#[path = "../exchange/mod.rs"]
mod exchange;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes: the buffers of a worker, and the sent bytes.
const HEAP: usize = 16 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || exchange::check(input)));
