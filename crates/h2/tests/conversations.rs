//! Runs the conversations of the fuzz target `h2talk` that inputs from a fixed seed describe.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/feed.rs"]
mod feed;
#[path = "../../../fuzz/h2talk.rs"]
mod h2talk;
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;
#[path = "kit/random.rs"]
mod random;

/// Peak heap of one conversation in bytes.
const HEAP: usize = 8 * 1024 * 1024;

#[test]
fn two_sides_of_ours_understand_each_other() {
    for n in 0..random::inputs(300) {
        let input = random::bytes(n);
        peak::within(HEAP, || h2talk::check(&input));
    }
}
