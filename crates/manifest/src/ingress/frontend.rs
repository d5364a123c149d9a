//! The Network Load Balancer in front of a group's Application Load Balancer
//! (`pkg/ingress/model_build_frontend_nlb.go`).

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{At, Origin};

use super::Build;
use super::frontend_health::HealthChecks;
use super::group::{GroupId, Member};
use super::load_balancer::{ID as ALB, SCHEMES};
use super::ports::PortConfig;
use crate::Refusal;
use crate::annotations::ingress as keys;
use crate::names;
use crate::stack::{
    Action, AlbTarget, Attribute, Attributes, FRONTEND_NLB, Forward, HealthCheck, Listener,
    LoadBalancer, Reference, Stack, SubnetMapping, Tags, TargetGroup, WeightedGroup,
};

/// The id of the load balancer in its stack.
const ID: &str = FRONTEND_NLB;

/// How many characters of the Application Load Balancer's name the name keeps.
const BASE_NAME: usize = 28;

/// What a listener of the Network Load Balancer leads to.
struct Front {
    /// The listener of the Application Load Balancer.
    target_port: u16,
    health: HealthChecks,
    /// Where its port is written.
    origin: Origin,
}

impl Build<'_> {
    /// Adds the Network Load Balancer in front of `alb`, if the members ask for one.
    pub(super) fn add_frontend(
        &mut self,
        alb: &LoadBalancer,
        ports: &BTreeMap<u16, PortConfig>,
    ) -> Result<(), Refusal> {
        let mut asked = Vec::new();
        for member in &self.group.members {
            let own = member.annotations().boolean(keys::ENABLE_FRONTEND_NLB);
            asked.extend(self.refused.or_default(own));
        }
        if self.group.only(keys::ENABLE_FRONTEND_NLB, asked)? != Some(true) {
            return Ok(());
        }
        let tags = self.refused.or_default(self.frontend_tags());
        let balancer = self.frontend_balancer(alb, &tags);
        let balancer = Box::new(balancer);
        self.stack.load_balancers.insert(ID.into(), balancer);
        for (port, front) in self.fronts(ports)? {
            self.add_front(port, front, alb, &tags)?;
        }
        Ok(())
    }

    fn frontend_balancer(&self, alb: &LoadBalancer, tags: &Tags) -> LoadBalancer {
        let refused = &self.refused;
        let scheme = refused.keep(self.frontend_scheme());
        // Which subnets fit depends on the family, which is refused if it is not known.
        let known = scheme.as_ref().filter(|_| !self.ip_address_type.is_empty());
        let mappings = known.map(|scheme| self.frontend_mappings(scheme));
        let mappings = mappings.and_then(|mappings| refused.keep(mappings));
        let scheme = scheme.unwrap_or_default();
        LoadBalancer {
            ip_address_type: alb.ip_address_type.clone(),
            load_balancer_attributes: Attribute::list(
                refused.or_default(self.frontend_attributes()),
            ),
            name: At::new(
                self.frontend_name(&alb.name, &scheme),
                self.frontend_origin(),
            ),
            security_groups: refused.or_default(self.frontend_groups(alb)),
            subnet_mapping: mappings.unwrap_or_default(),
            scheme,
            tags: tags.clone(),
            kind: "network",
            ..LoadBalancer::default()
        }
    }

    /// The security groups that the members name, else those of the Application Load Balancer.
    fn frontend_groups(&self, alb: &LoadBalancer) -> Result<Vec<At<Reference>>, Refusal> {
        match self.security_group_names(keys::FRONTEND_NLB_SECURITY_GROUPS)? {
            Some((names, origin)) if !names.is_empty() => {
                self.named_groups(keys::FRONTEND_NLB_SECURITY_GROUPS, &names, &origin)
            }
            _ => Ok(alb.security_groups.clone()),
        }
    }

    /// Where the Network Load Balancer is asked for.
    fn frontend_origin(&self) -> Origin {
        let mut members = self.group.members.iter();
        let found = members.find_map(|one| one.annotations().find(keys::ENABLE_FRONTEND_NLB));
        found.map_or_else(|| self.group.origin(), |found| found.origin())
    }

    fn frontend_scheme(&self) -> Result<At<String>, Refusal> {
        let row = keys::FRONTEND_NLB_SCHEME;
        let members = self.group.members.iter();
        let schemes = members.filter_map(|member| member.text(row, |_| None));
        let scheme = self.group.only_text(row, schemes.collect())?;
        let scheme = scheme.unwrap_or_else(|| {
            let default = self.context.defaults.load_balancer_scheme.clone();
            At::new(default, self.frontend_origin())
        });
        self.known(row, scheme, SCHEMES)
    }

    fn frontend_mappings(&self, scheme: &At<String>) -> Result<Vec<SubnetMapping>, Refusal> {
        let subnets = self.frontend_subnets(scheme)?;
        let row = keys::FRONTEND_NLB_EIP_ALLOCATIONS;
        let members = self.group.members.iter();
        let lists = members.filter_map(|member| member.annotations().list(row));
        let lists: Vec<Vec<String>> = lists.collect();
        if !lists.is_empty() && **scheme != "internet-facing" {
            let message =
                format!("{row}: only a load balancer that is internet-facing has Elastic IPs");
            return Err(self.group.refuse_saying(row, "", "conflict", message));
        }
        let allocations = self.agreed(row, lists)?.unwrap_or_default();
        if !allocations.is_empty() && allocations.len() != subnets.len() {
            let message = format!(
                "{row}: expected one Elastic IP for each of {} subnets, found {}",
                subnets.len(),
                allocations.len()
            );
            return Err(self
                .group
                .refuse_saying(row, "", "invalid-annotation", message));
        }
        let mut allocations = allocations.into_iter();
        let mapping = |subnet| SubnetMapping {
            allocation_id: allocations.next(),
            ..subnet
        };
        Ok(subnets.into_iter().map(mapping).collect())
    }

    /// The name of the Application Load Balancer with `-nlb`, at most 32 characters.
    fn frontend_name(&self, alb: &str, scheme: &str) -> String {
        if !alb.is_empty() {
            let base: String = alb.chars().take(BASE_NAME).collect();
            return format!("{base}-nlb");
        }
        let id = self.group.id.to_string();
        let hashed = [&*self.context.cluster_name, &*id, scheme];
        match &self.group.id {
            GroupId::Explicit(group) => names::frontend_of_group(group, &hashed),
            GroupId::Implicit { namespace, name } => names::frontend(namespace, name, &hashed),
        }
    }

    /// The attributes. Once a member has set some, every later one must set the same: even one without the annotation
    /// differs.
    fn frontend_attributes(&self) -> Result<Attributes, Refusal> {
        let row = keys::FRONTEND_NLB_ATTRIBUTES;
        let mut chosen: Option<Attributes> = None;
        for member in &self.group.members {
            let own = member.annotations().attributes(row)?;
            let same = match (&chosen, &own) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(chosen), Some(own)) => texts(chosen) == texts(own),
            };
            if !same {
                let refusal = self.differing(row);
                let hint = "set the same attributes on every member of the group";
                return Err(Box::new(refusal.hint(hint)));
            }
            chosen = chosen.or(own);
        }
        let chosen = chosen.unwrap_or_default();
        if let Some(policy) = chosen.get(ROUTING_POLICY)
            && !ROUTING_POLICIES.contains(&policy.as_str())
        {
            let message = format!(
                "{row}: {ROUTING_POLICY}: expected one of {}, found \"{}\"",
                ROUTING_POLICIES.join(", "),
                **policy
            );
            return Err(self
                .group
                .refuse_saying(row, policy, "unknown-value", message));
        }
        Ok(chosen)
    }

    /// The tags of the Network Load Balancer, its listeners and target groups: those of the Application Load Balancer
    /// unless members name others, without the defaults.
    fn frontend_tags(&self) -> Result<Tags, Refusal> {
        let row = keys::FRONTEND_NLB_TAGS;
        let mut chosen: Option<Tags> = None;
        for member in &self.group.members {
            let Some(own) = member.annotations().map(row)? else {
                continue;
            };
            if chosen.as_ref().is_some_and(|chosen| *chosen != own) {
                return Err(self.differing(row));
            }
            chosen = Some(own);
        }
        match chosen {
            Some(tags) => Ok(tags),
            None => {
                let members: Vec<&Member<'_>> = self.group.members.iter().collect();
                self.group_tags(&members)
            }
        }
    }

    /// The listeners, by port: those that members map, else one for each listener of the Application Load Balancer.
    fn fronts(&self, ports: &BTreeMap<u16, PortConfig>) -> Result<BTreeMap<u16, Front>, Refusal> {
        let mut fronts: BTreeMap<u16, Front> = BTreeMap::new();
        for (index, member) in self.group.members.iter().enumerate() {
            let own = ports
                .iter()
                .filter(|(_, config)| config.members.contains(&index));
            let own: BTreeMap<u16, &PortConfig> = own.map(|(port, one)| (*port, one)).collect();
            let mapped = self.refused.or_default(mapped(member, &own));
            for (port, target_port) in mapped {
                let health = HealthChecks::of(member, &self.refused);
                let Some(front) = fronts.get_mut(&port) else {
                    let meta = member.ingress.meta.origin();
                    let row = keys::FRONTEND_NLB_LISTENER_PORT_MAPPING;
                    let origin = own.get(&target_port).map_or(meta, |one| one.origin.clone());
                    let front = Front {
                        target_port,
                        health,
                        origin: member.annotations().origin(row, &origin),
                    };
                    fronts.insert(port, front);
                    continue;
                };
                if front.target_port != target_port {
                    let row = keys::FRONTEND_NLB_LISTENER_PORT_MAPPING;
                    let message = format!(
                        "port {port} of the Network Load Balancer leads to port {target_port} and, by another member \
                         of the group, to port {}",
                        front.target_port
                    );
                    return Err(match member.annotations().find(row) {
                        Some(found) => found.refuse("conflict", message),
                        None => member.ingress.meta.refuse("conflict", message),
                    });
                }
                front.health.merge(health, port)?;
            }
        }
        Ok(fronts)
    }

    fn add_front(
        &mut self,
        port: u16,
        front: Front,
        alb: &LoadBalancer,
        tags: &Tags,
    ) -> Result<(), Refusal> {
        let id = format!("{ID}-tg-TCP-{port}");
        let origin = front.origin;
        let health_check_config = front.health.into_config();
        let name = self.front_group_name(port, &health_check_config);
        let group = TargetGroup {
            health_check_config,
            ip_address_type: "ipv4".into(),
            name,
            port: Some(port.into()),
            protocol: At::new("TCP".into(), origin.clone()),
            protocol_version: None,
            tags: tags.clone(),
            target_control_port: None,
            target_group_attributes: Vec::new(),
            target_type: "alb".into(),
            origin: origin.clone(),
        };
        let forward = Action::Forward(Forward {
            target_groups: vec![WeightedGroup {
                target_group: Reference::target_group(&id),
                weight: None,
            }],
            stickiness: None,
        });
        let listener = Listener {
            alpn_policy: Vec::new(),
            certificates: Vec::new(),
            default_actions: vec![At::new(forward, origin.clone())],
            listener_attributes: Vec::new(),
            load_balancer: Reference::load_balancer(ID),
            mutual_authentication: None,
            port: At::new(port, origin.clone()),
            protocol: At::new("TCP".into(), origin),
            ssl_policy: None,
            tags: tags.clone(),
        };
        let charged = self.budget.take(&(&group, &listener));
        charged.map_err(|bound| self.group.too_much(bound))?;
        let target = AlbTarget {
            load_balancer: ALB.to_owned(),
            name: alb.name.value.clone(),
            port: front.target_port,
        };
        self.stack.alb_targets.insert(id.clone(), target);
        self.stack.target_groups.insert(id, Box::new(group));
        let id = format!("{ID}-ls-TCP-{port}");
        self.stack.listeners.insert(id, Box::new(listener));
        Ok(())
    }

    fn front_group_name(&self, port: u16, check: &HealthCheck) -> String {
        let check_port = match &check.port.value {
            serde_json::Value::String(text) => text.clone(),
            number => number.to_string(),
        };
        self.hashed_name(&[
            &port.to_string(),
            "alb",
            "TCP",
            &check_port,
            &check.protocol,
        ])
    }
}

