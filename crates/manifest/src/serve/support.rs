//! What the data plane does not do: found before anything is served, said once each, and left out in a way that
//! opens nothing.
//!
//! The reader of the native file is who knows what is served: it calls everything else `not-supported`, and
//! [`split`] turns that into what is left out. What a native file has no words for at all is in [`UNSERVED`].

use std::collections::HashSet;

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::file::Finding;
use elbow_model::suggest::did_you_mean;

use super::draft::Role;
use super::trail::Trail;
use super::{native, security_groups};
use crate::Context;
use crate::inventory::Inventory;
use crate::objects::SERVICE_NAME;
use crate::scope::Scope;
use crate::stack::Stack;

/// Annotations that ask for something that the data plane has no part in, and what becomes of it. Those of both
/// kinds of load balancers.
const UNSERVED: &[(&str, &str)] = &[
    ("security-group-prefix-lists", PREFIXES),
    ("aws-load-balancer-security-group-prefix-lists", PREFIXES),
    ("aws-load-balancer-eip-allocations", ADDRESSES),
    ("aws-load-balancer-private-ipv4-addresses", ADDRESSES),
    ("aws-load-balancer-ipv6-addresses", ADDRESSES),
    ("customer-owned-ipv4-pool", ADDRESSES),
    ("ipam-ipv4-pool-id", ADDRESSES),
    ("ip-address-type", FAMILIES),
    ("aws-load-balancer-ip-address-type", FAMILIES),
    ("multi-cluster-target-group", CLUSTERS),
    ("aws-load-balancer-multi-cluster-target-group", CLUSTERS),
];

const PREFIXES: &str = "nothing says which addresses are in a prefix list; nobody gets in by it";
const ADDRESSES: &str = "addresses come from the local pool";
const FAMILIES: &str = "the local pool has IPv4 addresses alone";
const CLUSTERS: &str = "targets come from these objects alone";

/// Values that ask for nothing.
const NOTHING: &[&str] = &["", "false", "ipv4"];

/// Reports what a stack's objects ask for in vain.
pub(super) fn unserved(
    stack: &Stack,
    scope: Scope<'_>,
    context: &Context,
    found: &mut Vec<Diagnostic>,
) {
    let trail = Trail::of_stack(stack, scope);
    security_groups::report(stack, context, &trail, found);
    for (suffix, what) in UNSERVED {
        for (key, value, origin) in trail.all(suffix) {
            let plain: String = value.split_whitespace().collect();
            let local = *what == ADDRESSES && native::own_addresses(stack).is_some();
            if local || NOTHING.contains(&&*plain) {
                continue;
            }
            let message = format!("{key} is not supported: {what}");
            found.push(origin.place(Diagnostic::warning("not-supported", message)));
        }
    }
    let has_groups = |stack: &Stack| {
        stack
            .load_balancers
            .values()
            .any(|lb| !lb.security_groups.is_empty())
    };
    let service = stack
        .id
        .split_once('/')
        .and_then(|(namespace, name)| scope.service(namespace, name));
    let asks = service.is_some_and(|service| !service.load_balancer_source_ranges.is_empty());
    if asks && stack.members.is_empty() && stack.classic.is_none() && !has_groups(stack) {
        let message = "loadBalancerSourceRanges are not supported of a load balancer without security groups, whose nodes \
                       would tell clients apart: every client gets in";
        found.push(
            trail
                .object()
                .place(Diagnostic::warning("not-supported", message)),
        );
    }
}

/// Reports endpoints that no Service will find.
pub(super) fn stray_endpoints(inventory: &Inventory, found: &mut Vec<Diagnostic>) {
    for slice in inventory.slices.values() {
        let meta = &slice.meta;
        let Some(name) = slice.service() else {
            let message =
                format!("no Service has these endpoints: the label {SERVICE_NAME} is missing");
            found.push(meta.found(Diagnostic::warning("stray-endpoints", message)));
            continue;
        };
        if inventory.service(&meta.namespace, name).is_none() {
            let here = inventory.services_of(&meta.namespace);
            let message = format!(
                "there is no Service {}/{name} to have these endpoints",
                meta.namespace
            );
            let mut note = Diagnostic::new(Severity::Note, "stray-endpoints", message);
            note.hint = did_you_mean(name, here);
            found.push(meta.found(note));
        }
    }
}

/// Parts the findings of a reading into what is to be left out, each with its warning, and the rest.
pub(super) fn split(
    findings: Vec<Finding>,
    roles: &[Role],
) -> (Vec<(Role, Diagnostic)>, Vec<Diagnostic>) {
    let mut cut = Vec::new();
    let mut rest = Vec::new();
    for finding in findings {
        let role = roles.get(finding.origin).unwrap_or(&Role::Fixed);
        let vain = finding.diagnostic.code == "not-supported" && finding.diagnostic.is_error();
        if vain && *role != Role::Fixed {
            cut.push((role.clone(), warning(finding.diagnostic, role)));
        } else {
            rest.push(by_name(finding.diagnostic));
        }
    }
    (cut, rest)
}

/// A finding about an attribute names the annotation that has it.
fn by_name(mut found: Diagnostic) -> Diagnostic {
    let annotation = found.field.strip_prefix("metadata.annotations.");
    if let Some(key) = annotation.filter(|_| found.code == "no-effect") {
        found.message = format!("{key}: {}", found.message);
    }
    found
}

fn warning(mut found: Diagnostic, role: &Role) -> Diagnostic {
    let consequence = match role {
        Role::Fixed => "it is refused",
        Role::Field(..) => "it is left out",
        Role::Condition(..) | Role::Rule(_) => "the rule answers 503",
        Role::Default(_) => "what no other rule takes is answered 503",
        Role::Listener(_) => "the listener is left out",
        Role::Group(_) => "the target group and what leads to it are left out",
    };
    let annotation = found.field.strip_prefix("metadata.annotations.");
    found.message = match annotation {
        Some(key) => format!("{key}: {}; {consequence}", found.message),
        None => format!("{}; {consequence}", found.message),
    };
    found.severity = Severity::Warning;
    found.hint = None;
    found
}

/// Findings, each once: what the annotations of an Ingress have wrong is wrong for each of its ports and paths.
#[derive(Debug, Default)]
pub(super) struct Once {
    list: Vec<Diagnostic>,
    seen: HashSet<String>,
}

impl Once {
    /// Adds a finding that is not there yet.
    pub(super) fn push(&mut self, found: Diagnostic) {
        let Diagnostic {
            code,
            file,
            line,
            column,
            object,
            field,
            message,
            ..
        } = &found;
        // The place in the native document differs for each port and path.
        let field = if field.contains('[') { "" } else { field };
        let key = format!("{code} {file}:{line}:{column} {object} {field} {message}");
        if self.seen.insert(key) {
            self.list.push(found);
        }
    }

    pub(super) fn into_list(self) -> Vec<Diagnostic> {
        self.list
    }
}

impl Extend<Diagnostic> for Once {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, found: T) {
        found.into_iter().for_each(|found| self.push(found));
    }
}
