//! `docs/parity.md` is true: its tests exist, and nothing that elbow does not serve is missing.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use elbow_manifest::annotations::Served;
use elbow_model::ATTRIBUTES;

const PAGE: &str = "docs/parity.md";
const STATES: &[&str] = &["served", "switchable", "refused by name", "not served"];

struct Row {
    behaviour: String,
    state: String,
    evidence: String,
}

impl Row {
    /// What is between backticks in the last cell and names a test.
    fn tests(&self) -> impl Iterator<Item = (&str, &str)> {
        quoted(&self.evidence).filter_map(|text| text.split_once("::"))
    }

    /// The last cell without the names of tests.
    fn reason(&self) -> String {
        let parts = self.evidence.split('`').step_by(2);
        parts.collect::<String>().trim().to_owned()
    }

    fn is_served(&self) -> bool {
        matches!(&*self.state, "served" | "switchable")
    }
}

/// What is between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn read(path: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).ok()
}

fn rows() -> Vec<Row> {
    let page = read(PAGE).unwrap();
    let cells = page.lines().filter_map(|line| {
        let line = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(line.split(" | ").map(str::trim).collect::<Vec<_>>())
    });
    let rows = cells.filter_map(|cells| match &cells[..] {
        ["behaviour", ..] | ["---", ..] => None,
        [behaviour, state, evidence] => Some(Row {
            behaviour: (*behaviour).to_owned(),
            state: (*state).to_owned(),
            evidence: (*evidence).to_owned(),
        }),
        // The table of states.
        [_] | [_, _] => None,
        other => panic!("not three cells: {other:?}"),
    });
    rows.collect()
}

#[test]
fn rows_have_a_state_and_a_test_or_a_reason() {
    let rows = rows();
    assert!(rows.len() > 150, "{} rows are read", rows.len());
    let mut seen = BTreeSet::new();
    for row in &rows {
        let behaviour = &row.behaviour;
        assert!(
            STATES.contains(&&*row.state),
            "{behaviour}: {:?}",
            row.state
        );
        if row.is_served() {
            assert!(row.tests().next().is_some(), "{behaviour}: no test");
        } else {
            let words = row.reason().split_whitespace().count();
            assert!(words >= 4, "{behaviour}: no reason");
        }
        let is_switch = row.behaviour.contains("`elbow.");
        assert_eq!(row.state == "switchable", is_switch, "{behaviour}");
        assert!(
            seen.insert((behaviour, row.tests().collect::<Vec<_>>())),
            "{behaviour}: twice"
        );
    }
}

#[test]
fn named_tests_exist() {
    let mut files: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut missing = Vec::new();
    for row in rows() {
        for (file, name) in row.tests() {
            let text = files.entry(file.to_owned()).or_insert_with(|| read(file));
            if !text.as_deref().is_some_and(|text| has_test(text, name)) {
                missing.push(format!("{file}::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

/// Whether `text` has a function called `name` with the attribute of a test.
fn has_test(text: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((before, rest)) = line.split_once("fn ") {
            let is_named = rest
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('('));
            if is_test && is_named && matches!(before, "" | "async ") {
                return true;
            }
            is_test = false;
        }
    }
    false
}

/// An attribute without effect has a row that says why, and no row says so of one that has an effect.
#[test]
fn attributes_that_are_not_served_have_a_row() {
    let rows = rows();
    let unserved: BTreeSet<&str> = rows
        .iter()
        .filter(|row| !row.is_served())
        .flat_map(|row| quoted(&row.behaviour))
        // The value that is not served.
        .map(|text| text.split_once(':').map_or(text, |(key, _)| key))
        .collect();
    let fixed: BTreeSet<&str> = ATTRIBUTES
        .iter()
        .filter(|attribute| attribute.served_values.is_some())
        .map(|attribute| attribute.key)
        .collect();
    let missing: Vec<&&str> = fixed.difference(&unserved).collect();
    assert!(missing.is_empty(), "attributes without a row: {missing:?}");
    let served = ATTRIBUTES.iter().map(|attribute| attribute.key);
    let served: BTreeSet<&str> = served.filter(|key| !fixed.contains(key)).collect();
    let begins = rows.iter().filter(|row| !row.is_served());
    let begins = begins.filter_map(|row| row.behaviour.strip_prefix('`')?.split(['`', ':']).next());
    let wrong: Vec<&str> = begins.filter(|key| served.contains(key)).collect();
    assert!(wrong.is_empty(), "served, and called not served: {wrong:?}");
}

/// As for attributes, for the annotations of Ingresses and Services that have no effect on what elbow serves.
#[test]
fn annotations_without_effect_have_a_row() {
    let rows = rows();
    let unserved: BTreeSet<&str> = rows
        .iter()
        .filter(|row| !row.is_served())
        .flat_map(|row| quoted(&row.behaviour))
        .collect();
    let missing: Vec<&str> = elbow_manifest::annotations::rows()
        .filter(|row| row.served != Served::Yes)
        .map(|row| row.key)
        .filter(|key| !unserved.contains(key))
        .collect();
    assert!(missing.is_empty(), "annotations without a row: {missing:?}");
}
