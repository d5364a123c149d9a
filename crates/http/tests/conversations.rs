//! Replays the seeds of the fuzz target `h2conn`, and inputs generated from a fixed seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/engine.rs"]
mod engine;
#[path = "../../../fuzz/h2conn.rs"]
mod h2conn;
#[path = "../../../fuzz/strict_requests.rs"]
mod strict_requests;

/// The number of generated inputs: some seconds in a debug build.
const MADE: u64 = 300;

#[test]
fn conversations_of_http_2_end_and_leave_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/h2conn");
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        h2conn::check(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
    for n in 0..MADE {
        h2conn::check(&bytes(n));
    }
}

/// Bytes that are the same in every run (splitmix64).
fn bytes(n: u64) -> Vec<u8> {
    let mut state = n;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let words = 8 + n % 64;
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}
