//! Request heads: no panic, and the same result however the input is split.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../checks.rs"]
mod checks;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes.
const HEAP: usize = 256 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP + 16 * input.len(), || checks::request(input)));
