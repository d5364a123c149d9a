//! Requests as our server and the h2 crate read them: see `h2diff::check`.
#![no_main]

#[path = "../differ.rs"]
mod differ;
#[path = "../frames.rs"]
mod frames;
#[path = "../h2diff.rs"]
mod h2diff;

use elbow_fuzz::{feed, peak};
use libfuzzer_sys::fuzz_target;

/// Peak heap of one comparison in bytes: windows of both servers, and a transport of 4 MiB.
const HEAP: usize = 16 * 1024 * 1024;

fuzz_target!(|input: &[u8]| peak::within(HEAP, || h2diff::check(input)));
