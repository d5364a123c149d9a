//! Service of type `nlb` to Network Load Balancer, as the provider of the cluster makes it: node ports
//! only, few annotations (sections 0.2, 0.3 and 3.3).

use std::collections::BTreeMap;

use crate::bounds::{self, Budget};
use crate::classic::{SslPorts, internal};
use crate::context::Context;
use crate::names;
use crate::objects::{Service, ServicePort};

use super::plan::{Group, GroupRef, Listener, Plan, Security, Weighted};
use super::port::Protocol;
use super::read::{Reader, Refused};
use super::target_group::{HealthCheck, TargetType};
use super::{addresses, load_balancer, subnets};

const GROUP_ATTRIBUTES: &str = "aws-load-balancer-target-group-attributes";

/// Decides everything, or says why the Service is refused.
pub(super) fn plan(service: &Service, context: &Context) -> Result<Plan, Refused> {
    let read = Reader::new(&service.meta.annotations);
    if service.client_affinity {
        return Err(Refused::field(
            "spec.sessionAffinity",
            "unsupported load balancer affinity: ClientIP",
        ));
    }
    let extra = "aws-load-balancer-extra-security-groups";
    if read.text(extra).is_some() {
        return Err(Refused::annotation(
            extra,
            "a Network Load Balancer of the provider takes no extra security groups",
        ));
    }
    let scheme = if internal(&read) {
        "internal"
    } else {
        "internet-facing"
    };
    let places = subnets::places(&read, context, None, scheme)?;
    let (mappings, source_nat) = addresses::mappings(&read, scheme, false, &places)?;
    let attributes = group_attributes(&read)?;
    let health_check = health_check(&read, service)?;
    bound(&read, service)?;
    let mut plan = Plan {
        name: names::classic(&service.meta.uid),
        scheme,
        ip_address_type: "ipv4",
        mappings,
        source_nat,
        attributes: load_balancer::attributes(&read)?,
        minimum_capacity: None,
        private_link_rules: None,
        security: Security::Open,
        tags: crate::classic::tags(&read, service, context),
        listeners: Vec::new(),
        groups: Vec::new(),
    };
    for port in service.ports.iter().filter(|port| port.node_port != 0) {
        let (listener, protocol) = listener(&read, port, service, context)?;
        plan.groups.push(group(
            service,
            port,
            protocol,
            &attributes,
            &health_check,
            context,
        ));
        plan.listeners.push(listener);
    }
    Ok(plan)
}

/// Refuses a Service whose annotations multiply with its ports beyond what a load balancer may hold.
pub(crate) fn bound(read: &Reader<'_>, service: &Service) -> Result<(), Refused> {
    let copied = [
        "aws-load-balancer-additional-resource-tags",
        "aws-load-balancer-ssl-cert",
        "aws-load-balancer-ssl-negotiation-policy",
        "aws-load-balancer-healthcheck-path",
    ];
    let copied: usize = copied
        .iter()
        .filter_map(|key| read.text(key))
        .map(bounds::of_list)
        .sum();
    let spent = Budget::default().spend(copied * service.ports.len());
    spent.map_err(Refused::too_much)
}

/// A port's listener, and the protocol of its target group.
fn listener(
    read: &Reader<'_>,
    port: &ServicePort,
    service: &Service,
    context: &Context,
) -> Result<(Listener, Protocol), Refused> {
    let certificate = read
        .text("aws-load-balancer-ssl-cert")
        .filter(|text| !text.is_empty());
    let ssl_ports = SslPorts::parse(read.text("aws-load-balancer-ssl-ports"));
    let certificate = certificate.filter(|_| ssl_ports.covers(port.port, &port.name));
    let tls_targets = read.text("aws-load-balancer-backend-protocol") == Some("ssl");
    let (protocol, behind) = match (port.protocol.as_str(), certificate.is_some()) {
        ("UDP", _) => (Protocol::Udp, Protocol::Udp),
        ("TCP", true) if tls_targets => (Protocol::Tls, Protocol::Tls),
        ("TCP", true) => (Protocol::Tls, Protocol::Tcp),
        ("TCP", false) => (Protocol::Tcp, Protocol::Tcp),
        (other, _) => {
            let message = format!("Protocol {other} not supported by LoadBalancer");
            return Err(Refused::field("spec.ports", message).hint("TCP or UDP"));
        }
    };
    let policy = read.text("aws-load-balancer-ssl-negotiation-policy");
    let policy = policy.unwrap_or(&context.defaults.ssl_policy);
    let listener = Listener {
        port: port.port,
        protocol,
        certificates: certificate.map(str::to_owned).into_iter().collect(),
        ssl_policy: (protocol == Protocol::Tls).then(|| policy.to_owned()),
        alpn_policy: None,
        attributes: BTreeMap::new(),
        targets: vec![Weighted {
            group: GroupRef::Own(id(service, port)),
            weight: None,
        }],
        sticky: None,
    };
    Ok((listener, behind))
}

