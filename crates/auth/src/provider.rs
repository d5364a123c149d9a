//! The state of identity providers that outlives a reload.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use elbow_model::{Action, AuthenticateOidc, AuthenticationSettings};

use crate::client::Client;
use crate::gate::Gate;
use crate::jwt::JwtGate;
use crate::jwt::cache::KeyCache;
use crate::oidc::identity::Signer;
use crate::oidc::refresh::Refreshes;
use crate::oidc::{OidcGate, Shared};

/// What all load balancers of a process know about identity providers. It outlives reloads, so that an unrelated change
/// does not fetch keys again.
#[derive(Debug)]
pub struct Providers {
    client: Arc<Client>,
    refreshes: Arc<Refreshes>,
    /// Made when it is first needed.
    signer: OnceLock<Option<Arc<Signer>>>,
    /// By URL; those that no action uses any more are gone.
    keys: Mutex<HashMap<Arc<str>, Weak<KeyCache>>>,
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            client: Arc::new(Client::new()),
            refreshes: Arc::default(),
            signer: OnceLock::new(),
            keys: Mutex::default(),
        }
    }
}

impl Providers {
    /// The gate that `action` of the load balancer with this ARN describes, if it authenticates.
    pub fn gate(
        &self,
        action: &Action,
        arn: &Arc<str>,
        settings: AuthenticationSettings,
    ) -> Option<Gate> {
        match action {
            Action::JwtValidation(config) => {
                let keys = self.keys(&config.jwks_endpoint);
                let gate = JwtGate::new(config.clone(), keys, settings.clock_skew);
                Some(Gate::Jwt(Arc::new(gate)))
            }
            Action::AuthenticateOidc(config) => Some(self.oidc((**config).clone(), arn, settings)),
            Action::AuthenticateCognito(config) => {
                Some(self.oidc(config.provider.clone(), arn, settings))
            }
            Action::Forward(_) | Action::Redirect(_) | Action::FixedResponse(_) => None,
        }
    }

    fn oidc(
        &self,
        config: AuthenticateOidc,
        arn: &Arc<str>,
        settings: AuthenticationSettings,
    ) -> Gate {
        let shared = Shared {
            client: Arc::clone(&self.client),
            refreshes: Arc::clone(&self.refreshes),
            signer: self.signer(),
        };
        let gate = OidcGate::new(config, settings, &shared, Arc::clone(arn));
        Gate::Oidc(Arc::new(gate))
    }

    /// Trusts the identity providers whose certificates `root` issues, besides those of the system. Has an effect until the first
    /// request to a provider.
    ///
    /// # Errors
    /// It is not a certificate in PEM.
    pub fn trust(&self, root: &str) -> io::Result<()> {
        self.client.trust(root).map_err(io::Error::other)
    }

    /// The public key that the `kid` of `x-amzn-oidc-data` names, as PEM.
    pub fn public_key(&self, id: &str) -> Option<&str> {
        self.signer.get()?.as_ref()?.public_key(id)
    }

    fn signer(&self) -> Option<Arc<Signer>> {
        let signer = self.signer.get_or_init(|| Signer::new().map(Arc::new));
        signer.clone()
    }

    fn keys(&self, url: &Arc<str>) -> Arc<KeyCache> {
        let mut caches = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        caches.retain(|_, cache| cache.strong_count() > 0);
        if let Some(cache) = caches.get(url).and_then(Weak::upgrade) {
            return cache;
        }
        let cache = Arc::new(KeyCache::new(Arc::clone(url), Arc::clone(&self.client)));
        caches.insert(Arc::clone(url), Arc::downgrade(&cache));
        cache
    }
}

#[cfg(test)]
mod tests {
    use elbow_model::{ActionSpec, JwtValidationSpec, LoadBalancerAttributes};

    use super::*;

    fn action(url: &str) -> Action {
        let spec = ActionSpec::jwt_validation(JwtValidationSpec {
            jwks_endpoint: Some(url.to_owned()),
            issuer: Some("https://issuer.example".to_owned()),
            ..JwtValidationSpec::default()
        });
        Action::new(&spec).value.unwrap()
    }

    #[test]
    fn keys_are_shared_while_an_action_uses_them() {
        let providers = Providers::default();
        let settings = LoadBalancerAttributes::default().authentication;
        let first = providers.gate(&action("https://a.example/keys"), &"".into(), settings);
        let again = providers.keys(&"https://a.example/keys".into());
        assert_eq!(Arc::strong_count(&again), 2, "one is the gate's");
        drop((first, again));
        let _other = providers.gate(&action("https://b.example/keys"), &"".into(), settings);
        assert_eq!(providers.keys.lock().unwrap().len(), 1);
    }
}
