//! Runs the comparisons of the fuzz targets `h2diff` and `h2diffup` on their seeds and generated inputs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

#[path = "../../../fuzz/differ.rs"]
mod differ;
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/feed.rs"]
mod feed;
#[path = "../../../fuzz/frames.rs"]
mod frames;
#[path = "../../../fuzz/h2diff.rs"]
mod h2diff;
#[path = "../../../fuzz/h2diffup.rs"]
mod h2diffup;
#[path = "kit/inputs.rs"]
mod inputs;

#[test]
fn requests_are_read_as_the_h2_crate_reads_them() {
    inputs::run("h2diff", 500, h2diff::check);
}

#[test]
fn responses_are_read_as_the_h2_crate_reads_them() {
    inputs::run("h2diffup", 500, h2diffup::check);
}
