//! Attributes by their AWS keys: which there are, what they may be, and what elbow makes of them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{Schema, SchemaGenerator, json_schema};

use super::item::Item;
use crate::suggest::did_you_mean;
use crate::{
    Algorithm, DesyncMitigationMode, ListenerAttributes, LoadBalancerAttributes, LoadBalancerType,
    Protocol, ProxyProtocol, TargetGroupAttributes, XffHeaderProcessingMode,
};

struct Attribute {
    key: &'static str,
    values: Values,
    effect: Effect,
}

#[derive(Clone, Copy)]
enum Values {
    Flag,
    Number(u32, u32),
    ZeroOr(u32, u32),
    OffOr(u32, u32),
    OneOf(&'static [&'static str]),
    Text,
}

#[derive(Clone, Copy)]
enum Effect {
    /// It does what it says, or is a detail of one that does not and says so itself.
    Served,
    /// elbow behaves as these values say; another is taken with a warning.
    Without(&'static [&'static str]),
    /// As `Without`, but another value would change where requests go or what targets see.
    Refused(&'static [&'static str]),
}

use Effect::{Refused, Served, Without};
use Values::{Flag, Number, OffOr, OneOf, Text, ZeroOr};

const fn attribute(key: &'static str, values: Values, effect: Effect) -> Attribute {
    Attribute {
        key,
        values,
        effect,
    }
}

/// Load balancers, ALB and NLB.
const COMMON: &[Attribute] = &[
    attribute("access_logs.s3.bucket", Text, Served),
    attribute("access_logs.s3.enabled", Flag, Without(&["false"])),
    attribute("access_logs.s3.prefix", Text, Served),
    attribute("deletion_protection.enabled", Flag, Without(&["false"])),
    attribute("ipv6.deny_all_igw_traffic", Flag, Without(&[])),
    attribute(
        "load_balancing.cross_zone.enabled",
        Flag,
        Without(&["true"]),
    ),
    attribute("zonal_shift.config.enabled", Flag, Without(&["false"])),
];

