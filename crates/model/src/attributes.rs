//! Attributes of load balancers, listeners and target groups.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::invalid::{Checked, Findings, Place};
use crate::{Algorithm, LoadBalancerType, Protocol, Sources};

pub use minimum_healthy::MinimumHealthy;
pub use modes::{ClientRoutingPolicy, DesyncMitigationMode, XffHeaderProcessingMode};
pub use proxy_protocol::{ProxyHeaderPlacement, ProxyProtocol};
pub use stickiness::Stickiness;
pub use table::ATTRIBUTES;

mod check;
mod minimum_healthy;
mod modes;
mod parsed;
mod proxy_protocol;
mod stickiness;
mod table;

/// Attributes by their AWS keys, see [`ATTRIBUTES`].
pub type AttributesSpec = BTreeMap<String, String>;

/// Characters in the name of a header that an attribute sets.
pub const MAX_HEADER_NAME: usize = 40;

/// Bytes in the value of a header that an attribute sets (ALB guide: header modification).
pub const MAX_HEADER_VALUE: usize = 1024;

/// One row of [`ATTRIBUTES`]: the name of an attribute, the resources that have it, and its values.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Attribute {
    /// AWS's key.
    pub key: &'static str,
    /// Which kinds of resources have it, with these values and this default.
    pub of: &'static [Resource],
    /// Its valid values.
    pub values: Values,
    /// The default; empty if there is none, or if it depends on other settings.
    pub default: &'static str,
    /// The values that elbow serves; any other valid value is accepted with a warning. `None`: all.
    pub served_values: Option<&'static [&'static str]>,
    /// Conditions on other attributes without which AWS refuses it.
    pub requires: &'static [Requirement],
}

impl Attribute {
    /// The attribute that a resource of one kind has.
    ///
    /// ```
    /// use elbow_model::{Attribute, Resource};
    ///
    /// let of = |kind| Attribute::find(kind, "idle_timeout.timeout_seconds");
    /// assert_eq!(of(Resource::Application).unwrap().default, "60");
    /// assert!(of(Resource::Network).is_none());
    /// ```
    pub fn find(of: Resource, key: &str) -> Option<&'static Self> {
        ATTRIBUTES
            .iter()
            .find(|a| a.key == key && a.of.contains(&of))
    }

    /// The attribute of that kind, or else of another one of the same family.
    fn of_family(of: Resource, key: &str) -> Option<&'static Self> {
        Self::find(of, key).or_else(|| {
            let mut same = ATTRIBUTES.iter().filter(|a| a.key == key);
            same.find(|a| a.of.iter().any(|other| other.is_sibling(of)))
        })
    }
}

/// The kinds of resources that have attributes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An ALB.
    Application,
    /// An NLB.
    Network,
    /// A Classic load balancer.
    Classic,
    /// A listener of protocol HTTP of an ALB.
    HttpListener,
    /// A listener of protocol HTTPS of an ALB.
    HttpsListener,
    /// A listener of protocol TCP of an NLB.
    TcpListener,
    /// A listener of protocol TLS of an NLB.
    TlsListener,
    /// A listener of another protocol.
    OtherListener,
    /// A target group of an ALB.
    ApplicationGroup,
    /// A target group of an NLB.
    NetworkGroup,
}

impl Resource {
    /// A listener of this protocol.
    pub fn of_listener(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::HttpListener,
            Protocol::Https => Self::HttpsListener,
            Protocol::Tcp => Self::TcpListener,
            Protocol::Tls => Self::TlsListener,
            _ => Self::OtherListener,
        }
    }

    /// A target group of this protocol.
    pub fn of_target_group(protocol: Protocol) -> Self {
        if protocol.is_http() {
            Self::ApplicationGroup
        } else {
            Self::NetworkGroup
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Application => "application load balancers",
            Self::Network => "network load balancers",
            Self::Classic => "classic load balancers",
            Self::HttpListener => "listeners of protocol HTTP",
            Self::HttpsListener => "listeners of protocol HTTPS",
            Self::TcpListener => "listeners of protocol TCP",
            Self::TlsListener => "listeners of protocol TLS",
            Self::OtherListener => "listeners of other protocols",
            Self::ApplicationGroup => "groups of protocol HTTP and HTTPS",
            Self::NetworkGroup => "groups of protocol TCP, TLS, UDP, TCP_UDP, QUIC and TCP_QUIC",
        }
    }

    /// Whether both are load balancers, listeners or target groups.
    pub fn is_sibling(self, other: Self) -> bool {
        let family = |resource: Self| match resource {
            Self::Application | Self::Network | Self::Classic => 0,
            Self::HttpListener
            | Self::HttpsListener
            | Self::TcpListener
            | Self::TlsListener
            | Self::OtherListener => 1,
            Self::ApplicationGroup | Self::NetworkGroup => 2,
        };
        family(self) == family(other)
    }
}