/// Warns of listeners that nobody reaches: without groups of its own, the Network Load Balancer has the security group that
/// the controller makes for the Application Load Balancer, with the ports of that one.
pub(super) fn report_closed(stack: &Stack, found: &mut Vec<Diagnostic>) {
    let Some(front) = stack.load_balancers.get(ID) else {
        return;
    };
    let groups = front.security_groups.iter();
    let mut made = groups.filter_map(|group| match &group.value {
        Reference::Resource { id, .. } => stack.security_groups.get(id),
        Reference::Literal(_) => None,
    });
    let Some(made) = made.next_back() else {
        return;
    };
    let is_open = |port: i32| {
        let mut permissions = made.ingress.iter();
        permissions.any(|one| one.from_port <= Some(port) && Some(port) <= one.to_port)
    };
    let listeners = stack.listeners.values();
    for listener in listeners.filter(|one| one.load_balancer.leads_to(ID)) {
        let port = *listener.port;
        if is_open(port.into()) {
            continue;
        }
        let message = format!(
            "port {port} of the Network Load Balancer lets nobody in: its security group is that of the Application \
             Load Balancer, {}, which has no such port",
            made.group_name
        );
        let closed = Diagnostic::warning("closed-listener", message);
        let hint = format!(
            "name a group that lets port {port} in with {}",
            keys::FRONTEND_NLB_SECURITY_GROUPS.key
        );
        found.push(listener.port.origin.place(closed.hint(hint)));
    }
}

