//! What Classic load balancers alone have: instances, one health check, policies towards instances.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::item::{Fields, Item, Seen};
use super::target_group::target_id;
use crate::suggest::did_you_mean;
use crate::{
    BackendServerPolicy, Classic, HealthCheck, HealthCheckPort, HealthCheckProtocol, Instance,
    InstanceEnd, Listener, LoadBalancerType, Matcher, Protocol,
};

/// Fields of a load balancer that only a Classic one has, with what the others have instead.
const OF_LOAD_BALANCER: [(&str, &str); 3] = [
    (
        "healthCheck",
        "targets are checked as healthCheckConfig of their target group says",
    ),
    ("instances", "target groups hold the targets"),
    (
        "backendServerPolicies",
        "proxy_protocol_v2.enabled is an attribute of target groups",
    ),
];

pub(super) const CHECK_FIELDS: &[&str] = &[
    "target",
    "interval",
    "timeout",
    "healthyThreshold",
    "unhealthyThreshold",
];

pub(super) const INSTANCE_FIELDS: &[&str] = &["id", "availabilityZone", "ports"];

pub(super) const PROTOCOLS: &[(&str, Protocol)] = &[
    ("TCP", Protocol::Tcp),
    ("SSL", Protocol::Ssl),
    ("HTTP", Protocol::Http),
    ("HTTPS", Protocol::Https),
];

/// AWS's name of the type, and what the in-tree provider calls its policy of that type.
pub(super) const POLICIES: &[(&str, BackendServerPolicy)] = &[
    (
        "k8s-proxyprotocol-enabled",
        BackendServerPolicy::ProxyProtocol,
    ),
    (
        "ProxyProtocolPolicyType",
        BackendServerPolicy::ProxyProtocol,
    ),
];

const CHECK_PROTOCOLS: &[(&str, HealthCheckProtocol)] = &[
    ("TCP", HealthCheckProtocol::Tcp),
    ("SSL", HealthCheckProtocol::Ssl),
    ("HTTP", HealthCheckProtocol::Http),
    ("HTTPS", HealthCheckProtocol::Https),
];

/// Longest `target` of a health check, in characters.
const MAX_TARGET: usize = 1024;

/// What `fields` say of a Classic load balancer with `listeners`; `None` for other kinds, of which
/// such fields are refused.
pub(super) fn read(
    fields: &Fields<'_>,
    kind: Option<LoadBalancerType>,
    listeners: &[Listener],
) -> Option<Classic> {
    if kind != Some(LoadBalancerType::Classic) {
        if kind.is_some() {
            refuse(fields, &OF_LOAD_BALANCER);
        }
        return None;
    }
    let ends: Vec<InstanceEnd> = listeners.iter().filter_map(|l| l.instance).collect();
    let mut health_check = default_check(ends.first());
    if let Some(item) = fields.get("healthCheck") {
        check(&item, &mut health_check);
    }
    Some(Classic {
        health_check,
        instances: instances(&fields.items("instances"), &ends),
        backend_server_policies: fields
            .get("backendServerPolicies")
            .map(|item| policies(&item, &ends))
            .unwrap_or_default(),
    })
}

/// The instances' end of a listener (`CreateLoadBalancerListeners`).
pub(super) fn instance_end(fields: &Fields<'_>, front: Option<Protocol>) -> Option<InstanceEnd> {
    refuse(
        fields,
        &[
            ("rules", "a classic load balancer has none"),
            (
                "defaultActions",
                "instancePort says where connections of a classic load balancer go",
            ),
            ("attributes", "a classic load balancer has its own alone"),
            ("alpnPolicy", "it belongs to network load balancers"),
        ],
    );
    let port = fields
        .required("instancePort")
        .and_then(|item| item.number(1..=65535));
    let item = fields.get("instanceProtocol");
    let protocol = match &item {
        Some(item) => item.one_of(PROTOCOLS),
        None => front.map(|front| match is_layer_7(front) {
            true => Protocol::Http,
            false => Protocol::Tcp,
        }),
    };
    let (front, protocol) = (front?, protocol?);
    if let Some(item) = item.filter(|_| is_layer_7(front) != is_layer_7(protocol)) {
        let pair = match is_layer_7(front) {
            true => "HTTP or HTTPS",
            false => "TCP or SSL",
        };
        item.error_with(
            "invalid-combination",
            format!(
                "a listener that speaks {} to clients cannot speak {} to instances",
                front.as_str(),
                protocol.as_str()
            ),
            format!("it speaks {pair}"),
        );
    }
    Some(InstanceEnd {
        protocol,
        port: port?,
    })
}

