//! UDP flows: see `flows::check`.
#![no_main]

#[path = "../flows.rs"]
mod flows;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes.
const HEAP: usize = 64 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP + 64 * input.len(), || flows::check(input)));
