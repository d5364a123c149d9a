//! A Service as a Network Load Balancer: what is decided, before it is written down as a stack.

use std::collections::BTreeMap;

use crate::bounds::{self, Budget};
use crate::context::{Context, ExistingLoadBalancer};
use crate::names;
use crate::objects::{Service, ServicePort};
use crate::scope::Scope;

use super::addresses::{Mapping, mappings};
use super::firewall::{Permission, permissions};
use super::load_balancer;
use super::port::{Listening, Protocol, alpn_policy};
use super::read::{Reader, Refused};
use super::target_group::{self, HealthCheck, TargetType};
use super::weighted::{Backend, forward};

/// A Network Load Balancer and all that hangs on it.
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
    pub attributes: BTreeMap<String, String>,
    /// Capacity units reserved.
    pub minimum_capacity: Option<i32>,
    /// Whether security groups hold for PrivateLink: `on` or `off`.
    pub private_link_rules: Option<&'static str>,
    /// Its security groups.
    pub security: Security,
    /// Tags of everything.
    pub tags: BTreeMap<String, String>,
    /// In order of the Service's ports.
    pub listeners: Vec<Listener>,
    /// In the order in which listeners name them.
    pub groups: Vec<Group>,
}

/// The security groups of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// None at all.
    Open,
    /// One is made.
    Managed {
        /// Its name.
        name: String,
        /// What it lets in.
        permissions: Vec<Permission>,
        /// The group that targets let in, if there is a shared one.
        backend: Option<String>,
    },
    /// The user's own.
    Named {
        /// Their ids.
        ids: Vec<String>,
        /// The group that targets let in, if the controller manages their rules.
        backend: Option<String>,
    },
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
    pub attributes: BTreeMap<String, String>,
    /// Where connections go.
    pub targets: Vec<Weighted>,
    /// Whether a client stays with its target group, where the user says so.
    pub sticky: Option<bool>,
}

/// A share of a listener's connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// The target group.
    pub group: GroupRef,
    /// Its share, where there are several.
    pub weight: Option<i32>,
}

/// A target group of the stack, or one that exists elsewhere.
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
    pub attributes: BTreeMap<String, String>,
    /// Its health check.
    pub health_check: HealthCheck,
    /// Labels of the nodes that are targets.
    pub node_labels: BTreeMap<String, String>,
    /// Whether several clusters share it.
    pub multi_cluster: bool,
}

/// Decides everything, or says why the Service is refused.
pub(crate) fn plan(
    service: &Service,
    scope: Scope<'_>,
    environment: &Context,
) -> Result<Plan, Refused> {
    let read = Reader::new(&service.meta.annotations);
    let existing = existing(service, environment);
    let scheme = match load_balancer::scheme(&read)? {
        Some(scheme) => scheme,
        None => scheme_of(
            existing.map_or(&environment.defaults.load_balancer_scheme, |found| {
                &found.scheme
            }),
        ),
    };
    let ip_address_type = load_balancer::ip_address_type(&read)?;
    let dualstack = ip_address_type == "dualstack";
    let places = super::subnets::places(&read, environment, existing, scheme)?;
    let (mappings, source_nat) = mappings(&read, scheme, dualstack, &places)?;
    let meta = &service.meta;
    let name = match load_balancer::explicit_name(&read)? {
        Some(name) => name,
        None => names::namespaced(
            &meta.namespace,
            &meta.name,
            &[&environment.cluster_name, &meta.uid, scheme],
        ),
    };
    let mut builder = Builder {
        service,
        scope,
        environment,
        read,
        dualstack,
        groups: Vec::new(),
        certificates: 0,
        budget: Budget::default(),
        copied: bounds::of_map(&environment.defaults.tags) + of_annotations(&read),
    };
    let security = if existing.is_some_and(|found| found.security_groups.is_empty()) {
        Security::Open
    } else {
        builder.security()?
    };
    let listeners = builder.listeners()?;
    Ok(Plan {
        name,
        scheme,
        ip_address_type,
        mappings,
        source_nat,
        attributes: load_balancer::attributes(&read)?,
        minimum_capacity: load_balancer::minimum_capacity(&read)?,
        private_link_rules: load_balancer::on_off(
            &read,
            "aws-load-balancer-inbound-sg-rules-on-private-link-traffic",
        )?,
        security,
        tags: tags(&read, environment)?,
        listeners,
        groups: builder.groups,
    })
}

