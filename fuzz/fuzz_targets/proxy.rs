//! PROXY protocol headers: see `proxy::check`.
#![no_main]

#[path = "../proxy.rs"]
mod proxy;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes.
const HEAP: usize = 64 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP + 2 * input.len(), || proxy::check(input)));
