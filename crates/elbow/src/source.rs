//! The configuration as it is read from disk.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use elbow_model::Model;
use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::file::{self, MAX_BYTES};

use crate::text;

const TOO_LARGE: &str = "give several processes a part of it each";

/// Reads and validates `path`, certificates included; `None` when there is an error.
pub(crate) fn load(path: &Path) -> (Option<Model>, Vec<Diagnostic>) {
    let name = path.display().to_string();
    let text = match text::read(path, MAX_BYTES, TOO_LARGE) {
        Ok(text) => text,
        Err(unreadable) => return (None, vec![unreadable]),
    };
    let (model, mut diagnostics) = file::parse(&text, &name);
    let Some(model) = model else {
        return (None, diagnostics);
    };
    let unusable = elbow_plane::check(&model);
    let good = unusable.is_empty();
    diagnostics.extend(unusable);
    (good.then_some(model), diagnostics)
}

/// Prints findings for a person, with a count of the errors.
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

/// The files that `model` and its file at `path` are made of.
pub(crate) fn files(path: &Path, model: &Model) -> Vec<PathBuf> {
    let certificates = model.certificates.iter();
    let pems = certificates.flat_map(|c| [c.certificate_file.clone(), c.private_key_file.clone()]);
    std::iter::once(path.to_owned()).chain(pems).collect()
}

/// A number that changes when the content of one of `files` does, wherever links lead.
pub(crate) fn fingerprint(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let content = File::open(file).and_then(|f| {
            let mut content = Vec::new();
            f.take(MAX_BYTES as u64)
                .read_to_end(&mut content)
                .map(|_| content)
        });
        content.ok().hash(&mut hasher);
    }
    hasher.finish()
}
