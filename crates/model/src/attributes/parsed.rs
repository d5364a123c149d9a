//! What attributes mean, from their texts.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::AttributesSpec;
use super::{
    Attribute, AuthenticationSettings, ClientCertificateHeaders, ClientRoutingPolicy,
    DesyncMitigationMode, ListenerAttributes, LoadBalancerAttributes, LogDelivery, MinimumHealthy,
    ProxyHeaderPlacement, ProxyProtocol, Resource, Stickiness, TargetGroupAttributes,
    XffHeaderProcessingMode,
};
use crate::{Algorithm, Protocol, Sources};

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

const PROXY_HEADER_PLACEMENT: &str = "proxy_protocol_v2.client_to_server.header_placement";
const ANOMALY_MITIGATION: &str = "load_balancing.algorithm.anomaly_mitigation";

/// Valid attributes of one resource, with the defaults of the table for those that were not given.
struct Texts<'a> {
    of: Resource,
    given: &'a AttributesSpec,
}

impl Texts<'_> {
    /// Empty where nothing is given and there is no default.
    fn text(&self, key: &str) -> &str {
        let default = || Attribute::of_family(self.of, key).map_or("", |a| a.default);
        self.given.get(key).map_or_else(default, String::as_str)
    }

    fn flag(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    /// `None` where the text is empty or `off`.
    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key).parse().ok()
    }

    fn seconds(&self, key: &str) -> Duration {
        Duration::from_secs(self.number(key).unwrap_or_default())
    }

    /// `None` where the text is 0.
    fn some_seconds(&self, key: &str) -> Option<Duration> {
        Some(self.seconds(key)).filter(|duration| !duration.is_zero())
    }

    /// Where the log called `log` goes, if it is enabled.
    fn log(&self, log: &str) -> Option<LogDelivery> {
        let text = |part: &str| self.text(&format!("{log}.s3.{part}"));
        (text("enabled") == "true").then(|| LogDelivery {
            bucket: text("bucket").into(),
            prefix: text("prefix").into(),
        })
    }

    /// What `target_group_health.NAME.*` say.
    fn minimum_healthy(&self, name: &str) -> MinimumHealthy {
        let number = |part: &str| {
            self.number(&format!(
                "target_group_health.{name}.minimum_healthy_targets.{part}"
            ))
        };
        MinimumHealthy {
            count: number("count").unwrap_or_default(),
            percentage: number("percentage").unwrap_or_default(),
        }
    }

    /// How much time a file of a log covers.
    fn log_interval(&self) -> Duration {
        let minutes = self.number("access_logs.s3.emit_interval_minutes");
        let seconds = minutes
            .filter(|_| self.of == Resource::Classic)
            .unwrap_or(5)
            * 60;
        Duration::from_secs(self.number("elbow.log_interval.seconds").unwrap_or(seconds))
    }

    fn client_certificate_headers(&self) -> ClientCertificateHeaders {
        let name = |field: &str| {
            self.name(&format!(
                "routing.http.request.x_amzn_mtls_clientcert{field}.header_name"
            ))
        };
        ClientCertificateHeaders {
            chain: name(""),
            leaf: name("_leaf"),
            subject: name("_subject"),
            issuer: name("_issuer"),
            serial_number: name("_serial_number"),
            validity: name("_validity"),
        }
    }

    /// What `elbow.proxy_protocol.trusted_cidrs` lists.
    fn trusted_proxies(&self) -> Option<Sources> {
        let blocks = self.text("elbow.proxy_protocol.trusted_cidrs").split(',');
        let blocks: Vec<IpNet> = blocks.filter_map(|one| one.trim().parse().ok()).collect();
        (!blocks.is_empty()).then(|| Sources::new(blocks))
    }

    fn name(&self, key: &str) -> Option<Arc<str>> {
        let text = self.text(key);
        (!text.is_empty()).then(|| text.into())
    }
}

impl ListenerAttributes {
    pub(super) fn of(of: Resource, raw: AttributesSpec) -> Self {
        let texts = Texts { of, given: &raw };
        let response = |(key, name): &(&str, &'static str)| {
            let value = texts.name(&format!("routing.http.response.{key}.header_value"))?;
            Some((*name, value))
        };
        Self {
            // A listener without its own has that of its load balancer.
            tcp_idle_timeout: raw
                .contains_key("tcp.idle_timeout.seconds")
                .then(|| texts.seconds("tcp.idle_timeout.seconds")),
            response_headers: RESPONSE_HEADERS.iter().filter_map(response).collect(),
            hides_server: !texts.flag("routing.http.response.server.enabled"),
            tls_version_header: texts.name("routing.http.request.x_amzn_tls_version.header_name"),
            tls_cipher_header: texts
                .name("routing.http.request.x_amzn_tls_cipher_suite.header_name"),
            client_certificate_headers: texts.client_certificate_headers(),
            trusted_proxies: texts.trusted_proxies(),
            raw,
        }
    }
}

