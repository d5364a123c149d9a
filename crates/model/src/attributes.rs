use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::Algorithm;

/// Load balancer attributes, parsed; `raw` holds what was written, by AWS key
/// (`ModifyLoadBalancerAttributes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancerAttributes {
    /// `idle_timeout.timeout_seconds`: ALB 60 s, 1-4000; CLB 60 s, 1-3600.
    pub idle_timeout: Duration,
    /// `client_keep_alive.seconds`: 3600 s, 60-604800.
    pub client_keep_alive: Duration,
    /// ALB, CLB: `elbow.request_header_timeout.seconds`, 60 s, 1-4000: from the first byte of an
    /// HTTP/1 request to the end of its head. AWS's guides name the idle timeout alone, 60 s, which
    /// every byte starts again.
    pub request_header_timeout: Duration,
    /// `elbow.tls_handshake_timeout.seconds`, 10 s, 1-600: from accept to the end of a client's TLS
    /// handshake. AWS's guides have a number for handshakes with targets alone, 10 s (ALB guide:
    /// troubleshooting, HTTP 504).
    pub tls_handshake_timeout: Duration,
    /// `routing.http.desync_mitigation_mode`.
    pub desync_mitigation_mode: DesyncMitigationMode,
    /// `routing.http.drop_invalid_header_fields.enabled`.
    pub drop_invalid_header_fields: bool,
    /// `routing.http.preserve_host_header.enabled`.
    pub preserve_host_header: bool,
    /// `routing.http.xff_client_port.enabled`.
    pub xff_client_port: bool,
    /// `routing.http.xff_header_processing.mode`.
    pub xff_header_processing_mode: XffHeaderProcessingMode,
    /// `routing.http2.enabled`.
    pub http2_enabled: bool,
    /// `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`.
    pub tls_version_and_cipher_headers: bool,
    /// NLB: `tcp.idle_timeout.seconds`, 350 s, 60-6000, of TCP listeners that have none of their own.
    pub tcp_idle_timeout: Duration,
    /// `elbow.max_connections`: client connections that may be open, on all listeners together; none unless set.
    /// AWS's load balancers grow instead.
    pub max_connections: Option<u64>,
    /// CLB: `connection_draining.timeout_seconds`, 300 s, 1-3600, when `connection_draining.enabled`.
    pub connection_draining: Option<Duration>,
    /// As written.
    pub raw: BTreeMap<String, String>,
}

impl Default for LoadBalancerAttributes {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(60),
            client_keep_alive: Duration::from_secs(3600),
            request_header_timeout: Duration::from_secs(60),
            tls_handshake_timeout: Duration::from_secs(10),
            desync_mitigation_mode: DesyncMitigationMode::Defensive,
            drop_invalid_header_fields: false,
            preserve_host_header: false,
            xff_client_port: false,
            xff_header_processing_mode: XffHeaderProcessingMode::Append,
            http2_enabled: true,
            tls_version_and_cipher_headers: false,
            tcp_idle_timeout: Duration::from_secs(350),
            max_connections: None,
            connection_draining: None,
            raw: BTreeMap::new(),
        }
    }
}

/// Listener attributes, parsed; `raw` holds what was written, by AWS key
/// (`ModifyListenerAttributes`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerAttributes {
    /// TCP listeners: `tcp.idle_timeout.seconds`, 60-6000 s.
    pub tcp_idle_timeout: Option<Duration>,
    /// HTTP and HTTPS listeners: `routing.http.response.*.header_value`, names as they are sent, with
    /// the values that all responses get.
    pub response_headers: Vec<(&'static str, Arc<str>)>,
    /// HTTP and HTTPS listeners: `routing.http.response.server.enabled` is false, so that responses
    /// of the load balancer itself have no Server.
    pub hides_server: bool,
    /// HTTPS listeners: `routing.http.request.x_amzn_tls_version.header_name`.
    pub tls_version_header: Option<Arc<str>>,
    /// HTTPS listeners: `routing.http.request.x_amzn_tls_cipher_suite.header_name`.
    pub tls_cipher_header: Option<Arc<str>>,
    /// As written.
    pub raw: BTreeMap<String, String>,
}