/// Refuses what belongs to listeners of Classic load balancers.
pub(super) fn refuse_instance_end(fields: &Fields<'_>) {
    let hint = "defaultActions say where requests go";
    refuse(
        fields,
        &[("instancePort", hint), ("instanceProtocol", hint)],
    );
}

fn refuse(fields: &Fields<'_>, names: &[(&str, &str)]) {
    for (name, hint) in names {
        if let Some(item) = fields.get(name) {
            item.error_with(
                "invalid-combination",
                format!("{name} does not belong to load balancers of this type"),
                (*hint).to_owned(),
            );
        }
    }
}

fn is_layer_7(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http | Protocol::Https)
}

/// What ELB checks before `ConfigureHealthCheck`: whether the first listener's port is open.
fn default_check(first: Option<&InstanceEnd>) -> HealthCheck {
    HealthCheck {
        protocol: HealthCheckProtocol::Tcp,
        port: HealthCheckPort::Port(first.map_or(80, |end| end.port)),
        path: "/".into(),
        // An instance passes on 200 alone (CLB guide: health checks).
        matcher: Matcher(vec![200..=200]),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        healthy_threshold: 10,
        unhealthy_threshold: 2,
    }
}

/// `healthCheck` (`ConfigureHealthCheck`).
fn check(item: &Item<'_>, check: &mut HealthCheck) {
    let Some(fields) = item.fields(CHECK_FIELDS) else {
        return;
    };
    if let Some(item) = fields.required("target")
        && let Some(text) = item.text()
    {
        match target(text) {
            Some((protocol, port, path)) => {
                check.protocol = protocol;
                check.port = HealthCheckPort::Port(port);
                if !path.is_empty() {
                    check.path = path.into();
                }
            }
            None => item.error_with(
                "invalid-target",
                format!("{text:?} says not what to check"),
                "TCP:port, SSL:port, HTTP:port/path or HTTPS:port/path".to_owned(),
            ),
        }
    }
    let number = |name, range| fields.get(name)?.number(range);
    if let Some(seconds) = number("interval", 5..=300) {
        check.interval = Duration::from_secs(seconds);
    }
    // A default never outlasts an interval that somebody chose.
    check.timeout = check.timeout.min(check.interval - Duration::from_secs(1));
    if let Some(seconds) = number("timeout", 2..=60) {
        check.timeout = Duration::from_secs(seconds);
        if check.timeout >= check.interval
            && let Some(item) = fields.get("timeout")
        {
            let interval = check.interval.as_secs();
            item.error(
                "invalid-combination",
                format!("the timeout, {seconds} s, is not shorter than the interval, {interval} s"),
            );
        }
    }
    let threshold = |name| fields.get(name)?.number(2..=10);
    if let Some(count) = threshold("healthyThreshold") {
        check.healthy_threshold = count;
    }
    if let Some(count) = threshold("unhealthyThreshold") {
        check.unhealthy_threshold = count;
    }
}

/// `PROTOCOL:port`, and a path where the protocol is HTTP or HTTPS.
fn target(text: &str) -> Option<(HealthCheckProtocol, u16, &str)> {
    let (name, rest) = text.split_once(':')?;
    let (_, protocol) = CHECK_PROTOCOLS.iter().find(|(known, _)| *known == name)?;
    let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let has_path = matches!(
        protocol,
        HealthCheckProtocol::Http | HealthCheckProtocol::Https
    );
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let visible = path.bytes().all(|b| b.is_ascii_graphic());
    let valid = digits && visible && text.len() <= MAX_TARGET && path.is_empty() != has_path;
    let port = port.parse().ok().filter(|port| *port > 0 && valid)?;
    Some((*protocol, port, path))
}

