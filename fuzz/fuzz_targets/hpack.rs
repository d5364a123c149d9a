//! Header compression: see `hpack::check`.
#![no_main]

#[path = "../hpack.rs"]
mod hpack;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Peak heap of one check in bytes: tables, and fields that an index repeats.
const HEAP: usize = 2 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP + 64 * input.len(), || hpack::check(input)));
