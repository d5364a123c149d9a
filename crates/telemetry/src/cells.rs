use std::sync::Arc;

use crate::{Counter, Histogram, SharedCounter, Shed, ShedReason, StatusCounts};

/// What tells the series of one listener from those of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerKey {
    /// Name of the load balancer.
    pub load_balancer: Arc<str>,
    /// `application`, `network` or `classic`.
    pub kind: &'static str,
    /// Port that clients connect to.
    pub port: u16,
    /// Protocol of the listener, e.g. `HTTPS`.
    pub protocol: &'static str,
}

/// The numbers of one listener, in one cell per worker.
#[derive(Debug)]
pub struct ListenerMetrics {
    key: ListenerKey,
    workers: Box<[ListenerCells]>,
    shed: Arc<Shed>,
}

impl ListenerMetrics {
    pub(crate) fn new(key: ListenerKey, workers: usize, shed: Arc<Shed>) -> Self {
        Self {
            key,
            shed,
            workers: (0..workers.max(1))
                .map(|_| ListenerCells::default())
                .collect(),
        }
    }

    /// Whose numbers these are.
    pub fn key(&self) -> &ListenerKey {
        &self.key
    }

    /// The cells that worker `id` alone may write.
    pub fn worker(&self, id: usize) -> &ListenerCells {
        // There is at least one worker, and none has an id beyond their number.
        &self.workers[id % self.workers.len()]
    }

    /// All cells, for reading.
    pub fn cells(&self) -> &[ListenerCells] {
        &self.workers
    }

    /// Counts work of this listener that was turned away; the counter is the process's.
    pub fn shed(&self, reason: ShedReason) {
        self.shed.increment(reason);
    }

    /// The sum of one counter over all workers.
    pub fn sum(&self, counter: impl Fn(&ListenerCells) -> &Counter) -> u64 {
        let counters = self.workers.iter().map(|cells| counter(cells).get());
        counters.fold(0, u64::wrapping_add)
    }

    /// Client connections open now.
    pub fn active_connections(&self) -> u64 {
        // Read in this order, a connection that ends in between counts as open, never as minus one.
        let closed = self.sum(|c| &c.connections_closed);
        self.sum(|c| &c.connections).saturating_sub(closed)
    }
}

/// What one worker counts for one listener. AWS's metric of the same meaning stands behind each.
///
/// Padded to two cache lines (the unit that CPUs fetch) so that workers do not share any.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ListenerCells {
    /// Client connections accepted (NewConnectionCount, NewFlowCount).
    pub connections: Counter,
    /// Those of them that are over.
    pub connections_closed: Counter,
    /// Client connections refused: a limit, or no target (RejectedConnectionCount).
    pub rejected: Counter,
    /// Bytes from clients (half of ProcessedBytes).
    pub received_bytes: Counter,
    /// Bytes to clients (the other half).
    pub sent_bytes: Counter,
    /// Requests answered by the load balancer itself (HTTPCode_ELB_*).
    pub elb_responses: StatusCounts,
    /// Requests answered by a target (HTTPCode_Target_*).
    pub target_responses: StatusCounts,
    /// Request read to last byte of the response written.
    pub latency: Histogram,
    /// Request sent to first byte of the target's response (TargetResponseTime).
    pub target_response_time: Histogram,
    /// Handshakes with clients that failed (ClientTLSNegotiationErrorCount).
    pub tls_handshake_errors: Counter,
    /// Connections to targets that could not be opened (TargetConnectionErrorCount).
    pub connect_errors: Counter,
    /// Handshakes with targets that failed (TargetTLSNegotiationErrorCount).
    pub target_tls_errors: Counter,
    /// Connections that the load balancer reset (TCP_ELB_Reset_Count).
    pub resets_by_elb: Counter,
    /// Connections that the client reset (TCP_Client_Reset_Count).
    pub resets_by_client: Counter,
    /// Connections that the target reset (TCP_Target_Reset_Count).
    pub resets_by_target: Counter,
    /// Requests sent on a connection that was already open.
    pub pool_reused: Counter,
    /// Connections to targets opened.
    pub pool_opened: Counter,
    /// Answers by a fixed-response action (HTTP_Fixed_Response_Count).
    pub fixed_responses: Counter,
    /// Answers by a redirect action (HTTP_Redirect_Count).
    pub redirects: Counter,
    /// Requests that RFC 7230 does not allow (DesyncMitigationMode_NonCompliant_Request_Count).
    pub desync_non_compliant: Counter,
    /// Requests to sticky groups that no cookie told the target or group of (NonStickyRequestCount).
    pub non_sticky: Counter,
    /// Requests or flows sent to a group without a healthy target (UnhealthyRoutingRequestCount,
    /// UnhealthyRoutingFlowCount).
    pub fail_open: Counter,
}

/// The numbers of one target group that do not belong to a single target.
#[derive(Debug)]
pub struct GroupMetrics {
    name: Arc<str>,
    /// Health checks that passed.
    pub health_checks_passed: SharedCounter,
    /// Health checks that failed.
    pub health_checks_failed: SharedCounter,
    /// Health checks that were not made, since elbow lacked what they need.
    pub health_checks_skipped: SharedCounter,
}

impl GroupMetrics {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            health_checks_passed: SharedCounter::default(),
            health_checks_failed: SharedCounter::default(),
            health_checks_skipped: SharedCounter::default(),
        }
    }

    /// Name of the group.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }
}
