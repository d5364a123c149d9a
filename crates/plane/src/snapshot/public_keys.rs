//! Public keys, which instances of Classic load balancers authenticate with.

use std::path::PathBuf;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{BackendServerAuthentication, Listener, LoadBalancer, Model, PublicKeyFile};
use elbow_tls::{BackendPolicy, Originator, PublicKey, load_public_key};

use super::pem_files::{PemFiles, Source};

/// How the instances behind a listener authenticate; cheap to clone.
#[derive(Clone)]
pub(crate) struct Authentication {
    keys: Arc<[PublicKey]>,
    backend: BackendPolicy,
    /// Connects to instances with one of the keys alone.
    pub(crate) originator: Originator,
}

/// Checks the public keys of `model`.
pub(super) fn check(model: &Model) -> impl Iterator<Item = Diagnostic> {
    model.public_keys().filter_map(|key| load(key).err())
}

fn load(key: &PublicKeyFile) -> Result<PublicKey, Diagnostic> {
    load_public_key(&key.file).map_err(|error| {
        let (file, line, column) = key.declared.clone().unwrap_or_default();
        Diagnostic::error("bad-public-key", error.to_string()).at(&*file, line, column)
    })
}

impl Source for BackendServerAuthentication {
    type Content = [PublicKey];

    fn of<'a>(balancer: &'a LoadBalancer, listener: &'a Listener) -> Option<&'a Self> {
        balancer.backend_server_authentication(listener)
    }

    fn files(&self) -> Vec<PathBuf> {
        let keys = self.public_keys.iter();
        keys.map(|key| key.file.clone()).collect()
    }

    fn load(&self) -> Result<Arc<[PublicKey]>, Diagnostic> {
        self.public_keys.iter().map(load).collect()
    }
}

impl PemFiles<BackendServerAuthentication> {
    /// How the instances behind `listener` of `balancer` authenticate; `before`, if it is the same.
    ///
    /// # Errors
    /// If the public keys are not loaded: without them, any instance would get the traffic.
    pub(super) fn authentication(
        &self,
        balancer: &LoadBalancer,
        listener: &Listener,
        backend: BackendPolicy,
        before: Option<&Authentication>,
    ) -> Result<Option<Authentication>, String> {
        let Some(policy) = balancer.backend_server_authentication(listener) else {
            return Ok(None);
        };
        let keys = self.get(policy);
        let keys = keys.ok_or("the public keys of its instances are not loaded")?;
        let is_same = |before: &&Authentication| before.keys == *keys && before.backend == backend;
        if let Some(same) = before.filter(is_same) {
            return Ok(Some(same.clone()));
        }
        let originator = Originator::authenticating(backend, Arc::clone(keys));
        Ok(Some(Authentication {
            keys: Arc::clone(keys),
            backend,
            originator: originator.map_err(|e| e.to_string())?,
        }))
    }
}
