//! A conversation of HTTP/2: see `h2conn::check`.
#![no_main]

#[path = "../engine.rs"]
mod engine;
#[path = "../h2conn.rs"]
mod h2conn;
#[path = "../strict_requests.rs"]
mod strict_requests;

use std::panic;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

/// Heap in bytes that one conversation may hold at once: both windows of the client's connection, the
/// buffers of a worker, and what the script sends.
const HEAP: usize = 32 * 1024 * 1024;

fuzz_target!(
    init: {
        // The hook of libFuzzer ends the process before anybody can catch a panic.
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !h2conn::is_known(info.payload()) {
                hook(info);
            }
        }));
    },
    |input: &[u8]| peak::within(HEAP, || h2conn::check(input))
);
