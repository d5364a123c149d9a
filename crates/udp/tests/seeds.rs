//! Replays the seeds of the fuzz target `flows`, and runs its check on generated inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../fuzz/flows.rs"]
mod flows;

#[test]
fn seeds_pass() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/flows");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        flows::check(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 0);
}

proptest! {
    #[test]
    fn generated_inputs_pass(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        flows::check(&input);
    }
}
