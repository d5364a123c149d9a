//! Values that may exist once.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::invalid::{FieldPath, Place};

/// Finds what is given twice.
pub(crate) struct Seen<T> {
    what: &'static str,
    first: HashMap<T, FieldPath>,
}

impl<T: Eq + Hash + Display> Seen<T> {
    /// `what` names the values in messages, e.g. `port`.
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            first: HashMap::new(),
        }
    }

    /// Reports `key` when it was there before; returns whether it is new.
    pub(crate) fn check(&mut self, key: T, at: &Place<'_>, code: &'static str) -> bool {
        if let Some(first) = self.first.get(&key) {
            let reason = format!("{} {key} is already given", self.what);
            at.repeated(code, reason, first.clone());
            return false;
        }
        self.first.insert(key, at.path());
        true
    }
}
