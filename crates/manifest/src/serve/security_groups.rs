//! The security groups of a load balancer as the native file has them: those that the controllers make, and
//! those whose rules the environment knows.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::yaml::Node as Tree;
use serde_json::{Map, Value, json};

use super::draft::{self, Role};
use super::native::Writer;
use super::trail::Trail;
use crate::Context;
use crate::stack::{Permission, Reference, Stack};

/// The annotations that speak of them.
const ANNOTATIONS: &[&str] = &[
    "inbound-cidrs",
    "security-groups",
    "load-balancer-source-ranges",
    "aws-load-balancer-security-groups",
    "aws-load-balancer-extra-security-groups",
];

impl Writer<'_> {
    /// The groups whose rules are known; without any, everybody gets in.
    pub(super) fn security_groups(&mut self) -> Option<(&'static str, Tree)> {
        let groups = Groups::of(self.stack, self.surroundings.context).known;
        let at = self.spot(ANNOTATIONS, Role::Fixed);
        (!groups.is_empty()).then(|| ("securityGroups", draft::json(at, &Value::Array(groups))))
    }
}

/// Says of groups with unknown rules what is made of them.
pub(super) fn report(
    stack: &Stack,
    context: &Context,
    trail: &Trail<'_>,
    found: &mut Vec<Diagnostic>,
) {
    let groups = Groups::of(stack, context);
    let consequence = match groups.known.is_empty() {
        true => "every client gets in",
        false => "they let nobody in",
    };
    if !groups.unknown.is_empty() {
        let message = format!(
            "nothing says what the security groups {} let in: {consequence}",
            groups.unknown.join(", ")
        );
        let note = Diagnostic::new(Severity::Note, "unknown-security-group", message)
            .hint("give their rules by securityGroups[].ingress in the environment");
        found.push(trail.annotation(ANNOTATIONS).place(note));
    }
}

/// The groups of a load balancer.
#[derive(Default)]
struct Groups {
    /// In the words of the native file.
    known: Vec<Value>,
    /// Ids of those whose rules are not known. Beside known ones they open nothing.
    unknown: Vec<String>,
}

impl Groups {
    fn of(stack: &Stack, context: &Context) -> Self {
        let mut groups = Self::default();
        if let Some(balancer) = stack.load_balancers.values().next() {
            for reference in &balancer.security_groups {
                match reference {
                    Reference::Resource { id, .. } => {
                        if let Some(group) = stack.security_groups.get(id) {
                            groups.add(&group.group_name, &group.ingress);
                        }
                    }
                    Reference::Literal(id) => groups.look_up(id, context),
                }
            }
        }
        for group in stack.classic.iter().flat_map(|spec| &spec.security_groups) {
            if group.ingress.is_empty() {
                groups.look_up(&group.group_name, context);
                continue;
            }
            let permissions = group.ingress.iter().map(|one| {
                let ranges = one.ip_ranges.iter().map(|range| &*range.cidr_ip);
                permission(
                    one.ip_protocol,
                    Some((one.from_port, one.to_port)),
                    ranges,
                    [].into_iter(),
                )
            });
            let ingress: Vec<Value> = permissions.collect();
            groups
                .known
                .push(json!({"groupName": group.group_name, "ingress": ingress}));
        }
        groups
    }

    fn add(&mut self, name: &str, ingress: &[Permission]) {
        let ingress = ingress.iter().map(|one| {
            permission(
                &one.ip_protocol,
                one.from_port.zip(one.to_port),
                one.ip_ranges.iter().map(|range| &*range.cidr),
                one.ipv6_ranges.iter().map(|range| &*range.cidr),
            )
        });
        let ingress: Vec<Value> = ingress.collect();
        self.known
            .push(json!({"groupName": name, "ingress": ingress}));
    }

    /// Adds the group `id`; a Classic load balancer knows its groups by name, where they have one.
    fn look_up(&mut self, id: &str, context: &Context) {
        let backend = &context.backend_security_group;
        // It is for the targets, and lets no client in.
        if backend.enabled && backend.id == id {
            return;
        }
        let mut all = context.security_groups.iter();
        let group = all.find(|group| group.id == id || group.name == id);
        match group.and_then(|group| group.ingress.as_deref()) {
            Some(ingress) => self.add(id, ingress),
            None => self.unknown.push(id.to_owned()),
        }
    }
}

fn permission<'a>(
    protocol: &str,
    ports: Option<(i32, i32)>,
    v4: impl Iterator<Item = &'a str>,
    v6: impl Iterator<Item = &'a str>,
) -> Value {
    let mut one = Map::new();
    one.insert("ipProtocol".into(), protocol.into());
    // For ICMP these are its type and code.
    if let (Some((from, to)), "tcp" | "udp") = (ports, protocol) {
        one.insert("fromPort".into(), from.into());
        one.insert("toPort".into(), to.into());
    }
    let v4: Vec<Value> = v4.map(|cidr| json!({"cidrIP": cidr})).collect();
    let v6: Vec<Value> = v6.map(|cidr| json!({"cidrIPv6": cidr})).collect();
    one.insert("ipRanges".into(), v4.into());
    one.insert("ipv6Ranges".into(), v6.into());
    one.into()
}
