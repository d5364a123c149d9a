//! What is kept of identity providers, whatever the configuration becomes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use elbow_model::Action;

use crate::client::Client;
use crate::gate::Gate;
use crate::jwt::JwtGate;
use crate::jwt::cache::KeyCache;

/// What all load balancers of a process know of identity providers. It outlives reloads, so that keys are not fetched
/// anew because something else changed.
#[derive(Debug)]
pub struct Providers {
    client: Arc<Client>,
    /// By URL; those that no action uses any more are gone.
    keys: Mutex<HashMap<Arc<str>, Weak<KeyCache>>>,
}

impl Default for Providers {
    fn default() -> Self {
        Self {
            client: Arc::new(Client::new()),
            keys: Mutex::default(),
        }
    }
}

impl Providers {
    /// The gate that `action` describes, if it authenticates.
    pub fn gate(&self, action: &Action) -> Option<Gate> {
        match action {
            Action::JwtValidation(config) => {
                let keys = self.keys(&config.jwks_endpoint);
                Some(Gate::Jwt(Arc::new(JwtGate::new(config.clone(), keys))))
            }
            Action::Forward(_) | Action::Redirect(_) | Action::FixedResponse(_) => None,
        }
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
    use elbow_model::{ActionSpec, JwtValidationSpec};

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
        let first = providers.gate(&action("https://a.example/keys"));
        let again = providers.keys(&"https://a.example/keys".into());
        assert_eq!(Arc::strong_count(&again), 2, "one is the gate's");
        drop((first, again));
        let _other = providers.gate(&action("https://b.example/keys"));
        assert_eq!(providers.keys.lock().unwrap().len(), 1);
    }
}
