//! Responses as our client and the h2 crate read them: see `h2diffup::check`.
#![no_main]

#[path = "../differ.rs"]
mod differ;
#[path = "../frames.rs"]
mod frames;
#[path = "../h2diffup.rs"]
mod h2diffup;

use elbow_fuzz::{feed, peak};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one comparison in bytes: windows of both clients, and a transport of 4 MiB.
const HEAP: usize = 16 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || h2diffup::check(input)));
