//! Replays the seeds of the fuzz targets, among them every input that ever failed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../fuzz/hpack.rs"]
mod hpack;

#[test]
fn header_blocks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/hpack");
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        // A fuzzer would try these first.
        for end in 0..=bytes.len() {
            hpack::check(&bytes[..end]);
            hpack::check(&bytes[end..]);
        }
        seeds += 1;
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

proptest! {
    #[test]
    fn random_header_blocks(input in prop::collection::vec(any::<u8>(), 0..200)) {
        hpack::check(&input);
    }
}
