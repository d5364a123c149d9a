//! The listening TCP sockets of a worker.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use tokio::net::TcpListener;

use super::accept::Socket;
use super::context::WorkerContext;
use crate::listener_key::ListenerKey;

/// The listening TCP sockets of a worker.
pub(super) struct TcpSockets {
    context: Rc<WorkerContext>,
    /// A listener may have several here: those of a process with more workers.
    accepting: FxHashMap<ListenerKey, Vec<Socket>>,
}

impl TcpSockets {
    pub(super) fn new(context: &Rc<WorkerContext>) -> Self {
        Self {
            context: Rc::clone(context),
            accepting: FxHashMap::default(),
        }
    }

    /// Accepts the connections of `socket` for the active listener at `key`.
    pub(super) fn listen(
        &mut self,
        key: ListenerKey,
        socket: std::net::TcpListener,
    ) -> io::Result<()> {
        let listener = Rc::new(TcpListener::from_std(socket)?);
        let socket = Socket::new(&self.context, key, listener);
        self.accepting.entry(key).or_default().push(socket);
        Ok(())
    }

    /// Restarts the accept loop with the active listener.
    pub(super) fn hand_over(&mut self, key: ListenerKey) {
        if let Some(sockets) = self.accepting.remove(&key) {
            let sockets = sockets.into_iter();
            let again = sockets.map(|one| Socket::new(&self.context, key, one.stop()));
            self.accepting.insert(key, again.collect());
        }
    }

    /// Stops accepting; open connections continue.
    pub(super) fn close(&mut self, key: ListenerKey) {
        for socket in self.accepting.remove(&key).into_iter().flatten() {
            socket.stop();
        }
    }

    /// Copies of the sockets.
    pub(super) fn copies(&self) -> impl Iterator<Item = (ListenerKey, io::Result<OwnedFd>)> {
        let all = self.accepting.iter();
        all.flat_map(|(key, sockets)| sockets.iter().map(|socket| (*key, socket.copy())))
    }

    /// Stops accepting once the queued connections are accepted.
    pub(super) async fn drain(&mut self) {
        for socket in self.accepting.drain().flat_map(|(_, sockets)| sockets) {
            socket.drain().await;
        }
    }
}
