//! What a constructor found, as a diagnostic at the place of the field that it is about.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{FieldPath, Invalid, Step};
use elbow_yaml::{Node, Position, Value};

use super::item::{Log, text_of};

/// The objects of a file, by the lists that hold them.
const OBJECTS: &[(&str, &str)] = &[
    ("loadBalancers", "loadBalancer"),
    ("targetGroups", "targetGroup"),
    ("certificates", "certificate"),
    ("trustStores", "trustStore"),
];

/// Reports what was found in the model that was read of `root`.
pub(super) fn report(root: &Node, severity: Severity, found: Vec<Invalid>, log: &Log) {
    for invalid in found {
        if !is_consequence(&invalid, log) {
            log.push(diagnostic(root, severity, invalid, log));
        }
    }
}

/// Whether this is about what stands in for a value that could not be read, which has been reported.
fn is_consequence(invalid: &Invalid, log: &Log) -> bool {
    if log.is_readable() {
        return false;
    }
    let steps = invalid.field.steps();
    let is_unreadable = |length: usize| {
        let steps = steps.get(..length).unwrap_or_default();
        log.is_unreadable(&FieldPath::from(steps.to_vec()).to_string())
    };
    // A field that does not belong there does not, whatever it holds.
    let itself = invalid.code != "invalid-combination" && is_unreadable(steps.len());
    itself || (1..steps.len()).any(is_unreadable)
}

fn diagnostic(root: &Node, severity: Severity, invalid: Invalid, log: &Log) -> Diagnostic {
    let at = position(root, &invalid.field, invalid.is_name);
    let mut message = invalid.reason;
    if let Some(first) = &invalid.first {
        let first = position(root, first, false);
        message = format!("{message} in line {}", first.line);
    }
    let mut diagnostic = Diagnostic::new(severity, invalid.code, message)
        .at(&*log.file, at.line, at.column)
        .object(object(root, &invalid.field))
        .field(invalid.field.to_string());
    diagnostic.hint = invalid.hint;
    diagnostic
}

/// Where the field stands, or its name; where it is missing, what it is missing from.
fn position(root: &Node, field: &FieldPath, is_name: bool) -> Position {
    let (mut node, mut name) = (root, root.at);
    for step in field.steps() {
        let Some((next, key)) = child(node, step) else {
            return node.at;
        };
        (node, name) = (next, key);
    }
    if is_name { name } else { node.at }
}

/// The node that a step leads to, and where its name stands.
fn child<'a>(node: &'a Node, step: &Step) -> Option<(&'a Node, Position)> {
    match (&node.value, step) {
        (Value::Sequence(items), Step::Index(index)) => {
            items.get(*index).map(|item| (item, item.at))
        }
        (Value::Mapping(entries), Step::Field(name)) => {
            let mut named = entries.iter().filter(|(key, _)| key.name == *name);
            let (key, node) = named.next()?;
            // Without a value it counts as not given.
            (!matches!(node.value, Value::Null)).then_some((node, key.at))
        }
        (Value::Mapping(entries), Step::Key(name)) => {
            let mut named = entries.iter().filter(|(key, _)| key.name == *name);
            named.next().map(|(key, node)| (node, key.at))
        }
        _ => None,
    }
}

/// `kind/name` of the object that a field belongs to; empty for the file itself.
fn object(root: &Node, field: &FieldPath) -> String {
    let [list @ Step::Field(name), index, ..] = field.steps() else {
        return String::new();
    };
    let Some((_, kind)) = OBJECTS.iter().find(|(list, _)| list == name) else {
        return String::new();
    };
    let object = child(root, list).and_then(|(list, _)| child(list, index));
    match object.map(|(object, _)| &object.value) {
        Some(Value::Mapping(entries)) => format!("{kind}/{}", text_of(entries, "name")),
        _ => format!("{kind}/"),
    }
}
