//! Sessions that can be resumed, which outlive a change of certificates or policies.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};

/// Sessions of TLS 1.2 clients without tickets that are remembered.
const SESSIONS: usize = 1024;

/// Ticket keys, shared by all workers and by the acceptors that follow one another. Sessions are bound
/// to the default certificate: listeners with another one use other keys. Load balancers that must not
/// resume one another's sessions have one of these each. Keys rotate every six hours, and tickets live
/// for twelve.
#[derive(Debug, Default)]
pub struct Tickets {
    /// By the leaf of the default certificate; gone when no acceptor uses them any more.
    by_certificate: Mutex<HashMap<Box<[u8]>, Weak<Sessions>>>,
}

impl Tickets {
    /// Without keys; the first acceptor makes them.
    pub fn new() -> Self {
        Self::default()
    }

    /// The sessions that go with the default certificate `leaf`.
    pub(crate) fn sessions(&self, leaf: &[u8]) -> Result<Arc<Sessions>, rustls::Error> {
        // A panic elsewhere cannot leave the map half changed.
        let mut map = self
            .by_certificate
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = map.get(leaf).and_then(Weak::upgrade) {
            return Ok(sessions);
        }
        map.retain(|_, sessions| sessions.strong_count() > 0);
        let sessions = Arc::new(Sessions {
            ticketer: Ticketer::new()?,
            cache: ServerSessionMemoryCache::new(SESSIONS),
        });
        map.insert(leaf.into(), Arc::downgrade(&sessions));
        Ok(sessions)
    }
}

/// Tickets, and session ids for clients without them.
pub(crate) struct Sessions {
    ticketer: Arc<dyn ProducesTickets>,
    cache: Arc<ServerSessionMemoryCache>,
}

impl ProducesTickets for Sessions {
    fn enabled(&self) -> bool {
        self.ticketer.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.ticketer.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.ticketer.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.ticketer.decrypt(cipher)
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.cache.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache.take(key)
    }

    fn can_cache(&self) -> bool {
        self.cache.can_cache()
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}
