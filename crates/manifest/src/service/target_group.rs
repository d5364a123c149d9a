//! The target groups of a Network Load Balancer (control-plane.md 3.2 and 3.3).

use elbow_model::At;

use crate::annotations::parse_bool;
use crate::annotations::{Key, Row, service as keys};
use crate::objects::{Port, Service, ServicePort, ServiceType};
use crate::stack::Attributes;

use super::port::Protocol;
use crate::lookup::service::{Reader, Refused};

const PROXY_PROTOCOL: &str = "proxy_protocol_v2.enabled";
const PRESERVE_CLIENT_IP: &str = "preserve_client_ip.enabled";
const ATTRIBUTES: &Row = keys::TARGET_GROUP_ATTRIBUTES;
const PROXY_FOR_ALL: &Row = keys::PROXY_PROTOCOL;
const PROXY_FOR_SOME: &Row = keys::PROXY_PROTOCOL_PER_TARGET_GROUP;

/// How targets are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetType {
    /// Through the node port of every node.
    Instance,
    /// At the addresses of the pods.
    Ip,
}

impl TargetType {
    /// As AWS spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Ip => "ip",
        }
    }
}

/// How the targets of a port are reached.
pub fn target_type(
    read: &Reader<'_>,
    service: &Service,
    port: &ServicePort,
    default: &str,
    ip_enabled: bool,
) -> Result<TargetType, Refused> {
    let key = keys::NLB_TARGET_TYPE;
    let wanted = read.text(key).unwrap_or(default);
    if wanted == "ip" && !ip_enabled {
        return Err(Refused::annotation(
            key,
            "target type ip is disabled; set enableIpTargetType in the environment file",
        ));
    }
    if wanted == "ip" || read.text(keys::TYPE) == Some("nlb-ip") {
        return Ok(TargetType::Ip);
    }
    if service.kind == ServiceType::ClusterIp {
        let message = format!(
            "a Service of type ClusterIP has no node ports, which target type {wanted:?} needs"
        );
        return Err(Refused::annotation(key, message)
            .hint("use target type ip, or type NodePort or LoadBalancer"));
    }
    if port.node_port == 0 && !service.allocate_node_ports {
        return Err(Refused::field(
            "spec.ports",
            format!(
                "port {} has no node port, which instance targets need",
                port.port
            ),
        )
        .hint("set allocateLoadBalancerNodePorts to true, or use target type ip"));
    }
    Ok(TargetType::Instance)
}

/// The port of the target group: the node port, the number of the target port, or 1 for a named one
/// (targets are registered with their own ports).
pub fn target_group_port(kind: TargetType, port: &ServicePort) -> Result<u16, Refused> {
    let number = match (kind, &port.target_port) {
        (TargetType::Instance, _) => port.node_port,
        (TargetType::Ip, Port::Number(number)) => *number,
        (TargetType::Ip, Port::Name(_)) => 1,
    };
    if number == 0 {
        return Err(Refused::field(
            "spec.ports",
            format!(
                "port {} has no {}",
                port.port,
                match kind {
                    TargetType::Instance => "node port",
                    TargetType::Ip => "target port",
                }
            ),
        )
        .hint("instance targets need a Service of type NodePort or LoadBalancer with node ports"));
    }
    Ok(number)
}

/// A health check of a target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// TCP, HTTP or HTTPS.
    pub protocol: &'static str,
    /// `None`: the port of the target. The controllers take numbers that no port has.
    pub port: Option<i64>,
    /// Not for TCP.
    pub path: Option<String>,
    /// Not for TCP.
    pub codes: Option<String>,
    /// Seconds between checks.
    pub interval: i32,
    /// Seconds until a check has failed.
    pub timeout: i32,
    /// Successes in a row that make a target healthy.
    pub healthy: i32,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy: i32,
}

/// The facts that a health check depends on beside the annotations.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a> {
    /// The Service of the target group.
    pub service: &'a Service,
    /// How its targets are reached.
    pub kind: TargetType,
    /// `spec.healthCheckNodePort` of the Service that owns the load balancer.
    pub local_port: u16,
    /// The feature gate `NLBHealthCheckAdvancedConfig`: whether status codes and the timeout can be set.
    pub advanced: bool,
}

/// The defaults of control-plane.md 3.3.
struct Defaults {
    protocol: &'static str,
    port: Option<i64>,
    path: &'static str,
    timeout: i32,
    threshold: i32,
}

/// The health check: the annotations, over the defaults of the traffic policy (control-plane.md 3.3). `read` keeps the
/// errors.
pub fn health_check(read: &Reader<'_>, basis: Basis<'_>) -> HealthCheck {
    let service = basis.service;
    let local = basis.kind == TargetType::Instance
        && service.local_traffic
        && service.kind == ServiceType::LoadBalancer;
    let defaults = if local {
        Defaults {
            protocol: "HTTP",
            port: Some(i64::from(basis.local_port)),
            path: "/healthz",
            timeout: 6,
            threshold: 2,
        }
    } else {
        Defaults {
            protocol: "TCP",
            port: None,
            path: "/",
            timeout: 10,
            threshold: 3,
        }
    };
    let refused = &read.refused;
    let protocol = refused.or(defaults.protocol, check_protocol(read, defaults.protocol));
    let port = check_port(read, service, basis.kind, defaults.port);
    let text = |key, default: &str| {
        (protocol != "TCP").then(|| read.text(key).unwrap_or(default).to_owned())
    };
    let codes = text(keys::HEALTHCHECK_SUCCESS_CODES, "200-399");
    let number = |key: &'static Row, default| refused.or_default(read.int(key)).unwrap_or(default);
    let timeout = if basis.advanced {
        number(keys::HEALTHCHECK_TIMEOUT, defaults.timeout)
    } else {
        defaults.timeout
    };
    HealthCheck {
        protocol,
        port: refused.or(defaults.port, port),
        path: text(keys::HEALTHCHECK_PATH, defaults.path),
        codes: codes.filter(|_| basis.advanced),
        interval: number(keys::HEALTHCHECK_INTERVAL, 10),
        timeout,
        healthy: number(keys::HEALTHCHECK_HEALTHY_THRESHOLD, defaults.threshold),
        unhealthy: number(keys::HEALTHCHECK_UNHEALTHY_THRESHOLD, defaults.threshold),
    }
}

