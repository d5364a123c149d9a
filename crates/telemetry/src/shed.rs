use crate::SharedCounter;

/// Why elbow turned work away, for a lack of its own or because a limit was reached.
///
/// Each reason is a value of the label `reason` of `elbow_shed_total` and a row of `docs/limits.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ShedReason {
    /// The process has no file descriptor left for a client, or for its connection to a target.
    OpenFiles,
    /// There is no local port left towards a target.
    LocalPorts,
    /// The kernel has no memory left for a connection to a target.
    KernelMemory,
    /// As many clients are served as `--max-connections` allows.
    MaxConnections,
    /// As many TLS handshakes are in progress as a worker takes; the oldest one ends.
    Handshakes,
    /// As many clients are at the admin address as it takes; the oldest one goes.
    AdminConnections,
    /// As many clients of a load balancer are served as its `elbow.max_connections` allows.
    LoadBalancerConnections,
    /// All that a worker has for large request heads is with heads that are still coming or, over
    /// HTTP/2, wait for their target.
    Buffers,
    /// A client of HTTP/2 sent frames that cost more than they ask for.
    Http2Flood,
    /// As many large answers of the admin address as are made at a time are being read.
    AdminAnswers,
}

impl ShedReason {
    /// Every reason, in the order of their declaration.
    pub const ALL: [Self; 10] = [
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
    ];

    /// The value of the label.
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
        }
    }
}

/// How often work was shed, by reason.
///
/// Any thread adds to it: shedding is rare beside serving, and costs a reset or a response anyway.
#[derive(Debug, Default)]
pub struct Shed([SharedCounter; ShedReason::ALL.len()]);

impl Shed {
    /// Counts one connection, request or other piece of work that was turned away.
    pub fn increment(&self, reason: ShedReason) {
        self.counter(reason).increment();
    }

    /// How much was turned away for `reason`.
    pub fn get(&self, reason: ShedReason) -> u64 {
        self.counter(reason).get()
    }

    fn counter(&self, reason: ShedReason) -> &SharedCounter {
        // The discriminants are the places in `ALL`, as a test holds.
        &self.0[reason as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_reason_has_a_counter_and_a_label_of_its_own() {
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
