//! The result of planning.

use std::collections::BTreeSet;

use elbow_model::diagnostic::Diagnostic;

use crate::stack::Stack;

/// What [`plan`](crate::plan) makes.
#[derive(Clone, Debug, Default)]
pub struct Translation {
    /// The stacks, by id.
    pub stacks: Vec<Stack>,
    /// The keys of the stacks that are left out because of an error.
    pub refused: BTreeSet<String>,
    /// Errors, warnings and notes, by file and line.
    pub diagnostics: Vec<Diagnostic>,
}

/// Sorts findings by file, line, column and code.
pub(crate) fn sort(found: &mut [Diagnostic]) {
    let key = |one: &Diagnostic| (one.line, one.column, one.code);
    found.sort_by(|a, b| {
        let places = (&a.file, key(a)).cmp(&(&b.file, key(b)));
        places.then_with(|| a.message.cmp(&b.message))
    });
}