/// The attribute that the controller checks.
const ROUTING_POLICY: &str = "dns_record.client_routing_policy";
const ROUTING_POLICIES: &[&str] = &[
    "any_availability_zone",
    "partial_availability_zone_affinity",
    "availability_zone_affinity",
];

fn texts(attributes: &Attributes) -> Vec<(&str, &str)> {
    let attributes = attributes.iter();
    attributes
        .map(|(key, value)| (&**key, value.as_str()))
        .collect()
}

/// The ports of the Network Load Balancer for a member, each with the listener that it leads to. A mapping to a port
/// that the member does not listen on is skipped.
fn mapped(
    member: &Member<'_>,
    own: &BTreeMap<u16, &PortConfig>,
) -> Result<BTreeMap<u16, u16>, Refusal> {
    let row = keys::FRONTEND_NLB_LISTENER_PORT_MAPPING;
    let annotations = member.annotations();
    let mapping = annotations.map(row)?.unwrap_or_default();
    let Some(found) = annotations.find(row).filter(|_| !mapping.is_empty()) else {
        return Ok(own.keys().map(|&port| (port, port)).collect());
    };
    let mut mapped = BTreeMap::new();
    for (nlb, alb) in mapping {
        let number = |text: &str| {
            text.parse::<i32>().map_err(|_| {
                let message = format!("{row}: expected a port number, found \"{text}\"");
                found.refuse("invalid-annotation", message)
            })
        };
        let (nlb, alb) = (number(&nlb)?, number(&alb)?);
        let Some(target) = u16::try_from(alb)
            .ok()
            .filter(|port| own.contains_key(port))
        else {
            continue;
        };
        // AWS refuses such a listener.
        let port = u16::try_from(nlb).ok().filter(|&port| port != 0);
        let port = port.ok_or_else(|| {
            let message = format!("{row}: expected a port from 1 to 65535, found {nlb}");
            found.refuse("out-of-range", message)
        })?;
        mapped.insert(port, target);
    }
    Ok(mapped)
}
