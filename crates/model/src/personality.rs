//! How the three kinds of load balancers differ where the same code serves them.

use crate::kinds::{LoadBalancerType, Protocol};

/// What AWS does otherwise for an ALB, an NLB and a CLB in otherwise equal cases. Code that serves
/// several kinds asks the field that it needs and never the kind, so that a new difference is a new
/// field with three values.
///
/// What a user can configure is no part of it: those are attributes. What only one kind has (rules,
/// PROXY protocol versions) is no part of it either: another kind's model cannot express it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Personality {
    /// What gets new work when no target is healthy.
    pub no_healthy_target: NoHealthyTarget,
    /// How a layer 4 connection gets its target.
    pub flow_target: FlowTarget,
    /// When another target is tried because the first could not be connected to.
    pub connect_retry: ConnectRetry,
    /// Whether work that waits for a connection to a target is bounded by a surge queue (CLB guide: CloudWatch metrics).
    pub has_surge_queue: bool,
    /// What is checked and reported as one: a target or an instance.
    pub health_unit: HealthUnit,
    /// `User-Agent` of health checks (ALB guide and CLB guide: health checks).
    pub health_check_user_agent: &'static str,
    /// `Host` of health checks.
    pub health_check_host: HealthCheckHost,
    /// Where the idle timeout of a layer 4 listener comes from.
    pub idle_timeout: IdleTimeoutSource,
    /// What becomes of a layer 4 connection after its idle timeout.
    pub idle_connection: IdleConnection,
    /// What becomes of a deregistered target's connections after the deregistration delay.
    pub drained_connections: DrainedConnections,
    /// What becomes of a target's connections when it turns unhealthy while another is healthy.
    pub unhealthy_connections: UnhealthyConnections,
    /// Whether the failures of targets are compared (ALB guide: target groups, anomaly detection).
    pub detects_anomalies: bool,
    /// Whether there is a node in each zone, with an address of its own. AWS's Classic ones have that, too; elbow
    /// serves them with one node.
    pub has_zonal_nodes: bool,
    /// What a TLS listener offers by ALPN.
    pub alpn: AlpnSource,
    /// How TLS sessions resume.
    pub resumption: Resumption,
    /// Whether a valid certificate is preferred to an expired one. ALB and CLB; an NLB does not look
    /// at the validity (NLB guide: server certificates).
    pub prefers_unexpired_certificates: bool,
    /// The format of the access log.
    pub access_log: AccessLogFormat,
    /// HTTP and HTTPS listeners.
    pub http: HttpPersonality,
}

/// How HTTP and HTTPS listeners differ. An NLB has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpPersonality {
    /// The `Host` that a target gets when the request had none (ELB guide: how it works).
    pub own_host: OwnHost,
    /// Targets always get `Host` as the client sent it; otherwise
    /// `routing.http.preserve_host_header.enabled` decides (ALB guide: edit attributes).
    pub always_preserves_host: bool,
    /// Whether `client_keep_alive.seconds` bounds the life of a client's connection (ALB guide: edit
    /// attributes). A CLB has no such bound.
    pub bounds_client_keep_alive: bool,
    /// Whether clients may speak HTTP/0.9 (ELB guide: how it works).
    pub http09: bool,
    /// Whether clients may speak HTTP/2 (ELB guide: how it works).
    pub http2: bool,
    /// Whether a connection can become a WebSocket (ALB guide: listeners).
    pub websocket: bool,
    /// Whether targets get `X-Amzn-Trace-Id` (ALB guide: request tracing). Otherwise a client's field
    /// of that name is passed on like any other.
    pub trace_id: bool,
    /// Addresses that `X-Forwarded-For` may have, else 463; `None`: any number (ALB guide:
    /// troubleshooting, HTTP 463).
    pub max_forwarded_addresses: Option<usize>,
    /// TRACE is refused with 405 (ALB guide: troubleshooting, HTTP 405).
    pub refuses_trace: bool,
    /// A request without TLS at an HTTPS listener is answered with 400; otherwise the connection is closed.
    pub answers_plain_http: bool,
    /// Longest method in bytes, else 405; `None`: only the limits of the request line hold (CLB guide:
    /// HTTP errors, 405).
    pub max_method_length: Option<usize>,
    /// A space within the request target is refused with 400 (CLB guide: HTTP errors, 400). For an ALB
    /// the desync mitigation mode decides.
    pub refuses_space_in_target: bool,
    /// Which status codes the load balancer's own errors have.
    pub error_statuses: ErrorStatuses,
    /// What the load balancer's own responses look like.
    pub error_pages: ErrorPages,
}

