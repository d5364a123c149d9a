//! What a row of the catalogue is.

use elbow_model::diagnostic::Severity;

/// What is known about a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Stable, kebab-case.
    pub code: &'static str,
    /// How bad it can be, the worst first.
    pub severities: &'static [Severity],
    /// What the input does.
    pub cause: &'static str,
    /// What follows, on AWS and in elbow.
    pub consequence: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The page of AWS or Kubernetes that says so, by its URL; a file in `docs` for elbow's own rules; empty: none.
    pub page: &'static str,
    /// Which input shows it.
    pub example: Example,
}

/// Which input shows a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example {
    /// `examples/CODE.yaml`.
    File,
    /// No short file can. The text says why.
    None(&'static str),
}

impl Advice {
    /// The URL of the page of AWS or Kubernetes; `None` for elbow's own rules.
    pub fn url(&self) -> Option<&'static str> {
        self.page.starts_with("https://").then_some(self.page)
    }
}

/// Rows that belong together, under one heading.
#[derive(Clone, Copy, Debug)]
pub struct Topic {
    /// The heading.
    pub name: &'static str,
    /// Its rows.
    pub rows: &'static [Advice],
}
