//! Service to Classic load balancer, as the provider of the cluster makes it (section 4).

mod attributes;
mod health;
mod listeners;
mod spec;

use std::collections::BTreeMap;

use crate::bounds;
use crate::context::{Context, UNKNOWN_GROUP};
use crate::names;
use crate::objects::{Service, ServicePort};
use crate::service::read::{Reader, Refused};
use crate::stack::Stack;

pub use listeners::{Protocols, SslPorts, protocols};
pub use spec::{
    AccessLog, BackendServerPolicy, ClassicAttributes, ClassicHealthCheck, ClassicListener,
    ClassicPermission, ClassicRange, ClassicSecurityGroup, ClassicSpec, ConnectionDraining,
    ConnectionSettings, CrossZone,
};

const PROXY_PROTOCOL: &str = "aws-load-balancer-proxy-protocol";
const BACKEND: &str = "aws-load-balancer-backend-protocol";

/// The Classic load balancer of a Service, or why it is refused.
pub fn build(service: &Service, environment: &Context) -> Result<ClassicSpec, Refused> {
    let read = Reader::new(&service.meta.annotations);
    refuse_the_impossible(&read, service)?;
    let name = names::classic(&service.meta.uid);
    let scheme = if internal(&read) {
        "internal"
    } else {
        "internet-facing"
    };
    let ports: Vec<&ServicePort> = service
        .ports
        .iter()
        .filter(|port| port.node_port != 0)
        .collect();
    crate::service::provider::bound(&read, service)?;
    let mut listeners = listeners(&read, &ports)?;
    let first_node_port = listeners
        .first()
        .map_or(0, |listener| listener.instance_port);
    let local_check_port = service
        .local_traffic
        .then_some(service.health_check_node_port);
    let health_check = health::health_check(
        &read,
        health::Basis {
            first_node_port,
            local_check_port,
        },
    )?;
    let backend_server_policies = backend_policies(&read, &listeners);
    listeners.sort_by_key(|listener| listener.load_balancer_port);
    Ok(ClassicSpec {
        scheme: scheme.to_owned(),
        subnets: subnets(&read, environment, scheme)?,
        security_groups: security_groups(&read, service, &name, environment)?,
        listeners,
        health_check,
        backend_server_policies,
        attributes: attributes::attributes(&read)?,
        tags: tags(&read, service, environment),
        load_balancer_name: name,
    })
}

fn refuse_the_impossible(read: &Reader<'_>, service: &Service) -> Result<(), Refused> {
    if service.client_affinity {
        return Err(Refused::field(
            "spec.sessionAffinity",
            "unsupported load balancer affinity: ClientIP",
        )
        .hint("a Classic load balancer needs sessionAffinity: None"));
    }
    if service.ports.is_empty() {
        return Err(Refused::field("spec.ports", "a load balancer needs a port"));
    }
    if !service.load_balancer_ip.is_empty() {
        return Err(Refused::field(
            "spec.loadBalancerIP",
            "an ELB cannot be given an address",
        ));
    }
    let first = service.ports.first().map(|port| port.protocol.as_str());
    if service
        .ports
        .iter()
        .any(|port| Some(port.protocol.as_str()) != first)
    {
        return Err(Refused::field(
            "spec.ports",
            "mixed protocol is not supported for LoadBalancer",
        )
        .hint("a Classic load balancer speaks TCP only"));
    }
    if first != Some("TCP") {
        let message = format!(
            "Protocol {} not supported by LoadBalancer",
            first.unwrap_or_default()
        );
        return Err(
            Refused::field("spec.ports", message).hint("a Classic load balancer speaks TCP only")
        );
    }
    if read
        .text("aws-load-balancer-target-group-attributes")
        .is_some()
    {
        let key = "aws-load-balancer-target-group-attributes";
        return Err(Refused::annotation(
            key,
            "a Classic load balancer has no target groups",
        ));
    }
    match read.text(PROXY_PROTOCOL) {
        None | Some("*") => Ok(()),
        Some(other) => Err(Refused::annotation(
            PROXY_PROTOCOL,
            format!("{other:?} is not supported"),
        )
        .hint("the only value is *")),
    }
}

/// Whether the load balancer is internal: anything but silence and `false` says so.
pub(crate) fn internal(read: &Reader<'_>) -> bool {
    !matches!(
        read.text("aws-load-balancer-internal"),
        None | Some("" | "false")
    )
}

fn listeners(read: &Reader<'_>, ports: &[&ServicePort]) -> Result<Vec<ClassicListener>, Refused> {
    let certificate = read
        .text("aws-load-balancer-ssl-cert")
        .filter(|text| !text.is_empty());
    let ssl_ports = SslPorts::parse(read.text("aws-load-balancer-ssl-ports"));
    let backend = read.text(BACKEND);
    let policy = read.text("aws-load-balancer-ssl-negotiation-policy");
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
            instance_protocol: protocols.instance,
            load_balancer_port: port.port,
            policy_names: policy
                .map(|name| format!("k8s-SSLNegotiationPolicy-{name}"))
                .into_iter()
                .collect(),
            protocol: protocols.listener,
            ssl_certificate_id: certificate.map(str::to_owned),
        });
    }
    Ok(listeners)
}

