//! Trust stores, which verify certificates of clients.

use std::path::PathBuf;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Listener, LoadBalancer, Model, MutualAuthentication, TrustStore};
use elbow_tls::{ClientAuth, TrustStore as Loaded, load_trust_store};

use super::pem_files::{PemFiles, Source};

/// Checks the trust stores that listeners of `model` use.
pub(super) fn check(model: &Model) -> Vec<Diagnostic> {
    let stores = model.trust_stores().into_iter();
    stores.filter_map(|store| store.load().err()).collect()
}

impl Source for TrustStore {
    type Content = Loaded;

    fn of<'a>(_: &'a LoadBalancer, listener: &'a Listener) -> Option<&'a Self> {
        let store = listener.mutual_authentication.trust_store();
        store.map(|store| &**store)
    }

    fn files(&self) -> Vec<PathBuf> {
        Self::files(self).cloned().collect()
    }

    fn load(&self) -> Result<Arc<Loaded>, Diagnostic> {
        load_trust_store(self).map_err(|error| {
            let (file, line, column) = self.declared.clone().unwrap_or_default();
            let message = format!("trust store \"{}\": {error}", self.name);
            Diagnostic::error("bad-trust-store", message)
                .at(&*file, line, column)
                .object(format!("trustStore/{}", self.name))
        })
    }
}

impl PemFiles<TrustStore> {
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
        let loaded = self.get(store);
        let loaded =
            loaded.ok_or_else(|| format!("trust store \"{}\" is not loaded", store.name))?;
        Ok(Some(ClientAuth::Verify {
            store: Arc::clone(loaded),
            ignores_expiry: verification.ignores_expiry,
            advertises_names: verification.advertises_ca_names,
            filters: Arc::clone(&verification.identity_filters),
        }))
    }
}
