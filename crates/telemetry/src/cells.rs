use std::sync::Arc;

use crate::{Counter, Histogram, KindCounts, Shed, ShedReason, StatusCounts};

/// The labels of the series of a listener.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerLabels {
    /// Name of the load balancer.
    pub load_balancer: Arc<str>,
    /// `application`, `network` or `classic`.
    pub kind: &'static str,
    /// Port that clients connect to.
    pub port: u16,
    /// Protocol of the listener, e.g. `HTTPS`.
    pub protocol: &'static str,
}

/// The metrics of one listener, with one set of cells per worker.
#[derive(Debug)]
pub struct ListenerMetrics {
    labels: ListenerLabels,
    workers: Box<[ListenerCells]>,
    shed: Arc<Shed>,
}

impl ListenerMetrics {
    pub(crate) fn new(labels: ListenerLabels, workers: usize, shed: Arc<Shed>) -> Self {
        Self {
            labels,
            shed,
            workers: (0..workers.max(1))
                .map(|_| ListenerCells::default())
                .collect(),
        }
    }

    /// The labels of the listener.
    pub fn labels(&self) -> &ListenerLabels {
        &self.labels
    }

    /// The cells of worker `id`, which only that worker may write.
    pub fn worker(&self, id: usize) -> &ListenerCells {
        // There is at least one worker, and every ID is less than their number.
        &self.workers[id % self.workers.len()]
    }

    /// The cells of all workers, for reading.
    pub fn cells(&self) -> &[ListenerCells] {
        &self.workers
    }

    /// Counts shed work of this listener in the counter of the process.
    pub fn shed(&self, reason: ShedReason) {
        self.shed.increment(reason);
    }

    /// The sum of one counter over all workers.
    pub fn sum(&self, counter: impl Fn(&ListenerCells) -> &Counter) -> u64 {
        let counters = self.workers.iter().map(|cells| counter(cells).get());
        counters.fold(0, u64::wrapping_add)
    }

    /// Open client connections.
    pub fn active_connections(&self) -> u64 {
        // In this order a connection that closes in between counts as open, and the result is never negative.
        let closed = self.sum(|c| &c.connections_closed);
        self.sum(|c| &c.connections).saturating_sub(closed)
    }
}

/// What one worker counts for one listener. The corresponding AWS metric is in parentheses.
///
/// Aligned to two cache lines (the unit that CPUs fetch), so that workers share none.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct ListenerCells {
    /// Client connections accepted (NewConnectionCount, NewFlowCount).
    pub connections: Counter,
    /// Client connections closed.
    pub connections_closed: Counter,
    /// Client connections refused because of a limit (RejectedConnectionCount).
    pub rejected_by_limit: Counter,
    /// Flows without a target (RejectedFlowCount).
    pub rejected_without_target: Counter,
    /// Client connections that the security group does not admit (SecurityGroupBlockedFlowCount_Inbound).
    pub rejected_by_security_group: Counter,
    /// Bytes from clients (part of ProcessedBytes).
    pub received_bytes: Counter,
    /// Bytes to clients (part of ProcessedBytes).
    pub sent_bytes: Counter,
    /// UDP: datagrams from clients to targets (part of ProcessedPackets).
    pub received_datagrams: Counter,
    /// UDP: datagrams from targets to clients (part of ProcessedPackets).
    pub sent_datagrams: Counter,
    /// UDP: datagrams that reached nobody, because of a limit, without a target, or because the kernel did not take them.
    pub dropped_datagrams: Counter,
    /// Requests answered by the load balancer itself (HTTPCode_ELB_*).
    pub elb_responses: StatusCounts,
    /// Requests answered by a target (HTTPCode_Target_*).
    pub target_responses: StatusCounts,
    /// Time from request read to last byte of the response written.
    pub latency: Histogram,
    /// Time from request sent to first byte of the response (TargetResponseTime).
    pub target_response_time: Histogram,
    /// Connections to listeners behind proxies without an acceptable PROXY protocol header.
    pub proxy_protocol_errors: KindCounts,
    /// Failed TLS handshakes with clients (ClientTLSNegotiationErrorCount).
    pub tls_handshake_errors: KindCounts,
    /// Connections to targets that could not be opened (TargetConnectionErrorCount).
    pub connect_errors: Counter,
    /// Failed TLS handshakes with targets (TargetTLSNegotiationErrorCount).
    pub target_tls_errors: Counter,
    /// Connections to targets without a public key of the policy; among those of `target_tls_errors`.
    pub target_public_key_errors: Counter,
    /// Connections that the load balancer reset (TCP_ELB_Reset_Count).
    pub resets_by_elb: Counter,
    /// Connections that the client reset (TCP_Client_Reset_Count).
    pub resets_by_client: Counter,
    /// Connections that the target reset (TCP_Target_Reset_Count).
    pub resets_by_target: Counter,
    /// Requests sent over an open connection from the pool.
    pub pool_reused: Counter,
    /// Connections to targets opened.
    pub pool_opened: Counter,
    /// Requests that could not be served as asked, by what went wrong.
    pub request_errors: KindCounts,
    /// Requests that lost fields with invalid names on their way (DroppedInvalidHeaderRequestCount).
    pub invalid_headers_dropped: Counter,
    /// Requests whose fields with invalid names were passed on (ForwardedInvalidHeaderRequestCount).
    pub invalid_headers_forwarded: Counter,
    /// Rules looked at in order of priority, without the default rule (RuleEvaluations).
    pub rule_evaluations: Counter,
    /// Of them, those beyond [`FREE_RULES`](crate::FREE_RULES) of each request, which consume capacity units.
    pub charged_rule_evaluations: Counter,
    /// Requests of clients with an IPv6 address (IPv6RequestCount).
    pub ipv6_requests: Counter,
    /// Bytes from and to clients with an IPv6 address (IPv6ProcessedBytes).
    pub ipv6_bytes: Counter,
    /// Responses of fixed-response actions (HTTP_Fixed_Response_Count).
    pub fixed_responses: Counter,
    /// Responses of redirect actions (HTTP_Redirect_Count).
    pub redirects: Counter,
    /// Requests that violate RFC 7230 (DesyncMitigationMode_NonCompliant_Request_Count).
    pub desync_non_compliant: Counter,
    /// Requests to sticky groups without a valid stickiness cookie (NonStickyRequestCount).
    pub non_sticky: Counter,
    /// gRPC calls answered, by a target or by the load balancer (GrpcRequestCount).
    pub grpc_requests: Counter,
    /// Logins that a provider confirmed (ELBAuthSuccess).
    pub logins: Counter,
    /// Requests of users that are not let in (ELBAuthFailure).
    pub login_failures: Counter,
    /// Logins that could not be completed (ELBAuthError).
    pub login_errors: Counter,
    /// Sessions that got another access token (ELBAuthRefreshTokenSuccess).
    pub session_refreshes: Counter,
    /// Users whose claims are too large (ELBAuthUserClaimsSizeExceeded).
    pub claims_too_large: Counter,
    /// Time that providers of users took (ELBAuthLatency).
    pub authentication_time: Histogram,
    /// Requests with a valid JSON Web Token (JWTValidationSuccessCount).
    pub jwt_successes: Counter,
    /// Requests that `jwt-validation` did not let through (JWTValidationFailureCount).
    pub jwt_failures: Counter,
    /// Requests or flows sent to a group without a healthy target (UnhealthyRoutingRequestCount,
    /// UnhealthyRoutingFlowCount).
    pub fail_open: Counter,
}