impl From<LoadBalancerType> for Resource {
    fn from(kind: LoadBalancerType) -> Self {
        match kind {
            LoadBalancerType::Application => Self::Application,
            LoadBalancerType::Network => Self::Network,
            LoadBalancerType::Classic => Self::Classic,
        }
    }
}

/// The valid values of an attribute. In AWS, all values are strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// `true` or `false`.
    Flag,
    /// `true`; AWS refuses `false`.
    AlwaysOn,
    /// A number in this range.
    Number(u32, u32),
    /// 0 or a number in this range.
    ZeroOr(u32, u32),
    /// `off` or a number in this range.
    OffOr(u32, u32),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// The name of a header of requests.
    HeaderName,
    /// The value of a header of responses; empty for none.
    HeaderValue,
    /// The name of a cookie of an application.
    CookieName,
    /// A folder in a bucket.
    S3Prefix,
    /// CIDR blocks of IPv4 and IPv6, separated by commas; empty for none.
    Cidrs,
    /// Any text.
    Text,
}

/// A condition on another attribute, without which AWS refuses an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Requirement {
    /// Unless the attribute has one of the values `unless`, the attribute `key` has one of `values`.
    OneOf {
        /// Values that require nothing.
        unless: &'static [&'static str],
        /// The other attribute.
        key: &'static str,
        /// The values that the other attribute may have.
        values: &'static [&'static str],
    },
    /// Unless the attribute has one of the values `unless`, the attribute `key` is given.
    Given {
        /// Values that require nothing.
        unless: &'static [&'static str],
        /// Another attribute and the value that it must have for this to apply.
        when: Option<(&'static str, &'static str)>,
        /// The attribute that is needed.
        key: &'static str,
    },
    /// The number is not less than that of the attribute `key`.
    NotBelow {
        /// The other attribute.
        key: &'static str,
    },
}

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
    /// `routing.http.x_amzn_tls_kx.enabled`.
    pub tls_key_exchange_header: bool,
    /// NLB: `tcp.idle_timeout.seconds`, 350 s, 60-6000, of TCP listeners that have none of their own.
    pub tcp_idle_timeout: Duration,
    /// ALB: `elbow.authentication.*`.
    pub authentication: AuthenticationSettings,
    /// ALB: `elbow.interim_responses.enabled`: clients of HTTP/1.1 get the interim responses of
    /// targets, such as 103 (RFC 9110, 15.2).
    pub passes_interim_responses: bool,
    /// ALB: `elbow.trailers.enabled`: trailers pass between clients and targets (RFC 9110, 6.5).
    pub passes_trailers: bool,
    /// NLB: `dns_record.client_routing_policy`.
    pub client_routing_policy: ClientRoutingPolicy,
    /// `load_balancing.cross_zone.enabled`, for target groups that do not say it: whether each node uses the targets
    /// of all zones.
    pub cross_zone: bool,
    /// `elbow.max_connections`: client connections that may be open, on all listeners together; none unless set.
    /// AWS's load balancers grow instead.
    pub max_connections: Option<u64>,
    /// Classic: `elbow.proxy_protocol.trusted_cidrs`, of all listeners (see [`ListenerAttributes::trusted_proxies`]).
    pub trusted_proxies: Option<Sources>,
    /// `access_logs.s3.*`.
    pub access_log: Option<LogDelivery>,
    /// ALB: `connection_logs.s3.*`.
    pub connection_log: Option<LogDelivery>,
    /// ALB: `health_check_logs.s3.*`.
    pub health_check_log: Option<LogDelivery>,
    /// How much time the lines of one file of a log cover: 5 min; CLB: `access_logs.s3.emit_interval_minutes`, 60 min or
    /// 5 min. `elbow.log_interval.seconds`, 1-3600, sets another one.
    pub log_interval: Duration,
    /// CLB: `connection_draining.timeout_seconds`, 300 s, 1-3600, when `connection_draining.enabled`.
    pub connection_draining: Option<Duration>,
    /// As written.
    pub raw: BTreeMap<String, String>,
}

