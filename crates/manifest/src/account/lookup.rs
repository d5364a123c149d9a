//! The result of a look-up in the account.

use elbow_model::Origin;
use elbow_model::diagnostic::{Diagnostic, Severity};

/// What is to say about a name that was looked up, before it has a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Stable, kebab-case.
    pub(crate) code: &'static str,
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// What to do.
    pub(crate) hint: Option<String>,
    /// The name in question; empty when it is about all of them.
    pub(crate) name: String,
}

impl Finding {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            name: String::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn about(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The diagnostic at the place of the value.
    pub(crate) fn at(self, severity: Severity, origin: &Origin) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(severity, self.code, self.message);
        diagnostic.hint = self.hint;
        origin.place(diagnostic)
    }
}

/// What was found, and a warning for each name that something stands in for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Resolved<T> {
    /// What was found, in the controller's order.
    pub(crate) found: Vec<T>,
    /// A warning for each stand-in.
    pub(crate) stand_ins: Vec<Finding>,
}
