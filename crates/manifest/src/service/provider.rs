//! The Network Load Balancer that the cloud provider makes of a Service of type `nlb`: node ports only and few
//! annotations (`EnsureLoadBalancer` and `ensureLoadBalancerv2` in cloud-provider-aws, `pkg/providers/v1`).

use std::collections::BTreeMap;

use elbow_model::At;
use elbow_model::diagnostic::Diagnostic;

use crate::annotations::{Row, parse_bool, service as keys};
use crate::classic::{SslPorts, provider};
use crate::context::Context;
use crate::names;
use crate::objects::{Service, ServicePort};
use crate::stack::Attributes;

use super::addresses::{Mapping, Place};
use super::plan::{Group, GroupRef, Listener, Plan, Security, Weighted};
use super::port::Protocol;
use super::target_group::{HealthCheck, TargetType};
use crate::lookup::service::{Reader, Refused};

const GROUP_ATTRIBUTES: &Row = keys::TARGET_GROUP_ATTRIBUTES;
/// The security policy that ELB gives a TLS listener without one.
const SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";
/// The timeout of health checks in seconds: the provider leaves it to ELB.
const CHECK_TIMEOUT: i32 = 10;

/// Plans the load balancer, or says why the Service is refused. Warnings about stand-ins go to `found`.
pub(super) fn plan(
    service: &Service,
    context: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<Plan, Refused> {
    let read = Reader::new(&service.meta);
    let planned = planned(&read, service, context, found);
    read.finish(planned, service, found)
}

/// The plan. Errors that leave the rest readable are in `read`, and the plan is void then.
fn planned(
    read: &Reader<'_>,
    service: &Service,
    context: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<Plan, Refused> {
    let refused = &read.refused;
    refused.keep(provider::refuse_another_type(service, true, context));
    let extra = keys::EXTRA_SECURITY_GROUPS;
    if read.text(extra).is_some() {
        let message =
            "a Network Load Balancer of the cloud provider cannot have extra security groups";
        refused.add(Refused::annotation(extra, message));
    }
    let group_attributes = refused.or_default(group_attributes(read, service));
    refused.keep(provider::refuse_the_impossible(service, &["TCP", "UDP"]));
    // Only nodes check them: the load balancer has no security group.
    refused.keep(provider::source_ranges(read, service));
    let ports = service.ports.iter().filter(|port| port.node_port != 0);
    let ports: Vec<&ServicePort> = ports.collect();
    let health_check = health_check(read, service);
    let internal = provider::internal(read);
    let scheme = if internal {
        "internal"
    } else {
        "internet-facing"
    };
    let subnets = super::subnets::provider_places(read, context, scheme, found);
    let subnets = refused.keep(subnets);
    let mappings = subnets.map(|subnets| mappings(read, &subnets));
    provider::bound(read, service)?;
    let mut plan = Plan {
        name: names::classic(&service.meta.uid),
        scheme,
        ip_address_type: "ipv4",
        mappings: mappings.unwrap_or_default(),
        source_nat: "off",
        attributes: attributes(read),
        minimum_capacity: None,
        private_link_rules: None,
        security: Security::Open,
        tags: provider::tags(read, service, context),
        listeners: Vec::new(),
        groups: Vec::new(),
    };
    for port in ports {
        let (listener, protocol) = listener(read, port, service);
        plan.groups.push(group(
            service,
            port,
            protocol,
            &group_attributes,
            &health_check,
            context,
        ));
        plan.listeners.push(listener);
    }
    Ok(plan)
}

/// The subnets with the addresses of the annotations: the provider pairs them in its order of the subnets, without trimming
/// the lists. The result is sorted by id, as ELB returns it. `read` keeps the errors.
fn mappings(read: &Reader<'_>, subnets: &[Place]) -> Vec<Mapping> {
    let list = |key: &'static Row| {
        let Some(text) = read.text(key) else {
            return Ok(None);
        };
        let list: Vec<String> = text.split(',').map(str::to_owned).collect();
        if list.len() == subnets.len() {
            return Ok(Some(list));
        }
        let message = format!("found {} values for {} subnets", list.len(), subnets.len());
        Err(Refused::annotation(key, message).hint("give one for each subnet"))
    };
    let elastic = read.refused.or_default(list(keys::EIP_ALLOCATIONS));
    let private = read.refused.or_default(list(keys::PRIVATE_IPV4_ADDRESSES));
    let nth = |list: &Option<Vec<String>>, at: usize| list.as_ref()?.get(at).cloned();
    let mapping = |(at, subnet): (usize, &Place)| Mapping {
        subnet_id: subnet.id.clone(),
        allocation_id: nth(&elastic, at),
        private_ipv4_address: nth(&private, at),
        ..Mapping::default()
    };
    let mut mappings: Vec<Mapping> = subnets.iter().enumerate().map(mapping).collect();
    mappings.sort_by(|a, b| a.subnet_id.cmp(&b.subnet_id));
    mappings
}

/// The attributes of the load balancer that the provider sets (`reconcileLBAttributes`), where they are not ELB's. `read` keeps the
/// errors.
fn attributes(read: &Reader<'_>) -> Attributes {
    let refused = &read.refused;
    let is_on = |key: &'static Row| match read.text(key) {
        None | Some("") => false,
        Some(text) => refused.or_default(parse_bool(text).ok_or_else(|| {
            Refused::annotation(key, format!("expected true or false, found {text:?}"))
        })),
    };
    let mut attributes = Attributes::new();
    let mut set = |name: &str, value: &str, key: &'static Row| {
        let value = At::new(value.to_owned(), read.origin(&[key]));
        attributes.insert(name.to_owned(), value);
    };
    let key = keys::CROSS_ZONE_LOAD_BALANCING_ENABLED;
    if is_on(key) {
        set("load_balancing.cross_zone.enabled", "true", key);
    }
    let key = keys::ACCESS_LOG_ENABLED;
    if is_on(key) {
        set("access_logs.s3.enabled", "true", key);
        for (name, key) in [
            ("access_logs.s3.bucket", keys::ACCESS_LOG_S3_BUCKET_NAME),
            ("access_logs.s3.prefix", keys::ACCESS_LOG_S3_BUCKET_PREFIX),
        ] {
            if let Some(value) = read.text(key).filter(|value| !value.is_empty()) {
                set(name, value, key);
            }
        }
    }
    attributes
}

