//! Which attributes there are. The one table: constructors check by it, typed attributes take their defaults from
//! it, and the schema of the native file is made of it.

use Requirement::{Given, NotBelow, OneOf as One};
use Resource::{
    Application, ApplicationGroup, Classic, HttpListener, HttpsListener, Network, NetworkGroup,
    TcpListener, TlsListener,
};
use Values::{
    AlwaysOn, Cidrs, Flag, HeaderName, HeaderValue, Number, OffOr, OneOf, S3Prefix, Text, ZeroOr,
};

use super::{Attribute, Requirement, Resource, Values};

const fn served(
    key: &'static str,
    of: &'static [Resource],
    values: Values,
    default: &'static str,
) -> Attribute {
    Attribute {
        key,
        of,
        values,
        default,
        served_values: None,
        requires: &[],
    }
}

/// elbow behaves as `values_served` say; another value is accepted with a warning.
const fn fixed(
    key: &'static str,
    of: &'static [Resource],
    values: Values,
    default: &'static str,
    values_served: &'static [&'static str],
) -> Attribute {
    Attribute {
        served_values: Some(values_served),
        ..served(key, of, values, default)
    }
}

impl Attribute {
    const fn requiring(self, requires: &'static [Requirement]) -> Self {
        Self { requires, ..self }
    }
}

const ALL: &[Resource] = &[Application, Network, Classic];
const APPLICATION_AND_NETWORK: &[Resource] = &[Application, Network];
const APPLICATION_AND_CLASSIC: &[Resource] = &[Application, Classic];
const HTTP_LISTENERS: &[Resource] = &[HttpListener, HttpsListener];
const GROUPS: &[Resource] = &[ApplicationGroup, NetworkGroup];

const MODES: Values = OneOf(&["monitor", "defensive", "strictest"]);

/// Logs need a bucket to go to.
const fn bucket(key: &'static str) -> Requirement {
    Given {
        unless: &["false"],
        when: None,
        key,
    }
}

