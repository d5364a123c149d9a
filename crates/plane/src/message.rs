//! Messages to the threads of a plane.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};

use elbow_udp::Passed;

use crate::flows::UdpFlow;
use crate::listener_key::ListenerKey;
use crate::snapshot::{Changes, Snapshot};

/// A message to a worker.
pub(crate) enum Command {
    /// Accept connections, or datagrams, on this socket; with the flows of datagrams that it has already.
    Listen {
        key: ListenerKey,
        socket: OwnedFd,
        flows: Vec<Passed>,
    },
    /// Restart the accept loop with the active listener.
    HandOver(ListenerKey),
    /// Stop accepting; open connections continue, and flows of datagrams end.
    Unlisten(ListenerKey),
    /// Poll every connection once.
    Wake,
    /// Show that the worker is not stuck.
    Answer(mpsc::Sender<()>),
    /// Send copies of all listening sockets.
    Copy(mpsc::Sender<Vec<Copied>>),
    /// Stop receiving datagrams of clients, and send all flows.
    TakeFlows(mpsc::Sender<Vec<UdpFlow>>),
    /// Serve these flows again, and also receive datagrams of clients unless another process does.
    ReturnFlows {
        flows: Vec<UdpFlow>,
        has_successor: bool,
    },
    /// Stop accepting, let connections finish, then end. With a successor, connections without a request wait for one more.
    Drain { has_successor: bool },
    /// End connections now, and then the worker.
    Stop,
}

/// The sockets of a listener: at least one for each worker, except UDP sockets of another process, which may be fewer.
pub(crate) struct Sockets {
    pub(crate) key: ListenerKey,
    pub(crate) sockets: Vec<OwnedFd>,
}

/// A copy of a listening socket.
pub(crate) struct Copied {
    pub(crate) key: ListenerKey,
    pub(crate) worker: usize,
    pub(crate) socket: io::Result<OwnedFd>,
}

/// A message to the control thread.
pub(crate) struct Update {
    /// The snapshot that is active now.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Its changes.
    pub(crate) changes: Changes,
}