/// A port's listener, and the protocol of its target group.
fn listener(read: &Reader<'_>, port: &ServicePort, service: &Service) -> (Listener, Protocol) {
    let certificate = read.text(keys::SSL_CERT).filter(|text| !text.is_empty());
    let ssl_ports = SslPorts::parse(read.text(keys::SSL_PORTS));
    let certificate = certificate.filter(|_| ssl_ports.covers(port.port, &port.name));
    let tls_targets = read.text(keys::BACKEND_PROTOCOL) == Some("ssl");
    let (protocol, behind) = match (port.protocol.as_str(), certificate.is_some()) {
        ("UDP", _) => (Protocol::Udp, Protocol::Udp),
        (_, true) if tls_targets => (Protocol::Tls, Protocol::Tls),
        (_, true) => (Protocol::Tls, Protocol::Tcp),
        (_, false) => (Protocol::Tcp, Protocol::Tcp),
    };
    let is_tls = protocol == Protocol::Tls;
    let policy = read.text(keys::SSL_NEGOTIATION_POLICY);
    let policy = policy.filter(|name| !name.is_empty()).unwrap_or(SSL_POLICY);
    let certificate = certificate.filter(|_| is_tls).map(str::to_owned);
    let listener = Listener {
        port: port.port,
        protocol,
        certificates: certificate.into_iter().collect(),
        ssl_policy: is_tls.then(|| policy.to_owned()),
        alpn_policy: None,
        attributes: Attributes::new(),
        targets: vec![Weighted {
            group: GroupRef::Own(id(service, port)),
            weight: None,
        }],
        sticky: None,
    };
    (listener, behind)
}

