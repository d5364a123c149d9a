//! The key of a listening socket.

use std::fmt;
use std::net::SocketAddr;

use elbow_model::Transport;

/// The socket of a listener. TCP and UDP listeners can have the same address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ListenerKey {
    /// The bound address, including the port offset.
    pub(crate) address: SocketAddr,
    pub(crate) transport: Transport,
}

impl fmt::Display for ListenerKey {
    /// `127.0.10.4:443` for TCP, `127.0.10.4:53/udp` for UDP.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)?;
        match self.transport {
            Transport::Tcp => Ok(()),
            Transport::Udp => f.write_str("/udp"),
        }
    }
}
