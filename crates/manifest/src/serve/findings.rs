//! The findings of the model's constructors as diagnostics, each at the place that the value was read from.

use std::collections::HashSet;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{Checked, FieldPath, Invalid, Model, Origin, Step};

use super::draft::Draft;
use super::place::{Part, Place};

/// What AWS has and elbow does not serve, or not without more of the environment: the parts to leave out, with a warning
/// for each.
pub(super) fn unserved(checked: &Checked<Model>, draft: &Draft<'_>) -> Vec<(Part, Diagnostic)> {
    let part = |one: &Invalid| {
        let Place { origin, part } = draft.place(&one.field);
        let part = part.filter(|_| matches!(one.code, "not-supported" | "unknown-user-pool"))?;
        let warning = left_out(diagnostic(Severity::Error, one, &origin, draft), &part);
        Some((part, warning))
    };
    refused(checked).iter().filter_map(part).collect()
}

/// What is wrong with the values of a draft, at their places.
pub(super) fn errors(checked: &Checked<Model>, draft: &Draft<'_>) -> Vec<Diagnostic> {
    let error = |one: &Invalid| {
        let origin = draft.place(&one.field).origin;
        diagnostic(Severity::Error, one, &origin, draft)
    };
    refused(checked).iter().map(error).collect()
}

/// What is served in another way than AWS would, at the places of the values.
pub(super) fn warnings(checked: &Checked<Model>, draft: &Draft<'_>) -> Vec<Diagnostic> {
    let warning = |one: &Invalid| {
        let origin = draft.place(&one.field).origin;
        with_annotation(diagnostic(Severity::Warning, one, &origin, draft))
    };
    // Rules that never match have been reported with the objects that they come from.
    let new = checked
        .warnings
        .iter()
        .filter(|one| one.code != "hidden-rule");
    new.map(warning).collect()
}

fn refused(checked: &Checked<Model>) -> &[Invalid] {
    checked.value.as_ref().err().map_or(&[], Vec::as_slice)
}

fn diagnostic(
    severity: Severity,
    invalid: &Invalid,
    origin: &Origin,
    draft: &Draft<'_>,
) -> Diagnostic {
    let mut message = invalid.reason.clone();
    if let Some(first) = &invalid.first {
        let Origin {
            file,
            line,
            column,
            object,
            ..
        } = draft.place(first).origin;
        message += &if file.is_empty() {
            format!(" in {object}")
        } else {
            format!(" at {file}:{line}:{column}")
        };
    }
    let mut found = Diagnostic::new(severity, invalid.code, message);
    found.hint.clone_from(&invalid.hint);
    if origin.object.is_empty() {
        found = found.field(invalid.field.to_string());
    } else if origin.field.is_empty() {
        // A value that nobody wrote, such as a default. A path of the model would tell a reader of manifests nothing.
        let field = innermost(&invalid.field);
        if !field.is_empty() && !found.message.contains(&field) {
            found.message = format!("{field}: {}", found.message);
        }
    }
    origin.place(found)
}

/// The fields of a path behind the last index, in AWS's names: `healthCheck.timeoutSeconds`.
fn innermost(path: &FieldPath) -> String {
    let steps = path.steps().iter().rev();
    let fields = steps.map_while(|step| match step {
        Step::Field(name) => Some((*name).to_owned()),
        Step::Key(key) => Some(key.clone()),
        Step::Index(_) => None,
    });
    let mut fields: Vec<String> = fields.collect();
    fields.reverse();
    fields.join(".")
}

/// The warning that a part is left out, made of the error about it.
fn left_out(mut found: Diagnostic, part: &Part) -> Diagnostic {
    found.message = format!("{}; {}", found.message, part.consequence());
    found.severity = Severity::Warning;
    with_annotation(found)
}

/// Puts the annotation's key in front: its value may hold many values.
fn with_annotation(mut found: Diagnostic) -> Diagnostic {
    if let Some(key) = found.field.strip_prefix("metadata.annotations.") {
        found.message = format!("{key}: {}", found.message);
    }
    found
}

/// Findings without repetition: a fault in an annotation of an Ingress appears once for each of its ports and paths.
#[derive(Debug, Default)]
pub(super) struct Once {
    list: Vec<Diagnostic>,
    seen: HashSet<String>,
}

impl Once {
    /// Adds a finding unless it is there already.
    pub(super) fn push(&mut self, found: Diagnostic) {
        let Diagnostic {
            code,
            file,
            line,
            column,
            object,
            field,
            message,
            ..
        } = &found;
        // A field of the model differs for each port and path.
        let field = if field.contains('[') { "" } else { field };
        let key = format!("{code} {file}:{line}:{column} {object} {field} {message}");
        if self.seen.insert(key) {
            self.list.push(found);
        }
    }

    pub(super) fn into_list(self) -> Vec<Diagnostic> {
        self.list
    }
}

impl Extend<Diagnostic> for Once {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, found: T) {
        found.into_iter().for_each(|found| self.push(found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_value_is_named_by_its_own_field() {
        let path = |steps: &[Step]| FieldPath::from(steps.to_vec());
        let group = [Step::Field("targetGroups"), Step::Index(3)];
        assert_eq!(innermost(&path(&group)), "");
        let check = [Step::Field("healthCheck"), Step::Field("timeoutSeconds")];
        assert_eq!(
            innermost(&path(&[&group[..], &check].concat())),
            "healthCheck.timeoutSeconds"
        );
    }
}
