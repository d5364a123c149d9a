//! What a file or an object may make of itself in memory is bounded, however its parts multiply.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use elbow_manifest::{Context, read};

#[allow(unreachable_pub, reason = "the fuzz targets have it in a library")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

/// A text of 50 KB and 16,000 aliases of it, in 98 KB.
#[test]
fn aliases_are_charged_in_manifests_and_in_the_environment() {
    let (long, aliases) = ("x".repeat(50_000), "*a,".repeat(16_000));
    let text = format!("a: &a {long}\nb: [{aliases}]\n");
    let (_, found) = peak::within(32 << 20, || read(&text, "a.yaml"));
    assert_eq!((found[0].code, found[0].line), ("too-large", 2));
    let (_, found) = peak::within(32 << 20, || Context::parse(&text, "env.yaml"));
    assert_eq!((found[0].code, found[0].line), ("too-large", 2));
}

/// Thirty Lists, each the only item of the one around it, and 20,000 names in the innermost.
#[test]
fn lists_in_lists_are_not_copied() {
    let open = r#"{"apiVersion":"v1","kind":"List","items":["#.repeat(30);
    let names = "\"x\",".repeat(20_000);
    let text = format!(
        "{open}{{\"apiVersion\":\"v1\",\"kind\":\"A\",\"a\":[{names}]}}{}",
        "]}".repeat(30)
    );
    let (_, found) = peak::within(24 << 20, || read(&text, "a.json"));
    assert_eq!(found[0].code, "missing-field");
}
