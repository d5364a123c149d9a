//! The plan of a Service's Network Load Balancer, before it is written as a stack.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;

use crate::annotations::{Key, service as keys};
use crate::auto_mode;
use crate::bounds::{self, Budget};
use crate::context::{Context, ExistingLoadBalancer};
use crate::names;
use crate::objects::{Service, ServicePort};
use crate::scope::Scope;
use crate::stack::Attributes;

use super::addresses::{Mapping, mappings};
use super::load_balancer;
use super::port::{Listening, Protocol, alpn_policy};
use super::security;
pub use super::security::Security;
use super::target_group::{self, HealthCheck, TargetType};
use super::weighted::{Backend, forward};
use crate::lookup::service::{Reader, Refused};

/// A Network Load Balancer with its listeners and target groups.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// `internal` or `internet-facing`.
    pub scheme: &'static str,
    /// `ipv4` or `dualstack`.
    pub ip_address_type: &'static str,
    /// Its subnets.
    pub mappings: Vec<Mapping>,
    /// Whether UDP over IPv6 is translated: `on` or `off`.
    pub source_nat: &'static str,
    /// Its attributes.
    pub attributes: Attributes,
    /// The reserved capacity units.
    pub minimum_capacity: Option<i32>,
    /// Whether security groups apply to PrivateLink traffic: `on` or `off`.
    pub private_link_rules: Option<&'static str>,
    /// Its security groups.
    pub security: Security,
    /// The tags of every resource.
    pub tags: BTreeMap<String, String>,
    /// The listeners, in the order of the Service's ports.
    pub listeners: Vec<Listener>,
    /// The target groups, in the order in which listeners name them.
    pub groups: Vec<Group>,
}

/// A listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// TLS only; the first is the default.
    pub certificates: Vec<String>,
    /// TLS only.
    pub ssl_policy: Option<String>,
    /// TLS only.
    pub alpn_policy: Option<String>,
    /// Its attributes.
    pub attributes: Attributes,
    /// The targets of connections.
    pub targets: Vec<Weighted>,
    /// The stickiness that the user writes: whether a client stays with its target group, if it says so.
    pub sticky: Option<Option<bool>>,
}

/// A target group that gets a share of a listener's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// The target group.
    pub group: GroupRef,
    /// Its weight, if there are several.
    pub weight: Option<i32>,
}

/// A target group of the stack, or an existing one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRef {
    /// By its id in the stack.
    Own(String),
    /// By its ARN.
    Arn(String),
}

/// A target group.
#[derive(Clone, Debug)]
pub struct Group {
    /// `namespace/service:port`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The namespace of its Service.
    pub namespace: String,
    /// The name of its Service.
    pub service: String,
    /// The port of its Service.
    pub service_port: u16,
    /// How targets are reached.
    pub kind: TargetType,
    /// Its port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Whether targets have IPv6 addresses.
    pub ipv6: bool,
    /// Its attributes.
    pub attributes: Attributes,
    /// Its health check.
    pub health_check: HealthCheck,
    /// Labels of the nodes that are targets.
    pub node_labels: BTreeMap<String, String>,
    /// Whether several clusters share it.
    pub multi_cluster: bool,
}

/// Plans the load balancer, or says why the Service is refused. Warnings about stand-ins go to `found`.
pub(crate) fn plan(
    service: &Service,
    scope: Scope<'_>,
    environment: &Context,
    found: &mut Vec<Diagnostic>,
) -> Result<Plan, Refused> {
    let read = Reader::of(service, environment.personality);
    let planned = planned(&read, service, (scope, environment), found);
    read.finish(planned, service, found)
}

