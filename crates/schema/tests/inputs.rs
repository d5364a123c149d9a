//! The manifests of this repository are as an API server wants them.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use elbow_model::diagnostic::Severity;
use elbow_yaml::{Limits, Node, Value, parse_all};

/// The manifests in a folder and below.
fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            manifests(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
}

/// Objects, also those in lists.
fn objects(node: Node, found: &mut Vec<Node>) {
    if let Value::Mapping(entries) = &node.value
        && let Some((_, items)) = entries.iter().find(|(key, _)| key.name == "items")
        && let Value::Sequence(items) = &items.value
    {
        items.iter().for_each(|item| objects(item.clone(), found));
        return;
    }
    found.push(node);
}

#[test]
fn manifests_of_this_repository_have_no_faults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for folder in ["config", "tests/golden"] {
        manifests(&root.join(folder), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    files.sort();
    let mut faults = Vec::new();
    for file in files {
        let (documents, _) = parse_all(&fs::read_to_string(&file).unwrap(), Limits::OBJECTS);
        let mut found = Vec::new();
        for document in documents {
            objects(document, &mut found);
        }
        let found = found.iter().flat_map(elbow_schema::check);
        for fault in found.filter(|fault| fault.severity == Severity::Error) {
            let place = format!("{}:{}", file.display(), fault.at.line);
            faults.push(format!(
                "{place} {} {}: {}",
                fault.code, fault.path, fault.message
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
