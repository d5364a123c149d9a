use crate::SharedCounter;

/// Why elbow refused work: a local resource is exhausted, or a limit is reached.
///
/// Each reason is a value of the label `reason` of `elbow_shed_total` and a row of `docs/limits.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShedReason {
    /// No file descriptor is left for a client or its connection to a target.
    OpenFiles,
    /// No local port is left for a connection to a target.
    LocalPorts,
    /// The kernel has no memory left for a connection to a target.
    KernelMemory,
    /// The limit of client connections (`--max-connections`) is reached.
    MaxConnections,
    /// The limit of concurrent TLS handshakes of a worker is reached; the oldest one is aborted.
    Handshakes,
    /// The limit of connections to the admin address is reached; the oldest one is closed.
    AdminConnections,
    /// The connection limit of a load balancer (`elbow.max_connections`) is reached.
    LoadBalancerConnections,
    /// All buffers of a worker for large request heads are in use by incomplete heads or, with HTTP/2, by
    /// requests that wait for their target.
    Buffers,
    /// An HTTP/2 client sent too many frames that cost work without making progress.
    Http2Flood,
    /// The limit of concurrent large responses of the admin address is reached.
    AdminAnswers,
    /// The limit of UDP flows is reached; the flow that has been quiet for longest ends.
    UdpFlows,
}

impl ShedReason {
    /// All reasons, in the order of declaration.
    pub const ALL: [Self; 11] = [
        Self::OpenFiles,
        Self::LocalPorts,
        Self::KernelMemory,
        Self::MaxConnections,
        Self::Handshakes,
        Self::AdminConnections,
        Self::LoadBalancerConnections,
        Self::Buffers,
        Self::Http2Flood,
        Self::AdminAnswers,
        Self::UdpFlows,
    ];

    /// The value of the label `reason`.
    pub fn label(self) -> &'static str {
        match self {
            Self::OpenFiles => "open_files",
            Self::LocalPorts => "local_ports",
            Self::KernelMemory => "kernel_memory",
            Self::MaxConnections => "max_connections",
            Self::Handshakes => "handshakes",
            Self::AdminConnections => "admin_connections",
            Self::LoadBalancerConnections => "load_balancer_max_connections",
            Self::Buffers => "buffers",
            Self::Http2Flood => "http2_flood",
            Self::AdminAnswers => "admin_answers",
            Self::UdpFlows => "udp_flows",
        }
    }
}

/// Counts of shed work by reason.
///
/// Any thread may count: shedding is rare compared to serving, and costs a reset or a response anyway.
#[derive(Debug, Default)]
pub struct Shed([SharedCounter; ShedReason::ALL.len()]);

impl Shed {
    /// Counts one refused connection, request or other piece of work.
    pub fn increment(&self, reason: ShedReason) {
        self.counter(reason).increment();
    }

    /// The count for `reason`.
    pub fn get(&self, reason: ShedReason) -> u64 {
        self.counter(reason).get()
    }

    fn counter(&self, reason: ShedReason) -> &SharedCounter {
        // The discriminants are the indexes in `ALL`; a test checks this.
        &self.0[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_reason_has_its_own_counter_and_label() {
        let shed = Shed::default();
        for (place, reason) in ShedReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            shed.increment(reason);
        }
        assert!(ShedReason::ALL.iter().all(|&reason| shed.get(reason) == 1));
        let labels: HashSet<_> = ShedReason::ALL.map(ShedReason::label).into();
        assert_eq!(labels.len(), ShedReason::ALL.len());
    }

    #[test]
    fn each_reason_is_documented() {
        let limits = include_str!("../../../docs/limits.md");
        for reason in ShedReason::ALL {
            let row = format!("| `{}` |", reason.label());
            assert!(limits.contains(&row), "no row {row} in docs/limits.md");
        }
    }
}