/// The plan. Errors that leave the rest readable are in `read`, and the plan is void then.
fn planned(
    read: &Reader<'_>,
    service: &Service,
    (scope, environment): (Scope<'_>, &Context),
    found: &mut Vec<Diagnostic>,
) -> Result<Plan, Refused> {
    let refused = &read.refused;
    let existing = existing(service, environment);
    let scheme = refused.keep(load_balancer::scheme(read));
    let scheme = scheme.map(|scheme| {
        scheme.unwrap_or_else(|| {
            scheme_of(
                existing.map_or(&environment.defaults.load_balancer_scheme, |found| {
                    &found.scheme
                }),
            )
        })
    });
    let ip_address_type = refused.keep(load_balancer::ip_address_type(read));
    let dualstack = ip_address_type.map(|kind| kind == "dualstack");
    let addresses = match (scheme, dualstack) {
        (Some(scheme), Some(dualstack)) => {
            let wanted = (scheme, dualstack);
            let places = super::subnets::places(read, environment, existing, wanted, found);
            let places = refused.keep(places);
            places.and_then(|places| refused.keep(mappings(read, scheme, dualstack, &places)))
        }
        // Which subnets and addresses fit depends on both.
        _ => None,
    };
    let (mappings, source_nat) = addresses.unwrap_or_default();
    let meta = &service.meta;
    let scheme = scheme.unwrap_or_default();
    let name = refused.or_default(load_balancer::explicit_name(read));
    let name = name.unwrap_or_else(|| {
        names::namespaced(
            &meta.namespace,
            &meta.name,
            &[&environment.cluster_name, &meta.uid, scheme],
        )
    });
    // Without a known family, nothing is refused for it.
    let dualstack = dualstack.unwrap_or(true);
    let mut builder = Builder {
        service,
        scope,
        environment,
        read,
        dualstack,
        open: false,
        groups: Vec::new(),
        certificates: 0,
        budget: Budget::default(),
        copied: bounds::of_map(&environment.defaults.tags) + of_annotations(read),
    };
    let security = security::security(read, service, environment, existing, dualstack, found);
    let security = refused.or(Security::Open, security);
    builder.open = security == Security::Open;
    let listeners = builder.listeners()?;
    let private_link = keys::INBOUND_SG_RULES_ON_PRIVATE_LINK_TRAFFIC;
    Ok(Plan {
        name,
        scheme,
        ip_address_type: ip_address_type.unwrap_or_default(),
        mappings,
        source_nat,
        attributes: load_balancer::attributes(read),
        minimum_capacity: refused.or_default(load_balancer::minimum_capacity(read, environment)),
        private_link_rules: refused.or_default(load_balancer::on_off(read, private_link)),
        security,
        tags: refused.or_default(tags(read, environment)),
        listeners,
        groups: builder.groups,
    })
}

struct Builder<'a> {
    service: &'a Service,
    scope: Scope<'a>,
    environment: &'a Context,
    read: &'a Reader<'a>,
    dualstack: bool,
    /// Whether the load balancer has no security groups.
    open: bool,
    groups: Vec<Group>,
    /// The certificates of all listeners so far.
    certificates: usize,
    budget: Budget,
    /// Bytes that each listener and each target group copies.
    copied: usize,
}

/// Bytes of the annotations that each listener or each target group copies.
fn of_annotations(read: &Reader<'_>) -> usize {
    let copied = [
        keys::ADDITIONAL_RESOURCE_TAGS,
        keys::TARGET_GROUP_ATTRIBUTES,
        keys::TARGET_NODE_LABELS,
        keys::SSL_NEGOTIATION_POLICY,
        keys::HEALTHCHECK_PATH,
        keys::HEALTHCHECK_SUCCESS_CODES,
    ];
    copied
        .iter()
        .filter_map(|key| read.text(key))
        .map(bounds::of_list)
        .sum()
}

