//! Sessions that can be resumed, which outlive the acceptors that follow one another.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use sha2::{Digest, Sha256};

/// Sessions of TLS 1.2 clients without tickets that the process remembers, some 300 bytes each.
const SESSIONS: usize = 4096;

/// The keys of tickets, and the sessions of clients without tickets: one for the whole process, shared by all workers.
///
/// A session belongs to a load balancer, a policy, a protocol and a certificate, and can be resumed for these alone:
/// rustls skips the choice of a certificate when it resumes, so whoever else holds the key could resume where the
/// certificate is absent. Keys rotate every six hours, and tickets live for twelve.
#[derive(Default)]
pub struct Tickets {
    shared: OnceLock<Shared>,
}

#[derive(Clone)]
struct Shared {
    ticketer: Arc<dyn ProducesTickets>,
    cache: Arc<ServerSessionMemoryCache>,
}

impl Tickets {
    /// Without keys; the first acceptor makes them.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sessions of `binding`.
    pub(crate) fn sessions(&self, binding: Binding) -> Result<Arc<Sessions>, rustls::Error> {
        let shared = match self.shared.get() {
            Some(shared) => shared,
            None => {
                let made = Shared {
                    ticketer: Ticketer::new()?,
                    cache: ServerSessionMemoryCache::new(SESSIONS),
                };
                self.shared.get_or_init(|| made)
            }
        };
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

/// What a session was made under, as a SHA-256: another load balancer, certificate, policy or list of protocols has
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding([u8; Self::LENGTH]);

impl Binding {
    /// Bytes of a binding.
    const LENGTH: usize = 32;

    /// Of a handshake at `load_balancer` under the security policy called `policy` with the certificate `leaf`, with
    /// `alpn` to choose from.
    pub(crate) fn new(load_balancer: &str, policy: &str, leaf: &[u8], alpn: &[Vec<u8>]) -> Self {
        let mut hash = Sha256::new();
        let fields = [load_balancer.as_bytes(), policy.as_bytes(), leaf];
        for field in fields.into_iter().chain(alpn.iter().map(Vec::as_slice)) {
            // With the length in front, no two lists of fields are the same bytes.
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        Self(hash.finalize().into())
    }

    /// `content` with the binding in front.
    fn prefix(self, content: &[u8]) -> Vec<u8> {
        [&self.0[..], content].concat()
    }
}

/// The sessions of one binding: tickets, and session ids for clients without them.
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

    /// `None` is a full handshake.
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
    fn a_binding_differs_in_every_part_of_it() {
        let web = || Binding::new("web", "2021-06", b"leaf", &alpn(&["h2", "http/1.1"]));
        assert_eq!(web(), web());
        for other in [
            Binding::new("api", "2021-06", b"leaf", &alpn(&["h2", "http/1.1"])),
            Binding::new("web", "2016-08", b"leaf", &alpn(&["h2", "http/1.1"])),
            Binding::new("web", "2021-06", b"fale", &alpn(&["h2", "http/1.1"])),
            Binding::new("web", "2021-06", b"leaf", &alpn(&["http/1.1"])),
            // The same bytes in other fields.
            Binding::new("we", "b2021-06", b"leaf", &alpn(&["h2", "http/1.1"])),
        ] {
            assert_ne!(web(), other);
        }
    }

    #[test]
    fn a_session_is_known_under_its_binding_alone() {
        let tickets = Tickets::new();
        let of = |name| {
            let binding = Binding::new(name, "policy", b"leaf", &[]);
            tickets.sessions(binding).unwrap()
        };
        let (web, api) = (of("web"), of("api"));
        let ticket = web.encrypt(b"session").unwrap();
        assert_eq!(web.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        // A later acceptor of the same listener.
        assert_eq!(of("web").decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(api.decrypt(&ticket), None);

        assert!(web.put(b"id".to_vec(), b"session".to_vec()));
        assert_eq!(api.get(b"id"), None);
        assert_eq!(api.take(b"id"), None);
        assert_eq!(of("web").take(b"id").as_deref(), Some(&b"session"[..]));
    }
}
