//! The description of load balancers, read from disk.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elbow_manifest::Context;
use elbow_manifest::cluster::Files;
use elbow_model::{CertificateSource, Model, Origin};
use elbow_native::MAX_BYTES;

use crate::args::InputArgs;
use crate::loaded::Loaded;
use crate::look::{Disk, Look};
use crate::manifests::{self, Builds, Inputs, Manifests};
use crate::{pipes, text};

const TOO_LARGE: &str = "split it, and run a process for each part";

/// The description of load balancers.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A native file.
    Native(PathBuf),
    /// Kubernetes manifests.
    Manifests(Manifests),
}

impl Source {
    /// The source that `args` name; pipes are read at once.
    pub(crate) fn new(args: &InputArgs) -> Self {
        pipes::keep(args.config.as_deref());
        match &args.config {
            Some(config) => Self::Native(config.clone()),
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
            Self::Native(path) => Inputs {
                files: vec![path.clone()],
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
            Self::Native(path) => std::slice::from_ref(path),
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
            Source::Native(path) => native(path, &mut self.disk),
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
            Source::Native(path) => Some(Origin {
                file: path.display().to_string().into(),
                ..Origin::default()
            }),
            Source::Manifests(_) => self.files.cluster().origin(load_balancer).cloned(),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Native(path) => write!(f, "{}", path.display()),
            Self::Manifests(manifests) => {
                f.write_str(&manifests.names().collect::<Vec<_>>().join(", "))
            }
        }
    }
}

fn native(path: &Path, disk: &mut Disk) -> Loaded {
    let name = path.display().to_string();
    let text = match text::take(disk, path, MAX_BYTES, TOO_LARGE) {
        Ok(text) => text,
        Err(unreadable) => return Loaded::refused(vec![unreadable]),
    };
    let (model, diagnostics) = elbow_native::parse(&text, &name);
    Loaded {
        model,
        ..Loaded::refused(diagnostics)
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
