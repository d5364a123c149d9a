//! Cookie fields and the values of our own cookies: no panic, and only whole values are read.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../checks.rs"]
mod checks;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Heap in bytes that one check may hold at once.
const HEAP: usize = 256 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP + 16 * input.len(), || checks::cookie(input)));
