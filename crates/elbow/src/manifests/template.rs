//! Templates among manifests, such as those of a Helm chart.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use elbow_model::diagnostic::Diagnostic;

/// How an expression of a template starts.
const START: &str = "{{";
const CODE: &str = "not-rendered";

/// The error that the file `name` is a template and no manifest, if it is.
pub(super) fn refuse(text: &str, name: &str) -> Option<Diagnostic> {
    if !text.contains(START) {
        return None;
    }
    // An expression in quotes, and a mapping in a mapping, are good YAML.
    let (objects, found) = elbow_manifest::read(text, name);
    let is_template = found.iter().any(Diagnostic::is_error)
        || objects.iter().any(|one| one.path().contains(START));
    is_template.then(|| Diagnostic::error(CODE, message(0)).at(name, 0, 0).hint(
        "render it and give the result to elbow: elbow check --helm CHART, or helm template CHART | elbow check -f -",
    ))
}

fn message(more: usize) -> String {
    let which = match more {
        0 => "this is a template".to_owned(),
        1 => "this and another file of the folder are templates".to_owned(),
        more => format!("this and {more} more files of the folder are templates"),
    };
    format!("{which} (it has {START} expressions), not a manifest")
}

/// Leaves one error for the templates of each folder.
pub(super) fn collapse(found: &mut Vec<Diagnostic>) {
    let folder = |one: &Diagnostic| Path::new(&one.file).parent().map(Path::to_owned);
    let mut counts: HashMap<Option<PathBuf>, usize> = HashMap::new();
    for one in found.iter().filter(|one| one.code == CODE) {
        *counts.entry(folder(one)).or_default() += 1;
    }
    found.retain_mut(|one| {
        if one.code != CODE {
            return true;
        }
        let Some(count) = counts.remove(&folder(one)) else {
            return false;
        };
        one.message = message(count - 1);
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_templates_are_refused() {
        let code = |text| refuse(text, "a.yaml").map(|one| one.code);
        assert_eq!(
            code("{{- if .Values.ingress }}\nkind: Ingress\n{{ end }}\n"),
            Some(CODE)
        );
        let named = "apiVersion: v1\nkind: Service\nmetadata: {name: \"{{ .Release.Name }}\"}\n";
        assert_eq!(code(named), Some(CODE));
        let rules =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"{{ $value }}\"}\n";
        assert_eq!(code(rules), None);
        assert_eq!(code("a: ["), None, "it has other errors");
    }

    #[test]
    fn folder_has_one_error() {
        let one = |file: &str| Diagnostic::error(CODE, message(0)).at(file, 0, 0);
        let other = Diagnostic::error("yaml-syntax", "x").at("a/z.yaml", 1, 1);
        let mut found = vec![
            one("a/x.yaml"),
            one("a/y.yaml"),
            other.clone(),
            one("b/x.yaml"),
        ];
        collapse(&mut found);
        let mut first = one("a/x.yaml");
        first.message = message(1);
        assert_eq!(found, [first, other, one("b/x.yaml")]);
    }
}