/// Every attribute of every kind of resource: `ModifyLoadBalancerAttributes`, `ModifyListenerAttributes` and
/// `ModifyTargetGroupAttributes` of the ELBv2 API, `ModifyLoadBalancerAttributes` of the older one, whose structures
/// are spelt as keys here. Keys that begin with `elbow.` are not AWS's.
pub static ATTRIBUTES: &[Attribute] = &[
    // Load balancers.
    served("access_logs.s3.bucket", ALL, Text, ""),
    served(
        "access_logs.s3.emit_interval_minutes",
        &[Classic],
        OneOf(&["5", "60"]),
        "60",
    ),
    served("access_logs.s3.enabled", ALL, Flag, "false")
        .requiring(&[bucket("access_logs.s3.bucket")]),
    served("access_logs.s3.prefix", ALL, S3Prefix, ""),
    served(
        "client_keep_alive.seconds",
        &[Application],
        Number(60, 604_800),
        "3600",
    ),
    served("connection_draining.enabled", &[Classic], Flag, "false"),
    served(
        "connection_draining.timeout_seconds",
        &[Classic],
        Number(1, 3600),
        "300",
    ),
    served("connection_logs.s3.bucket", &[Application], Text, ""),
    served("connection_logs.s3.enabled", &[Application], Flag, "false")
        .requiring(&[bucket("connection_logs.s3.bucket")]),
    served("connection_logs.s3.prefix", &[Application], S3Prefix, ""),
    fixed(
        "deletion_protection.enabled",
        APPLICATION_AND_NETWORK,
        Flag,
        "false",
        &["false"],
    ),
    served(
        "dns_record.client_routing_policy",
        &[Network],
        OneOf(&[
            "any_availability_zone",
            "partial_availability_zone_affinity",
            "availability_zone_affinity",
        ]),
        "any_availability_zone",
    ),
    // No page of AWS's says how much clocks may differ.
    served(
        "elbow.authentication.clock_skew.seconds",
        &[Application],
        Number(0, 600),
        "30",
    ),
    // No page of AWS's says by which method its load balancers show the secret of a client.
    served(
        "elbow.authentication.token_endpoint_method",
        &[Application],
        OneOf(&["client_secret_basic", "client_secret_post"]),
        "client_secret_basic",
    ),
    // AWS's pass none (parity 1.11).
    served(
        "elbow.interim_responses.enabled",
        &[Application],
        Flag,
        "false",
    ),
    // AWS's is 5 minutes; access_logs.s3.emit_interval_minutes of a Classic one.
    served("elbow.log_interval.seconds", ALL, Number(1, 3600), ""),
    // AWS's load balancers grow with their load instead.
    served("elbow.max_connections", ALL, Number(1, u32::MAX), ""),
    // AWS's listeners take no header of a proxy in front of them (NLB guide: proxy protocol).
    served(TRUSTED_PROXIES, &[Classic], Cidrs, ""),
    served(
        "elbow.request_header_timeout.seconds",
        APPLICATION_AND_CLASSIC,
        Number(1, 4000),
        "60",
    ),
    served(
        "elbow.tls_handshake_timeout.seconds",
        ALL,
        Number(1, 600),
        "10",
    ),
    // AWS's drop those of chunked bodies (parity 1.11).
    served("elbow.trailers.enabled", &[Application], Flag, "false"),
    served(
        "elb.http.desyncmitigationmode",
        &[Classic],
        MODES,
        "defensive",
    ),
    served("health_check_logs.s3.bucket", &[Application], Text, ""),
    served(
        "health_check_logs.s3.enabled",
        &[Application],
        Flag,
        "false",
    )
    .requiring(&[bucket("health_check_logs.s3.bucket")]),
    served("health_check_logs.s3.prefix", &[Application], S3Prefix, ""),
    served(
        "idle_timeout.timeout_seconds",
        &[Application],
        Number(1, 4000),
        "60",
    ),
    served(
        "idle_timeout.timeout_seconds",
        &[Classic],
        Number(1, 3600),
        "60",
    ),
    fixed(
        "ipv6.deny_all_igw_traffic",
        APPLICATION_AND_NETWORK,
        Flag,
        "",
        &[],
    ),
    served(CROSS_ZONE, &[Application], AlwaysOn, "true"),
    served(CROSS_ZONE, &[Network], Flag, "false"),
    fixed(CROSS_ZONE, &[Classic], Flag, "false", &["true"]),
    served(
        "routing.http.desync_mitigation_mode",
        &[Application],
        MODES,
        "defensive",
    ),
    served(
        "routing.http.drop_invalid_header_fields.enabled",
        &[Application],
        Flag,
        "false",
    ),
    served(
        "routing.http.preserve_host_header.enabled",
        &[Application],
        Flag,
        "false",
    ),
    served(
        "routing.http.x_amzn_tls_kx.enabled",
        &[Application],
        Flag,
        "false",
    ),
    served(
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        &[Application],
        Flag,
        "false",
    ),
    served(
        "routing.http.xff_client_port.enabled",
        &[Application],
        Flag,
        "false",
    ),
    served(
        "routing.http.xff_header_processing.mode",
        &[Application],
        OneOf(&["append", "preserve", "remove"]),
        "append",
    ),
    served("routing.http2.enabled", &[Application], Flag, "true"),
    fixed(
        "secondary_ips.auto_assigned.per_subnet",
        &[Network],
        Number(0, 7),
        "0",
        &["0"],
    ),
    served(
        "tcp.idle_timeout.seconds",
        &[Network],
        Number(60, 6000),
        "350",
    ),
    fixed(
        "waf.fail_open.enabled",
        &[Application],
        Flag,
        "false",
        &["false"],
    ),
    fixed(
        "zonal_shift.config.enabled",
        APPLICATION_AND_NETWORK,
        Flag,
        "false",
        &["false"],
    ),
    // Listeners.
    served(
        TRUSTED_PROXIES,
        &[HttpListener, HttpsListener, TcpListener, TlsListener],
        Cidrs,
        "",
    ),
    served(
        "tcp.idle_timeout.seconds",
        &[TcpListener],
        Number(60, 6000),
        "350",
    ),
    response("routing.http.response.access_control_allow_credentials.header_value"),
    response("routing.http.response.access_control_allow_headers.header_value"),
    response("routing.http.response.access_control_allow_methods.header_value"),
    response("routing.http.response.access_control_allow_origin.header_value"),
    response("routing.http.response.access_control_expose_headers.header_value"),
    response("routing.http.response.access_control_max_age.header_value"),
    response("routing.http.response.content_security_policy.header_value"),
    served(
        "routing.http.response.server.enabled",
        HTTP_LISTENERS,
        Flag,
        "true",
    ),
    response("routing.http.response.strict_transport_security.header_value"),
    response("routing.http.response.x_content_type_options.header_value"),
    response("routing.http.response.x_frame_options.header_value"),
    request("routing.http.request.x_amzn_mtls_clientcert.header_name"),
    request("routing.http.request.x_amzn_mtls_clientcert_issuer.header_name"),
    request("routing.http.request.x_amzn_mtls_clientcert_leaf.header_name"),
    request("routing.http.request.x_amzn_mtls_clientcert_serial_number.header_name"),
    request("routing.http.request.x_amzn_mtls_clientcert_subject.header_name"),
    request("routing.http.request.x_amzn_mtls_clientcert_validity.header_name"),
    request("routing.http.request.x_amzn_tls_cipher_suite.header_name"),
    request("routing.http.request.x_amzn_tls_version.header_name"),
    // Target groups.
    // The default depends on the protocol.
    served(
        "deregistration_delay.connection_termination.enabled",
        &[NetworkGroup],
        Flag,
        "",
    ),
    served(
        "deregistration_delay.timeout_seconds",
        GROUPS,
        Number(0, 3600),
        "300",
    ),
    // No page of AWS's says what an ALB does after a refused connection.
    served(
        "elbow.connect_failover.enabled",
        &[ApplicationGroup],
        Flag,
        "true",
    ),
    // HTTPS checks of an NLB cannot use targets with TLS 1.3 alone (NLB guide: health checks).
    served(
        "elbow.health_check_tls13.enabled",
        &[NetworkGroup],
        Flag,
        "false",
    ),
    // AWS's NLB has passive health checks, and no page of AWS's says what they count.
    served(PASSIVE, &[NetworkGroup], Number(1, 100), "").requiring(&[One {
        unless: &[""],
        key: STICKINESS,
        values: &["false"],
    }]),
    fixed(
        "lambda.multi_value_headers.enabled",
        &[ApplicationGroup],
        Flag,
        "false",
        &["false"],
    ),
    served(
        "load_balancing.algorithm.anomaly_mitigation",
        &[ApplicationGroup],
        OneOf(&["on", "off"]),
        "off",
    )
    .requiring(&[One {
        unless: &["off"],
        key: ALGORITHM,
        values: &["weighted_random"],
    }]),
    served(
        ALGORITHM,
        &[ApplicationGroup],
        OneOf(&[
            "round_robin",
            "least_outstanding_requests",
            "weighted_random",
        ]),
        "round_robin",
    ),
    served(
        CROSS_ZONE,
        GROUPS,
        OneOf(&["true", "false", "use_load_balancer_configuration"]),
        "use_load_balancer_configuration",
    ),
    served("preserve_client_ip.enabled", &[NetworkGroup], Flag, ""),
    // AWS's default is said to be on_first_ack_with_payload, by which protocols whose servers speak first fail; no page of
    // AWS's says so.
    served(
        "proxy_protocol_v2.client_to_server.header_placement",
        &[NetworkGroup],
        OneOf(&["on_first_ack", "on_first_ack_with_payload"]),
        "on_first_ack",
    ),
    served("proxy_protocol_v2.enabled", &[NetworkGroup], Flag, "false"),
    served(
        "elbow.proxy_protocol_v2.vpc_endpoint_id",
        &[NetworkGroup],
        Text,
        "",
    ),
    // It has an effect on groups of HTTP2 and GRPC alone (ELBv2 API: TargetGroupAttribute).
    served(
        "routing.http2.rst_stream_error_forwarding.enabled",
        &[ApplicationGroup],
        Flag,
        "false",
    ),
    served(
        "slow_start.duration_seconds",
        &[ApplicationGroup],
        ZeroOr(30, 900),
        "0",
    )
    .requiring(&[One {
        unless: &["0"],
        key: ALGORITHM,
        values: &["round_robin"],
    }]),
    served(
        "stickiness.app_cookie.cookie_name",
        &[ApplicationGroup],
        Values::CookieName,
        "",
    ),
    served(
        "stickiness.app_cookie.duration_seconds",
        &[ApplicationGroup],
        Number(1, 604_800),
        "86400",
    ),
    served(STICKINESS, &[ApplicationGroup], Flag, "false").requiring(&[
        One {
            unless: &["false"],
            key: ALGORITHM,
            values: &["round_robin", "least_outstanding_requests"],
        },
        One {
            unless: &["false"],
            key: CROSS_ZONE,
            values: &["true", "use_load_balancer_configuration"],
        },
        Given {
            unless: &["false"],
            when: Some(("stickiness.type", "app_cookie")),
            key: "stickiness.app_cookie.cookie_name",
        },
    ]),
    served(STICKINESS, &[NetworkGroup], Flag, "false"),
    served(
        "stickiness.lb_cookie.duration_seconds",
        &[ApplicationGroup],
        Number(1, 604_800),
        "86400",
    ),
    served(
        "stickiness.type",
        &[ApplicationGroup],
        OneOf(&["lb_cookie", "app_cookie"]),
        "lb_cookie",
    ),
    served(
        "stickiness.type",
        &[NetworkGroup],
        OneOf(&["source_ip"]),
        "source_ip",
    ),
    served(
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        GROUPS,
        OffOr(1, 1000),
        "1",
    )
    .requiring(&[NotBelow {
        key: "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
    }]),
    served(
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        GROUPS,
        OffOr(1, 100),
        "off",
    )
    .requiring(&[NotBelow {
        key: "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
    }]),
    served(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        GROUPS,
        Number(1, 1000),
        "1",
    ),
    served(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        GROUPS,
        OffOr(1, 100),
        "off",
    ),
    served(
        "target_health_state.unhealthy.connection_termination.enabled",
        &[NetworkGroup],
        Flag,
        "true",
    ),
    served(
        "target_health_state.unhealthy.draining_interval_seconds",
        &[NetworkGroup],
        Number(0, 360_000),
        "0",
    )
    .requiring(&[One {
        unless: &["0"],
        key: "target_health_state.unhealthy.connection_termination.enabled",
        values: &["false"],
    }]),
    fixed(
        "waf.http2.traffic_inspection_behavior",
        &[ApplicationGroup],
        Text,
        "",
        &[],
    ),
];

const ALGORITHM: &str = "load_balancing.algorithm.type";
const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const PASSIVE: &str = "elbow.passive_health_checks.failures";
const STICKINESS: &str = "stickiness.enabled";
const TRUSTED_PROXIES: &str = "elbow.proxy_protocol.trusted_cidrs";

/// A header that is put on responses.
const fn response(key: &'static str) -> Attribute {
    served(key, HTTP_LISTENERS, HeaderValue, "")
}

/// The name of a header that tells a target about the TLS connection of its client.
const fn request(key: &'static str) -> Attribute {
    served(key, &[HttpsListener], HeaderName, "")
}