struct Builder<'a> {
    service: &'a Service,
    scope: Scope<'a>,
    environment: &'a Context,
    read: Reader<'a>,
    dualstack: bool,
    groups: Vec<Group>,
    /// Of all listeners.
    certificates: usize,
    budget: Budget,
    /// Bytes that every listener and every target group has a copy of.
    copied: usize,
}

/// Bytes of the annotations that every listener or every target group has a copy of.
fn of_annotations(read: &Reader<'_>) -> usize {
    let copied = [
        "aws-load-balancer-additional-resource-tags",
        "aws-load-balancer-target-group-attributes",
        "aws-load-balancer-target-node-labels",
        "aws-load-balancer-ssl-negotiation-policy",
        "aws-load-balancer-healthcheck-path",
        "aws-load-balancer-healthcheck-success-codes",
    ];
    copied
        .iter()
        .filter_map(|key| read.text(key))
        .map(bounds::of_list)
        .sum()
}

impl Builder<'_> {
    fn security(&self) -> Result<Security, Refused> {
        let read = &self.read;
        if read.bool("aws-load-balancer-disable-nlb-sg")? == Some(true)
            || !self.environment.gate("NLBSecurityGroup", true)
        {
            return Ok(Security::Open);
        }
        let shared = &self.environment.backend_security_group;
        let backend = shared.enabled.then(|| shared.id.clone());
        let named = read.list("aws-load-balancer-security-groups");
        if named.is_empty() {
            let meta = &self.service.meta;
            let hashed = [
                &self.environment.cluster_name,
                &meta.name,
                &meta.namespace,
                &meta.uid,
            ];
            let permissions = permissions(read, self.service, self.dualstack)?;
            let name = names::namespaced(&meta.namespace, &meta.name, &hashed.map(String::as_str));
            return Ok(Security::Managed {
                name,
                permissions,
                backend,
            });
        }
        let ids = super::subnets::security_groups(self.environment, &named)?;
        let key = "aws-load-balancer-manage-backend-security-group-rules";
        if read.bool(key)? != Some(true) {
            return Ok(Security::Named { ids, backend: None });
        }
        match backend {
            Some(backend) => Ok(Security::Named {
                ids,
                backend: Some(backend),
            }),
            None => Err(Refused::annotation(
                key,
                "the rules of targets need the shared backend security group",
            )
            .hint("set backendSecurityGroup.enabled in the environment")),
        }
    }

    fn listeners(&mut self) -> Result<Vec<Listener>, Refused> {
        let merges = self.environment.gate("EnableTCPUDPListener", false);
        let listening = Listening::read(&self.read, &self.service.ports, merges)?;
        let mut listeners: Vec<Listener> = Vec::new();
        for (port, merged) in listening.ports(&self.service.ports)? {
            let listener = self.listener(&listening, port, merged)?;
            if !listeners.iter().any(|first| first.port == listener.port) {
                listeners.push(listener);
            }
        }
        Ok(listeners)
    }

    fn listener(
        &mut self,
        listening: &Listening,
        port: &ServicePort,
        merged: bool,
    ) -> Result<Listener, Refused> {
        let (protocol, group_protocol) = listening.protocols(port, merged)?;
        let tls = protocol == Protocol::Tls;
        let number = port.port;
        self.budget.spend(self.copied).map_err(Refused::too_much)?;
        if tls {
            self.certificates += listening.certificates.len();
            bounds::certificates(self.certificates).map_err(Refused::too_much)?;
        }
        let key = format!("{}-{number}", protocol.as_str());
        let forward = forward(&self.read, &format!("actions.{key}"))?;
        let own = self.group(None, self.service, port, group_protocol)?;
        let weight = forward.as_ref().and_then(|forward| forward.base_weight);
        let mut targets = vec![Weighted {
            group: GroupRef::Own(own),
            weight,
        }];
        for backend in forward.iter().flat_map(|forward| &forward.backends) {
            let group = self.backend(&format!("actions.{key}"), backend, protocol)?;
            targets.push(Weighted {
                group,
                weight: backend.weight,
            });
        }
        let policy = self.read.text("aws-load-balancer-ssl-negotiation-policy");
        let policy = policy.map_or_else(
            || self.environment.defaults.ssl_policy.clone(),
            str::to_owned,
        );
        Ok(Listener {
            port: number,
            protocol,
            certificates: if tls {
                listening.certificates.clone()
            } else {
                Vec::new()
            },
            ssl_policy: tls.then_some(policy),
            alpn_policy: alpn_policy(&self.read, protocol)?,
            attributes: self
                .read
                .map(&format!("aws-load-balancer-listener-attributes.{key}"))?,
            targets,
            sticky: forward.and_then(|forward| forward.sticky),
        })
    }

    /// The target group of another Service that a listener shares its connections with.
    fn backend(
        &mut self,
        key: &str,
        backend: &Backend,
        listener: Protocol,
    ) -> Result<GroupRef, Refused> {
        let (name, port) = match &backend.to {
            super::weighted::To::Arn(arn) => return Ok(GroupRef::Arn(arn.clone())),
            super::weighted::To::Service(name, port) => (name, port),
        };
        let Some(service) = self.scope.service(&self.service.meta.namespace, name) else {
            return Err(Refused::annotation(
                key,
                format!("there is no Service {name:?}"),
            ));
        };
        let found = service
            .ports
            .iter()
            .find(|known| known.name == *port || known.port.to_string() == *port);
        let Some(port) = found else {
            return Err(Refused::annotation(
                key,
                format!("unable to find port {port} on Service {name}"),
            ));
        };
        let decrypts = listener == Protocol::Tls && backend.decrypt;
        let protocol = if decrypts { Protocol::Tcp } else { listener };
        self.group(
            Some(&self.service.meta.uid.clone()),
            service,
            port,
            protocol,
        )
        .map(GroupRef::Own)
    }

    /// The id of the target group for a port of a Service; made once.
    fn group(
        &mut self,
        base: Option<&str>,
        service: &Service,
        port: &ServicePort,
        protocol: Protocol,
    ) -> Result<String, Refused> {
        let meta = &service.meta;
        let id = format!("{}/{}:{}", meta.namespace, meta.name, port.port);
        if self.groups.iter().any(|group| group.id == id) {
            return Ok(id);
        }
        self.budget.spend(self.copied).map_err(Refused::too_much)?;
        let (read, environment) = (&self.read, self.environment);
        let default = &environment.defaults.target_type;
        let kind = target_group::target_type(
            read,
            service,
            port,
            default.as_str(),
            environment.enable_ip_target_type,
        )?;
        let health_check = target_group::health_check(read, service, kind)?;
        let attributes = target_group::attributes(read, port)?;
        let number = target_group::target_group_port(kind, port)?;
        let ipv6 = service.ip_families.iter().any(|family| family == "IPv6");
        if ipv6 && !self.dualstack {
            return Err(Refused::field(
                "spec.ipFamilies",
                "unsupported IPv6 configuration, lb not dual-stack",
            )
            .hint("annotate the Service with aws-load-balancer-ip-address-type: dualstack"));
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
            TargetType::Instance => read.map("aws-load-balancer-target-node-labels")?,
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
            multi_cluster: read.bool("aws-load-balancer-multi-cluster-target-group")? == Some(true),
            id: id.clone(),
        });
        Ok(id)
    }
}

/// The load balancer that stands for the Service already, if any: found by its tags.
fn existing<'a>(service: &Service, environment: &'a Context) -> Option<&'a ExistingLoadBalancer> {
    let stack = service.meta.key();
    environment
        .existing_load_balancers
        .iter()
        .find(|found| found.tags.get("service.k8s.aws/stack") == Some(&stack))
}

fn scheme_of(text: &str) -> &'static str {
    if text == "internet-facing" {
        "internet-facing"
    } else {
        "internal"
    }
}

/// The tags of everything: those of the controller's flag, under the user's.
fn tags(read: &Reader<'_>, environment: &Context) -> Result<BTreeMap<String, String>, Refused> {
    let mut tags = environment.defaults.tags.clone();
    let own = read.map("aws-load-balancer-additional-resource-tags")?;
    for (key, value) in own {
        tags.entry(key).or_insert(value);
    }
    Ok(tags)
}