impl LoadBalancerAttributes {
    /// The attributes of a load balancer of this kind.
    ///
    /// ```
    /// use elbow_model::{AttributesSpec, LoadBalancerAttributes, LoadBalancerType};
    ///
    /// let prefix = AttributesSpec::from([("access_logs.s3.prefix".into(), "AWSLogs/web".into())]);
    /// let faults = LoadBalancerAttributes::new(LoadBalancerType::Network, &prefix).value.unwrap_err();
    /// assert_eq!(faults[0].field.to_string(), "access_logs.s3.prefix");
    /// ```
    pub fn new(kind: LoadBalancerType, given: &AttributesSpec) -> Checked<Self> {
        Findings::of(|at| Some(Self::build(kind, given, at)))
    }

    /// The enabled logs, by the beginnings of their attributes.
    pub fn log_deliveries(&self) -> impl Iterator<Item = (&'static str, &LogDelivery)> {
        let logs = [
            ("access_logs", &self.access_log),
            ("connection_logs", &self.connection_log),
            ("health_check_logs", &self.health_check_log),
        ];
        logs.into_iter()
            .filter_map(|(name, log)| Some((name, log.as_ref()?)))
    }

    pub(crate) fn build(kind: LoadBalancerType, given: &AttributesSpec, at: &Place<'_>) -> Self {
        let of = kind.into();
        Self::of(of, check::check(given, of, at))
    }
}

/// The defaults of an ALB.
impl Default for LoadBalancerAttributes {
    fn default() -> Self {
        Self::of(Resource::Application, BTreeMap::new())
    }
}

/// How actions authenticate requests, where AWS's guides do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticationSettings {
    /// `elbow.authentication.clock_skew.seconds`: by how much the clocks of providers may differ, 30 s, 0-600.
    pub clock_skew: Duration,
    /// `elbow.authentication.token_endpoint_method`: `client_secret_post`, not `client_secret_basic` (OpenID Connect
    /// Core, 9): the secret of a client is in the form and not in the field Authorization.
    pub posts_secret: bool,
}

/// Where the files of a log go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDelivery {
    /// The name of the bucket.
    pub bucket: Arc<str>,
    /// The folder in the bucket; may be empty.
    pub prefix: Arc<str>,
}

/// The names of the fields that tell targets about a client's certificate, where they are not AWS's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificateHeaders {
    /// In place of `X-Amzn-Mtls-Clientcert`, the whole chain.
    pub chain: Option<Arc<str>>,
    /// In place of `X-Amzn-Mtls-Clientcert-Leaf`.
    pub leaf: Option<Arc<str>>,
    /// In place of `X-Amzn-Mtls-Clientcert-Subject`.
    pub subject: Option<Arc<str>>,
    /// In place of `X-Amzn-Mtls-Clientcert-Issuer`.
    pub issuer: Option<Arc<str>>,
    /// In place of `X-Amzn-Mtls-Clientcert-Serial-Number`.
    pub serial_number: Option<Arc<str>>,
    /// In place of `X-Amzn-Mtls-Clientcert-Validity`.
    pub validity: Option<Arc<str>>,
}

impl ClientCertificateHeaders {
    /// All of them.
    pub fn names(&self) -> [&Option<Arc<str>>; 6] {
        [
            &self.chain,
            &self.leaf,
            &self.subject,
            &self.issuer,
            &self.serial_number,
            &self.validity,
        ]
    }
}

/// Listener attributes, parsed; `raw` holds what was written, by AWS key
/// (`ModifyListenerAttributes`).
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// HTTPS listeners: `routing.http.request.x_amzn_mtls_clientcert*.header_name`.
    pub client_certificate_headers: ClientCertificateHeaders,
    /// `elbow.proxy_protocol.trusted_cidrs`: the proxies in front of the listener. Each of their connections begins with a PROXY
    /// protocol header, and other connections are refused. `None`: clients connect themselves.
    pub trusted_proxies: Option<Sources>,
    /// As written.
    pub raw: BTreeMap<String, String>,
}

impl ListenerAttributes {
    /// The attributes of a listener of this protocol.
    pub fn new(protocol: Protocol, given: &AttributesSpec) -> Checked<Self> {
        Findings::of(|at| Some(Self::build(protocol, given, at)))
    }

    pub(crate) fn build(protocol: Protocol, given: &AttributesSpec, at: &Place<'_>) -> Self {
        let of = Resource::of_listener(protocol);
        Self::of(of, check::check(given, of, at))
    }
}