fn id(service: &Service, port: &ServicePort) -> String {
    format!("{}:{}", service.meta.key(), port.port)
}

fn group(
    service: &Service,
    port: &ServicePort,
    protocol: Protocol,
    attributes: &BTreeMap<String, String>,
    health_check: &HealthCheck,
    context: &Context,
) -> Group {
    let meta = &service.meta;
    let numbers = [
        port.port.to_string(),
        port.node_port.to_string(),
        health_check.interval.to_string(),
    ];
    let [number, node_port, interval] = &numbers;
    let hashed = [
        &*context.cluster_name,
        &meta.namespace,
        &meta.name,
        number,
        node_port,
        protocol.as_str(),
        "instance",
        health_check.protocol,
        interval,
    ];
    Group {
        id: id(service, port),
        name: names::namespaced(&meta.namespace, &meta.name, &hashed),
        namespace: meta.namespace.clone(),
        service: meta.name.clone(),
        service_port: port.port,
        kind: TargetType::Instance,
        port: port.node_port,
        protocol,
        ipv6: false,
        attributes: attributes.clone(),
        health_check: health_check.clone(),
        node_labels: BTreeMap::new(),
        multi_cluster: false,
    }
}

/// The two attributes that the provider knows.
fn group_attributes(read: &Reader<'_>) -> Result<BTreeMap<String, String>, Refused> {
    let attributes = read.map(GROUP_ATTRIBUTES)?;
    for (key, value) in &attributes {
        if !matches!(
            key.as_str(),
            "preserve_client_ip.enabled" | "proxy_protocol_v2.enabled"
        ) {
            let message = format!("the attribute {key:?} is not supported by the provider");
            return Err(Refused::annotation(GROUP_ATTRIBUTES, message));
        }
        if !matches!(value.as_str(), "true" | "false") {
            let message = format!("invalid attribute value for {key:?}: {value}");
            return Err(Refused::annotation(GROUP_ATTRIBUTES, message).hint("true or false"));
        }
    }
    Ok(attributes)
}

/// Section 3.3, the rows of the provider.
fn health_check(read: &Reader<'_>, service: &Service) -> Result<HealthCheck, Refused> {
    let local = service.local_traffic;
    let (protocol, threshold, interval) = if local {
        ("HTTP", 2, 10)
    } else {
        ("TCP", 3, 30)
    };
    let key = "aws-load-balancer-healthcheck-protocol";
    let protocol = match read.text(key).map(str::to_uppercase).as_deref() {
        None => protocol,
        Some("TCP") => "TCP",
        Some("HTTP") => "HTTP",
        Some("HTTPS") => "HTTPS",
        Some(other) => {
            return Err(Refused::annotation(
                key,
                format!("unsupported health check protocol {other}"),
            ));
        }
    };
    let key = "aws-load-balancer-healthcheck-port";
    let port = match read.text(key) {
        None => local.then_some(service.health_check_node_port),
        Some("traffic-port") => None,
        Some(text) => Some(
            text.parse()
                .map_err(|_| Refused::annotation(key, format!("{text:?} is not a port")))?,
        ),
    };
    let path = read
        .text("aws-load-balancer-healthcheck-path")
        .unwrap_or(if local { "/healthz" } else { "/" });
    let number = |key, default| read.int(key).map(|number| number.unwrap_or(default));
    Ok(HealthCheck {
        protocol,
        port,
        path: (protocol != "TCP").then(|| path.to_owned()),
        codes: None,
        interval: number("aws-load-balancer-healthcheck-interval", interval)?,
        timeout: number("aws-load-balancer-healthcheck-timeout", 10)?,
        healthy: number("aws-load-balancer-healthcheck-healthy-threshold", threshold)?,
        unhealthy: number(
            "aws-load-balancer-healthcheck-unhealthy-threshold",
            threshold,
        )?,
    })
}
