//! A kustomization or a chart that a program builds.

use std::path::PathBuf;

use elbow_manifest::{Object, built};
use elbow_model::diagnostic::Diagnostic;

use super::chart::Chart;
use super::kustomize;

/// Objects and what was found in reading them.
pub(super) type Outcome = Result<(Vec<Object>, Vec<Diagnostic>), Diagnostic>;

/// What a program builds.
#[derive(Debug)]
pub(super) enum Build {
    /// The kustomization `file` of `folder`.
    Kustomization {
        folder: PathBuf,
        file: PathBuf,
    },
    Chart(Chart),
}

impl Build {
    /// The objects that the program builds. `sources` are those in the files of a kustomization.
    ///
    /// # Errors
    /// Why it cannot be built.
    pub(super) fn run(&self, sources: &[Object]) -> Outcome {
        match self {
            Self::Kustomization { folder, file } => {
                let text = kustomize::build(folder, file)?;
                Ok(built::kustomized(
                    &text,
                    &file.display().to_string(),
                    sources,
                ))
            }
            Self::Chart(chart) => {
                let text = chart.render()?;
                Ok(built::rendered(&text, chart.name(), chart.namespace()))
            }
        }
    }
}
