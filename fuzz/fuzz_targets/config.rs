//! The native file: no panic, and a model or a mistake for every text.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../checks.rs"]
mod checks;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Heap in bytes that the reader may hold at once.
const HEAP: usize = 100 << 20;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || checks::config(input)));
