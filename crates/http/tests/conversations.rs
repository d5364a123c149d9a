//! Replays the seeds of the fuzz targets `h2conn` and `h2up`, and inputs generated from a fixed seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/conversation.rs"]
mod conversation;
#[path = "../../../fuzz/engine.rs"]
mod engine;
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/feed.rs"]
mod feed;
#[path = "../../../fuzz/frames.rs"]
mod frames;
#[path = "../../../fuzz/h2conn.rs"]
mod h2conn;
#[path = "../../../fuzz/h2up.rs"]
mod h2up;
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;
#[allow(unreachable_pub, reason = "the fuzz targets have it in a library")]
#[path = "../../../fuzz/src/strict_requests.rs"]
mod strict_requests;

/// The number of generated inputs: some seconds in a debug build.
const MADE: u64 = 300;
/// Peak heap of one conversation in bytes.
const HEAP: usize = 32 * 1024 * 1024;

fn run(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        peak::within(HEAP, || check(&seed));
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
    for n in 0..MADE {
        let input = bytes(n);
        peak::within(HEAP, || check(&input));
    }
}

#[test]
fn conversations_with_clients_end_and_leave_nothing() {
    run("h2conn", h2conn::check);
}

#[test]
fn conversations_with_targets_end_and_leave_nothing() {
    run("h2up", h2up::check);
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