fn id(service: &Service, port: &ServicePort) -> String {
    format!("{}:{}", service.meta.key(), port.port)
}

fn group(
    service: &Service,
    port: &ServicePort,
    protocol: Protocol,
    attributes: &Attributes,
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
        name: names::provider_group(&meta.namespace, &meta.name, &hashed),
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

/// The attributes of target groups: the provider supports two (`validateServiceAnnotationTargetGroupAttributes`).
fn group_attributes(read: &Reader<'_>, service: &Service) -> Result<Attributes, Refused> {
    let Some(text) = read.text(GROUP_ATTRIBUTES) else {
        return Ok(Attributes::new());
    };
    let origin = read.origin_of(GROUP_ATTRIBUTES);
    let refused = |message: String| Refused::annotation(GROUP_ATTRIBUTES, message);
    let mut attributes = Attributes::new();
    for (key, value) in provider::key_values(text) {
        if !matches!(
            key.as_str(),
            "preserve_client_ip.enabled" | "proxy_protocol_v2.enabled"
        ) {
            let message = format!("the attribute {key:?} is not supported by the provider");
            return Err(
                refused(message).hint("preserve_client_ip.enabled or proxy_protocol_v2.enabled")
            );
        }
        if !matches!(value.as_str(), "true" | "false") {
            let message = format!("invalid attribute value for {key:?}: {value:?}");
            return Err(refused(message).hint("true or false"));
        }
        let mut ports = service.ports.iter();
        let has_udp = ports.any(|port| port.protocol == "UDP");
        if has_udp && key == "preserve_client_ip.enabled" && value == "false" {
            let message = "client IP preservation can't be disabled for UDP ports";
            return Err(refused(message.to_owned()));
        }
        attributes.insert(key, At::new(value, origin.clone()));
    }
    Ok(attributes)
}

/// The health check (`buildNLBHealthCheckConfiguration`). `read` keeps the errors.
fn health_check(read: &Reader<'_>, service: &Service) -> HealthCheck {
    let refused = &read.refused;
    let local = service.local_traffic;
    let (protocol, threshold, interval) = if local {
        ("HTTP", 2, 10)
    } else {
        ("TCP", 3, 30)
    };
    let key = keys::HEALTHCHECK_PROTOCOL;
    let protocol = match read.text(key).map(str::to_uppercase).as_deref() {
        None => protocol,
        Some("TCP") => "TCP",
        Some("HTTP") => "HTTP",
        Some("HTTPS") => "HTTPS",
        Some(other) => {
            let message = format!("unsupported health check protocol {other}");
            refused.or(protocol, Err(Refused::annotation(key, message)))
        }
    };
    let key = keys::HEALTHCHECK_PORT;
    let port = match read.text(key) {
        None => local.then(|| i64::from(service.health_check_node_port)),
        Some("traffic-port") => None,
        Some(text) => refused.keep(text.parse().map_err(|_| {
            let message = format!("expected a port number or traffic-port, found {text:?}");
            Refused::annotation(key, message)
        })),
    };
    let path = read
        .text(keys::HEALTHCHECK_PATH)
        .unwrap_or(if local { "/healthz" } else { "/" });
    let number = |key: &'static Row, default| refused.or_default(read.int(key)).unwrap_or(default);
    // It is read, and not sent.
    number(keys::HEALTHCHECK_TIMEOUT, CHECK_TIMEOUT);
    HealthCheck {
        protocol,
        port,
        path: (protocol != "TCP").then(|| path.to_owned()),
        codes: None,
        interval: number(keys::HEALTHCHECK_INTERVAL, interval),
        timeout: CHECK_TIMEOUT,
        healthy: number(keys::HEALTHCHECK_HEALTHY_THRESHOLD, threshold),
        unhealthy: number(keys::HEALTHCHECK_UNHEALTHY_THRESHOLD, threshold),
    }
}
