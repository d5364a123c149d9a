//! The sockets of a process besides those of load balancers: admin, probes, webhook, DNS.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elbow_net::inherited::{Inherited, Which};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

/// The sockets of a process besides those of load balancers.
pub(crate) struct Sockets {
    inherited: Arc<Inherited>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Copies by name, to hand over.
    copies: Vec<(String, OwnedFd)>,
    /// What serves them.
    tasks: Vec<AbortHandle>,
}

impl Sockets {
    /// Sockets, some of which may be `inherited`.
    pub(crate) fn new(inherited: &Arc<Inherited>) -> Arc<Self> {
        Arc::new(Self {
            inherited: Arc::clone(inherited),
            kept: Mutex::default(),
        })
    }

    /// The listening socket `name`: inherited by its name or address, or bound to `address`.
    ///
    /// # Errors
    /// It cannot be bound.
    pub(crate) async fn tcp(&self, name: &str, address: SocketAddr) -> io::Result<TcpListener> {
        let mut inherited = self.inherited.tcp(Which::Named(name), 1)?;
        if inherited.is_empty() {
            inherited = self.inherited.tcp(Which::At(address), 1)?;
        }
        let listener = match inherited.into_iter().next() {
            Some(listener) => TcpListener::from_std(listener)?,
            None => TcpListener::bind(address).await?,
        };
        self.keep(name, &listener)?;
        Ok(listener)
    }

    /// As [`Self::tcp`], for UDP.
    ///
    /// # Errors
    /// It cannot be bound.
    pub(crate) async fn udp(&self, name: &str, address: SocketAddr) -> io::Result<UdpSocket> {
        let mut inherited = self.inherited.udp(Which::Named(name))?;
        if inherited.is_empty() {
            inherited = self.inherited.udp(Which::At(address))?;
        }
        let socket = match inherited.into_iter().next() {
            Some(socket) => UdpSocket::from_std(socket)?,
            None => UdpSocket::bind(address).await?,
        };
        self.keep(name, &socket)?;
        Ok(socket)
    }

    /// Runs `task`, which serves one of the sockets, until another process does.
    pub(crate) fn serve(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task).abort_handle();
        self.lock().tasks.push(task);
    }

    /// Copies of the sockets, by name.
    ///
    /// # Errors
    /// One cannot be copied.
    pub(crate) fn copies(&self) -> io::Result<Vec<(String, OwnedFd)>> {
        let kept = self.lock();
        let copies = kept.copies.iter();
        copies
            .map(|(name, socket)| Ok((name.clone(), socket.try_clone()?)))
            .collect()
    }

    /// Stops serving them, because another process does.
    pub(crate) fn release(&self) {
        let mut kept = self.lock();
        for task in kept.tasks.drain(..) {
            task.abort();
        }
        kept.copies.clear();
    }

    fn keep(&self, name: &str, socket: &impl AsFd) -> io::Result<()> {
        let copy = socket.as_fd().try_clone_to_owned()?;
        self.lock().copies.push((name.to_owned(), copy));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic elsewhere leaves the lists consistent.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
