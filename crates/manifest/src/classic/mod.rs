//! The Classic load balancer that the cloud provider makes of a Service (control-plane.md 4).

mod attributes;
mod health;
mod listeners;
pub(crate) mod provider;

use elbow_model::At;
use elbow_model::diagnostic::Diagnostic;
use ipnet::IpNet;

use crate::account;
use crate::annotations::{Row, service as keys};
use crate::bounds;
use crate::context::Context;
use crate::lookup::service::{Reader, Refused};
use crate::names;
use crate::objects::{Service, ServicePort};
use crate::stack::Stack;

pub use crate::stack::{
    AccessLog, BackendServerPolicy, ClassicAttributes, ClassicHealthCheck, ClassicListener,
    ClassicPermission, ClassicRange, ClassicSecurityGroup, ClassicSpec, ConnectionDraining,
    ConnectionSettings, CrossZone,
};
pub use listeners::{Protocols, SslPorts, protocols};

const PROXY_PROTOCOL: &Row = keys::PROXY_PROTOCOL;
const BACKEND: &Row = keys::BACKEND_PROTOCOL;
const CERTIFICATE: &Row = keys::SSL_CERT;
const NEGOTIATION: &Row = keys::SSL_NEGOTIATION_POLICY;

/// The Classic load balancer of a Service, or why it is refused. Warnings about stand-ins go to `found`.
pub fn build(
    service: &Service,
    environment: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<ClassicSpec, Refused> {
    let read = Reader::new(&service.meta);
    let spec = spec(&read, service, environment, found);
    read.finish(spec, service, found)
}

/// The load balancer. Errors that leave the rest readable are in `read`, and the result is void then.
fn spec(
    read: &Reader<'_>,
    service: &Service,
    environment: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<ClassicSpec, Refused> {
    let refused = &read.refused;
    refused.keep(provider::refuse_another_type(service, false, environment));
    refuse_the_impossible(read, service);
    let name = names::classic(&service.meta.uid);
    let internal = provider::internal(read);
    let scheme = if internal {
        "internal"
    } else {
        "internet-facing"
    };
    let ranges = refused.or_default(provider::source_ranges(read, service));
    let ports: Vec<&ServicePort> = service
        .ports
        .iter()
        .filter(|port| port.node_port != 0)
        .collect();
    provider::bound(read, service)?;
    if ports.is_empty() {
        let message = "no port has a node port, and a load balancer needs a listener";
        let error = Refused::field("spec.ports", message);
        refused.add(error.hint("set allocateLoadBalancerNodePorts to true"));
    }
    let mut listeners = refused.or_default(listeners(read, &ports));
    let first_node_port = listeners
        .first()
        .map_or(0, |listener| listener.instance_port);
    let local_check_port = service
        .local_traffic
        .then_some(service.health_check_node_port);
    let health_check = health::health_check(
        read,
        health::Basis {
            first_node_port,
            local_check_port,
        },
    );
    let backend_server_policies = backend_policies(read, &listeners);
    listeners.sort_by_key(|listener| listener.load_balancer_port);
    let named = read.text(keys::SUBNETS).map(|_| read.list(keys::SUBNETS));
    let subnets = account::provider_subnets(environment, scheme, named.as_deref());
    let subnets = refused.or_default(read.resolved(keys::SUBNETS, subnets, found));
    let subnets = subnets.into_iter();
    let mut subnets: Vec<String> = subnets.map(|subnet| subnet.id).collect();
    // As ELB returns them.
    subnets.sort();
    let named = (&*name, &*ranges);
    let security_groups = security_groups(read, service, named, environment, found);
    Ok(ClassicSpec {
        scheme: At::new(scheme.to_owned(), read.origin(&[keys::INTERNAL])),
        subnets,
        security_groups: refused.or_default(security_groups),
        listeners,
        health_check,
        backend_server_policies,
        attributes: attributes::attributes(read),
        tags: provider::tags(read, service, environment),
        load_balancer_name: name,
        origin: service.meta.origin(),
    })
}

/// `read` keeps the errors.
fn refuse_the_impossible(read: &Reader<'_>, service: &Service) {
    let refuse = |error| read.refused.add(error);
    read.refused
        .keep(provider::refuse_the_impossible(service, &["TCP"]));
    let key = keys::TARGET_GROUP_ATTRIBUTES;
    if read.text(key).is_some() {
        let message = "a Classic load balancer has no target groups";
        refuse(Refused::annotation(key, message));
    }
    if let Some(other) = read.text(PROXY_PROTOCOL)
        && !matches!(other, "*" | "")
    {
        let error = Refused::annotation(PROXY_PROTOCOL, format!("{other:?} is not supported"));
        refuse(error.hint("the only value is *"));
    }
}

fn listeners(read: &Reader<'_>, ports: &[&ServicePort]) -> Result<Vec<ClassicListener>, Refused> {
    let certificate = read.text(CERTIFICATE).filter(|text| !text.is_empty());
    let ssl_ports = SslPorts::parse(read.text(keys::SSL_PORTS));
    let backend = read.text(BACKEND);
    let policy = read.text(NEGOTIATION);
    let (spoken, certified, negotiated) = (
        read.origin(&[BACKEND]),
        read.origin(&[CERTIFICATE]),
        read.origin(&[NEGOTIATION]),
    );
    let mut listeners = Vec::with_capacity(ports.len());
    for port in ports {
        let certificate = certificate.filter(|_| ssl_ports.covers(port.port, &port.name));
        let Some(protocols) = protocols(backend, certificate.is_some()) else {
            let message = format!(
                "Invalid backend protocol {} for a certificate",
                backend.unwrap_or_default()
            );
            return Err(Refused::annotation(BACKEND, message)
                .hint("one of tcp, ssl, http and https, in lower case"));
        };
        let policy = policy.filter(|_| listeners::secure(protocols.listener));
        listeners.push(ClassicListener {
            instance_port: port.node_port,
            instance_protocol: At::new(protocols.instance, spoken.clone()),
            load_balancer_port: port.port,
            policy_names: policy
                .map(|name| format!("k8s-SSLNegotiationPolicy-{name}"))
                .map(|name| At::new(name, negotiated.clone()))
                .into_iter()
                .collect(),
            protocol: At::new(protocols.listener, spoken.clone()),
            ssl_certificate_id: certificate.map(|arn| At::new(arn.to_owned(), certified.clone())),
        });
    }
    Ok(listeners)
}

fn backend_policies(read: &Reader<'_>, listeners: &[ClassicListener]) -> Vec<BackendServerPolicy> {
    if read.text(PROXY_PROTOCOL) != Some("*") {
        return Vec::new();
    }
    let origin = read.origin(&[PROXY_PROTOCOL]);
    let policy = |listener: &ClassicListener| BackendServerPolicy {
        instance_port: listener.instance_port,
        policy_names: vec![At::new(
            "k8s-proxyprotocol-enabled".to_owned(),
            origin.clone(),
        )],
    };
    listeners.iter().map(policy).collect()
}

fn security_groups(
    read: &Reader<'_>,
    service: &Service,
    (name, ranges): (&str, &[IpNet]),
    environment: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<Vec<ClassicSecurityGroup>, Refused> {
    // ELB accepts only the ids of groups.
    let mut foreign = |key: &'static Row| -> Result<Vec<ClassicSecurityGroup>, Refused> {
        let group = |id: String| {
            let mut known = environment.security_groups.iter();
            let group_name = match known.find(|group| group.id == id) {
                Some(known) => known.name.clone(),
                None => {
                    let finding = account::unknown_group(environment, &id);
                    read.stand_in(key, finding, found)?;
                    id
                }
            };
            Ok(ClassicSecurityGroup {
                group_name,
                ingress: Vec::new(),
                origin: read.origin(&[key]),
            })
        };
        read.list(key).into_iter().map(group).collect()
    };
    let mut groups = foreign(keys::SECURITY_GROUPS)?;
    if groups.is_empty() {
        let ingress = permissions(service, ranges)?;
        groups.push(ClassicSecurityGroup {
            group_name: format!("k8s-elb-{name}"),
            ingress,
            origin: read.origin(&[keys::SOURCE_RANGES]),
        });
    }
    groups.extend(foreign(keys::EXTRA_SECURITY_GROUPS)?);
    Ok(groups)
}

/// Each port from the source ranges, and ICMP for path MTU discovery.
fn permissions(service: &Service, ranges: &[IpNet]) -> Result<Vec<ClassicPermission>, Refused> {
    // The provider writes each range as an IPv4 range, which EC2 refuses.
    if let Some(range) = ranges.iter().find(|range| matches!(range, IpNet::V6(_))) {
        let message = format!("a Classic load balancer has no IPv6 addresses; remove {range}");
        return Err(if service.load_balancer_source_ranges.is_empty() {
            Refused::annotation(keys::SOURCE_RANGES, message)
        } else {
            Refused::field("spec.loadBalancerSourceRanges", message)
        });
    }
    let mut ip_ranges: Vec<ClassicRange> = ranges
        .iter()
        .map(|range| ClassicRange {
            cidr_ip: range.to_string(),
        })
        .collect();
    // The provider has them in no order.
    ip_ranges.sort();
    bounds::permissions(service.ports.len() * ip_ranges.len()).map_err(Refused::too_much)?;
    let permission = |from_port, to_port, ip_protocol| ClassicPermission {
        from_port,
        ip_protocol,
        ip_ranges: ip_ranges.clone(),
        to_port,
    };
    let ports = service.ports.iter().map(|port| i32::from(port.port));
    let mut permissions: Vec<_> = ports.map(|port| permission(port, port, "tcp")).collect();
    permissions.push(permission(3, 4, "icmp"));
    Ok(permissions)
}

/// The stack that holds the load balancer.
pub fn stack(service: &Service, spec: ClassicSpec) -> Stack {
    let mut stack = Stack::new(service.meta.key()).made_of(service.meta.origin());
    stack.classic = Some(spec);
    stack
}
