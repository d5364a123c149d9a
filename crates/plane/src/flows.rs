//! UDP flows on their way from one process to another.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use elbow_udp::Passed;
use rustc_hash::FxHashMap;
use rustix::fs::fstat;
use serde::{Deserialize, Serialize};

/// A UDP flow that no worker serves.
#[derive(Debug)]
pub struct UdpFlow {
    /// The [`identity`] of the listening socket that its datagrams arrive at.
    pub(crate) listener: u64,
    pub(crate) flow: Passed,
}

/// What is said about a flow, beside its socket.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowRecord {
    listener: u64,
    client: SocketAddr,
    local: Option<IpAddr>,
    quic_server: Option<u64>,
    target_group: String,
    target: SocketAddr,
}

impl UdpFlow {
    /// The flow of `record`, whose socket is connected to its target.
    pub fn new(record: FlowRecord, socket: OwnedFd) -> Self {
        Self {
            listener: record.listener,
            flow: Passed {
                client: record.client,
                local: record.local,
                server: record.quic_server,
                target_group: record.target_group.into(),
                target: record.target,
                socket: UdpSocket::from(socket),
            },
        }
    }

    /// What another process has to know about it.
    pub fn record(&self) -> FlowRecord {
        let flow = &self.flow;
        FlowRecord {
            listener: self.listener,
            client: flow.client,
            local: flow.local,
            quic_server: flow.server,
            target_group: flow.target_group.to_string(),
            target: flow.target,
        }
    }

    /// The socket to its target.
    pub fn socket(&self) -> &UdpSocket {
        &self.flow.socket
    }
}

/// A number that a socket has in every process that has a copy of it, and no other socket of the machine has: that of its inode.
///
/// # Errors
/// Those of fstat(2).
pub(crate) fn identity(socket: impl AsFd) -> io::Result<u64> {
    Ok(fstat(socket)?.st_ino)
}

/// The flows by the sockets that their datagrams arrive at, each in its order.
pub(crate) fn by_listener(flows: Vec<UdpFlow>) -> FxHashMap<u64, Vec<Passed>> {
    let mut sorted: FxHashMap<u64, Vec<Passed>> = FxHashMap::default();
    for UdpFlow { listener, flow } in flows {
        sorted.entry(listener).or_default().push(flow);
    }
    sorted
}
