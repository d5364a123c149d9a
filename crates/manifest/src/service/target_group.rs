//! What a target group of a Network Load Balancer looks like: sections 3.2 and 3.3.

use std::collections::BTreeMap;

use crate::annotations::parse_bool;
use crate::objects::{Port, Service, ServicePort, ServiceType};

use super::port::Protocol;
use super::read::{Reader, Refused};

const PROXY_PROTOCOL: &str = "proxy_protocol_v2.enabled";
const PRESERVE_CLIENT_IP: &str = "preserve_client_ip.enabled";
const ATTRIBUTES: &str = "aws-load-balancer-target-group-attributes";

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

/// How the targets of a port are reached, if they can be.
pub fn target_type(
    read: &Reader<'_>,
    service: &Service,
    port: &ServicePort,
    default: &str,
    ip_enabled: bool,
) -> Result<TargetType, Refused> {
    let key = "aws-load-balancer-nlb-target-type";
    let wanted = read.text(key).unwrap_or(default);
    if wanted == "ip" && !ip_enabled {
        return Err(Refused::annotation(
            key,
            "targets by address are switched off (enableIpTargetType)",
        ));
    }
    if wanted == "ip" || read.text("aws-load-balancer-type") == Some("nlb-ip") {
        return Ok(TargetType::Ip);
    }
    if service.kind == ServiceType::ClusterIp {
        let message =
            format!("a Service of type ClusterIP has no node ports for target type {wanted:?}");
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
    /// `None`: the port of the traffic.
    pub port: Option<u16>,
    /// Not for TCP.
    pub path: Option<String>,
    /// Not for TCP.
    pub codes: Option<String>,
    /// Seconds between checks.
    pub interval: i32,
    /// Seconds until a check has failed.
    pub timeout: i32,
    /// Passes in a row that make a target healthy.
    pub healthy: i32,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy: i32,
}

/// The defaults of section 3.3.
struct Defaults {
    protocol: &'static str,
    port: Option<u16>,
    path: &'static str,
    timeout: i32,
    threshold: i32,
}

/// Section 3.3: the annotations over the defaults that the traffic policy picks.
pub fn health_check(
    read: &Reader<'_>,
    service: &Service,
    kind: TargetType,
) -> Result<HealthCheck, Refused> {
    let local = kind == TargetType::Instance
        && service.local_traffic
        && service.kind == ServiceType::LoadBalancer;
    let defaults = if local {
        let port = Some(service.health_check_node_port);
        Defaults {
            protocol: "HTTP",
            port,
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
    let protocol = check_protocol(read, defaults.protocol)?;
    let text = |key, default: &str| {
        (protocol != "TCP").then(|| read.text(key).unwrap_or(default).to_owned())
    };
    Ok(HealthCheck {
        protocol,
        port: check_port(read, service, kind, defaults.port)?,
        path: text("aws-load-balancer-healthcheck-path", defaults.path),
        codes: text("aws-load-balancer-healthcheck-success-codes", "200-399"),
        interval: read
            .int("aws-load-balancer-healthcheck-interval")?
            .unwrap_or(10),
        timeout: read
            .int("aws-load-balancer-healthcheck-timeout")?
            .unwrap_or(defaults.timeout),
        healthy: read
            .int("aws-load-balancer-healthcheck-healthy-threshold")?
            .unwrap_or(defaults.threshold),
        unhealthy: read
            .int("aws-load-balancer-healthcheck-unhealthy-threshold")?
            .unwrap_or(defaults.threshold),
    })
}

fn check_protocol(read: &Reader<'_>, default: &'static str) -> Result<&'static str, Refused> {
    let key = "aws-load-balancer-healthcheck-protocol";
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
    default: Option<u16>,
) -> Result<Option<u16>, Refused> {
    let key = "aws-load-balancer-healthcheck-port";
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
        (TargetType::Instance, _) => Ok(Some(port.node_port)),
        (TargetType::Ip, Port::Number(number)) => Ok(Some(*number)),
        (TargetType::Ip, Port::Name(name)) => Err(Refused::annotation(
            key,
            format!(
                "port {written} has the named target port {name}, whose number depends on the pod"
            ),
        )
        .hint("name the health check's port by its number")),
    }
}

/// The attributes of a port's target group: defaults, those for all, those for the port, PROXY protocol.
pub fn attributes(
    read: &Reader<'_>,
    port: &ServicePort,
) -> Result<BTreeMap<String, String>, Refused> {
    let mut attributes = BTreeMap::from([(PROXY_PROTOCOL.to_owned(), "false".to_owned())]);
    let own_key = format!("{ATTRIBUTES}.{}", port.port);
    for (key, empty_counts) in [(ATTRIBUTES, true), (own_key.as_str(), false)] {
        let given = read.map(key)?;
        if given
            .get(PRESERVE_CLIENT_IP)
            .is_some_and(|text| parse_bool(text).is_none())
        {
            return Err(Refused::annotation(
                key,
                format!("{PRESERVE_CLIENT_IP} is neither true nor false"),
            ));
        }
        attributes.extend(
            given
                .into_iter()
                .filter(|(_, value)| empty_counts || !value.is_empty()),
        );
    }
    if let Some(enabled) = proxy_protocol(read, port)? {
        attributes.insert(PROXY_PROTOCOL.to_owned(), enabled.to_string());
    }
    if attributes.get(PROXY_PROTOCOL).is_some_and(String::is_empty) {
        attributes.remove(PROXY_PROTOCOL);
    }
    Ok(attributes)
}

fn proxy_protocol(read: &Reader<'_>, port: &ServicePort) -> Result<Option<bool>, Refused> {
    let key = "aws-load-balancer-proxy-protocol-per-target-group";
    let mut enabled = None;
    if read.text(key).is_some() {
        let mut listed = false;
        for item in read.list(key) {
            let number: u16 = item
                .parse()
                .map_err(|_| Refused::annotation(key, format!("invalid port number {item:?}")))?;
            listed |= number == port.port;
        }
        enabled = Some(listed);
    }
    let key = "aws-load-balancer-proxy-protocol";
    match read.text(key) {
        None => Ok(enabled),
        Some("*") => Ok(Some(true)),
        Some(other) => Err(
            Refused::annotation(key, format!("{other:?} is not supported"))
                .hint("the only value is *"),
        ),
    }
}

/// Whether targets see the client's own address (section 3.4).
pub fn preserves_client_ip(
    kind: TargetType,
    protocol: Protocol,
    attributes: &BTreeMap<String, String>,
) -> bool {
    protocol.datagrams()
        || attributes
            .get(PRESERVE_CLIENT_IP)
            .and_then(|text| parse_bool(text))
            .unwrap_or(kind == TargetType::Instance)
}
