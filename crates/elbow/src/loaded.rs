//! The result of reading a source.

use std::io::{self, Write};

use elbow_logs::Buckets;
use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{DnsZone, Model};

/// The result of reading a source.
#[derive(Default)]
pub(crate) struct Loaded {
    /// `None` if nothing of the source can be served.
    pub(crate) model: Option<Model>,
    /// All errors, warnings and notes.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// The suffix of the DNS names of load balancers.
    pub(crate) dns: DnsZone,
    /// Where the buckets of logs are.
    pub(crate) log_buckets: Buckets,
}

impl Loaded {
    /// A result of which nothing can be served.
    pub(crate) fn refused(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            diagnostics,
            ..Self::default()
        }
    }

    /// Whether there is any error, even in a part that is left out.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Prints diagnostics as text, followed by the number of errors.
pub(crate) fn report(diagnostics: &[Diagnostic], out: &mut impl Write) -> io::Result<()> {
    for diagnostic in diagnostics {
        writeln!(out, "{diagnostic}")?;
    }
    let errors = diagnostics
        .iter()
        .filter(|d| d.severity == Severity::Error)
        .count();
    match errors {
        0 => Ok(()),
        1 => writeln!(out, "1 error"),
        n => writeln!(out, "{n} errors"),
    }
}
