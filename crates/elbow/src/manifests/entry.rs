//! The inputs that hold manifests.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use elbow_manifest::cluster::Content;
use elbow_model::diagnostic::Diagnostic;

use super::build::Build;
use super::chart::Chart;
use super::{MAX_BYTES, TOO_LARGE, environment, kustomize, template};
use crate::look::Disk;
use crate::{pipes, text};

/// An input with objects.
#[derive(Debug)]
pub(super) struct Entry {
    /// The name in diagnostics.
    pub(super) name: Arc<str>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Stdin,
    File(PathBuf),
    /// Built by a program from these files.
    Built(Build, Vec<PathBuf>),
}

impl Entry {
    pub(super) fn stdin() -> Self {
        Self {
            name: "stdin".into(),
            kind: Kind::Stdin,
        }
    }

    pub(super) fn file(path: PathBuf) -> Self {
        Self {
            name: path.display().to_string().into(),
            kind: Kind::File(path),
        }
    }

    /// The kustomization `file` of `folder`, which is made of `sources`.
    pub(super) fn kustomization(folder: PathBuf, file: PathBuf, sources: Vec<PathBuf>) -> Self {
        Self {
            name: file.display().to_string().into(),
            kind: Kind::Built(Build::Kustomization { folder, file }, sources),
        }
    }

    pub(super) fn chart(chart: Chart) -> Self {
        let sources = chart.sources();
        Self {
            name: chart.name().into(),
            kind: Kind::Built(Build::Chart(chart), sources),
        }
    }

    /// What a program builds, if one does.
    pub(super) fn build(&self) -> Option<&Build> {
        match &self.kind {
            Kind::Built(build, _) => Some(build),
            Kind::Stdin | Kind::File(_) => None,
        }
    }

    /// The folder of a kustomization.
    pub(super) fn kustomization_folder(&self) -> Option<&Path> {
        match self.build() {
            Some(Build::Kustomization { folder, .. }) => Some(folder),
            _ => None,
        }
    }

    /// The path of a manifest.
    pub(super) fn file_path(&self) -> Option<&Path> {
        match &self.kind {
            Kind::File(file) => Some(file),
            Kind::Stdin | Kind::Built(..) => None,
        }
    }

    /// The files that it is made of.
    pub(super) fn sources(&self) -> &[PathBuf] {
        match &self.kind {
            Kind::Stdin => &[],
            Kind::File(file) => std::slice::from_ref(file),
            Kind::Built(_, sources) => sources,
        }
    }

    /// The text of its objects; none if a program builds them. `disk` remembers the content of a file.
    ///
    /// # Errors
    /// A diagnostic if it cannot be read, or a warning if it has no objects.
    pub(super) fn take(&self, disk: &mut Disk) -> Result<Content, Diagnostic> {
        match &self.kind {
            Kind::Stdin => stdin().map(Content::Text),
            Kind::File(file) => {
                let text = text::take(disk, file, MAX_BYTES, TOO_LARGE)?;
                self.checked(file, text)
            }
            Kind::Built(..) => Ok(Content::default()),
        }
    }

    fn checked(&self, file: &Path, text: String) -> Result<Content, Diagnostic> {
        if environment::is_environment(file, &text) {
            return Err(environment::unused(&self.name));
        }
        if kustomize::is_named(file) {
            return Err(kustomize::not_a_manifest(file));
        }
        if let Some(refusal) = template::refuse(&text, &self.name) {
            return Err(refusal);
        }
        Ok(Content::Text(text))
    }

    /// Whether the content of a file that it is made of differs from what was taken. Pipes and stdin never differ.
    pub(super) fn differs(&self, disk: &mut Disk) -> bool {
        let mut files = self.sources().iter().filter(|file| !pipes::is_kept(file));
        files.any(|file| disk.differs(file, MAX_BYTES))
    }
}

/// The text from stdin, which is read once and cached; or what the previous process read from it.
fn stdin() -> Result<String, Diagnostic> {
    static STDIN: OnceLock<Result<String, Diagnostic>> = OnceLock::new();
    let read = || {
        if let Some(Ok(kept)) = pipes::kept(Path::new("-")) {
            return text::from(&kept[..], "stdin", MAX_BYTES, TOO_LARGE);
        }
        let text = text::from(io::stdin().lock(), "stdin", MAX_BYTES, TOO_LARGE)?;
        pipes::remember(Path::new("-"), &text);
        Ok(text)
    };
    STDIN.get_or_init(read).clone()
}