fn backend_policies(read: &Reader<'_>, listeners: &[ClassicListener]) -> Vec<BackendServerPolicy> {
    if read.text(PROXY_PROTOCOL).is_none() {
        return Vec::new();
    }
    let policy = |listener: &ClassicListener| BackendServerPolicy {
        instance_port: listener.instance_port,
        policy_names: vec!["k8s-proxyprotocol-enabled".to_owned()],
    };
    listeners.iter().map(policy).collect()
}

/// The subnets that the annotation names, else one per zone; sorted by id as ELB gives them.
fn subnets(read: &Reader<'_>, environment: &Context, scheme: &str) -> Result<Vec<String>, Refused> {
    let key = "aws-load-balancer-subnets";
    let named = read.list(key);
    let mut ids = Vec::new();
    for item in &named {
        let known = environment
            .subnets
            .iter()
            .find(|subnet| subnet.id == *item || subnet.name == *item);
        match known {
            Some(subnet) => ids.push(subnet.id.clone()),
            None => {
                return Err(
                    Refused::annotation(key, format!("there is no subnet {item:?}"))
                        .hint(environment.subnet_hint(item)),
                );
            }
        }
    }
    if named.is_empty() {
        let mut zones: BTreeMap<&str, &str> = BTreeMap::new();
        for subnet in environment
            .subnets
            .iter()
            .filter(|subnet| subnet.scheme == scheme)
        {
            let chosen = zones.entry(&subnet.availability_zone).or_insert(&subnet.id);
            *chosen = (*chosen).min(&subnet.id);
        }
        ids = zones.into_values().map(str::to_owned).collect();
    }
    if ids.is_empty() {
        return Err(Refused::annotation(
            key,
            format!("could not find any {scheme} subnet"),
        ));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn security_groups(
    read: &Reader<'_>,
    service: &Service,
    name: &str,
    environment: &Context,
) -> Result<Vec<ClassicSecurityGroup>, Refused> {
    // ELB takes groups by their ids alone.
    let foreign = |key: &str| -> Result<Vec<ClassicSecurityGroup>, Refused> {
        let group = |id: String| {
            let mut known = environment.security_groups.iter();
            let Some(known) = known.find(|group| group.id == id) else {
                let message = format!("there is no security group {id:?}");
                return Err(Refused::annotation(key, message).hint(UNKNOWN_GROUP));
            };
            Ok(ClassicSecurityGroup {
                group_name: known.name.clone(),
                ingress: Vec::new(),
            })
        };
        read.list(key).into_iter().map(group).collect()
    };
    let mut groups = foreign("aws-load-balancer-security-groups")?;
    if groups.is_empty() {
        let ingress = permissions(read, service)?;
        groups.push(ClassicSecurityGroup {
            group_name: format!("k8s-elb-{name}"),
            ingress,
        });
    }
    groups.extend(foreign("aws-load-balancer-extra-security-groups")?);
    groups.sort_by(|a, b| a.group_name.cmp(&b.group_name));
    Ok(groups)
}

/// Each port from the source ranges, and ICMP for the discovery of the path's MTU.
fn permissions(read: &Reader<'_>, service: &Service) -> Result<Vec<ClassicPermission>, Refused> {
    let key = "load-balancer-source-ranges";
    let mut ranges = service.load_balancer_source_ranges.clone();
    if ranges.is_empty() {
        ranges = read.list(key);
    }
    if ranges.is_empty() {
        ranges.push("0.0.0.0/0".to_owned());
    }
    let mut ip_ranges = Vec::with_capacity(ranges.len());
    for range in ranges {
        let range = range.trim();
        if range.parse::<ipnet::IpNet>().is_err() {
            return Err(
                Refused::annotation(key, format!("{range:?} is not a range of addresses"))
                    .hint("CIDR notation, e.g. 10.0.0.0/8"),
            );
        }
        ip_ranges.push(ClassicRange {
            cidr_ip: range.to_owned(),
        });
    }
    ip_ranges.sort();
    ip_ranges.dedup();
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

/// The tags that the provider gives, over the user's.
pub(crate) fn tags(
    read: &Reader<'_>,
    service: &Service,
    environment: &Context,
) -> BTreeMap<String, String> {
    // Unlike the other controller, this one takes keys without a value.
    let key = "aws-load-balancer-additional-resource-tags";
    let mut tags = BTreeMap::new();
    for item in read.list(key) {
        let (name, value) = item.split_once('=').unwrap_or((&item, ""));
        if !name.trim().is_empty() {
            tags.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    let meta = &service.meta;
    tags.insert(
        "kubernetes.io/service-name".to_owned(),
        format!("{}/{}", meta.namespace, meta.name),
    );
    tags.insert(
        "KubernetesCluster".to_owned(),
        environment.cluster_name.clone(),
    );
    tags.insert(
        format!("kubernetes.io/cluster/{}", environment.cluster_name),
        "owned".to_owned(),
    );
    tags
}

/// The stack that holds the load balancer.
pub fn stack(service: &Service, spec: ClassicSpec) -> Stack {
    let mut stack = Stack::new(service.meta.key()).made_of(&service.meta);
    stack.classic = Some(spec);
    stack
}
