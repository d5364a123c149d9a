//! The memory of YAML readers is bounded by the size of the text, even if its aliases multiply.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use elbow_yaml::{Limits, parse_all};

#[allow(unreachable_pub, reason = "the fuzz targets have it in a library")]
#[path = "../../../fuzz/src/peak.rs"]
mod peak;

/// Peak heap in bytes that parsing `text` may take.
fn bound(text: &str) -> usize {
    (32 << 20) + 20 * text.len()
}

/// 98 KB: a string of 50 KB and 16,000 aliases of it.
fn alias_of_long_text() -> String {
    let (long, aliases) = ("x".repeat(50_000), "*a,".repeat(16_000));
    format!("a: &a {long}\nb: [{aliases}]\n")
}

/// 362 bytes that expand to 8 million nodes.
fn alias_of_aliases() -> String {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..6 {
        let aliases = format!("*a{},", level - 1).repeat(10);
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    text + "z: [*a5,*a5,*a5,*a5,*a5,*a5,*a5]\n"
}

/// 90 KB with an anchor at each of its levels.
fn nested_anchors(levels: usize) -> String {
    let open: String = (0..levels).map(|level| format!("&b{level} [")).collect();
    let (items, close) = ("x,".repeat(45_000), "]".repeat(levels));
    format!("a: {open}{items}{close}\n")
}

/// The codes and places of the problems that each reader finds.
fn found_by_both(text: &str) -> [Vec<String>; 2] {
    let native = peak::within(bound(text), || elbow_native::parse(text, "elbow.yaml").1);
    let native = native
        .iter()
        .map(|one| format!("{} {}:{}", one.code, one.line, one.column));
    let native = native.collect();
    let objects = peak::within(bound(text), || parse_all(text, Limits::OBJECTS).1);
    let objects = objects
        .iter()
        .map(|one| format!("{} {}:{}", one.code, one.at.line, one.at.column));
    [native, objects.collect()]
}

#[test]
fn aliases_of_a_long_text_are_charged_with_its_bytes() {
    // Of 8 MiB, 50,080 bytes for the anchor and for each alias.
    let expected = vec![format!("too-large 2:{}", 5 + 3 * 166)];
    assert_eq!(
        found_by_both(&alias_of_long_text()),
        [expected.clone(), expected]
    );
}

#[test]
fn aliases_of_aliases_are_charged_with_their_expansion() {
    let [native, objects] = found_by_both(&alias_of_aliases());
    assert_eq!(native, ["too-large 5:38"]);
    assert_eq!(native, objects);
}

#[test]
fn anchors_in_anchors_are_charged_with_their_copies() {
    let native = nested_anchors(30);
    let (_, found) = peak::within(bound(&native), || {
        elbow_native::parse(&native, "elbow.yaml")
    });
    assert_eq!(found[0].code, "too-large");
    assert_eq!(found[0].message, "anchors and aliases copy more than 8 MiB");
    assert!(found[0].hint.is_some());
    let objects = nested_anchors(98);
    let (_, found) = peak::within(bound(&objects), || parse_all(&objects, Limits::OBJECTS));
    assert_eq!(found[0].code, "too-large");
}

#[test]
fn aliases_in_files_written_by_hand_are_accepted() {
    // 2,000 aliases of one list of forty strings.
    let aliases = "  - *one\n".repeat(2_000);
    let text = format!("one: &one [{}]\nall:\n{aliases}", "abc, ".repeat(40));
    assert_eq!(parse_all(&text, Limits::FILE).1.len(), 0);
}

#[test]
fn plain_text_takes_at_most_twenty_times_its_size() {
    let short = format!("a: [{}]\n", "abcdefg, ".repeat(100_000));
    let (documents, held) = peak::peak(|| parse_all(&short, Limits::FILE).0);
    assert_eq!(documents.len(), 1);
    assert!(held <= 20 * short.len(), "{held} bytes for {}", short.len());
}

/// The first hundred of 200,000 equal problems are enough.
#[test]
fn at_most_a_hundred_problems_are_reported() {
    let text = format!("a: {{{}}}\n", "x,".repeat(200_000));
    let found = peak::within(bound(&text), || elbow_native::parse(&text, "elbow.yaml").1);
    let repeated = found.iter().filter(|one| one.code == "duplicate-field");
    assert_eq!(repeated.count(), 100);
}
