use std::net::{IpAddr, SocketAddr, UdpSocket};

use std::sync::Arc;

use elbow_balance::{Cutoff, InFlight, Target, Weighted};

/// What tells the flows of a worker apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The socket of the listener, by its number in the engine.
    pub(crate) front: u32,
    pub(crate) client: SocketAddr,
    /// The local address that the client sends to, on a socket of all local addresses.
    pub(crate) local: Option<IpAddr>,
    /// The QUIC server ID, of a flow whose client already has a flow to another target.
    pub(crate) server: Option<u64>,
}

/// A flow.
pub(crate) struct Flow<O> {
    /// Connected to the target.
    pub(crate) socket: UdpSocket,
    pub(crate) target: InFlight,
    /// Also has the name of the target group.
    pub(crate) cutoff: Cutoff,
    pub(crate) _open: O,
}

impl<O> Flow<O> {
    /// A flow to `target` of the group `weighted`.
    pub(crate) fn new(
        socket: UdpSocket,
        weighted: &Weighted,
        target: &Arc<Target>,
        open: O,
    ) -> Self {
        Self {
            socket,
            target: target.start(),
            cutoff: weighted.cutoff.clone(),
            _open: open,
        }
    }

    /// Whether it ends although datagrams pass.
    pub(crate) fn is_terminated(&self) -> bool {
        self.target.is_terminated() || self.cutoff.is_cut()
    }
}