fn check_protocol(read: &Reader<'_>, default: &'static str) -> Result<&'static str, Refused> {
    let key = keys::HEALTHCHECK_PROTOCOL;
    let Some(written) = read.text(key) else {
        return Ok(default);
    };
    ["TCP", "HTTP", "HTTPS"]
        .into_iter()
        .find(|name| written.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Refused::annotation(
                key,
                format!("unsupported health check protocol {written:?}"),
            )
            .hint("one of TCP, HTTP and HTTPS")
        })
}

fn check_port(
    read: &Reader<'_>,
    service: &Service,
    kind: TargetType,
    default: Option<i64>,
) -> Result<Option<i64>, Refused> {
    let key = keys::HEALTHCHECK_PORT;
    let Some(written) = read.text(key) else {
        return Ok(default);
    };
    if written == "traffic-port" {
        return Ok(None);
    }
    if let Ok(number) = written.parse() {
        return Ok(Some(number));
    }
    let Some(port) = service.ports.iter().find(|port| port.name == written) else {
        let names = service.ports.iter().map(|port| port.name.as_str());
        return Err(Refused::annotation(
            key,
            format!("unable to find port {written} on the Service"),
        )
        .hint(format!(
            "its ports: {}",
            names.collect::<Vec<_>>().join(", ")
        )));
    };
    match (kind, &port.target_port) {
        (TargetType::Instance, _) => Ok(Some(port.node_port.into())),
        (TargetType::Ip, Port::Number(number)) => Ok(Some((*number).into())),
        (TargetType::Ip, Port::Name(name)) => Err(Refused::annotation(
            key,
            format!(
                "port {written} has the named target port {name}, whose number depends on the pod"
            ),
        )
        .hint("use the number of the port")),
    }
}

/// The attributes of a port's target group: the defaults, those of all ports, those of the port, and PROXY protocol.
pub fn attributes(read: &Reader<'_>, port: &ServicePort) -> Result<Attributes, Refused> {
    let default = At::new("false".to_owned(), read.origin(&[]));
    let mut attributes = Attributes::from([(PROXY_PROTOCOL.to_owned(), default)]);
    let own_key = keys::PORT_TARGET_GROUP_ATTRIBUTES.of(&port.port.to_string());
    for (key, empty_counts) in [(Key::from(ATTRIBUTES), true), (own_key, false)] {
        let given = read.refused.or_default(read.attributes(&key));
        if given
            .get(PRESERVE_CLIENT_IP)
            .is_some_and(|text| parse_bool(text).is_none())
        {
            let message = format!("{PRESERVE_CLIENT_IP}: expected true or false");
            let error = Refused::annotation(key, message);
            read.refused.add(error);
        }
        attributes.extend(
            given
                .into_iter()
                .filter(|(_, value)| empty_counts || !value.is_empty()),
        );
    }
    if let Some(enabled) = proxy_protocol(read, port)? {
        let origin = read.origin(&[PROXY_FOR_ALL, PROXY_FOR_SOME]);
        let enabled = At::new(enabled.to_string(), origin);
        attributes.insert(PROXY_PROTOCOL.to_owned(), enabled);
    }
    if attributes
        .get(PROXY_PROTOCOL)
        .is_some_and(|text| text.is_empty())
    {
        attributes.remove(PROXY_PROTOCOL);
    }
    Ok(attributes)
}

fn proxy_protocol(read: &Reader<'_>, port: &ServicePort) -> Result<Option<bool>, Refused> {
    let key = PROXY_FOR_SOME;
    let mut enabled = None;
    if read.text(key).is_some() {
        let listed = read.list(key);
        let is_number = |item: &&String| item.parse::<i64>().is_ok();
        if let Some(wrong) = listed.iter().find(|item| !is_number(item)) {
            let message = format!("invalid port number {wrong:?}");
            return Err(Refused::annotation(key, message));
        }
        // The controller compares texts.
        enabled = Some(listed.contains(&port.port.to_string()));
    }
    let key = PROXY_FOR_ALL;
    match read.text(key) {
        None => Ok(enabled),
        Some("*") => Ok(Some(true)),
        Some(other) => Err(
            Refused::annotation(key, format!("{other:?} is not supported"))
                .hint("the only value is *"),
        ),
    }
}

/// Whether targets see the client's address (control-plane.md 3.4).
pub fn preserves_client_ip(kind: TargetType, protocol: Protocol, attributes: &Attributes) -> bool {
    protocol.datagrams()
        || attributes
            .get(PRESERVE_CLIENT_IP)
            .and_then(|text| parse_bool(text))
            .unwrap_or(kind == TargetType::Instance)
}