/// What gets new work when no target is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHealthyTarget {
    /// Every registered target, as if all were healthy (ALB guide and NLB guide: target groups).
    FailOpen,
    /// None: an HTTP request gets 503, a connection is reset (CLB guide: HTTP errors, 503).
    Refuse,
}

/// How a layer 4 connection gets its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowTarget {
    /// By a hash of its addresses and ports (NLB guide: introduction).
    FlowHash,
    /// By the group's algorithm, which is round robin (ELB guide: how it works).
    Algorithm,
}

/// When another target is tried because the first could not be connected to. No byte of a client has
/// left then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectRetry {
    /// Never: a flow has one target (NLB guide: introduction).
    Never,
    /// When the connection is refused, unless `elbow.connect_failover.enabled` is false.
    WhenRefused,
    /// Whatever the reason, as long as it lies with the target (CLB guide: metrics,
    /// BackendConnectionErrors).
    Always,
}

/// What is checked and reported as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthUnit {
    /// A target of a group, in the words of `DescribeTargetHealth` (ALB guide: health checks).
    Target,
    /// An instance, for all listeners at once, in the words of `DescribeInstanceHealth` (CLB guide:
    /// health checks).
    Instance,
}

/// `Host` of an HTTP health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthCheckHost {
    /// The target's address, and its port unless it is the protocol's own (ALB guide:
    /// troubleshooting).
    Target,
    /// The load balancer's address and listener port (NLB guide: health checks).
    Listener,
}

/// Where the idle timeout of a layer 4 listener comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleTimeoutSource {
    /// `idle_timeout.timeout_seconds` of the load balancer (CLB guide: idle timeout).
    LoadBalancer,
    /// `tcp.idle_timeout.seconds` of a TCP listener; fixed for a TLS listener (NLB guide: listeners).
    Listener,
}

/// What becomes of a layer 4 connection after its idle timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleConnection {
    /// Its flow is forgotten; whoever sends next gets a reset (NLB guide: load balancers).
    Forget,
    /// It is closed at once (CLB guide: idle timeout).
    Close,
}

/// What becomes of a deregistered target's connections after the deregistration delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrainedConnections {
    /// They are closed (ALB guide: edit target group attributes; CLB guide: connection draining).
    Close,
    /// They go on, unless `deregistration_delay.connection_termination.enabled` (NLB guide: edit
    /// target group attributes).
    AsConfigured,
}

/// What becomes of a target's connections when it turns unhealthy while another is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnhealthyConnections {
    /// They go on (ALB guide: target groups; CLB guide: connection draining).
    Keep,
    /// They end, unless `target_health_state.unhealthy.connection_termination.enabled` is false (NLB
    /// guide: edit target group attributes).
    AsConfigured,
}

/// What a TLS listener offers by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlpnSource {
    /// HTTP/1.1, and HTTP/2 unless `routing.http2.enabled` is false (ALB guide: listeners).
    Http,
    /// What the listener's ALPN policy says (NLB guide: listeners).
    Policy,
    /// Nothing.
    None,
}

/// How TLS sessions resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resumption {
    /// By tickets and, up to TLS 1.2, by session IDs (ALB guide: security policies).
    TicketsAndIds,
    /// By tickets alone, and not on a listener with several certificates (NLB guide: listeners).
    TicketsOfOneCertificate,
}

/// The format of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// One line for each request (ALB guide: access logs).
    Application,
    /// One line for each TLS connection (NLB guide: access logs).
    NetworkTls,
    /// One line for each request or connection (CLB guide: access logs).
    Classic,
}

/// The `Host` that a target gets when the request had none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnHost {
    /// The DNS name of the load balancer.
    DnsName,
    /// The address of the load balancer node.
    Address,
}

/// Which status codes the load balancer's own errors have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStatuses {
    /// All of the guide's (ALB guide: troubleshooting).
    Application,
    /// 400, 405, 408, 502, 503 and 504 alone (CLB guide: HTTP errors).
    Classic,
}

/// What the load balancer's own responses look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorPages {
    /// `Server`, `Date`, `Content-Type` and an HTML page.
    Html,
    /// A status line with a reason of its own, and no body.
    StatusLine,
}

impl LoadBalancerType {
    /// How load balancers of this kind differ from the others.
    pub fn personality(self) -> &'static Personality {
        match self {
            Self::Application => &Personality::APPLICATION,
            Self::Network => &Personality::NETWORK,
            Self::Classic => &Personality::CLASSIC,
        }
    }
}

