//! The attributes that there are.

use super::Effect::{Served, Without};
use super::Values::{Flag, HeaderName, HeaderValue, Number, OffOr, OneOf, Text, ZeroOr};
use super::{Attribute, Effect, Values};

const fn attribute(key: &'static str, values: Values, effect: Effect) -> Attribute {
    Attribute {
        key,
        values,
        effect,
    }
}

/// Not AWS's, as its name says: for how long half a request head is waited for.
const HEADER_TIMEOUT: Attribute = attribute(
    "elbow.request_header_timeout.seconds",
    Number(1, 4000),
    Served,
);

/// The same for a client's TLS handshake.
const HANDSHAKE_TIMEOUT: Attribute = attribute(
    "elbow.tls_handshake_timeout.seconds",
    Number(1, 600),
    Served,
);

/// Load balancers, ALB and NLB.
pub(super) const COMMON: &[Attribute] = &[
    attribute("access_logs.s3.bucket", Text, Served),
    attribute("access_logs.s3.enabled", Flag, Without(&["false"])),
    attribute("access_logs.s3.prefix", Text, Served),
    attribute("deletion_protection.enabled", Flag, Without(&["false"])),
    // Not AWS's: its load balancers grow with their load.
    attribute("elbow.max_connections", Number(1, u32::MAX), Served),
    HANDSHAKE_TIMEOUT,
    attribute("ipv6.deny_all_igw_traffic", Flag, Without(&[])),
    attribute(
        "load_balancing.cross_zone.enabled",
        Flag,
        Without(&["true"]),
    ),
    attribute("zonal_shift.config.enabled", Flag, Without(&["false"])),
];

pub(super) const APPLICATION: &[Attribute] = &[
    attribute("client_keep_alive.seconds", Number(60, 604_800), Served),
    attribute("connection_logs.s3.bucket", Text, Served),
    attribute("connection_logs.s3.enabled", Flag, Without(&["false"])),
    attribute("connection_logs.s3.prefix", Text, Served),
    HEADER_TIMEOUT,
    attribute("health_check_logs.s3.bucket", Text, Served),
    attribute("health_check_logs.s3.enabled", Flag, Without(&["false"])),
    attribute("health_check_logs.s3.prefix", Text, Served),
    attribute("idle_timeout.timeout_seconds", Number(1, 4000), Served),
    attribute(
        "routing.http.desync_mitigation_mode",
        OneOf(&["monitor", "defensive", "strictest"]),
        Served,
    ),
    attribute(
        "routing.http.drop_invalid_header_fields.enabled",
        Flag,
        Served,
    ),
    attribute("routing.http.preserve_host_header.enabled", Flag, Served),
    attribute(
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        Flag,
        Served,
    ),
    attribute("routing.http.xff_client_port.enabled", Flag, Served),
    attribute(
        "routing.http.xff_header_processing.mode",
        OneOf(&["append", "preserve", "remove"]),
        Served,
    ),
    attribute("routing.http2.enabled", Flag, Served),
    attribute("waf.fail_open.enabled", Flag, Without(&["false"])),
];

pub(super) const NETWORK: &[Attribute] = &[
    attribute(
        "dns_record.client_routing_policy",
        OneOf(&[
            "any_availability_zone",
            "partial_availability_zone_affinity",
            "availability_zone_affinity",
        ]),
        Without(&["any_availability_zone"]),
    ),
    attribute(
        "secondary_ips.auto_assigned.per_subnet",
        Number(0, 7),
        Without(&["0"]),
    ),
    attribute("tcp.idle_timeout.seconds", Number(60, 6000), Served),
];

/// Listeners of protocol HTTP and HTTPS.
pub(super) const HTTP_LISTENER: &[Attribute] = &[
    attribute(
        "routing.http.response.access_control_allow_credentials.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.access_control_allow_headers.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.access_control_allow_methods.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.access_control_allow_origin.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.access_control_expose_headers.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.access_control_max_age.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.content_security_policy.header_value",
        HeaderValue,
        Served,
    ),
    attribute("routing.http.response.server.enabled", Flag, Served),
    attribute(
        "routing.http.response.strict_transport_security.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.x_content_type_options.header_value",
        HeaderValue,
        Served,
    ),
    attribute(
        "routing.http.response.x_frame_options.header_value",
        HeaderValue,
        Served,
    ),
];

