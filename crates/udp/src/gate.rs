use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_net::source::Source;
use elbow_telemetry::{ListenerCells, ShedReason};

use crate::Listener;

/// What the owner of the engine decides and counts for one listening socket.
pub trait Gate {
    /// Held by a flow until it ends.
    type Open;

    /// The active listener; `None` if there is none any more.
    fn listener(&self) -> Option<Arc<Listener>>;

    /// Admits a new flow of `client`.
    ///
    /// # Errors
    /// If the client is refused; its datagram is dropped.
    fn admit(&self, client: SocketAddr) -> Result<(Arc<Listener>, Self::Open), Refusal>;

    /// The address that `target` sees from a load balancer at `own`.
    fn source(&self, own: IpAddr, target: SocketAddr) -> Source {
        Source::own(own, target)
    }

    /// Counts a flow that another process began, or this one before.
    ///
    /// # Errors
    /// At a limit, or if the listener was removed.
    fn resume(&self) -> Result<(Arc<Listener>, Self::Open), Refusal>;

    /// The metrics of the listener on this worker.
    fn cells(&self) -> &ListenerCells;

    /// Counts a flow that ended early, or a client that was refused, because of a limit.
    fn shed(&self, reason: ShedReason);
}

/// Why a client is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The end of another flow makes room.
    Full(ShedReason),
    /// The client may not connect, which the gate has counted, or nobody may any more.
    Closed,
}
