//! Inputs of a fuzz target: its seeds, and some that are the same in every run.

use std::fs;
use std::path::Path;

/// Runs `check` on the seeds of `target`, and on generated inputs.
pub(crate) fn run(target: &str, usual: u64, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        check(&fs::read(entry.unwrap().path()).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
    for n in 0..inputs(usual) {
        check(&bytes(n));
    }
}

/// How many inputs a test makes: `usual`, or what `ELBOW_INPUTS` says.
fn inputs(usual: u64) -> u64 {
    let more = std::env::var("ELBOW_INPUTS").ok();
    more.and_then(|more| more.parse().ok()).unwrap_or(usual)
}

/// Bytes from a seed (splitmix64): some hundred to some thousand.
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    };
    let words = 16 + next() % 500;
    (0..words).flat_map(|_| next().to_le_bytes()).collect()
}
