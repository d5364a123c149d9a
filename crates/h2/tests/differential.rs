//! Runs the comparison of the fuzz target `h2diff` on inputs from a fixed seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/feed.rs"]
mod feed;
#[path = "../../../fuzz/h2diff.rs"]
mod h2diff;
#[path = "kit/random.rs"]
mod random;

#[test]
fn requests_are_read_as_the_h2_crate_reads_them() {
    for n in 0..random::inputs(500) {
        h2diff::check(&random::bytes(n));
    }
}
