//! Replays the seeds of the fuzz target `exchange`: whole conversations with their invariants.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/exchange/mod.rs"]
mod exchange;

#[test]
fn seeds_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/exchange");
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        exchange::check(&fs::read(path).unwrap());
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

#[test]
fn no_bytes_and_any_byte_hold() {
    exchange::check(&[]);
    for byte in 0..=u8::MAX {
        exchange::check(&[byte, byte, byte, byte, byte]);
    }
}
