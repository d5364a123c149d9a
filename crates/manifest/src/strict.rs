//! What an API server would refuse in the objects of files.

use std::collections::HashSet;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_schema::Fault;

use crate::context::Reading;
use crate::object::Object;

/// What an API server refuses in an object of a file; an object of a cluster has passed.
pub(crate) fn refusals(object: &Object, reading: Reading) -> Vec<Diagnostic> {
    if !object.is_from_file() {
        return Vec::new();
    }
    let found = |fault: Fault| {
        let severity = match reading {
            Reading::Strict => fault.severity,
            Reading::Lenient => Severity::Warning,
        };
        let mut found = Diagnostic::new(severity, fault.code, fault.message)
            .at(&*object.file, fault.at.line, fault.at.column)
            .object(object.path())
            .field(fault.path);
        found.hint = fault.hint;
        found
    };
    elbow_schema::check(&object.node)
        .into_iter()
        .map(found)
        .collect()
}

/// All findings of an object. What reading it found where the schema has found something is the same fault in other words.
pub(crate) fn joined(mut refusals: Vec<Diagnostic>, read: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let places: HashSet<(u32, u32)> = refusals.iter().map(|one| (one.line, one.column)).collect();
    let is_new = |one: &Diagnostic| !places.contains(&(one.line, one.column));
    refusals.extend(read.into_iter().filter(is_new));
    refusals
}

#[cfg(test)]
mod tests;