impl LoadBalancerAttributes {
    pub(super) fn of(of: Resource, raw: AttributesSpec) -> Self {
        let texts = Texts { of, given: &raw };
        let mode = match of {
            Resource::Classic => texts.text("elb.http.desyncmitigationmode"),
            _ => texts.text("routing.http.desync_mitigation_mode"),
        };
        let is_draining = texts.flag("connection_draining.enabled");
        Self {
            idle_timeout: texts.seconds("idle_timeout.timeout_seconds"),
            client_keep_alive: texts.seconds("client_keep_alive.seconds"),
            request_header_timeout: texts.seconds("elbow.request_header_timeout.seconds"),
            tls_handshake_timeout: texts.seconds("elbow.tls_handshake_timeout.seconds"),
            desync_mitigation_mode: match mode {
                "monitor" => DesyncMitigationMode::Monitor,
                "strictest" => DesyncMitigationMode::Strictest,
                _ => DesyncMitigationMode::Defensive,
            },
            drop_invalid_header_fields: texts
                .flag("routing.http.drop_invalid_header_fields.enabled"),
            preserve_host_header: texts.flag("routing.http.preserve_host_header.enabled"),
            xff_client_port: texts.flag("routing.http.xff_client_port.enabled"),
            xff_header_processing_mode: match texts.text("routing.http.xff_header_processing.mode")
            {
                "preserve" => XffHeaderProcessingMode::Preserve,
                "remove" => XffHeaderProcessingMode::Remove,
                _ => XffHeaderProcessingMode::Append,
            },
            http2_enabled: texts.flag("routing.http2.enabled"),
            tls_version_and_cipher_headers: texts
                .flag("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
            tls_key_exchange_header: texts.flag("routing.http.x_amzn_tls_kx.enabled"),
            tcp_idle_timeout: texts.seconds("tcp.idle_timeout.seconds"),
            authentication: AuthenticationSettings {
                clock_skew: texts.seconds("elbow.authentication.clock_skew.seconds"),
                posts_secret: texts.text("elbow.authentication.token_endpoint_method")
                    == "client_secret_post",
            },
            passes_interim_responses: texts.flag("elbow.interim_responses.enabled"),
            passes_trailers: texts.flag("elbow.trailers.enabled"),
            access_log: texts.log("access_logs"),
            connection_log: texts.log("connection_logs"),
            health_check_log: texts.log("health_check_logs"),
            log_interval: texts.log_interval(),
            client_routing_policy: match texts.text("dns_record.client_routing_policy") {
                "partial_availability_zone_affinity" => {
                    ClientRoutingPolicy::PartialAvailabilityZoneAffinity
                }
                "availability_zone_affinity" => ClientRoutingPolicy::AvailabilityZoneAffinity,
                _ => ClientRoutingPolicy::AnyAvailabilityZone,
            },
            cross_zone: texts.flag("load_balancing.cross_zone.enabled"),
            max_connections: texts.number("elbow.max_connections"),
            trusted_proxies: texts.trusted_proxies(),
            connection_draining: is_draining
                .then(|| texts.seconds("connection_draining.timeout_seconds")),
            raw,
        }
    }
}

impl TargetGroupAttributes {
    pub(super) fn of(protocol: Protocol, raw: AttributesSpec) -> Self {
        let of = Resource::of_target_group(protocol);
        let texts = Texts { of, given: &raw };
        let ends_drained = "deregistration_delay.connection_termination.enabled";
        Self {
            deregistration_delay: texts.seconds("deregistration_delay.timeout_seconds"),
            algorithm: match texts.text("load_balancing.algorithm.type") {
                "least_outstanding_requests" => Algorithm::LeastOutstandingRequests,
                "weighted_random" => Algorithm::WeightedRandom,
                _ => Algorithm::RoundRobin,
            },
            slow_start: texts.some_seconds("slow_start.duration_seconds"),
            anomaly_mitigation: texts.text(ANOMALY_MITIGATION) == "on",
            cross_zone: match texts.text("load_balancing.cross_zone.enabled") {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            minimum_healthy: texts.minimum_healthy("unhealthy_state_routing"),
            dns_failover: texts.minimum_healthy("dns_failover"),
            stickiness: texts.flag("stickiness.enabled").then(|| stickiness(&texts)),
            connect_failover: texts.flag("elbow.connect_failover.enabled"),
            forwards_stream_resets: texts.flag("routing.http2.rst_stream_error_forwarding.enabled"),
            deregistration_connection_termination: match texts.text(ends_drained) {
                "" => protocol.has_datagrams(),
                given => given == "true",
            },
            unhealthy_connection_termination: texts
                .flag("target_health_state.unhealthy.connection_termination.enabled"),
            preserve_client_ip: match texts.text("preserve_client_ip.enabled") {
                "" => None,
                text => Some(text == "true"),
            },
            unhealthy_draining_interval: texts
                .some_seconds("target_health_state.unhealthy.draining_interval_seconds"),
            passive_failures: texts.number("elbow.passive_health_checks.failures"),
            proxy_protocol: texts
                .flag("proxy_protocol_v2.enabled")
                .then_some(ProxyProtocol::V2),
            proxy_header_placement: match texts.text(PROXY_HEADER_PLACEMENT) {
                "on_first_ack_with_payload" => ProxyHeaderPlacement::OnFirstAckWithPayload,
                _ => ProxyHeaderPlacement::OnFirstAck,
            },
            vpc_endpoint_id: match texts.text("elbow.proxy_protocol_v2.vpc_endpoint_id") {
                "" => None,
                id => Some(id.into()),
            },
            health_check_tls13: of != Resource::NetworkGroup
                || texts.flag("elbow.health_check_tls13.enabled"),
            raw,
        }
    }
}

fn stickiness(texts: &Texts<'_>) -> Stickiness {
    match texts.text("stickiness.type") {
        "source_ip" => Stickiness::SourceIp,
        "app_cookie" => Stickiness::ApplicationCookie {
            name: texts.text("stickiness.app_cookie.cookie_name").into(),
            duration: texts.seconds("stickiness.app_cookie.duration_seconds"),
        },
        _ => Stickiness::LoadBalancerCookie {
            duration: texts.seconds("stickiness.lb_cookie.duration_seconds"),
        },
    }
}
