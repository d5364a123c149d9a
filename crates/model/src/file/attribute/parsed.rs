//! What attributes mean, from their texts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::item::Item;
use crate::{
    Algorithm, DesyncMitigationMode, ListenerAttributes, LoadBalancerAttributes, ProxyProtocol,
    Stickiness, TargetGroupAttributes, XffHeaderProcessingMode,
};

/// `routing.http.response.KEY.header_value` and the field that it is the value of.
const RESPONSE_HEADERS: &[(&str, &str)] = &[
    (
        "access_control_allow_credentials",
        "Access-Control-Allow-Credentials",
    ),
    (
        "access_control_allow_headers",
        "Access-Control-Allow-Headers",
    ),
    (
        "access_control_allow_methods",
        "Access-Control-Allow-Methods",
    ),
    ("access_control_allow_origin", "Access-Control-Allow-Origin"),
    (
        "access_control_expose_headers",
        "Access-Control-Expose-Headers",
    ),
    ("access_control_max_age", "Access-Control-Max-Age"),
    ("content_security_policy", "Content-Security-Policy"),
    ("strict_transport_security", "Strict-Transport-Security"),
    ("x_content_type_options", "X-Content-Type-Options"),
    ("x_frame_options", "X-Frame-Options"),
];

/// `stickiness.*_cookie.duration_seconds` (API: TargetGroupAttribute).
const DURATION: Duration = Duration::from_secs(86_400);

/// Names that belong to cookies of the load balancer.
const RESERVED_COOKIES: &[&str] = &["AWSALB", "AWSALBAPP", "AWSALBTG"];

impl ListenerAttributes {
    /// From values that were checked.
    pub(super) fn from_raw(raw: BTreeMap<String, String>) -> Self {
        let text = |key: &str| raw.get(key).filter(|text| !text.is_empty());
        let name = |key: &str| {
            text(&format!("routing.http.request.{key}.header_name")).map(|name| name[..].into())
        };
        let header = |(key, name): &(&str, &'static str)| {
            let value = text(&format!("routing.http.response.{key}.header_value"))?;
            Some((*name, Arc::from(&value[..])))
        };
        Self {
            tcp_idle_timeout: text("tcp.idle_timeout.seconds")
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
            response_headers: RESPONSE_HEADERS.iter().filter_map(header).collect(),
            hides_server: text("routing.http.response.server.enabled")
                .is_some_and(|text| text == "false"),
            tls_version_header: name("x_amzn_tls_version"),
            tls_cipher_header: name("x_amzn_tls_cipher_suite"),
            raw,
        }
    }
}

fn stickiness(raw: &BTreeMap<String, String>) -> Stickiness {
    let duration = |kind: &str| {
        raw.get(&format!("stickiness.{kind}.duration_seconds"))
            .and_then(|text| text.parse().ok())
            .map_or(DURATION, Duration::from_secs)
    };
    match raw.get("stickiness.type").map(|text| &text[..]) {
        Some("source_ip") => Stickiness::SourceIp,
        Some("app_cookie") => Stickiness::ApplicationCookie {
            name: raw
                .get("stickiness.app_cookie.cookie_name")
                .map(|name| name[..].into())
                .unwrap_or_default(),
            duration: duration("app_cookie"),
        },
        _ => Stickiness::LoadBalancerCookie {
            duration: duration("lb_cookie"),
        },
    }
}

/// What AWS refuses of stickiness (ALB guide: sticky sessions, edit target group attributes).
pub(super) fn check_stickiness(item: &Item<'_>, attributes: &TargetGroupAttributes) {
    let Some(stickiness) = &attributes.stickiness else {
        return;
    };
    if attributes.algorithm == Algorithm::WeightedRandom {
        item.error(
            "invalid-combination",
            "a group with load_balancing.algorithm.type weighted_random cannot be sticky",
        );
    }
    let Stickiness::ApplicationCookie { name, .. } = stickiness else {
        return;
    };
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() {
        item.error(
            "missing-field",
            "stickiness.type app_cookie needs stickiness.app_cookie.cookie_name",
        );
    } else if !name.bytes().all(is_token) || RESERVED_COOKIES.iter().any(|r| name.starts_with(r)) {
        item.error_with(
            "invalid-cookie",
            format!("{name:?} cannot be the name of a target's cookie"),
            "names from AWSALB on belong to the load balancer".to_owned(),
        );
    }
}