impl Builder<'_> {
    fn listeners(&mut self) -> Result<Vec<Listener>, Refused> {
        let merges = self.environment.gate("EnableTCPUDPListener", false);
        let listening = Listening::read(self.read, &self.service.ports, merges);
        let ports = self
            .read
            .refused
            .or_default(listening.ports(&self.service.ports));
        let mut listeners: Vec<Listener> = Vec::new();
        for (port, merged) in ports {
            let Some(listener) = self.listener(&listening, port, merged)? else {
                continue;
            };
            if !listeners.iter().any(|first| first.port == listener.port) {
                listeners.push(listener);
            }
        }
        Ok(listeners)
    }

    /// The listener of a port; `None` if it is refused, with the error in `read`. An error of its own is that of a bound, which
    /// ends the reading.
    fn listener(
        &mut self,
        listening: &Listening,
        port: &ServicePort,
        merged: bool,
    ) -> Result<Option<Listener>, Refused> {
        let refused = &self.read.refused;
        let Some((protocol, group_protocol)) = refused.keep(listening.protocols(port, merged))
        else {
            return Ok(None);
        };
        let tls = protocol == Protocol::Tls;
        let number = port.port;
        self.budget.spend(self.copied).map_err(Refused::too_much)?;
        if tls {
            self.certificates += listening.certificates.len();
            bounds::certificates(self.certificates).map_err(Refused::too_much)?;
        }
        let key = format!("{}-{number}", protocol.as_str());
        let actions = keys::ACTIONS.of(&key);
        let forward = refused.or_default(forward(self.read, &actions));
        let Some(own) = self.group(None, self.service, port, group_protocol)? else {
            return Ok(None);
        };
        let weight = forward.as_ref().and_then(|forward| forward.base_weight);
        let mut targets = vec![Weighted {
            group: GroupRef::Own(own),
            weight,
        }];
        for backend in forward.iter().flat_map(|forward| &forward.backends) {
            if let Some(group) = self.backend(&actions, backend, protocol)? {
                targets.push(Weighted {
                    group,
                    weight: backend.weight,
                });
            }
        }
        let policy = self.read.text(keys::SSL_NEGOTIATION_POLICY);
        let policy = policy.map_or_else(
            || self.environment.defaults.ssl_policy.clone(),
            str::to_owned,
        );
        Ok(Some(Listener {
            port: number,
            protocol,
            certificates: if tls {
                listening.certificates.clone()
            } else {
                Vec::new()
            },
            ssl_policy: tls.then_some(policy),
            alpn_policy: refused.or_default(alpn_policy(self.read, protocol)),
            attributes: refused
                .or_default(self.read.attributes(keys::LISTENER_ATTRIBUTES.of(&key))),
            targets,
            sticky: forward.and_then(|forward| forward.sticky),
        }))
    }

    /// The target group of another Service that gets a share of a listener's connections.
    fn backend(
        &mut self,
        key: &Key,
        backend: &Backend,
        listener: Protocol,
    ) -> Result<Option<GroupRef>, Refused> {
        let (name, port) = match &backend.to {
            super::weighted::To::Arn(arn) => return Ok(Some(GroupRef::Arn(arn.clone()))),
            super::weighted::To::Service(name, port) => (name, port),
        };
        let Some(service) = self.scope.service(&self.service.meta.namespace, name) else {
            let message = format!("there is no Service {name:?}");
            self.read.refused.add(Refused::annotation(key, message));
            return Ok(None);
        };
        let Some(port) = service.port(port) else {
            let message = format!("unable to find port {port} on Service {name}");
            self.read.refused.add(Refused::annotation(key, message));
            return Ok(None);
        };
        let decrypts = listener == Protocol::Tls && backend.decrypt;
        let protocol = if decrypts { Protocol::Tcp } else { listener };
        let base = self.service.meta.uid.clone();
        let group = self.group(Some(&base), service, port, protocol)?;
        Ok(group.map(GroupRef::Own))
    }

    /// The id of the target group for a port of a Service, which is made once. Errors as for [`Self::listener`].
    fn group(
        &mut self,
        base: Option<&str>,
        service: &Service,
        port: &ServicePort,
        protocol: Protocol,
    ) -> Result<Option<String>, Refused> {
        let meta = &service.meta;
        let id = format!("{}/{}:{}", meta.namespace, meta.name, port.port);
        if self.groups.iter().any(|group| group.id == id) {
            return Ok(Some(id));
        }
        self.budget.spend(self.copied).map_err(Refused::too_much)?;
        let (read, environment) = (self.read, self.environment);
        let refused = &read.refused;
        let default = if auto_mode::owns(self.service, self.environment.personality) {
            auto_mode::TARGET_TYPE
        } else {
            &environment.defaults.target_type
        };
        let kind = refused.keep(target_group::target_type(
            read,
            service,
            port,
            default,
            environment.enable_ip_target_type && environment.gate("EnableIPTargetType", true),
        ));
        let Some(kind) = kind else {
            return Ok(None);
        };
        let basis = target_group::Basis {
            service,
            kind,
            local_port: self.service.health_check_node_port,
            advanced: environment.gate("NLBHealthCheckAdvancedConfig", true),
        };
        let health_check = target_group::health_check(read, basis);
        if self.open {
            // The controller reads it to open the nodes for clients.
            refused.keep(read.bool(keys::MANAGE_BACKEND_SECURITY_GROUP_RULES));
        }
        let attributes = refused.or_default(target_group::attributes(read, port));
        let number = refused.or_default(target_group::target_group_port(kind, port));
        let ipv6 = service.ip_families.iter().any(|family| family == "IPv6");
        if ipv6 && !self.dualstack {
            let message = "unsupported IPv6 configuration, lb not dual-stack";
            let error = Refused::field("spec.ipFamilies", message);
            refused
                .add(error.hint(
                    "annotate the Service with aws-load-balancer-ip-address-type: dualstack",
                ));
        }
        let (number_text, port_text) = (number.to_string(), port.port.to_string());
        let interval = health_check.interval.to_string();
        let mut hashed = vec![environment.cluster_name.as_str()];
        hashed.extend(base);
        hashed.extend([
            &*meta.uid,
            &number_text,
            &port_text,
            kind.as_str(),
            protocol.as_str(),
        ]);
        hashed.extend([health_check.protocol, &interval]);
        let node_labels = match kind {
            TargetType::Instance => refused.or_default(read.map(keys::TARGET_NODE_LABELS)),
            TargetType::Ip => BTreeMap::new(),
        };
        self.groups.push(Group {
            name: names::namespaced(&meta.namespace, &meta.name, &hashed),
            namespace: meta.namespace.clone(),
            service: meta.name.clone(),
            service_port: port.port,
            kind,
            port: number,
            protocol,
            ipv6,
            attributes,
            health_check,
            node_labels,
            multi_cluster: refused.or_default(read.bool(keys::MULTI_CLUSTER_TARGET_GROUP))
                == Some(true),
            id: id.clone(),
        });
        Ok(Some(id))
    }
}

