//! What becomes of a rule on each of the listeners that it is written for.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Condition, Origin};

/// A rule as it is written: its object, its line and its column, and its conditions.
type Written = (Arc<str>, u32, u32, String);

/// The warnings about rules that never fire. A rule that one listener reaches and another does not is meant so: the redirect
/// to HTTPS hides the other rules of the HTTP listener.
#[derive(Debug, Default)]
pub(crate) struct Fates(BTreeMap<Written, Option<Diagnostic>>);

impl Fates {
    /// Notes whether the rule at `origin` with these conditions can fire on one of its listeners; if not, `found` says why.
    /// The warning of the last listener counts, which is that of HTTPS.
    pub(crate) fn note(&mut self, origin: &Origin, conditions: String, found: Option<Diagnostic>) {
        let (object, line, column) = (origin.object.clone(), origin.line, origin.column);
        let fate = self.0.entry((object, line, column, conditions));
        let fate = fate.or_insert_with(|| found.clone());
        *fate = fate.take().and(found);
    }

    /// The warnings about the rules that fire on no listener.
    pub(crate) fn into_found(self) -> impl Iterator<Item = Diagnostic> {
        self.0.into_values().flatten()
    }
}

/// Conditions as a person reads them.
pub(crate) fn words(conditions: &[Condition]) -> String {
    let words: Vec<String> = conditions.iter().map(ToString::to_string).collect();
    words.join(" and ")
}

/// The place of another rule, to be appended to its name; empty if it would only repeat what has been said.
pub(crate) fn place(own: &Origin, other: &Origin) -> String {
    if other.line > 0 {
        format!(" of {}:{}", other.file, other.line)
    } else if own.object == other.object {
        String::new()
    } else {
        format!(" of {}", other.object)
    }
}
