//! A conversation of two connections of HTTP/2: see `h2talk::check`.
#![no_main]

#[path = "../h2talk.rs"]
mod h2talk;

use elbow_fuzz::{feed, peak};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one conversation in bytes: both windows, both outputs, and what is on its way.
const HEAP: usize = 8 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || h2talk::check(input)));