/// The existing load balancer of the Service, if any, found by its tags.
fn existing<'a>(service: &Service, environment: &'a Context) -> Option<&'a ExistingLoadBalancer> {
    let stack = service.meta.key();
    let is_of = |found: &&ExistingLoadBalancer| {
        let cluster = found.tags.get("elbv2.k8s.aws/cluster");
        found.tags.get("service.k8s.aws/stack") == Some(&stack)
            && cluster.is_none_or(|cluster| *cluster == environment.cluster_name)
    };
    environment.existing_load_balancers.iter().find(is_of)
}

fn scheme_of(text: &str) -> &'static str {
    if text == "internet-facing" {
        "internet-facing"
    } else {
        "internal"
    }
}

/// The tags of every resource: those of the controller's flag, which override the user's unless the feature gate
/// `EnableDefaultTagsLowPriority` is on.
fn tags(read: &Reader<'_>, environment: &Context) -> Result<BTreeMap<String, String>, Refused> {
    let defaults = environment.defaults.tags.clone();
    let own = read.map(keys::ADDITIONAL_RESOURCE_TAGS)?;
    let (mut tags, over) = if environment.gate("EnableDefaultTagsLowPriority", false) {
        (defaults, own)
    } else {
        (own, defaults)
    };
    tags.extend(over);
    Ok(tags)
}
