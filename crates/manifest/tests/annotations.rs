//! The table of annotations is complete and true: each row has a reader, and nobody reads a key that it lacks.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use elbow_manifest::annotations::{Syntax, ingress, other, rows, service};

/// Files that say which annotations have no effect: they read the table, not the annotations.
const ADVICE: &[&str] = &["advice.rs", "idle.rs", "known.rs"];

fn sources(folders: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    open.extend(
        folders
            .iter()
            .map(|folder| root.join(format!("{folder}.rs"))),
    );
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            open.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
            files.push((path, code));
        }
    }
    assert!(!files.is_empty());
    files
}

/// The constants of a table, in its order.
fn constants(table: &str) -> Vec<String> {
    let (_, text) = sources(&[&format!("annotations/{table}")]).remove(0);
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" \""));
    let rows = rows.map(|(name, _)| name).filter(|name| {
        let mut letters = name.chars();
        letters
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_')
    });
    rows.map(str::to_owned).collect()
}

fn is_used(constant: &str, code: &str) -> bool {
    let is_end = |letter: char| !letter.is_alphanumeric() && letter != '_';
    code.match_indices(constant).any(|(at, _)| {
        code[..at].ends_with(is_end) && code[at + constant.len()..].starts_with(is_end)
    })
}

#[test]
fn every_row_is_read_unless_it_is_without_effect() {
    let tables = [
        ("ingress", ingress::ROWS, &["ingress", "inventory"][..]),
        ("service", service::ROWS, &["service", "classic"][..]),
        ("other", other::ROWS, &["objects", "ingress"][..]),
    ];
    for (name, table, folders) in tables {
        let constants = constants(name);
        assert_eq!(constants.len(), table.len(), "{name}");
        let is_advice = |path: &Path| ADVICE.iter().any(|file| path.ends_with(file));
        let code = sources(folders)
            .into_iter()
            .filter(|(path, _)| !is_advice(path));
        let code: String = code.map(|(_, code)| code).collect();
        for (constant, row) in constants.iter().zip(table) {
            let is_idle = row.syntax == Syntax::Output;
            assert_eq!(is_used(constant, &code), !is_idle, "{}", row.key);
        }
    }
}

#[test]
fn no_key_is_written_outside_the_table() {
    let prefixes = [ingress::PREFIX, service::PREFIX, "aws-load-balancer-"];
    let folders = [
        "advice",
        "classic",
        "cluster",
        "ingress",
        "inventory",
        "lookup",
        "objects",
        "serve",
        "service",
        "tenant",
    ];
    for (path, code) in sources(&folders) {
        let code = code
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for literal in code.flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let is_key = prefixes.iter().any(|prefix| {
                // A prefix alone, and a sentence, are no keys.
                literal
                    .strip_prefix(prefix)
                    .is_some_and(|name| !name.is_empty() && !name.contains(' '))
            });
            assert!(
                !is_key,
                "{}: \"{literal}\" stands for a row of the table",
                path.display()
            );
        }
    }
}

#[test]
fn keys_are_unique_and_say_what_they_set() {
    let mut seen = BTreeSet::new();
    for row in rows() {
        assert!(
            seen.insert((row.key, row.tail)),
            "{} is in the table twice",
            row.key
        );
        assert!(
            !row.sets.is_empty() && !row.sets.ends_with('.'),
            "{}",
            row.key
        );
    }
}
