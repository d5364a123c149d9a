//! What is wrong with an object.

use std::collections::HashSet;

use elbow_model::diagnostic::Severity;
use elbow_yaml::Position;

use crate::Cursor;

/// One thing that an API server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// An error: an API server refuses the object.
    pub severity: Severity,
    /// The field, for example `spec.ports[0].port`.
    pub path: String,
    /// Where it is written; for a missing field, the object that lacks it.
    pub at: Position,
    /// Stable, kebab-case: the code of the diagnostic.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// The faults of one object.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<Fault>,
}

/// At most this many faults of one object are reported.
const MAX_FAULTS: usize = 100;

impl Faults {
    /// Reports a fault of the value at `cursor`; of the object around it if it is absent.
    pub fn add(&mut self, cursor: &Cursor<'_>, code: &'static str, message: impl Into<String>) {
        self.add_at(cursor, cursor.at(), code, message, None);
    }

    /// As [`Self::add`], with what to do about it.
    pub fn add_with_hint(
        &mut self,
        cursor: &Cursor<'_>,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add_at(cursor, cursor.at(), code, message, Some(hint.into()));
    }

    /// Reports a fault of the field at `cursor` that stands at `at`, for example at its name.
    pub fn add_at(
        &mut self,
        cursor: &Cursor<'_>,
        at: Position,
        code: &'static str,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if !self.is_full() {
            self.found.push(Fault {
                severity: Severity::Error,
                path: cursor.path(),
                at,
                code,
                message: message.into(),
                hint,
            });
        }
    }

    /// Whether further faults are dropped.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_FAULTS
    }

    /// Makes the last fault a warning.
    pub(crate) fn soften(&mut self) {
        if let Some(last) = self.found.last_mut() {
            last.severity = Severity::Warning;
        }
    }

    /// Reports that the field at `cursor`, called `name`, is missing.
    pub fn add_missing(&mut self, cursor: &Cursor<'_>, name: &str) {
        self.add(
            cursor,
            "missing-field",
            format!("field \"{name}\" is missing"),
        );
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// Drops what was found from the fault `from` on about a field that one before is about: a field that cannot be decoded
    /// is not validated.
    pub(crate) fn drop_repeated(&mut self, from: usize) {
        let later = self.found.split_off(from.min(self.found.len()));
        let known: HashSet<String> = self.found.iter().map(|fault| fault.path.clone()).collect();
        let new = later
            .into_iter()
            .filter(|fault| !known.contains(&fault.path));
        self.found.extend(new);
    }

    /// The faults in the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<Fault> {
        self.found.sort_by_key(|fault| fault.at);
        self.found
    }
}
