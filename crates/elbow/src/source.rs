//! Where load balancers are described, as it is read from disk.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elbow_manifest::Serving;
use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::file::{self, MAX_BYTES};
use elbow_model::{CertificateSource, DnsZone, Model};

use crate::manifests::{self, Inputs, Manifests};
use crate::{cert, pipes, text};

const TOO_LARGE: &str = "give several processes a part of it each";

/// Where load balancers are described.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A native file.
    Native(PathBuf),
    /// Kubernetes manifests.
    Manifests(Manifests),
}

impl Source {
    /// Reads and validates it, certificates included. A fault in one of several manifests leaves the
    /// others to be served, and what it is in as it was `before`, as AWS's controllers do it.
    pub(crate) fn load(&self, before: Option<&Serving>) -> Loaded {
        match self {
            Self::Native(path) => native(path),
            Self::Manifests(manifests) => translated(manifests, before),
        }
    }

    /// As [`Self::load`], with certificates of the local authority for those that are to be issued.
    pub(crate) fn load_to_serve(&self, before: Option<&Serving>) -> Loaded {
        let mut loaded = self.load(before);
        let model = loaded.model.take().map(cert::resolve);
        match model {
            Some(Ok(model)) => loaded.model = Some(model),
            Some(Err(refused)) => loaded.diagnostics.extend(refused),
            None => {}
        }
        loaded
    }

    /// What is read, but for what can be read only once.
    pub(crate) fn inputs(&self) -> Inputs {
        let mut inputs = match self {
            Self::Native(path) => Inputs {
                files: vec![path.clone()],
                folders: Vec::new(),
            },
            Self::Manifests(manifests) => manifests.inputs(),
        };
        inputs.files.retain(|file| !pipes::is_kept(file));
        inputs
    }

    /// What was read once and cannot be read again, for people.
    pub(crate) fn pipes(&self) -> Vec<String> {
        let name = |path: &PathBuf| match path.as_os_str() == "-" {
            true => Some("stdin".to_owned()),
            false => pipes::is_kept(path).then(|| path.display().to_string()),
        };
        self.paths().iter().filter_map(name).collect()
    }

    /// The longest file that is read, in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        match self {
            Self::Native(_) => MAX_BYTES,
            Self::Manifests(_) => manifests::MAX_BYTES,
        }
    }

    /// What was named.
    fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Native(path) => std::slice::from_ref(path),
            Self::Manifests(manifests) => &manifests.paths,
        }
    }
}

/// What a [`Source`] says.
#[derive(Default)]
pub(crate) struct Loaded {
    /// `None`: nothing of it may be served.
    pub(crate) model: Option<Model>,
    /// Everything found.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Of manifests: the model stack by stack, for the next reading.
    pub(crate) serving: Option<Serving>,
    /// What the DNS names of load balancers end in.
    pub(crate) dns: DnsZone,
}

impl Loaded {
    fn refused(diagnostics: Vec<Diagnostic>) -> Self {
        Self {
            diagnostics,
            ..Self::default()
        }
    }

    /// Whether there is an error, if only in a part that is left out.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, path) in self.paths().iter().enumerate() {
            let separator = if i == 0 { "" } else { ", " };
            write!(f, "{separator}{}", path.display())?;
        }
        Ok(())
    }
}

fn native(path: &Path) -> Loaded {
    let name = path.display().to_string();
    let text = match text::read(path, MAX_BYTES, TOO_LARGE) {
        Ok(text) => text,
        Err(unreadable) => return Loaded::refused(vec![unreadable]),
    };
    let (model, mut diagnostics) = file::parse(&text, &name);
    let Some(model) = model else {
        return Loaded::refused(diagnostics);
    };
    diagnostics.extend(elbow_plane::check(&model));
    let mut loaded = Loaded::refused(diagnostics);
    loaded.model = (!loaded.has_errors()).then_some(model);
    loaded
}

fn translated(manifests: &Manifests, before: Option<&Serving>) -> Loaded {
    let mut found = Vec::new();
    let (objects, context) = manifests.read(&mut found);
    // Half of a file says something else than the whole of it.
    if found.iter().any(Diagnostic::is_error) {
        return Loaded::refused(found);
    }
    let mut serving = elbow_manifest::serve(&objects, &context);
    serving.check(elbow_plane::check);
    // Nobody knows what an object that cannot be read would have changed.
    let changes_nothing = before.is_some() && !serving.rejected().is_empty();
    if let Some(before) = before {
        serving = serving.keeping(before);
    }
    let (model, refused) = serving.clone().into_model();
    found.extend(refused);
    Loaded {
        model: (!changes_nothing).then_some(model),
        diagnostics: found,
        serving: Some(serving),
        dns: context.dns_zone(),
    }
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

/// The files of the certificates of `model`, by the names of the certificates.
pub(crate) fn certificate_files(model: &Model) -> Vec<(Arc<str>, Vec<PathBuf>)> {
    let certificates = model.certificates.iter();
    let pems = certificates.filter_map(|c| match &c.source {
        CertificateSource::Files {
            certificate,
            private_key,
        } => Some((
            Arc::clone(&c.name),
            vec![certificate.clone(), private_key.clone()],
        )),
        CertificateSource::Pem { .. } | CertificateSource::SelfSigned { .. } => None,
    });
    pems.collect()
}