impl LoadBalancerAttributes {
    /// From values that were checked; others keep their defaults.
    pub(super) fn from_raw(raw: BTreeMap<String, String>) -> Self {
        let mut all = Self::default();
        let draining = raw
            .get("connection_draining.enabled")
            .is_some_and(|value| value == "true");
        // The API's default (`ConnectionDraining`, Timeout).
        all.connection_draining = draining.then_some(Duration::from_secs(300));
        for (key, value) in &raw {
            let on = value == "true";
            let seconds = || value.parse().map(Duration::from_secs);
            match &key[..] {
                "idle_timeout.timeout_seconds" => {
                    all.idle_timeout = seconds().unwrap_or(all.idle_timeout);
                }
                "client_keep_alive.seconds" => {
                    all.client_keep_alive = seconds().unwrap_or(all.client_keep_alive);
                }
                "elbow.request_header_timeout.seconds" => {
                    all.request_header_timeout = seconds().unwrap_or(all.request_header_timeout);
                }
                "elbow.tls_handshake_timeout.seconds" => {
                    all.tls_handshake_timeout = seconds().unwrap_or(all.tls_handshake_timeout);
                }
                "tcp.idle_timeout.seconds" => {
                    all.tcp_idle_timeout = seconds().unwrap_or(all.tcp_idle_timeout);
                }
                "elbow.max_connections" => all.max_connections = value.parse().ok(),
                "connection_draining.timeout_seconds" if draining => {
                    all.connection_draining = seconds().ok();
                }
                "routing.http.desync_mitigation_mode" | "elb.http.desyncmitigationmode" => {
                    all.desync_mitigation_mode = match &value[..] {
                        "monitor" => DesyncMitigationMode::Monitor,
                        "strictest" => DesyncMitigationMode::Strictest,
                        _ => DesyncMitigationMode::Defensive,
                    };
                }
                "routing.http.xff_header_processing.mode" => {
                    all.xff_header_processing_mode = match &value[..] {
                        "preserve" => XffHeaderProcessingMode::Preserve,
                        "remove" => XffHeaderProcessingMode::Remove,
                        _ => XffHeaderProcessingMode::Append,
                    };
                }
                "routing.http.drop_invalid_header_fields.enabled" => {
                    all.drop_invalid_header_fields = on;
                }
                "routing.http.preserve_host_header.enabled" => all.preserve_host_header = on,
                "routing.http.xff_client_port.enabled" => all.xff_client_port = on,
                "routing.http2.enabled" => all.http2_enabled = on,
                "routing.http.x_amzn_tls_version_and_cipher_suite.enabled" => {
                    all.tls_version_and_cipher_headers = on;
                }
                _ => {}
            }
        }
        Self { raw, ..all }
    }
}

impl TargetGroupAttributes {
    /// From values that were checked; others keep their defaults.
    pub(super) fn from_raw(raw: BTreeMap<String, String>) -> Self {
        let mut all = Self::default();
        for (key, value) in &raw {
            let on = value == "true";
            match &key[..] {
                "deregistration_delay.timeout_seconds" => {
                    all.deregistration_delay = value
                        .parse()
                        .map_or(all.deregistration_delay, Duration::from_secs);
                }
                "load_balancing.algorithm.type" => {
                    all.algorithm = match &value[..] {
                        "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
                        "weighted_random" => Algorithm::WeightedRandom,
                        _ => Algorithm::RoundRobin,
                    };
                }
                "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count" => {
                    all.minimum_healthy.count = value.parse().unwrap_or(1);
                }
                "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage" => {
                    // `off` is no number.
                    all.minimum_healthy.percentage = value.parse().unwrap_or(0);
                }
                "stickiness.enabled" if on => all.stickiness = Some(stickiness(&raw)),
                "elbow.connect_failover.enabled" => all.connect_failover = on,
                "deregistration_delay.connection_termination.enabled" => {
                    all.deregistration_connection_termination = on;
                }
                "proxy_protocol_v2.enabled" => {
                    all.proxy_protocol = on.then_some(ProxyProtocol::V2);
                }
                "target_health_state.unhealthy.connection_termination.enabled" => {
                    all.unhealthy_connection_termination = on;
                }
                _ => {}
            }
        }
        Self { raw, ..all }
    }
}