/// Listeners of protocol HTTPS.
pub(super) const HTTPS_LISTENER: &[Attribute] = &[
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert.header_name",
        HeaderName,
        Without(&[]),
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_issuer.header_name",
        HeaderName,
        Without(&[]),
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_leaf.header_name",
        HeaderName,
        Without(&[]),
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name",
        HeaderName,
        Without(&[]),
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_subject.header_name",
        HeaderName,
        Without(&[]),
    ),
    attribute(
        "routing.http.request.x_amzn_mtls_clientcert_validity.header_name",
        HeaderName,
        Without(&[]),
    ),
    attribute(
        "routing.http.request.x_amzn_tls_cipher_suite.header_name",
        HeaderName,
        Served,
    ),
    attribute(
        "routing.http.request.x_amzn_tls_version.header_name",
        HeaderName,
        Served,
    ),
];

/// Listeners of protocol TCP.
pub(super) const TCP_LISTENER: &[Attribute] = &[attribute(
    "tcp.idle_timeout.seconds",
    Number(60, 6000),
    Served,
)];

/// Target groups of both.
pub(super) const GROUP: &[Attribute] = &[
    attribute(
        "deregistration_delay.timeout_seconds",
        Number(0, 3600),
        Served,
    ),
    attribute(
        "load_balancing.cross_zone.enabled",
        OneOf(&["true", "false", "use_load_balancer_configuration"]),
        Without(&["true", "use_load_balancer_configuration"]),
    ),
    attribute("stickiness.enabled", Flag, Served),
    attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        OffOr(1, 1000),
        Without(&["1"]),
    ),
    attribute(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        OffOr(1, 100),
        Without(&["off"]),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        Number(1, 1000),
        Served,
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        OffOr(1, 100),
        Served,
    ),
];

pub(super) const APPLICATION_GROUP: &[Attribute] = &[
    // Not AWS's: no page says what an ALB does after a refused connection.
    attribute("elbow.connect_failover.enabled", Flag, Served),
    attribute(
        "lambda.multi_value_headers.enabled",
        Flag,
        Without(&["false"]),
    ),
    attribute(
        "load_balancing.algorithm.anomaly_mitigation",
        OneOf(&["on", "off"]),
        Without(&["off"]),
    ),
    attribute(
        "load_balancing.algorithm.type",
        OneOf(&[
            "round_robin",
            "least_outstanding_requests",
            "weighted_random",
        ]),
        Served,
    ),
    attribute(
        "slow_start.duration_seconds",
        ZeroOr(30, 900),
        Without(&["0"]),
    ),
    attribute("stickiness.app_cookie.cookie_name", Text, Served),
    attribute(
        "stickiness.app_cookie.duration_seconds",
        Number(1, 604_800),
        Served,
    ),
    attribute(
        "stickiness.lb_cookie.duration_seconds",
        Number(1, 604_800),
        Served,
    ),
    attribute(
        "stickiness.type",
        OneOf(&["lb_cookie", "app_cookie"]),
        Served,
    ),
    attribute("waf.http2.traffic_inspection_behavior", Text, Without(&[])),
];

pub(super) const NETWORK_GROUP: &[Attribute] = &[
    attribute(
        "deregistration_delay.connection_termination.enabled",
        Flag,
        Served,
    ),
    attribute("preserve_client_ip.enabled", Flag, Without(&["false"])),
    attribute("proxy_protocol_v2.enabled", Flag, Served),
    attribute("stickiness.type", OneOf(&["source_ip"]), Served),
    attribute(
        "target_health_state.unhealthy.connection_termination.enabled",
        Flag,
        Served,
    ),
    attribute(
        "target_health_state.unhealthy.draining_interval_seconds",
        Number(0, 360_000),
        Without(&["0"]),
    ),
];

/// Classic load balancers. The older API groups them in structures of their own
/// (`ModifyLoadBalancerAttributes`, 2012-06-01); here they are spelt as those of the other kinds.
pub(super) const CLASSIC: &[Attribute] = &[
    attribute("access_logs.s3.bucket", Text, Served),
    attribute(
        "access_logs.s3.emit_interval_minutes",
        OneOf(&["5", "60"]),
        Served,
    ),
    attribute("access_logs.s3.enabled", Flag, Without(&["false"])),
    attribute("access_logs.s3.prefix", Text, Served),
    attribute("connection_draining.enabled", Flag, Served),
    attribute(
        "connection_draining.timeout_seconds",
        Number(1, 3600),
        Served,
    ),
    attribute(
        "elb.http.desyncmitigationmode",
        OneOf(&["monitor", "defensive", "strictest"]),
        Served,
    ),
    // Not AWS's: its load balancers grow with their load.
    attribute("elbow.max_connections", Number(1, u32::MAX), Served),
    HEADER_TIMEOUT,
    HANDSHAKE_TIMEOUT,
    attribute("idle_timeout.timeout_seconds", Number(1, 3600), Served),
    attribute(
        "load_balancing.cross_zone.enabled",
        Flag,
        Without(&["true"]),
    ),
];
