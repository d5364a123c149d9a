//! elbow's answer to a manifest.

use elbow_model::diagnostic::Severity;

/// One thing that elbow refuses.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The field; empty for a problem of the YAML.
    pub(crate) path: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Everything that elbow refuses in a manifest, without what only a webhook of AWS's controller refuses: the API server of
/// the tests has none.
pub(crate) fn of(yaml: &str) -> Vec<Fault> {
    let (objects, found) = elbow_manifest::read(yaml, "manifest.yaml");
    let found = found.into_iter().map(|found| Fault {
        path: found.field,
        line: found.line,
        column: found.column,
        code: found.code,
        message: found.message,
    });
    let faults = objects
        .iter()
        .flat_map(|object| elbow_schema::check(&object.node));
    let faults = faults.filter(|fault| fault.severity == Severity::Error);
    let faults = faults.map(|fault| Fault {
        path: fault.path,
        line: fault.at.line,
        column: fault.at.column,
        code: fault.code,
        message: fault.message,
    });
    let all = found.chain(faults);
    all.filter(|fault| fault.code != "refused-by-webhook")
        .collect()
}
