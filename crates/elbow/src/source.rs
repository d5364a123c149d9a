//! The description of load balancers, read from disk.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use elbow_manifest::Context;
use elbow_manifest::cluster::Files;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{CertificateSource, Model, Origin};
use elbow_native::MAX_BYTES;

use crate::args::InputArgs;
use crate::loaded::Loaded;
use crate::look::{Disk, Look};
use crate::manifests::{self, Builds, Inputs, Manifests};
use crate::{log_buckets, pipes, text};

const TOO_LARGE: &str = "split it, and run a process for each part";

/// The description of load balancers.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A native file.
    Native(NativeFile),
    /// Kubernetes manifests.
    Manifests(Manifests),
}

/// A native file and what it does not say.
#[derive(Clone, Debug)]
pub(crate) struct NativeFile {
    pub(crate) path: PathBuf,
    /// The environment file, if any.
    pub(crate) environment: Option<PathBuf>,
}

impl Source {
    /// The source that `args` name; pipes are read at once.
    pub(crate) fn new(args: &InputArgs) -> Self {
        pipes::keep(args.config.as_deref());
        match &args.config {
            Some(config) => Self::Native(NativeFile {
                path: config.clone(),
                environment: args.surroundings.environment.clone(),
            }),
            None => Self::Manifests(Manifests::new(&args.manifests, &args.surroundings)),
        }
    }

    /// Reads and validates all of it, certificates included.
    pub(crate) fn load(&self) -> Loaded {
        let mut loaded = Reader::new(self.clone()).load();
        if let Some(model) = &loaded.model {
            loaded.diagnostics.extend(elbow_plane::check(model));
        }
        loaded
    }

    /// The files and folders to read, without pipes.
    pub(crate) fn inputs(&self) -> Inputs {
        let mut inputs = match self {
            Self::Native(native) => Inputs {
                files: native.files().cloned().collect(),
                folders: Vec::new(),
            },
            Self::Manifests(manifests) => manifests.inputs(),
        };
        inputs.files.retain(|file| !pipes::is_kept(file));
        inputs
    }

    /// The names of the pipes, which cannot be read again.
    pub(crate) fn pipes(&self) -> Vec<String> {
        let name = |path: &PathBuf| {
            if path.as_os_str() == "-" {
                Some("stdin".to_owned())
            } else {
                pipes::is_kept(path).then(|| path.display().to_string())
            }
        };
        self.paths().iter().filter_map(name).collect()
    }

    /// The longest input file, in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        match self {
            Self::Native(_) => MAX_BYTES,
            Self::Manifests(_) => manifests::MAX_BYTES,
        }
    }

    /// The paths that the arguments name.
    fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Native(native) => std::slice::from_ref(&native.path),
            Self::Manifests(manifests) => &manifests.paths,
        }
    }
}

/// Reads a source repeatedly, each time only the changed files.
pub(crate) struct Reader {
    source: Source,
    disk: Disk,
    files: Files,
    builds: Builds,
}

impl Reader {
    /// A reader that has read nothing yet.
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            disk: Disk::default(),
            files: Files::new(Context::default()),
            builds: Builds::default(),
        }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Reads and validates changed files. An error in one of several manifests keeps the previous state of its load
    /// balancer, as AWS's controllers do, and serves the others.
    pub(crate) fn load(&mut self) -> Loaded {
        match &self.source {
            Source::Native(native) => native.load(&mut self.disk),
            Source::Manifests(manifests) => {
                let wanted: HashSet<PathBuf> = manifests.inputs().files.into_iter().collect();
                self.disk.retain(|path| wanted.contains(path));
                manifests.update(&mut self.files, &mut self.disk, &mut self.builds)
            }
        }
    }

    /// The files as they are now.
    pub(crate) fn look(&self) -> Look {
        Look::at(&self.source.inputs().files)
    }

    /// Whether the content of a file or the set of files differs from what was read.
    pub(crate) fn is_changed(&mut self) -> bool {
        let Inputs { files, .. } = self.source.inputs();
        let is_other = self.disk.has_others(&files);
        let limit = self.source.max_bytes();
        let mut differing = files.iter().filter(|file| self.disk.differs(file, limit));
        differing.next().is_some() || is_other
    }

    /// The origin of a load balancer, if known.
    pub(crate) fn origin(&self, load_balancer: &str) -> Option<Origin> {
        match &self.source {
            Source::Native(native) => Some(Origin {
                file: native.path.display().to_string().into(),
                ..Origin::default()
            }),
            Source::Manifests(_) => self.files.cluster().origin(load_balancer).cloned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(native) => write!(f, "{}", native.path.display()),
            Self::Manifests(manifests) => {
                f.write_str(&manifests.names().collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl NativeFile {
    /// A native file without an environment file.
    #[cfg(feature = "demo")]
    pub(crate) fn alone(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            environment: None,
        }
    }

    fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.path].into_iter().chain(&self.environment)
    }

    fn load(&self, disk: &mut Disk) -> Loaded {
        let name = self.path.display().to_string();
        let mut found = Vec::new();
        if let Some(file) = &self.environment {
            // An error is reported when the environment is read.
            let _ = text::take(disk, file, manifests::MAX_BYTES, TOO_LARGE);
        }
        let context = manifests::environment(self.environment.as_deref(), &mut found);
        let text = match text::take(disk, &self.path, MAX_BYTES, TOO_LARGE) {
            Ok(text) => text,
            Err(unreadable) => {
                found.push(unreadable);
                return Loaded::refused(found);
            }
        };
        let log_buckets = log_buckets::of(&context, &mut found);
        let is_usable = !found.iter().any(Diagnostic::is_error);
        let (model, diagnostics) = elbow_native::parse_in(&text, &name, context.environment());
        found.extend(diagnostics);
        Loaded {
            model: model.filter(|_| is_usable),
            diagnostics: found,
            dns: context.dns_zone(),
            log_buckets,
        }
    }
}

/// What files besides the source belong to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    /// As in a list of changes.
    pub(crate) kind: &'static str,
    pub(crate) name: Arc<str>,
}

/// The files of the certificates, trust stores and public keys of `model`.
pub(crate) fn pem_files(model: &Model) -> Vec<(Owner, Vec<PathBuf>)> {
    let owner = |kind, name: &Arc<str>| Owner {
        kind,
        name: Arc::clone(name),
    };
    let trust_stores = model.trust_stores().into_iter().map(|store| {
        let files = store.files().cloned().collect();
        (owner("trust store", &store.name), files)
    });
    let certificates = model.certificates.iter();
    let pems = certificates.filter_map(|c| match &c.source {
        CertificateSource::Files {
            certificate,
            private_key,
        } => Some((
            owner("certificate", &c.name),
            vec![certificate.clone(), private_key.clone()],
        )),
        CertificateSource::Pem { .. } | CertificateSource::SelfSigned { .. } => None,
    });
    let public_keys = model.public_keys().map(|key| {
        let name = key.file.display().to_string().into();
        (owner("public key", &name), vec![key.file.clone()])
    });
    pems.chain(trust_stores).chain(public_keys).collect()
}