const APPLICATION: &[Attribute] = &[
    attribute("client_keep_alive.seconds", Number(60, 604_800), Served),
    attribute("connection_logs.s3.bucket", Text, Served),
    attribute("connection_logs.s3.enabled", Flag, Without(&["false"])),
    attribute("connection_logs.s3.prefix", Text, Served),
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

const NETWORK: &[Attribute] = &[
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

/// Listeners of protocol TCP.
const TCP_LISTENER: &[Attribute] = &[attribute(
    "tcp.idle_timeout.seconds",
    Number(60, 6000),
    Served,
)];

/// Target groups of both.
const GROUP: &[Attribute] = &[
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
    attribute("stickiness.enabled", Flag, Refused(&["false"])),
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
        Refused(&["1"]),
    ),
    attribute(
        "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage",
        OffOr(1, 100),
        Refused(&["off"]),
    ),
];

const APPLICATION_GROUP: &[Attribute] = &[
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
];

const NETWORK_GROUP: &[Attribute] = &[
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

/// The attributes that an object of one kind has, and those of its sibling, for better messages.
struct Table {
    of: &'static str,
    known: [&'static [Attribute]; 2],
    sibling: &'static str,
    foreign: &'static [Attribute],
}

/// Classic load balancers. The older API groups them in structures of their own
/// (`ModifyLoadBalancerAttributes`, 2012-06-01); here they are spelt as those of the other kinds.
const CLASSIC: &[Attribute] = &[
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
    attribute("idle_timeout.timeout_seconds", Number(1, 3600), Served),
    attribute(
        "load_balancing.cross_zone.enabled",
        Flag,
        Without(&["true"]),
    ),
];

/// Attributes of a load balancer.
pub(super) fn load_balancer(item: &Item<'_>, kind: LoadBalancerType) -> LoadBalancerAttributes {
    let (application, network) = ("application load balancers", "network load balancers");
    let raw = match kind {
        LoadBalancerType::Application => read(
            item,
            &Table {
                of: application,
                known: [COMMON, APPLICATION],
                sibling: network,
                foreign: NETWORK,
            },
        ),
        LoadBalancerType::Network => read(
            item,
            &Table {
                of: network,
                known: [COMMON, NETWORK],
                sibling: application,
                foreign: APPLICATION,
            },
        ),
        LoadBalancerType::Classic => read(
            item,
            &Table {
                of: "classic load balancers",
                known: [CLASSIC, &[]],
                sibling: application,
                foreign: APPLICATION,
            },
        ),
    };
    LoadBalancerAttributes::from_raw(raw)
}

/// Attributes of a listener; what an ALB's listener can have is not served.
pub(super) fn listener(item: &Item<'_>, protocol: Option<Protocol>) -> ListenerAttributes {
    if matches!(protocol, Some(Protocol::Http | Protocol::Https)) {
        let message = "attributes of HTTP and HTTPS listeners are not supported";
        item.error("not-supported", message.to_owned());
        return ListenerAttributes::default();
    }
    let tcp = "listeners of protocol TCP";
    let raw = match protocol {
        Some(Protocol::Tcp) => read(
            item,
            &Table {
                of: tcp,
                known: [TCP_LISTENER, &[]],
                sibling: tcp,
                foreign: &[],
            },
        ),
        Some(_) => read(
            item,
            &Table {
                of: "listeners of other protocols",
                known: [&[], &[]],
                sibling: tcp,
                foreign: TCP_LISTENER,
            },
        ),
        // The protocol has been found wrong already.
        None => BTreeMap::new(),
    };
    let seconds = raw
        .get("tcp.idle_timeout.seconds")
        .and_then(|text| text.parse().ok());
    ListenerAttributes {
        tcp_idle_timeout: seconds.map(Duration::from_secs),
        raw,
    }
}

/// Attributes of a target group, which depend on the kind of load balancer that can use it.
pub(super) fn target_group(item: &Item<'_>, protocol: Protocol) -> TargetGroupAttributes {
    let application = "groups of protocol HTTP and HTTPS";
    let network = "groups of protocol TCP, TLS, UDP and TCP_UDP";
    let raw = match protocol {
        Protocol::Http | Protocol::Https => read(
            item,
            &Table {
                of: application,
                known: [GROUP, APPLICATION_GROUP],
                sibling: network,
                foreign: NETWORK_GROUP,
            },
        ),
        _ => read(
            item,
            &Table {
                of: network,
                known: [GROUP, NETWORK_GROUP],
                sibling: application,
                foreign: APPLICATION_GROUP,
            },
        ),
    };
    TargetGroupAttributes::from_raw(raw)
}

/// The schema of the attributes of every kind of load balancer.
pub(super) fn load_balancer_schema(_: &mut SchemaGenerator) -> Schema {
    object_schema(&[COMMON, APPLICATION, NETWORK, CLASSIC])
}

/// The schema of the attributes of every kind of listener.
pub(super) fn listener_schema(_: &mut SchemaGenerator) -> Schema {
    object_schema(&[TCP_LISTENER])
}

/// The schema of the attributes of every kind of target group.
pub(super) fn target_group_schema(_: &mut SchemaGenerator) -> Schema {
    object_schema(&[GROUP, APPLICATION_GROUP, NETWORK_GROUP])
}

fn object_schema(tables: &[&[Attribute]]) -> Schema {
    let mut properties: BTreeMap<&str, Schema> = BTreeMap::new();
    for attribute in tables.iter().copied().flatten() {
        // One key may mean more in one kind than in the other: then any text will do.
        let schema = match properties.contains_key(attribute.key) {
            true => Text.schema(),
            false => attribute.values.schema(),
        };
        properties.insert(attribute.key, schema);
    }
    json_schema!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    })
}

/// The attributes that hold, as written.
fn read(item: &Item<'_>, table: &Table) -> BTreeMap<String, String> {
    let mut raw = BTreeMap::new();
    for (key, at, value) in item.pairs() {
        let known = || table.known.iter().copied().flatten();
        if let Some(attribute) = known().find(|a| a.key == key) {
            if let Some(text) = attribute.read(&value) {
                raw.insert(key.to_owned(), text.to_owned());
            }
        } else if table.foreign.iter().any(|a| a.key == key) {
            value.error_at(
                at,
                "attribute-not-applicable",
                format!(
                    "{key} is an attribute of {}, not of {}",
                    table.sibling, table.of
                ),
                None,
            );
        } else {
            value.error_at(
                at,
                "unknown-attribute",
                format!("{} have no attribute \"{key}\"", table.of),
                did_you_mean(key, known().map(|a| a.key)),
            );
        }
    }
    raw
}

impl Values {
    /// AWS has them as text; a number or a flag without quotes is as good.
    fn schema(self) -> Schema {
        match self {
            Flag => json_schema!({"enum": ["true", "false", true, false]}),
            OneOf(names) if names.contains(&"true") => {
                json_schema!({"anyOf": [{"type": "boolean"}, {"enum": names}]})
            }
            OneOf(names) => json_schema!({"enum": names}),
            Number(from, to) => json_schema!({
                "type": ["string", "integer"],
                "pattern": "^[0-9]+$",
                "minimum": from,
                "maximum": to,
            }),
            ZeroOr(_, to) => Number(0, to).schema(),
            OffOr(from, to) => {
                json_schema!({"anyOf": [{"const": "off"}, Number(from, to).schema()]})
            }
            Text => json_schema!({"type": "string"}),
        }
    }
}

impl Attribute {
    fn read<'a>(&self, value: &Item<'a>) -> Option<&'a str> {
        let text = value.text()?;
        match self.values {
            Flag => drop(value.one_of(&[("true", ()), ("false", ())])?),
            Number(from, to) => drop(value.number(from..=to)?),
            ZeroOr(..) if text == "0" => {}
            OffOr(..) if text == "off" => {}
            ZeroOr(from, to) | OffOr(from, to) => drop(value.number(from..=to)?),
            OneOf(names) => {
                let table: Vec<(&'static str, ())> = names.iter().map(|n| (*n, ())).collect();
                value.one_of(&table)?;
            }
            Text => {}
        }
        let key = self.key;
        match self.effect {
            Without(as_is) if !as_is.contains(&text) => {
                value.warn("no-effect", format!("{key} is taken, but has no effect"));
            }
            Refused(as_is) if !as_is.contains(&text) => {
                value.error("not-supported", format!("{key}: {text} is not supported"));
            }
            _ => {}
        }
        Some(text)
    }
}

impl LoadBalancerAttributes {
    /// From values that were checked; others keep their defaults.
    fn from_raw(raw: BTreeMap<String, String>) -> Self {
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
                "tcp.idle_timeout.seconds" => {
                    all.tcp_idle_timeout = seconds().unwrap_or(all.tcp_idle_timeout);
                }
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
    fn from_raw(raw: BTreeMap<String, String>) -> Self {
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
