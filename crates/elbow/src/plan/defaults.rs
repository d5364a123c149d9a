//! Attributes that are set to something else than AWS's default.

use std::collections::BTreeMap;

use elbow_manifest::classic::ClassicAttributes;
use elbow_manifest::stack::{self, LoadBalancer, TargetGroup};
use elbow_model::{Attribute, Protocol, Resource};

/// The attributes of a load balancer that differ from AWS's defaults.
pub(crate) fn of_load_balancer(balancer: &LoadBalancer) -> BTreeMap<String, String> {
    let resource = if balancer.kind == "network" {
        Resource::Network
    } else {
        Resource::Application
    };
    let differs = |key: &str, value: &str| !is_default(resource, key, value);
    select(balancer.load_balancer_attributes.iter().map(pair), differs)
}

/// The attributes of a listener that differ from AWS's defaults.
pub(crate) fn of_listener<'a>(
    protocol: &str,
    given: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let resource = match protocol_named(protocol) {
        Some(protocol) => Resource::of_listener(protocol),
        None => Resource::OtherListener,
    };
    let differs = |key: &str, value: &str| !is_default(resource, key, value);
    select(given, differs)
}

/// The attributes of a target group that differ from AWS's defaults.
pub(crate) fn of_target_group(group: &TargetGroup) -> BTreeMap<String, String> {
    let protocol = protocol_named(&group.protocol);
    let resource = protocol.map_or(Resource::NetworkGroup, Resource::of_target_group);
    let ends_drained = protocol.is_some_and(Protocol::has_datagrams);
    // NLB guide: UDP always keeps the client's address; TCP and TLS keep it if targets are instances.
    let keeps_client_ip =
        group.target_type == "instance" || !matches!(group.protocol.as_str(), "TCP" | "TLS");
    let differs = |key: &str, value: &str| match key {
        "preserve_client_ip.enabled" => value != keeps_client_ip.to_string(),
        "deregistration_delay.connection_termination.enabled" => value != ends_drained.to_string(),
        _ => !is_default(resource, key, value),
    };
    select(group.target_group_attributes.iter().map(pair), differs)
}

/// The attributes of a Classic load balancer that differ from AWS's defaults, by their names in
/// `ModifyLoadBalancerAttributes` of the older API.
pub(crate) fn of_classic(given: &ClassicAttributes) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    let mut set = |key: &str, value: String| attributes.insert(key.to_owned(), value);
    let differs = |key: &str, value: &str| !is_default(Resource::Classic, key, value);
    let log = &given.access_log;
    let is_logged = log.enabled.to_string();
    if differs("access_logs.s3.enabled", &is_logged) {
        set("accessLog.enabled", is_logged);
        if let Some(minutes) = &log.emit_interval {
            set("accessLog.emitInterval", minutes.to_string());
        }
        if let Some(bucket) = &log.s3_bucket_name {
            set("accessLog.s3BucketName", bucket.value.clone());
        }
        if let Some(prefix) = &log.s3_bucket_prefix {
            set("accessLog.s3BucketPrefix", prefix.value.clone());
        }
    }
    let is_drained = given.connection_draining.enabled.to_string();
    if differs("connection_draining.enabled", &is_drained) {
        set("connectionDraining.enabled", is_drained);
        set(
            "connectionDraining.timeout",
            given.connection_draining.timeout.to_string(),
        );
    }
    let idle_timeout = given.connection_settings.idle_timeout.to_string();
    if differs("idle_timeout.timeout_seconds", &idle_timeout) {
        set("connectionSettings.idleTimeout", idle_timeout);
    }
    let is_cross_zone = given.cross_zone_load_balancing.enabled.to_string();
    if differs("load_balancing.cross_zone.enabled", &is_cross_zone) {
        set("crossZoneLoadBalancing.enabled", is_cross_zone);
    }
    attributes
}

fn protocol_named(name: &str) -> Option<Protocol> {
    let mut names = Protocol::NAMES.iter();
    names.find(|(known, _)| *known == name).map(|(_, p)| *p)
}

fn is_default(resource: Resource, key: &str, value: &str) -> bool {
    Attribute::find(resource, key).is_some_and(|attribute| attribute.default == value)
}

fn pair(attribute: &stack::Attribute) -> (&str, &str) {
    (&attribute.key, &attribute.value)
}

fn select<'a>(
    given: impl Iterator<Item = (&'a str, &'a str)>,
    is_wanted: impl Fn(&str, &str) -> bool,
) -> BTreeMap<String, String> {
    given
        .filter(|(key, value)| is_wanted(key, value))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use elbow_model::{At, Origin};

    use super::*;

    fn attributes(given: &[(&str, &str)]) -> Vec<stack::Attribute> {
        let attribute = |(key, value): &(&str, &str)| stack::Attribute {
            key: (*key).to_owned(),
            value: At::new((*value).to_owned(), Origin::default()),
        };
        given.iter().map(attribute).collect()
    }

    /// Cross-zone load balancing is on by default for an ALB, off for an NLB.
    #[test]
    fn defaults_depend_on_the_load_balancer_type() {
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
    fn defaults_depend_on_the_listener_protocol() {
        let idle_timeout = [("tcp.idle_timeout.seconds", "350")];
        let of = |protocol| of_listener(protocol, idle_timeout.into_iter());
        assert_eq!(of("TCP"), BTreeMap::new());
        assert_eq!(of("HTTP").len(), 1);
        let server = |enabled| [("routing.http.response.server.enabled", enabled)].into_iter();
        assert_eq!(of_listener("HTTPS", server("true")), BTreeMap::new());
        assert_eq!(of_listener("HTTPS", server("false")).len(), 1);
    }

    /// The API reports these values for a target group that nobody configured.
    #[test]
    fn defaults_of_target_groups_are_left_out() {
        let given = attributes(&[
            ("deregistration_delay.timeout_seconds", "300"),
            (
                "deregistration_delay.connection_termination.enabled",
                "false",
            ),
            (
                "load_balancing.cross_zone.enabled",
                "use_load_balancer_configuration",
            ),
            ("preserve_client_ip.enabled", "false"),
            ("stickiness.type", "source_ip"),
        ]);
        let differs = |protocol: &str, target_type: &str| {
            let group = TargetGroup {
                protocol: At::new(protocol.to_owned(), Origin::default()),
                target_type: target_type.to_owned(),
                target_group_attributes: given.clone(),
                health_check_config: stack::HealthCheck::default(),
                ip_address_type: "ipv4".to_owned(),
                name: "pods".to_owned(),
                port: Some(80),
                protocol_version: None,
                tags: BTreeMap::new(),
                target_control_port: None,
                origin: Origin::default(),
            };
            of_target_group(&group).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(differs("TCP", "ip"), [""; 0]);
        assert_eq!(differs("TCP", "instance"), ["preserve_client_ip.enabled"]);
        assert_eq!(
            differs("UDP", "ip"),
            [
                "deregistration_delay.connection_termination.enabled",
                "preserve_client_ip.enabled"
            ]
        );
    }
}
