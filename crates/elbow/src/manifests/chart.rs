//! Helm charts, which helm renders.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use elbow_model::diagnostic::Diagnostic;

use super::tool;
use crate::args::ChartArgs;
use crate::pipes;

/// The file that makes a folder a chart.
const NAME: &str = "Chart.yaml";
/// The release name that `helm template` takes when none is given.
const RELEASE: &str = "release-name";
/// How many files of a chart are watched.
const MAX_SOURCES: usize = 10_000;
/// How deep the folders of a chart are.
const MAX_DEPTH: usize = 16;

/// A chart to render.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// A folder, an archive or a reference, as `helm template` takes it.
    chart: String,
    values: Vec<PathBuf>,
    set: Vec<String>,
    release: Option<String>,
    namespace: Option<String>,
}

impl Chart {
    /// The chart that `args` name, if any.
    pub(super) fn new(args: &ChartArgs) -> Option<Self> {
        Some(Self {
            chart: args.helm.clone()?,
            values: args.values.clone(),
            set: args.set.clone(),
            release: args.release.clone(),
            namespace: args.namespace.clone(),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.chart
    }

    /// The namespace of objects that name none.
    pub(super) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The local files that it is made of.
    pub(super) fn sources(&self) -> Vec<PathBuf> {
        let mut files = self.values.clone();
        let chart = Path::new(&self.chart);
        if chart.is_file() {
            files.push(chart.to_owned());
        } else {
            collect(chart, 0, &mut files);
        }
        files
    }

    /// The manifests that helm makes of it.
    ///
    /// # Errors
    /// A diagnostic with the message of helm, or how to render it elsewhere.
    pub(super) fn render(&self) -> Result<String, Diagnostic> {
        let arguments = self.arguments();
        let Some(helm) = tool::find("helm") else {
            let words: Vec<String> = arguments.iter().map(quoted).collect();
            let message = "helm is not on PATH, so the chart cannot be rendered here";
            return Err(Diagnostic::error("helm-missing", message)
                .at(self.name(), 0, 0)
                .hint(format!(
                    "install helm, or where it is: helm {} | elbow check -f -",
                    words.join(" ")
                )));
        };
        tool::run(&helm, &arguments, pipes::MAX_BYTES).map_err(|failure| {
            let message = format!("helm cannot render the chart: {failure}");
            Diagnostic::error("helm-failed", message).at(self.name(), 0, 0)
        })
    }

    /// The arguments for helm. Hooks of tests are left out: they are not installed.
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["template".into()];
        let mut option = |name: &str, value: OsString| {
            arguments.extend([name.into(), value]);
        };
        if let Some(namespace) = &self.namespace {
            option("--namespace", namespace.into());
        }
        for file in &self.values {
            option("--values", file.into());
        }
        for pair in &self.set {
            option("--set", pair.into());
        }
        arguments.push("--skip-tests".into());
        arguments.push("--".into());
        arguments.push(self.release.as_deref().unwrap_or(RELEASE).into());
        arguments.push(OsString::from(&self.chart));
        arguments
    }
}

/// A word for a shell.
fn quoted(word: &OsString) -> String {
    let word = word.to_string_lossy();
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@=,+".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Adds the files in `folder` and below, without hidden ones.
fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if is_hidden || files.len() >= MAX_SOURCES {
            continue;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < MAX_DEPTH => {
                collect(&entry.path(), depth + 1, files);
            }
            Ok(kind) if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
}

/// The `Chart.yaml` of a folder.
pub(super) fn file_in(folder: &Path) -> Option<PathBuf> {
    let file = folder.join(NAME);
    file.is_file().then_some(file)
}

/// That a folder of manifests is a chart, whose templates are no manifests: an error if the user named it.
pub(super) fn not_rendered(folder: &Path, file: &Path, is_named: bool) -> Diagnostic {
    let message =
        "the folder is a Helm chart, and its templates are no manifests before Helm renders them";
    let found = if is_named {
        Diagnostic::error("helm-chart", message)
    } else {
        Diagnostic::warning("helm-chart", format!("{message}; it is not read"))
    };
    let folder = folder.display();
    found.at(file.display().to_string(), 0, 0).hint(format!(
        "--helm {folder} instead of -f; or helm template {folder} | elbow check -f -"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helm_gets_the_options_before_the_names() {
        let chart = Chart {
            chart: "charts/web".into(),
            values: vec!["a b.yaml".into()],
            set: vec!["a=1".into()],
            release: None,
            namespace: Some("shop".into()),
        };
        let words: Vec<String> = chart.arguments().iter().map(quoted).collect();
        assert_eq!(
            words.join(" "),
            "template --namespace shop --values 'a b.yaml' --set a=1 --skip-tests -- release-name charts/web"
        );
    }
}
