//! Active certificates. Each is loaded once and reloaded only when it changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Account, Certificate, CertificateSource, LoadBalancer, Model, changed};
use elbow_tls::Loaded;
use rustc_hash::{FxHashMap, FxHashSet};

use super::stamp::{Stamp, stamp};
use super::{public_keys, trust_stores};
use crate::error::{Cause, Failure};

/// Loaded certificates by name.
#[derive(Clone, Default)]
pub(crate) struct Certificates(FxHashMap<Arc<str>, Entry>);

#[derive(Clone)]
struct Entry {
    config: Arc<Certificate>,
    loaded: Arc<Loaded>,
    /// The stamps of its files, taken just before reading them.
    stamps: Vec<Stamp>,
    /// Why its files cannot be used any more; it keeps what they contained.
    stale: Option<Diagnostic>,
}

/// The certificates of a new model.
pub(super) struct Renewal {
    pub(super) certificates: Arc<Certificates>,
    /// Names of new or changed certificates.
    pub(super) renewed: FxHashSet<Arc<str>>,
    /// Names of certificates that cannot be loaded.
    pub(super) broken: FxHashSet<Arc<str>>,
    /// The failures of broken certificates.
    pub(super) failures: Vec<Failure>,
}

/// Checks the certificates of `model`: finds those that are missing or broken, or whose key does not
/// match. Certificates that are not issued yet are not checked. Checks the trust stores of its listeners and the
/// public keys of its instances, too.
pub fn check(model: &Model) -> Vec<Diagnostic> {
    let is_not_issued_yet =
        |c: &&Arc<Certificate>| matches!(c.source, CertificateSource::SelfSigned { .. });
    model
        .certificates
        .iter()
        .filter(|c| !is_not_issued_yet(c))
        .filter_map(|c| load(c, &Account::default()).err())
        .chain(trust_stores::check(model))
        .chain(public_keys::check(model))
        .collect()
}

fn load(certificate: &Certificate, account: &Account) -> Result<Arc<Loaded>, Diagnostic> {
    elbow_tls::load(certificate, account).map_err(|error| {
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

    /// Why certificates keep their previous content.
    pub(crate) fn stale(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.values().filter_map(|entry| entry.stale.as_ref())
    }

    /// Loads the new and changed certificates of `model`, which replaces `before`, with ARNs of `account`. An unchanged one is
    /// loaded again only if its files have changed. One whose files cannot be used any more keeps its previous content.
    pub(super) fn renew(
        self: &Arc<Self>,
        before: &Model,
        model: &Model,
        account: &Account,
    ) -> Renewal {
        let changed = changed(&before.certificates, &model.certificates, |c| &c.name);
        let mut wanted: BTreeMap<&Arc<str>, &Arc<Certificate>> =
            changed.set.iter().map(|(_, c)| (&c.name, *c)).collect();
        for (name, entry) in &self.0 {
            if entry.stale.is_some() || entry.stamps != stamps(&entry.config) {
                wanted.entry(name).or_insert(&entry.config);
            }
        }
        for certificate in &changed.gone {
            wanted.remove(&certificate.name);
        }
        let mut renewal = Renewal {
            certificates: Arc::clone(self),
            renewed: FxHashSet::default(),
            broken: FxHashSet::default(),
            failures: Vec::new(),
        };
        if wanted.is_empty() && changed.gone.is_empty() {
            return renewal;
        }
        let mut certificates = Self::clone(self);
        for certificate in &changed.gone {
            certificates.0.remove(&certificate.name);
        }
        for (name, config) in &wanted {
            let same = self.0.get(*name);
            let same = same.filter(|entry| entry.config.source == config.source);
            match (Entry::load(config, account), same) {
                (Ok(entry), _) => {
                    certificates.0.insert(Arc::clone(name), entry);
                    renewal.renewed.insert(Arc::clone(name));
                }
                (Err(diagnostic), Some(same)) => {
                    let entry = Entry {
                        stale: Some(diagnostic),
                        ..same.clone()
                    };
                    certificates.0.insert(Arc::clone(name), entry);
                }
                (Err(diagnostic), None) => {
                    renewal.broken.insert(Arc::clone(name));
                    renewal.failures.push(Failure {
                        load_balancers: users_of(model, name),
                        listener: None,
                        cause: Cause::Invalid(diagnostic),
                    });
                }
            }
        }
        renewal.certificates = Arc::new(certificates);
        renewal
    }
}

impl Entry {
    fn load(config: &Arc<Certificate>, account: &Account) -> Result<Self, Diagnostic> {
        Ok(Self {
            // Taken before reading the files, so that a change in between is noticed the next time.
            stamps: stamps(config),
            loaded: load(config, account)?,
            config: Arc::clone(config),
            stale: None,
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

/// Names of the load balancers that use the certificate `name`.
fn users_of(model: &Model, name: &str) -> Vec<Arc<str>> {
    let uses = |lb: &&Arc<LoadBalancer>| {
        let mut certificates = lb.listeners.iter().flat_map(|l| &l.certificates);
        certificates.any(|certificate| *certificate.name == *name)
    };
    let balancers = model.load_balancers.iter().filter(uses);
    balancers.map(|lb| Arc::clone(&lb.name)).collect()
}
