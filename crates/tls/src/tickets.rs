//! Session resumption, independent of the lifetime of acceptors.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use sha2::{Digest, Sha256};

use crate::ticketer::{self, Ticketer};

/// Size of the session cache for TLS 1.2 clients without tickets, about 300 bytes per session.
const SESSIONS: usize = 4096;

/// The ticket keys, and the session cache for clients without tickets. The process has one, shared by all workers.
///
/// A session can be resumed only with the same load balancer, policy, protocols and certificate. rustls does not select
/// a certificate when it resumes a session, so without this binding a session could be resumed on a listener that does
/// not have its certificate. Keys rotate every six hours; tickets are valid for twelve.
#[derive(Default)]
pub struct Tickets {
    shared: OnceLock<Shared>,
}

#[derive(Clone)]
struct Shared {
    ticketer: Arc<Ticketer>,
    cache: Arc<ServerSessionMemoryCache>,
}

impl Tickets {
    /// Creates it without keys; the first acceptor generates them.
    pub fn new() -> Self {
        Self::default()
    }

    /// The keys, so that another process can resume sessions of this one ([`Self::inherit`]); none without an acceptor.
    /// A key that is due for replacement is replaced first.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        let Some(shared) = self.shared.get() else {
            return Vec::new();
        };
        shared.ticketer.rotate(ticketer::now());
        shared.ticketer.export()
    }

    /// Continues with the keys of another process, unless it already has keys. Call it before the first acceptor.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn inherit(&self, keys: &[Vec<u8>]) -> Result<(), rustls::Error> {
        self.shared(keys).map(|_| ())
    }

    fn shared(&self, keys: &[Vec<u8>]) -> Result<&Shared, rustls::Error> {
        if let Some(shared) = self.shared.get() {
            return Ok(shared);
        }
        let new = Shared {
            ticketer: Arc::new(Ticketer::new(keys)?),
            cache: ServerSessionMemoryCache::new(SESSIONS),
        };
        Ok(self.shared.get_or_init(|| new))
    }

    /// The sessions of `binding`.
    pub(crate) fn sessions(&self, binding: Binding) -> Result<Arc<Sessions>, rustls::Error> {
        let shared = self.shared(&[])?;
        Ok(Arc::new(Sessions {
            binding,
            shared: shared.clone(),
        }))
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

/// SHA-256 of the parameters that a session is bound to: load balancer, policy, certificate and protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding([u8; Self::LENGTH]);

impl Binding {
    /// Length of a binding in bytes.
    const LENGTH: usize = 32;

    /// The binding of handshakes with `load_balancer`, the security policy `policy`, the certificate `leaf` and the
    /// protocols `alpn`.
    pub(crate) fn new(load_balancer: &str, policy: &str, leaf: &[u8], alpn: &[Vec<u8>]) -> Self {
        let mut hash = Sha256::new();
        let fields = [load_balancer.as_bytes(), policy.as_bytes(), leaf];
        for field in fields.into_iter().chain(alpn.iter().map(Vec::as_slice)) {
            // The length prefix keeps different lists of fields from hashing the same bytes.
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Self(hash.finalize().into())
    }

    /// Prefixes `content` with the binding.
    fn prefix(self, content: &[u8]) -> Vec<u8> {
        [&self.0[..], content].concat()
    }
}

/// The sessions of one binding: tickets, and session IDs for clients without tickets.
pub(crate) struct Sessions {
    binding: Binding,
    shared: Shared,
}

impl ProducesTickets for Sessions {
    fn enabled(&self) -> bool {
        self.shared.ticketer.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.shared.ticketer.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.shared.ticketer.encrypt(&self.binding.prefix(plain))
    }

    /// `None` leads to a full handshake.
    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        let mut plain = self.shared.ticketer.decrypt(cipher)?;
        plain.starts_with(&self.binding.0).then(|| {
            plain.drain(..Binding::LENGTH);
            plain
        })
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.shared.cache.put(self.binding.prefix(&key), value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.shared.cache.get(&self.binding.prefix(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.shared.cache.take(&self.binding.prefix(key))
    }

    fn can_cache(&self) -> bool {
        self.shared.cache.can_cache()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("binding", &self.binding)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alpn(protocols: &[&str]) -> Vec<Vec<u8>> {
        protocols.iter().map(|p| p.as_bytes().to_vec()).collect()
    }

    #[test]
    fn binding_depends_on_every_parameter() {
        let web = || Binding::new("web", "2021-06", b"leaf", &alpn(&["h2", "http/1.1"]));
        assert_eq!(web(), web());
        for other in [
            Binding::new("api", "2021-06", b"leaf", &alpn(&["h2", "http/1.1"])),
            Binding::new("web", "2016-08", b"leaf", &alpn(&["h2", "http/1.1"])),
            Binding::new("web", "2021-06", b"fale", &alpn(&["h2", "http/1.1"])),
            Binding::new("web", "2021-06", b"leaf", &alpn(&["http/1.1"])),
            // The same bytes, divided differently into fields.
            Binding::new("we", "b2021-06", b"leaf", &alpn(&["h2", "http/1.1"])),
        ] {
            assert_ne!(web(), other);
        }
    }

    #[test]
    fn session_is_found_only_with_its_binding() {
        let tickets = Tickets::new();
        let of = |name| {
            let binding = Binding::new(name, "policy", b"leaf", &[]);
            tickets.sessions(binding).unwrap()
        };
        let (web, api) = (of("web"), of("api"));
        let ticket = web.encrypt(b"session").unwrap();
        assert_eq!(web.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        // A later acceptor of the same listener shares the sessions.
        assert_eq!(of("web").decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(api.decrypt(&ticket), None);

        assert!(web.put(b"id".to_vec(), b"session".to_vec()));
        assert_eq!(api.get(b"id"), None);
        assert_eq!(api.take(b"id"), None);
        assert_eq!(of("web").take(b"id").as_deref(), Some(&b"session"[..]));
    }
}
