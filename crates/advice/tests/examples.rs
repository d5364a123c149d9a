//! Each code with its example: the command in its first line reports this code, at the line that is marked, and no other but those
//! that the second line names. The command is what a person would type; here its readers are called.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};

use elbow_advice::{Advice, Example, all};
use elbow_manifest::{Context, advice, plan, read, translate};
use elbow_model::diagnostic::Diagnostic;

const MARK: &str = "# <- here";
/// The second line, if other codes cannot be avoided.
const BESIDE: &str = "# beside: ";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

fn file(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What the command reports.
fn run(command: &str) -> Vec<Diagnostic> {
    let words: Vec<&str> = command.split(' ').collect();
    let option = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    if let Some(name) = option("--config") {
        return elbow_native::parse(&file(name), name).1;
    }
    let (context, mut found) = match option("--environment") {
        Some(name) => Context::parse(&file(name), name),
        None => (Context::default(), Vec::new()),
    };
    let name = option("-f").unwrap_or_else(|| panic!("{command}: neither --config nor -f"));
    let (objects, errors) = read(&file(name), name);
    found.extend(errors);
    if words.contains(&"plan") {
        let made = plan(&objects, &context);
        found.extend(made.stacks.iter().filter_map(advice::unverified));
        found.extend(made.diagnostics);
    } else {
        found.extend(translate(&objects, &context).1);
    }
    found
}

/// What is wrong with the example of a code, if anything.
fn fault(advice: &Advice) -> Option<String> {
    let code = advice.code;
    let text = file(&format!("{code}.yaml"));
    let first = text.lines().next().unwrap_or_default();
    let Some(command) = first.strip_prefix("# elbow ") else {
        return Some(format!("{code}: no command in the first line"));
    };
    let found = run(command);
    let beside = text
        .lines()
        .nth(1)
        .and_then(|line| line.strip_prefix(BESIDE));
    let beside: Vec<&str> = beside
        .into_iter()
        .flat_map(|codes| codes.split(", "))
        .collect();
    let (others, found): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|one| beside.contains(&one.code));
    let marked = text.lines().position(|line| line.ends_with(MARK));
    let is_right = |one: &Diagnostic| {
        let line = marked.is_none_or(|index| one.line as usize == index + 1);
        one.code == code && line && advice.severities.contains(&one.severity)
    };
    let told = beside
        .iter()
        .all(|code| others.iter().any(|one| one.code == *code));
    let right = told && !found.is_empty() && found.iter().all(is_right);
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    (!right).then(|| {
        format!(
            "{code}: line {:?}:\n    {}",
            marked.map(|line| line + 1),
            told.join("\n    ")
        )
    })
}

#[test]
fn every_example_shows_its_code_at_its_line() {
    let rows = all().filter(|one| one.example == Example::File);
    let faults: Vec<String> = rows.filter_map(fault).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
