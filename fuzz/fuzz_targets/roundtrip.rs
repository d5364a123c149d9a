//! The native file: a model or a mistake for every text, and a model that is written and read again is the same.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../checks.rs"]
mod checks;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Heap in bytes that the reader may hold at once.
const HEAP: usize = 100 << 20;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || checks::native_file(input)));
