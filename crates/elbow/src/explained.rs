//! Diagnostics for machines, with the pages that explain them.

use elbow_advice::Advice;
use elbow_model::diagnostic::Diagnostic;
use serde::Serialize;

/// A diagnostic and its page.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    #[serde(flatten)]
    pub(crate) diagnostic: Diagnostic,
    /// The page of AWS or Kubernetes, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'static str>,
}

impl From<&Diagnostic> for Explained {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            page: elbow_advice::find(diagnostic.code).and_then(Advice::url),
            diagnostic: diagnostic.clone(),
        }
    }
}
