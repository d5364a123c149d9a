//! What AWS sets where nothing is said: the defaults of `LoadBalancerAttribute`, `ListenerAttribute` and
//! `TargetGroupAttribute` in the ELBv2 API reference.

use std::collections::BTreeMap;

use elbow_manifest::classic::ClassicAttributes;
use elbow_manifest::stack::{Attribute, LoadBalancer, TargetGroup};

const BOTH: &[(&str, &str)] = &[
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];

const APPLICATION: &[(&str, &str)] = &[
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.enabled", "false"),
    ("health_check_logs.s3.enabled", "false"),
    ("idle_timeout.timeout_seconds", "60"),
    ("load_balancing.cross_zone.enabled", "true"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled",
        "false",
    ),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
];

const NETWORK: &[(&str, &str)] = &[
    ("dns_record.client_routing_policy", "any_availability_zone"),
    ("load_balancing.cross_zone.enabled", "false"),
];

const LISTENER: &[(&str, &str)] = &[
    ("routing.http.response.server.enabled", "true"),
    ("tcp.idle_timeout.seconds", "350"),
];

const TARGET_GROUP: &[(&str, &str)] = &[
    (
        "deregistration_delay.connection_termination.enabled",
        "false",
    ),
    ("deregistration_delay.timeout_seconds", "300"),
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    (
        "load_balancing.cross_zone.enabled",
        "use_load_balancer_configuration",
    ),
    ("proxy_protocol_v2.enabled", "false"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.dns_failover.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count",
        "1",
    ),
    (
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        "off",
    ),
    (
        "target_health_state.unhealthy.connection_termination.enabled",
        "true",
    ),
    (
        "target_health_state.unhealthy.draining_interval_seconds",
        "0",
    ),
];

/// The attributes of a load balancer that are not as AWS has them.
pub(crate) fn of_load_balancer(balancer: &LoadBalancer) -> BTreeMap<String, String> {
    let own = if balancer.kind == "network" {
        NETWORK
    } else {
        APPLICATION
    };
    let said = balancer.load_balancer_attributes.iter().map(pair);
    besides(said, &[BOTH, own])
}

/// The attributes of a listener that are not as AWS has them.
pub(crate) fn of_listener<'a>(
    said: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    besides(said, &[LISTENER])
}

/// The attributes of a target group that are not as AWS has them.
pub(crate) fn of_target_group(group: &TargetGroup) -> BTreeMap<String, String> {
    let layer7 = matches!(&*group.protocol, "HTTP" | "HTTPS");
    // NLB guide: UDP always keeps the client's address, TCP and TLS for targets that are instances.
    let keeps = group.target_type == "instance" || !matches!(&*group.protocol, "TCP" | "TLS");
    let own = [
        (
            "stickiness.type",
            if layer7 { "lb_cookie" } else { "source_ip" },
        ),
        (
            "preserve_client_ip.enabled",
            if keeps { "true" } else { "false" },
        ),
    ];
    let said = group.target_group_attributes.iter().map(pair);
    besides(said, &[TARGET_GROUP, &own])
}

/// The attributes of a Classic load balancer that are not as ELB has them, by their names in
/// `ModifyLoadBalancerAttributes`: no access log, no draining, 60 seconds idle, each zone by itself.
pub(crate) fn of_classic(said: &ClassicAttributes) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut set = |key: &str, value: String| attributes.insert(key.to_owned(), value);
    let log = &said.access_log;
    if log.enabled {
        set("accessLog.enabled", "true".to_owned());
        if let Some(minutes) = log.emit_interval {
            set("accessLog.emitInterval", minutes.to_string());
        }
        if let Some(bucket) = &log.s3_bucket_name {
            set("accessLog.s3BucketName", bucket.clone());
        }
        if let Some(prefix) = &log.s3_bucket_prefix {
            set("accessLog.s3BucketPrefix", prefix.clone());
        }
    }
    if said.connection_draining.enabled {
        set("connectionDraining.enabled", "true".to_owned());
        set(
            "connectionDraining.timeout",
            said.connection_draining.timeout.to_string(),
        );
    }
    if said.connection_settings.idle_timeout != 60 {
        let seconds = said.connection_settings.idle_timeout.to_string();
        set("connectionSettings.idleTimeout", seconds);
    }
    if said.cross_zone_load_balancing.enabled {
        set("crossZoneLoadBalancing.enabled", "true".to_owned());
    }
    attributes
}

fn pair(attribute: &Attribute) -> (&str, &str) {
    (&attribute.key, &attribute.value)
}

fn besides<'a>(
    said: impl Iterator<Item = (&'a str, &'a str)>,
    defaults: &[&[(&str, &str)]],
) -> BTreeMap<String, String> {
    let is_default = |said: &(&str, &str)| defaults.iter().any(|table| table.contains(said));
    said.filter(|said| !is_default(said))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(said: &[(&str, &str)]) -> Vec<Attribute> {
        let attribute = |(key, value): &(&str, &str)| Attribute {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
        };
        said.iter().map(attribute).collect()
    }

    /// Cross-zone load balancing is on for an ALB and off for an NLB where nothing is said.
    #[test]
    fn what_differs_depends_on_the_type() {
        let balancer = |kind| LoadBalancer {
            kind,
            load_balancer_attributes: attributes(&[
                ("load_balancing.cross_zone.enabled", "true"),
                ("deletion_protection.enabled", "false"),
            ]),
            ..LoadBalancer::default()
        };
        assert_eq!(of_load_balancer(&balancer("application")), BTreeMap::new());
        let differs = of_load_balancer(&balancer("network"));
        assert_eq!(
            differs.into_keys().collect::<Vec<_>>(),
            ["load_balancing.cross_zone.enabled"]
        );
    }

    #[test]
    fn a_listener_by_its_own_table() {
        let said = [
            ("tcp.idle_timeout.seconds", "350"),
            ("routing.http.response.server.enabled", "false"),
        ];
        let differs = of_listener(said.into_iter());
        assert_eq!(
            differs.into_keys().collect::<Vec<_>>(),
            ["routing.http.response.server.enabled"]
        );
    }
}
