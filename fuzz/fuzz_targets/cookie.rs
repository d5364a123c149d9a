//! Cookie fields and the values of our own cookies: no panic, and only whole values are read.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../checks.rs"]
mod checks;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| checks::cookie(input));