fn instances(items: &[Item<'_>], ends: &[InstanceEnd]) -> Vec<Instance> {
    let mut seen = Seen::new("instance");
    items
        .iter()
        .filter_map(|item| instance(item, ends, &mut seen))
        .collect()
}

fn instance(item: &Item<'_>, ends: &[InstanceEnd], seen: &mut Seen<String>) -> Option<Instance> {
    let fields = item.fields(INSTANCE_FIELDS)?;
    let ports = fields
        .get("ports")
        .map(|item| ports(&item))
        .unwrap_or_default();
    let availability_zone = fields
        .get("availabilityZone")
        .and_then(|item| item.text())
        .map(Arc::from);
    let instance = Instance {
        id: fields.required("id").and_then(|item| target_id(&item))?,
        availability_zone,
        ports,
    };
    // Two on one host differ in every port that is used, or they would be one target twice.
    let mut used: Vec<u16> = ends.iter().map(|end| instance.port(end.port)).collect();
    used.sort_unstable();
    used.dedup();
    let new = match used.is_empty() {
        true => seen.check(instance.id.to_string(), item, "duplicate-instance"),
        false => used.iter().all(|port| {
            let name = format!("{} (port {port})", instance.id);
            seen.check(name, item, "duplicate-instance")
        }),
    };
    new.then_some(instance)
}

/// `{instance port: port on this instance}`; the port of the health check may be among them.
fn ports(item: &Item<'_>) -> BTreeMap<u16, u16> {
    let mut ports = BTreeMap::new();
    for (key, at, value) in item.pairs() {
        let port = value.number(1..=65535);
        match key.parse::<u16>().ok().filter(|port| *port > 0) {
            Some(key) => drop(port.map(|port| ports.insert(key, port))),
            None => invalid_port(&value, at, key),
        }
    }
    ports
}

fn invalid_port(value: &Item<'_>, at: crate::yaml::Position, key: &str) {
    value.error_at(
        at,
        "out-of-range",
        format!("{key:?} is not a port from 1 to 65535"),
        None,
    );
}

/// `{instance port: [names of policies]}`.
fn policies(item: &Item<'_>, ends: &[InstanceEnd]) -> BTreeMap<u16, Vec<BackendServerPolicy>> {
    let mut policies = BTreeMap::new();
    for (key, at, value) in item.pairs() {
        let Some(port) = key.parse::<u16>().ok().filter(|port| *port > 0) else {
            invalid_port(&value, at, key);
            continue;
        };
        let mut of_port = Vec::new();
        for item in value.items() {
            of_port.extend(item.one_of(POLICIES));
        }
        of_port.dedup();
        let mut here = ends.iter().filter(|end| end.port == port).peekable();
        if here.peek().is_none() {
            let known: Vec<String> = ends.iter().map(|end| end.port.to_string()).collect();
            value.error_at(
                at,
                "unknown-instance-port",
                format!("no listener has the instance port {port}"),
                did_you_mean(key, known.iter().map(String::as_str)),
            );
        } else if here.all(|end| is_layer_7(end.protocol)) && !of_port.is_empty() {
            value.warn(
                "no-effect",
                "the proxy protocol is spoken to instances by TCP and SSL alone",
            );
        }
        policies.insert(port, of_port);
    }
    policies
}

/// The API keeps the listeners of one instance port alike: all in clear, or all under TLS
/// (`Listener`, InstanceProtocol).
#[derive(Default)]
pub(super) struct InstancePorts(BTreeMap<u16, bool>);

impl InstancePorts {
    pub(super) fn check(&mut self, item: &Item<'_>, end: InstanceEnd) {
        let tls = end.protocol.is_tls();
        if *self.0.entry(end.port).or_insert(tls) != tls {
            item.error(
                "invalid-combination",
                format!(
                    "instance port {} is spoken to in clear by one listener and under TLS by another",
                    end.port
                ),
            );
        }
    }
}