/// `routing.http.desync_mitigation_mode` (ALB guide: edit attributes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DesyncMitigationMode {
    /// Let everything through that can be read.
    Monitor,
    /// Block what is severe, close after what is ambiguous.
    #[default]
    Defensive,
    /// Block what is not compliant.
    Strictest,
}

/// The header that tells a target who the client is, in front of a connection's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// As text (CLB).
    V1,
    /// In binary (NLB).
    V2,
}

/// `routing.http.xff_header_processing.mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XffHeaderProcessingMode {
    /// Add the client's address.
    #[default]
    Append,
    /// Leave as it is.
    Preserve,
    /// Drop it.
    Remove,
}

/// How many targets must be healthy for traffic to go to those alone (ALB guide and NLB guide: target
/// groups). When either limit is undercut, all registered targets get traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// `minimum_healthy_targets.count`: 1 unless configured.
    pub count: u32,
    /// `minimum_healthy_targets.percentage`, of those that are registered; 0 is off.
    pub percentage: u32,
}

impl Default for MinimumHealthy {
    fn default() -> Self {
        Self {
            count: 1,
            percentage: 0,
        }
    }
}

/// `stickiness.type`, with what belongs to it: how a client meets the same target again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stickiness {
    /// ALB: by a cookie of the load balancer.
    LoadBalancerCookie {
        /// `stickiness.lb_cookie.duration_seconds`: 86,400 s, 1-604,800.
        duration: Duration,
    },
    /// ALB: by a cookie of the load balancer beside one of the target's.
    ApplicationCookie {
        /// `stickiness.app_cookie.cookie_name`.
        name: Arc<str>,
        /// `stickiness.app_cookie.duration_seconds`: 86,400 s, 1-604,800.
        duration: Duration,
    },
    /// NLB: by the client's address.
    SourceIp,
}

/// Target group attributes, parsed; `raw` holds what was written, by AWS key
/// (`ModifyTargetGroupAttributes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroupAttributes {
    /// `deregistration_delay.timeout_seconds`: 300 s, 0-3600.
    pub deregistration_delay: Duration,
    /// `load_balancing.algorithm.type`.
    pub algorithm: Algorithm,
    /// `target_group_health.unhealthy_state_routing.*`.
    pub minimum_healthy: MinimumHealthy,
    /// `stickiness.*`, when `stickiness.enabled` is true.
    pub stickiness: Option<Stickiness>,
    /// ALB: `elbow.connect_failover.enabled`, true unless told otherwise. A request whose target
    /// refuses the connection, so that no byte of it has left, goes to another target of the group;
    /// with `false` it is answered 502 at once. AWS's guides leave this open.
    pub connect_failover: bool,
    /// NLB: `deregistration_delay.connection_termination.enabled`.
    pub deregistration_connection_termination: bool,
    /// NLB: `target_health_state.unhealthy.connection_termination.enabled`.
    pub unhealthy_connection_termination: bool,
    /// The group is what the instances of a Classic load balancer form: none of them is used unless
    /// it is healthy, and their states are those of the older API.
    pub of_classic: bool,
    /// NLB: `proxy_protocol_v2.enabled`; CLB: a policy of type `ProxyProtocolPolicyType`.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// As written.
    pub raw: BTreeMap<String, String>,
}

impl Default for TargetGroupAttributes {
    fn default() -> Self {
        Self {
            deregistration_delay: Duration::from_secs(300),
            algorithm: Algorithm::RoundRobin,
            minimum_healthy: MinimumHealthy::default(),
            stickiness: None,
            connect_failover: true,
            deregistration_connection_termination: false,
            unhealthy_connection_termination: true,
            of_classic: false,
            proxy_protocol: None,
            raw: BTreeMap::new(),
        }
    }
}
