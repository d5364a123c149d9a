//! Certificates in force, each loaded once for as long as it stays as it is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Certificate, CertificateSource, LoadBalancer, Model, changed};
use elbow_tls::Loaded;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::Rejection;

/// By the names that listeners know them by.
#[derive(Clone, Default)]
pub(crate) struct Certificates(FxHashMap<Arc<str>, Kept>);

#[derive(Clone)]
struct Kept {
    config: Arc<Certificate>,
    loaded: Arc<Loaded>,
    /// Of its files, as they were just before they were read.
    stamps: Vec<Stamp>,
}

/// What of a file changes when it is written or replaced; `None`: it is not there.
type Stamp = Option<[i64; 6]>;

/// Certificates that follow others.
pub(super) struct Followed {
    pub(super) certificates: Arc<Certificates>,
    /// Names of those that are new, or others than before.
    pub(super) renewed: FxHashSet<Arc<str>>,
}

/// Finds what only the file system and the TLS library know to be wrong with `model`: certificates
/// that are missing, broken or do not fit their keys. Those that are yet to be issued are none.
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let is_to_be_issued =
        |c: &&Arc<Certificate>| matches!(c.source, CertificateSource::SelfSigned { .. });
    model
        .certificates
        .iter()
        .filter(|c| !is_to_be_issued(c))
        .filter_map(|c| load(c).err())
        .collect()
}

fn load(certificate: &Certificate) -> Result<Arc<Loaded>, Diagnostic> {
    elbow_tls::load(certificate).map_err(|error| {
        let (file, line, column) = certificate.declared.clone().unwrap_or_default();
        let message = format!("certificate \"{}\": {error}", certificate.name);
        Diagnostic::error("bad-certificate", message)
            .at(&*file, line, column)
            .object(format!("certificate/{}", certificate.name))
    })
}

impl Certificates {
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Loaded>> {
        Some(&self.0.get(name)?.loaded)
    }

    /// Those of `model`, which follows `before`. One that stays is not loaded again, unless its files are others.
    pub(super) fn follow(
        self: &Arc<Self>,
        before: &Model,
        model: &Model,
    ) -> Result<Followed, Vec<Rejection>> {
        let changed = changed(&before.certificates, &model.certificates, |c| &c.name);
        let mut wanted: FxHashMap<&Arc<str>, &Arc<Certificate>> =
            changed.set.iter().map(|(_, c)| (&c.name, *c)).collect();
        for (name, kept) in &self.0 {
            if kept.stamps != stamps(&kept.config) {
                wanted.entry(name).or_insert(&kept.config);
            }
        }
        for certificate in &changed.gone {
            wanted.remove(&certificate.name);
        }
        if wanted.is_empty() && changed.gone.is_empty() {
            return Ok(Followed {
                certificates: Arc::clone(self),
                renewed: FxHashSet::default(),
            });
        }
        let mut certificates = Self::clone(self);
        for certificate in &changed.gone {
            certificates.0.remove(&certificate.name);
        }
        let mut rejections = Vec::new();
        for (name, config) in &wanted {
            match Kept::load(config) {
                Ok(kept) => {
                    certificates.0.insert(Arc::clone(name), kept);
                }
                Err(diagnostic) => rejections.push(Rejection {
                    load_balancers: presenting(model, name),
                    diagnostic,
                }),
            }
        }
        if !rejections.is_empty() {
            return Err(rejections);
        }
        Ok(Followed {
            certificates: Arc::new(certificates),
            renewed: wanted.into_keys().cloned().collect(),
        })
    }
}

impl Kept {
    fn load(config: &Arc<Certificate>) -> Result<Self, Diagnostic> {
        Ok(Self {
            // Before they are read, so that what changes meanwhile is seen the next time.
            stamps: stamps(config),
            loaded: load(config)?,
            config: Arc::clone(config),
        })
    }
}

fn stamps(certificate: &Certificate) -> Vec<Stamp> {
    match &certificate.source {
        CertificateSource::Files {
            certificate,
            private_key,
        } => vec![stamp(certificate), stamp(private_key)],
        CertificateSource::Pem { .. } | CertificateSource::SelfSigned { .. } => Vec::new(),
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    let numbers = [file.dev(), file.ino(), file.size()].map(u64::cast_signed);
    let [device, inode, size] = numbers;
    // Whoever sets the time of writing cannot set that of the change.
    let (seconds, nanoseconds) = (file.ctime(), file.ctime_nsec());
    Some([device, inode, size, file.mtime(), seconds, nanoseconds])
}

/// Names of the load balancers that present the certificate called `name`.
fn presenting(model: &Model, name: &str) -> Vec<Arc<str>> {
    let presents = |lb: &&Arc<LoadBalancer>| {
        let mut certificates = lb.listeners.iter().flat_map(|l| &l.certificates);
        certificates.any(|certificate| *certificate.name == *name)
    };
    let balancers = model.load_balancers.iter().filter(presents);
    balancers.map(|lb| Arc::clone(&lb.name)).collect()
}