impl Protocol {
    /// The load balancers that a declared target group of this protocol serves: ALBs when it is HTTP or
    /// HTTPS, otherwise NLBs. Groups that a CLB's instances form are not declared.
    pub fn personality(self) -> &'static Personality {
        match self {
            Self::Http | Self::Https => &Personality::APPLICATION,
            Self::Tcp
            | Self::Tls
            | Self::Udp
            | Self::TcpUdp
            | Self::Quic
            | Self::TcpQuic
            | Self::Ssl => &Personality::NETWORK,
        }
    }
}

impl Personality {
    /// An ALB.
    pub const APPLICATION: Self = Self {
        no_healthy_target: NoHealthyTarget::FailOpen,
        flow_target: FlowTarget::Algorithm,
        connect_retry: ConnectRetry::WhenRefused,
        has_surge_queue: false,
        health_unit: HealthUnit::Target,
        health_check_user_agent: "ELB-HealthChecker/2.0",
        health_check_host: HealthCheckHost::Target,
        idle_timeout: IdleTimeoutSource::LoadBalancer,
        idle_connection: IdleConnection::Close,
        drained_connections: DrainedConnections::Close,
        unhealthy_connections: UnhealthyConnections::Keep,
        detects_anomalies: true,
        has_zonal_nodes: true,
        alpn: AlpnSource::Http,
        resumption: Resumption::TicketsAndIds,
        prefers_unexpired_certificates: true,
        access_log: AccessLogFormat::Application,
        http: HttpPersonality::APPLICATION,
    };

    /// An NLB.
    pub const NETWORK: Self = Self {
        no_healthy_target: NoHealthyTarget::FailOpen,
        flow_target: FlowTarget::FlowHash,
        connect_retry: ConnectRetry::Never,
        has_surge_queue: false,
        health_unit: HealthUnit::Target,
        health_check_user_agent: "ELB-HealthChecker/2.0",
        health_check_host: HealthCheckHost::Listener,
        idle_timeout: IdleTimeoutSource::Listener,
        idle_connection: IdleConnection::Forget,
        drained_connections: DrainedConnections::AsConfigured,
        unhealthy_connections: UnhealthyConnections::AsConfigured,
        detects_anomalies: false,
        has_zonal_nodes: true,
        alpn: AlpnSource::Policy,
        resumption: Resumption::TicketsOfOneCertificate,
        prefers_unexpired_certificates: false,
        access_log: AccessLogFormat::NetworkTls,
        // It has no such listeners.
        http: HttpPersonality::APPLICATION,
    };

    /// A CLB.
    pub const CLASSIC: Self = Self {
        no_healthy_target: NoHealthyTarget::Refuse,
        flow_target: FlowTarget::Algorithm,
        connect_retry: ConnectRetry::Always,
        has_surge_queue: true,
        health_unit: HealthUnit::Instance,
        health_check_user_agent: "ELB-HealthChecker/1.0",
        health_check_host: HealthCheckHost::Target,
        idle_timeout: IdleTimeoutSource::LoadBalancer,
        idle_connection: IdleConnection::Close,
        drained_connections: DrainedConnections::Close,
        unhealthy_connections: UnhealthyConnections::Keep,
        detects_anomalies: false,
        has_zonal_nodes: false,
        alpn: AlpnSource::None,
        resumption: Resumption::TicketsAndIds,
        prefers_unexpired_certificates: true,
        access_log: AccessLogFormat::Classic,
        http: HttpPersonality::CLASSIC,
    };
}

impl HttpPersonality {
    /// An ALB's listeners.
    pub const APPLICATION: Self = Self {
        own_host: OwnHost::DnsName,
        always_preserves_host: false,
        bounds_client_keep_alive: true,
        http09: false,
        http2: true,
        websocket: true,
        trace_id: true,
        max_forwarded_addresses: Some(30),
        refuses_trace: true,
        answers_plain_http: true,
        max_method_length: None,
        refuses_space_in_target: false,
        error_statuses: ErrorStatuses::Application,
        error_pages: ErrorPages::Html,
    };

    /// A CLB's listeners.
    pub const CLASSIC: Self = Self {
        own_host: OwnHost::Address,
        always_preserves_host: true,
        bounds_client_keep_alive: false,
        http09: true,
        http2: false,
        websocket: false,
        trace_id: false,
        max_forwarded_addresses: None,
        refuses_trace: false,
        answers_plain_http: false,
        max_method_length: Some(127),
        refuses_space_in_target: true,
        error_statuses: ErrorStatuses::Classic,
        error_pages: ErrorPages::StatusLine,
    };
}
