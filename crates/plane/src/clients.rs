//! The clients of connections from one listener of the process to another.
//!
//! A Network Load Balancer in front of an Application Load Balancer passes connections on with the address of the client.
//! Here it opens a connection to the other's listener, and notes the client before the listener can accept it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

/// The client of each such connection, by the connection's local end.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    /// So that other listeners need no lock.
    count: AtomicUsize,
    by_end: Mutex<FxHashMap<SocketAddr, SocketAddr>>,
}

impl Clients {
    /// Notes the client of the connection whose local end is `end`, until the result is dropped.
    pub(crate) fn note(self: &Arc<Self>, end: SocketAddr, client: SocketAddr) -> Noted {
        let mut by_end = self.lock();
        by_end.insert(end, client);
        self.count.store(by_end.len(), Ordering::Release);
        Noted {
            clients: Arc::clone(self),
            end,
        }
    }

    /// The noted client of the connection from `peer`, if it is one of this process.
    pub(crate) fn behind(&self, peer: SocketAddr) -> Option<SocketAddr> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.lock().get(&peer).copied()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, FxHashMap<SocketAddr, SocketAddr>> {
        self.by_end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that is noted.
#[derive(Debug)]
pub(crate) struct Noted {
    clients: Arc<Clients>,
    end: SocketAddr,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut by_end = self.clients.lock();
        by_end.remove(&self.end);
        self.clients.count.store(by_end.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_known_as_long_as_its_connection() {
        let clients = Arc::new(Clients::default());
        let end: SocketAddr = "127.0.0.1:50000".parse().unwrap();
        let client: SocketAddr = "127.0.0.9:40000".parse().unwrap();
        assert_eq!(clients.behind(end), None);
        let noted = clients.note(end, client);
        assert_eq!(clients.behind(end), Some(client));
        assert_eq!(clients.behind(client), None);
        drop(noted);
        assert_eq!(clients.behind(end), None);
    }
}
