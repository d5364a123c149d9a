//! What listeners need of PEM files besides certificates: trust stores and public keys. Each set of files is loaded once and
//! reloaded only when it changes.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{BackendServerAuthentication, Listener, LoadBalancer, Model, TrustStore};
use rustc_hash::{FxHashMap, FxHashSet};

use super::stamp::{Stamp, stamp};
use crate::error::{Cause, Failure};

/// Files that are loaded together.
pub(crate) trait Source: 'static {
    /// What they contain.
    type Content: ?Sized;

    /// The one that `listener` of `balancer` uses.
    fn of<'a>(balancer: &'a LoadBalancer, listener: &'a Listener) -> Option<&'a Self>;

    /// The files, on which the content depends.
    fn files(&self) -> Files;

    /// Reads and checks the files.
    fn load(&self) -> Result<Arc<Self::Content>, Diagnostic>;
}

/// The content of each set of files that listeners use.
pub(crate) struct PemFiles<S: Source>(FxHashMap<Files, Entry<S::Content>>);

type Files = Vec<PathBuf>;

struct Entry<T: ?Sized> {
    content: Arc<T>,
    /// The stamps of its files, taken just before reading them.
    stamps: Vec<Stamp>,
    /// Why its files cannot be used any more; it keeps what they contained.
    stale: Option<Diagnostic>,
}

impl<S: Source> Default for PemFiles<S> {
    fn default() -> Self {
        Self(FxHashMap::default())
    }
}

impl<S: Source> PemFiles<S> {
    /// The content of `source`, if it is loaded.
    pub(super) fn get(&self, source: &S) -> Option<&Arc<S::Content>> {
        let entry = self.0.get(&source.files())?;
        Some(&entry.content)
    }

    /// Why files keep their previous content.
    pub(crate) fn stale(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.values().filter_map(|entry| entry.stale.as_ref())
    }

    /// Loads the files of `model` that are new or have other content; `changed` are its new and changed load balancers. Files that
    /// cannot be used any more keep their previous content. Costs nothing while no listener uses any.
    fn renew(self: &mut Arc<Self>, model: &Model, changed: &[&Arc<LoadBalancer>]) -> Renewed<S> {
        let mut found = Renewed::default();
        let uses_one = |lb: &&Arc<LoadBalancer>| sources::<S>(lb).next().is_some();
        if self.0.is_empty() && !changed.iter().any(uses_one) {
            return found;
        }
        let mut next = Self::default();
        for source in model.load_balancers.iter().flat_map(|lb| sources::<S>(lb)) {
            let files = source.files();
            if next.0.contains_key(&files) || found.broken.contains(&files) {
                continue;
            }
            let stamps: Vec<Stamp> = files.iter().map(|file| stamp(file)).collect();
            let before = self.0.get(&files);
            let same = before.filter(|before| before.stamps == stamps);
            let entry =
                match same.map_or_else(|| source.load(), |same| Ok(Arc::clone(&same.content))) {
                    Ok(content) => {
                        if same.is_none() {
                            found.renewed.insert(files.clone());
                        }
                        Entry {
                            content,
                            stamps,
                            stale: None,
                        }
                    }
                    Err(diagnostic) => match before {
                        Some(before) => Entry {
                            content: Arc::clone(&before.content),
                            stamps: before.stamps.clone(),
                            stale: Some(diagnostic),
                        },
                        None => {
                            found.failures.push(Failure {
                                load_balancers: users_of::<S>(model, &files),
                                listener: None,
                                cause: Cause::Invalid(diagnostic),
                            });
                            found.broken.insert(files);
                            continue;
                        }
                    },
                };
            next.0.insert(files, entry);
        }
        *self = Arc::new(next);
        found
    }
}

/// The files that listeners of `balancer` use, with repetitions.
fn sources<S: Source>(balancer: &LoadBalancer) -> impl Iterator<Item = &S> {
    let listeners = balancer.listeners.iter();
    listeners.filter_map(|listener| S::of(balancer, listener))
}

/// Names of the load balancers that use `files`.
fn users_of<S: Source>(model: &Model, files: &Files) -> Vec<Arc<str>> {
    let uses = |lb: &&Arc<LoadBalancer>| sources::<S>(lb).any(|source| source.files() == *files);
    let balancers = model.load_balancers.iter().filter(uses);
    balancers.map(|lb| Arc::clone(&lb.name)).collect()
}

/// The files of a new model.
struct Renewed<S> {
    /// Those that are new or have other content.
    renewed: FxHashSet<Files>,
    /// Those that cannot be loaded.
    broken: FxHashSet<Files>,
    /// The failures of broken ones.
    failures: Vec<Failure>,
    of: PhantomData<S>,
}

impl<S> Default for Renewed<S> {
    fn default() -> Self {
        Self {
            renewed: FxHashSet::default(),
            broken: FxHashSet::default(),
            failures: Vec::new(),
            of: PhantomData,
        }
    }
}

impl<S: Source> Renewed<S> {
    fn affects(&self, balancer: &LoadBalancer, listener: &Listener) -> bool {
        is_among(&self.renewed, S::of(balancer, listener))
    }

    fn breaks(&self, balancer: &LoadBalancer, listener: &Listener) -> bool {
        is_among(&self.broken, S::of(balancer, listener))
    }
}

fn is_among<S: Source>(files: &FxHashSet<Files>, source: Option<&S>) -> bool {
    !files.is_empty() && source.is_some_and(|source| files.contains(&source.files()))
}

/// The trust stores and public keys of a new model.
#[derive(Default)]
pub(super) struct RenewedFiles {
    trust_stores: Renewed<TrustStore>,
    public_keys: Renewed<BackendServerAuthentication>,
}

impl RenewedFiles {
    /// Loads what is new or has other content; `changed` are new and changed load balancers of `model`. Adds to `failures` what
    /// cannot be loaded.
    pub(super) fn load(
        trust_stores: &mut Arc<PemFiles<TrustStore>>,
        public_keys: &mut Arc<PemFiles<BackendServerAuthentication>>,
        model: &Model,
        changed: &[&Arc<LoadBalancer>],
        failures: &mut Vec<Failure>,
    ) -> Self {
        let mut files = Self {
            trust_stores: trust_stores.renew(model, changed),
            public_keys: public_keys.renew(model, changed),
        };
        failures.append(&mut files.trust_stores.failures);
        failures.append(&mut files.public_keys.failures);
        files
    }

    /// Whether none is new or has other content.
    pub(super) fn are_same(&self) -> bool {
        self.trust_stores.renewed.is_empty() && self.public_keys.renewed.is_empty()
    }

    /// Whether `listener` of `balancer` uses one that is new or has other content.
    pub(super) fn affect(&self, balancer: &LoadBalancer, listener: &Listener) -> bool {
        self.trust_stores.affects(balancer, listener)
            || self.public_keys.affects(balancer, listener)
    }

    /// Whether `listener` of `balancer` uses one that cannot be loaded.
    pub(super) fn break_listener(&self, balancer: &LoadBalancer, listener: &Listener) -> bool {
        self.trust_stores.breaks(balancer, listener) || self.public_keys.breaks(balancer, listener)
    }
}
