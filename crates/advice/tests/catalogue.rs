//! The catalogue has every code that the sources emit, and no other; its page of the documentation is up to date.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use elbow_advice::{Example, all, markdown};

mod sources;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_code_of_the_sources_has_a_row() {
    let emitted: BTreeMap<String, String> = sources::codes(&root().join("crates"));
    let known: BTreeSet<&str> = all().map(|advice| advice.code).collect();
    // A single word may be something else than a code.
    let missing: Vec<String> = emitted
        .iter()
        .filter(|(code, _)| code.contains('-') && !known.contains(&***code))
        .map(|(code, place)| format!("{code} at {place}"))
        .collect();
    assert!(
        missing.is_empty(),
        "codes without a row in crates/advice/src/rows: {missing:#?}"
    );
    let idle: Vec<&&str> = known
        .iter()
        .filter(|code| !emitted.contains_key(**code))
        .collect();
    assert!(
        idle.is_empty(),
        "rows of codes that nothing emits: {idle:?}"
    );
}

#[test]
fn rows_are_complete() {
    let mut seen = BTreeSet::new();
    for advice in all() {
        let code = advice.code;
        assert!(seen.insert(code), "{code} has two rows");
        let is_kebab =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        assert!(code.chars().all(is_kebab), "{code}");
        assert!(
            !advice.severities.is_empty() && advice.severities.is_sorted(),
            "{code}"
        );
        for text in [advice.cause, advice.consequence, advice.remedy] {
            assert!(text.ends_with('.'), "{code}: not a sentence: {text:?}");
        }
        let own = root().join("docs").join(advice.page);
        let is_known = advice.url().is_some() || advice.page.is_empty() || own.is_file();
        assert!(is_known, "{code}: no page {}", advice.page);
        let example = root().join(format!("crates/advice/examples/{code}.yaml"));
        let shown = advice.example == Example::File;
        assert_eq!(example.is_file(), shown, "{code}: {}", example.display());
    }
}

/// `UPDATE_SNAPSHOTS=1 cargo test -p elbow-advice` writes the file.
#[test]
fn the_documentation_is_up_to_date() {
    let path = root().join("docs/advice.md");
    let now = markdown();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &now).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap() == now,
        "docs/advice.md is out of date; run UPDATE_SNAPSHOTS=1 cargo test -p elbow-advice"
    );
}
