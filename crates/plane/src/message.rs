//! Messages to the threads of a plane.

use std::net::TcpListener;
use std::sync::Arc;

use crate::listener_key::ListenerKey;
use crate::snapshot::{Changes, Snapshot};

/// A message to a worker.
pub(crate) enum Command {
    /// Accept connections on this socket.
    Listen {
        key: ListenerKey,
        socket: TcpListener,
    },
    /// Restart the accept loop with the active listener.
    HandOver(ListenerKey),
    /// Stop accepting; open connections continue.
    Unlisten(ListenerKey),
    /// Poll every connection once.
    Wake,
    /// Stop accepting, let connections finish, then end.
    Drain,
    /// End connections now, and then the worker.
    Stop,
}

/// A message to the control thread.
pub(crate) struct Update {
    /// The snapshot that is active now.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Its changes.
    pub(crate) changes: Changes,
}
