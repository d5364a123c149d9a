//! Active trust stores. Each is loaded once and reloaded only when it changes.

use std::path::PathBuf;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Listener, LoadBalancer, Model, MutualAuthentication, TrustStore};
use elbow_tls::{ClientAuth, TrustStore as Loaded, load_trust_store};
use rustc_hash::{FxHashMap, FxHashSet};

use super::stamp::{Stamp, stamp};
use crate::error::{Cause, Failure};

/// Loaded trust stores.
#[derive(Clone, Default)]
pub(crate) struct TrustStores(FxHashMap<Files, Entry>);

/// The files of a trust store, on which its content depends.
type Files = Vec<PathBuf>;

#[derive(Clone)]
struct Entry {
    loaded: Arc<Loaded>,
    /// The stamps of its files, taken just before reading them.
    stamps: Vec<Stamp>,
    /// Why its files cannot be used any more; it keeps what they contained.
    stale: Option<Diagnostic>,
}

/// The trust stores of a new model.
#[derive(Default)]
pub(super) struct Renewed {
    /// Those that are new or have other content.
    pub(super) renewed: FxHashSet<Files>,
    /// Those that cannot be loaded.
    pub(super) broken: FxHashSet<Files>,
    /// The failures of broken ones.
    pub(super) failures: Vec<Failure>,
}

/// Checks the trust stores that listeners of `model` use.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let stores = model.trust_stores().into_iter();
    stores.filter_map(|store| load(store).err()).collect()
}

fn load(store: &TrustStore) -> Result<Arc<Loaded>, Diagnostic> {
    load_trust_store(store).map_err(|error| {
        let (file, line, column) = store.declared.clone().unwrap_or_default();
        let message = format!("trust store \"{}\": {error}", store.name);
        Diagnostic::error("bad-trust-store", message)
            .at(&*file, line, column)
            .object(format!("trustStore/{}", store.name))
    })
}

impl TrustStores {
    /// How `listener` authenticates its clients.
    ///
    /// # Errors
    /// If its trust store is not loaded: without it, everybody would get in.
    pub(super) fn client_auth(&self, listener: &Listener) -> Result<Option<ClientAuth>, String> {
        let verification = match &listener.mutual_authentication {
            MutualAuthentication::Off => return Ok(None),
            MutualAuthentication::Passthrough => return Ok(Some(ClientAuth::Passthrough)),
            MutualAuthentication::Verify(verification) => verification,
        };
        let store = &verification.trust_store;
        let entry = self.0.get(&files(store));
        let entry = entry.ok_or_else(|| format!("trust store \"{}\" is not loaded", store.name))?;
        Ok(Some(ClientAuth::Verify {
            store: Arc::clone(&entry.loaded),
            ignores_expiry: verification.ignores_expiry,
            advertises_names: verification.advertises_ca_names,
        }))
    }

    /// Why trust stores keep their previous content.
    pub(crate) fn stale(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.values().filter_map(|entry| entry.stale.as_ref())
    }

    /// Loads the trust stores of `model` that are new or have other content; `changed` are its new and changed load
    /// balancers. One that cannot be loaded any more keeps its previous content. Costs nothing while no listener uses a
    /// trust store.
    pub(super) fn renew<'m>(
        self: &mut Arc<Self>,
        model: &Model,
        changed: impl Iterator<Item = &'m Arc<LoadBalancer>>,
    ) -> Renewed {
        let mut found = Renewed::default();
        let uses_one = |lb: &Arc<LoadBalancer>| lb.listeners.iter().any(|l| uses(l).is_some());
        let mut changed = changed;
        if self.0.is_empty() && !changed.any(uses_one) {
            return found;
        }
        let mut next = Self::default();
        for store in model.trust_stores() {
            let files = files(store);
            let stamps: Vec<Stamp> = files.iter().map(|file| stamp(file)).collect();
            let before = self.0.get(&files);
            if let Some(same) = before.filter(|before| before.stamps == stamps) {
                let entry = Entry {
                    stale: None,
                    ..same.clone()
                };
                next.0.insert(files, entry);
                continue;
            }
            match (load(store), before) {
                (Ok(loaded), _) => {
                    found.renewed.insert(files.clone());
                    let entry = Entry {
                        loaded,
                        stamps,
                        stale: None,
                    };
                    next.0.insert(files, entry);
                }
                (Err(diagnostic), Some(before)) => {
                    let entry = Entry {
                        stale: Some(diagnostic),
                        ..before.clone()
                    };
                    next.0.insert(files, entry);
                }
                (Err(diagnostic), None) => {
                    found.broken.insert(files);
                    found.failures.push(Failure {
                        load_balancers: users_of(model, store),
                        listener: None,
                        cause: Cause::Invalid(diagnostic),
                    });
                }
            }
        }
        *self = Arc::new(next);
        found
    }
}

impl Renewed {
    /// Whether `listener` uses one that is new or has other content.
    pub(super) fn affects(&self, listener: &Listener) -> bool {
        !self.renewed.is_empty()
            && uses(listener).is_some_and(|store| self.renewed.contains(&files(store)))
    }

    /// Whether `listener` uses one that cannot be loaded.
    pub(super) fn breaks(&self, listener: &Listener) -> bool {
        !self.broken.is_empty()
            && uses(listener).is_some_and(|store| self.broken.contains(&files(store)))
    }
}

fn files(store: &TrustStore) -> Files {
    store.files().cloned().collect()
}

fn uses(listener: &Listener) -> Option<&Arc<TrustStore>> {
    listener.mutual_authentication.trust_store()
}

/// Names of the load balancers that use `store`.
fn users_of(model: &Model, store: &Arc<TrustStore>) -> Vec<Arc<str>> {
    let is_user = |lb: &&Arc<LoadBalancer>| lb.listeners.iter().any(|l| uses(l) == Some(store));
    let balancers = model.load_balancers.iter().filter(is_user);
    balancers.map(|lb| Arc::clone(&lb.name)).collect()
}
