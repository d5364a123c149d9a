//! Runs the conversations of the fuzz target `h2talk` that its seeds and generated inputs describe.
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
#[path = "kit/inputs.rs"]
mod inputs;
#[allow(dead_code, unreachable_pub, reason = "the fuzz targets use more of it")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

/// Peak heap of one conversation in bytes.
const HEAP: usize = 8 * 1024 * 1024;

#[test]
fn two_sides_of_ours_understand_each_other() {
    inputs::run("h2talk", 300, |input| {
        peak::within(HEAP, || h2talk::check(input));
    });
}
