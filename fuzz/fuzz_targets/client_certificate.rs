//! Certificates of clients: see `certificates::client_certificate`.
#![no_main]

#[allow(dead_code, reason = "each target makes one of the checks")]
#[path = "../certificates.rs"]
mod certificates;

use elbow_fuzz::peak;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| certificates::client_certificate(input));
