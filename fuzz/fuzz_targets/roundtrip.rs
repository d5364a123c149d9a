//! The native file: each text yields a model or a diagnostic, and a rendered model parses to the same model.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../checks.rs"]
mod checks;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Peak heap of the reader in bytes.
const HEAP: usize = 100 << 20;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || checks::native_file(input)));
