//! Options of a plane.

use std::time::Duration;

use elbow_model::DnsZone;
use elbow_model::addresses::{Ipv4Net, Ipv6Source};

/// Options of a plane.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// The address pool for load balancers without an address.
    pub address_pool: Ipv4Net,
    /// Where dualstack load balancers without an address get an IPv6 address from.
    pub ipv6: Ipv6Source,
    /// Added to the port of every listener, for users who may not bind ports below 1024.
    pub port_offset: u16,
    /// Which system calls move bytes.
    pub data_path: DataPath,
    /// The region and suffix of DNS names.
    pub dns: DnsZone,
    /// Limit of open client connections, at least 1; `None` limits them only by descriptors.
    pub max_connections: Option<u64>,
    /// Whether targets run in this process, like the pods of a demo, so that a connection to one uses two
    /// descriptors.
    pub targets_within: bool,
    /// How long a peer may take to acknowledge the data that the other side sent before a reset; also the time limit of
    /// [`Plane::drain`](crate::Plane::drain).
    pub drain_timeout: Duration,
}

/// Which system calls move bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPath {
    /// The fastest ones: `splice(2)` for bulk data.
    #[default]
    Auto,
    /// Only read and write.
    Portable,
}