/// The defaults of a listener.
impl Default for ListenerAttributes {
    fn default() -> Self {
        Self::of(Resource::HttpListener, BTreeMap::new())
    }
}

/// Target group attributes, parsed; `raw` holds what was written, by AWS key
/// (`ModifyTargetGroupAttributes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetGroupAttributes {
    /// `deregistration_delay.timeout_seconds`: 300 s, 0-3600.
    pub deregistration_delay: Duration,
    /// `load_balancing.algorithm.type`.
    pub algorithm: Algorithm,
    /// ALB: `slow_start.duration_seconds`, 30-900 s; `None`: targets get their full share at once.
    pub slow_start: Option<Duration>,
    /// ALB: `load_balancing.algorithm.anomaly_mitigation` is on: targets that fail more requests than the others
    /// get fewer of them.
    pub anomaly_mitigation: bool,
    /// `load_balancing.cross_zone.enabled`; `None`: as the load balancer is configured.
    pub cross_zone: Option<bool>,
    /// `target_group_health.unhealthy_state_routing.*`: below it, all registered targets get traffic.
    pub minimum_healthy: MinimumHealthy,
    /// `target_group_health.dns_failover.*`: below it, the address of a zone leaves DNS.
    pub dns_failover: MinimumHealthy,
    /// `stickiness.*`, when `stickiness.enabled` is true.
    pub stickiness: Option<Stickiness>,
    /// ALB: `elbow.connect_failover.enabled`, true by default. A request whose target
    /// refuses the connection, so that no byte of it has left, goes to another target of the group;
    /// with `false` it is answered 502 at once. AWS's guides leave this open.
    pub connect_failover: bool,
    /// ALB, of protocol versions HTTP2 and GRPC: `routing.http2.rst_stream_error_forwarding.enabled`. Clients get the code
    /// with which a target resets a stream, not 502 (ELBv2 API: TargetGroupAttribute).
    pub forwards_stream_resets: bool,
    /// NLB: `deregistration_delay.connection_termination.enabled`, by default true of groups of UDP and TCP_UDP alone.
    pub deregistration_connection_termination: bool,
    /// NLB: `target_health_state.unhealthy.connection_termination.enabled`.
    pub unhealthy_connection_termination: bool,
    /// NLB: `preserve_client_ip.enabled`, if given ([`TargetGroup::preserves_client_address`](crate::TargetGroup)).
    pub preserve_client_ip: Option<bool>,
    /// NLB: `target_health_state.unhealthy.draining_interval_seconds`, up to 360,000 s: how long an unhealthy target keeps
    /// its connections; `None`: until they end.
    pub unhealthy_draining_interval: Option<Duration>,
    /// NLB: `elbow.passive_health_checks.failures`, 1-100: after so many connections of TCP or TLS in a row that a target did
    /// not accept, it is unhealthy. `None`: only active checks count.
    pub passive_failures: Option<u32>,
    /// NLB: `proxy_protocol_v2.enabled`; CLB: a policy of type `ProxyProtocolPolicyType`.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// NLB: `proxy_protocol_v2.client_to_server.header_placement`, [`ProxyHeaderPlacement::OnFirstAck`] by default.
    pub proxy_header_placement: ProxyHeaderPlacement,
    /// NLB: `elbow.proxy_protocol_v2.vpc_endpoint_id`: the VPC endpoint that headers of version 2 name, because clients come through
    /// AWS PrivateLink on AWS.
    pub vpc_endpoint_id: Option<Arc<str>>,
    /// NLB: `elbow.health_check_tls13.enabled`, false by default: HTTPS checks of an NLB cannot use targets with TLS 1.3 alone
    /// (NLB guide: health checks). Always true of the others.
    pub health_check_tls13: bool,
    /// As written.
    pub raw: BTreeMap<String, String>,
}

impl TargetGroupAttributes {
    /// The attributes of a target group of this protocol.
    pub fn new(protocol: Protocol, given: &AttributesSpec) -> Checked<Self> {
        Findings::of(|at| Some(Self::build(protocol, given, at)))
    }

    pub(crate) fn build(protocol: Protocol, given: &AttributesSpec, at: &Place<'_>) -> Self {
        let of = Resource::of_target_group(protocol);
        Self::of(protocol, check::check(given, of, at))
    }
}

/// The defaults of a target group of an ALB.
impl Default for TargetGroupAttributes {
    fn default() -> Self {
        Self::of(Protocol::Http, BTreeMap::new())
    }
}
