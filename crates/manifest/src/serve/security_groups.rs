//! The security groups of a load balancer, in the words of the model: those that the controllers make, and those with
//! rules in the environment.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{Origin, PermissionSpec, SecurityGroupSpec, Step};

use crate::Context;
use crate::classic::ClassicPermission;
use crate::stack::{Permission, Reference, Stack};

/// The security groups of a load balancer.
#[derive(Default)]
pub(super) struct SecurityGroups {
    /// Those with known rules. Without any, every client gets in.
    known: Vec<Known>,
    /// Ids of those with unknown rules. Beside known ones they admit nobody.
    unknown: Vec<String>,
    /// Where the first of these was written.
    unknown_at: Origin,
}

struct Known {
    spec: SecurityGroupSpec,
    origin: Origin,
    /// Of each permission.
    permissions: Vec<Origin>,
}

impl SecurityGroups {
    pub(super) fn of(stack: &Stack, context: &Context) -> Self {
        let mut groups = Self::default();
        if let Some(balancer) = stack.load_balancers.values().next() {
            for reference in &balancer.security_groups {
                match &reference.value {
                    Reference::Resource { id, .. } => {
                        if let Some(group) = stack.security_groups.get(id) {
                            groups.add(&group.group_name, &group.ingress, &reference.origin);
                        }
                    }
                    Reference::Literal(id) => groups.look_up(id, &reference.origin, context),
                }
            }
        }
        for group in stack.classic.iter().flat_map(|spec| &spec.security_groups) {
            if group.ingress.is_empty() {
                groups.look_up(&group.group_name, &group.origin, context);
                continue;
            }
            let permissions = group.ingress.iter().map(classic_permission).collect();
            groups.put(&group.group_name, permissions, Vec::new(), &group.origin);
        }
        groups
    }

    fn add(&mut self, name: &str, ingress: &[Permission], origin: &Origin) {
        let origins = ingress.iter().map(|one| {
            if one.origin == Origin::default() {
                origin.clone()
            } else {
                one.origin.clone()
            }
        });
        let origins = origins.collect();
        self.put(
            name,
            ingress.iter().map(permission).collect(),
            origins,
            origin,
        );
    }

    fn put(
        &mut self,
        name: &str,
        ingress: Vec<PermissionSpec>,
        permissions: Vec<Origin>,
        origin: &Origin,
    ) {
        self.known.push(Known {
            spec: SecurityGroupSpec {
                group_name: Some(name.to_owned()),
                ingress,
            },
            origin: origin.clone(),
            permissions,
        });
    }

    /// Adds the group `id`; a Classic load balancer knows its groups by name, where they have one.
    fn look_up(&mut self, id: &str, origin: &Origin, context: &Context) {
        let backend = &context.backend_security_group;
        // It is for traffic to targets, and admits no client.
        if backend.enabled && backend.id == id {
            return;
        }
        let mut all = context.security_groups.iter();
        let group = all.find(|group| group.id == id || group.name == id);
        match group.and_then(|group| group.ingress.as_deref()) {
            Some(ingress) => self.add(id, ingress, origin),
            None => {
                if self.unknown.is_empty() {
                    self.unknown_at = origin.clone();
                }
                self.unknown.push(id.to_owned());
            }
        }
    }

    /// The groups in the words of the model.
    pub(super) fn specs(&self) -> Vec<SecurityGroupSpec> {
        self.known.iter().map(|one| one.spec.clone()).collect()
    }

    /// Where a field was written, by its path in the list of groups.
    pub(super) fn origin(&self, steps: &[Step]) -> Option<&Origin> {
        let [Step::Index(at), rest @ ..] = steps else {
            return None;
        };
        let group = self.known.get(*at)?;
        let permission = match rest {
            [Step::Field("ingress"), Step::Index(at), ..] => group.permissions.get(*at),
            _ => None,
        };
        Some(permission.unwrap_or(&group.origin))
    }

    /// Reports the groups with unknown rules, and what elbow makes of them.
    pub(super) fn report(&self, found: &mut Vec<Diagnostic>) {
        if self.unknown.is_empty() {
            return;
        }
        let consequence = if self.known.is_empty() {
            "every client is allowed"
        } else {
            "they allow no client"
        };
        let message = format!(
            "unknown ingress rules of the security groups {}: {consequence}",
            self.unknown.join(", ")
        );
        let note = Diagnostic::new(Severity::Note, "unknown-security-group", message)
            .hint("add the rules to securityGroups[].ingress in the environment");
        found.push(self.unknown_at.place(note));
    }
}

fn permission(from: &Permission) -> PermissionSpec {
    let ports = from.from_port.zip(from.to_port);
    let v4 = from.ip_ranges.iter().map(|range| range.cidr.clone());
    let v6 = from.ipv6_ranges.iter().map(|range| range.cidr.clone());
    PermissionSpec {
        ip_ranges: v4.map(Some).collect(),
        ipv6_ranges: v6.map(Some).collect(),
        ..with_ports(&from.ip_protocol, ports)
    }
}

fn classic_permission(from: &ClassicPermission) -> PermissionSpec {
    let ranges = from.ip_ranges.iter().map(|range| range.cidr_ip.clone());
    PermissionSpec {
        ip_ranges: ranges.map(Some).collect(),
        ..with_ports(from.ip_protocol, Some((from.from_port, from.to_port)))
    }
}

/// A permission without addresses. For ICMP the ports are its type and code.
fn with_ports(protocol: &str, ports: Option<(i32, i32)>) -> PermissionSpec {
    let ports = ports.filter(|_| matches!(protocol, "tcp" | "udp"));
    // The constructor refuses what is out of range.
    let port = |port: i32| u32::try_from(port).unwrap_or(u32::MAX);
    PermissionSpec {
        ip_protocol: Some(protocol.to_owned()),
        from_port: ports.map(|(from, _)| port(from)),
        to_port: ports.map(|(_, to)| port(to)),
        ..PermissionSpec::default()
    }
}
