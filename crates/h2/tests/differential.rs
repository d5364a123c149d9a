//! Runs the comparison of the fuzz target `h2diff` on its seeds and generated inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/feed.rs"]
mod feed;
#[path = "../../../fuzz/frames.rs"]
mod frames;
#[path = "../../../fuzz/h2diff.rs"]
mod h2diff;
#[path = "kit/inputs.rs"]
mod inputs;

#[test]
fn requests_are_read_as_the_h2_crate_reads_them() {
    inputs::run("h2diff", 500, h2diff::check);
}
