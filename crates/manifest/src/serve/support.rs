//! Annotations for features that the model does not have, reported before anything is built.

use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::suggest::did_you_mean;

use super::balancer::own_addresses;
use super::security_groups::SecurityGroups;
use crate::Context;
use crate::annotations::service::ADDRESSES;
use crate::annotations::{self, Served};
use crate::inventory::Inventory;
use crate::lookup::service::Refused;
use crate::objects::{Meta, SERVICE_NAME, Service};
use crate::scope::Scope;
use crate::service::port::Protocol;
use crate::stack::Stack;

const SCTP: &str = Protocol::Sctp.as_str();

/// Values that ask for none of these features.
const NOTHING: &[&str] = &["", "false"];

/// Reports the features that a stack's objects ask for and elbow does not have.
pub(super) fn unserved(
    stack: &Stack,
    scope: Scope<'_>,
    context: &Context,
    found: &mut Vec<Diagnostic>,
) {
    SecurityGroups::of(stack, context).report(found);
    let service = stack.id.split_once('/');
    let service = service.and_then(|(namespace, name)| scope.service(namespace, name));
    let (table, metas): (_, Vec<&Meta>) = if stack.members.is_empty() {
        let service = service.map(|service| &service.meta);
        (annotations::service::ROWS, service.into_iter().collect())
    } else {
        let members = stack.members.iter();
        let ingresses = members.filter_map(|key| scope.ingress(key));
        let metas = ingresses.map(|ingress| &ingress.meta);
        (annotations::ingress::ROWS, metas.collect())
    };
    for row in table {
        let Served::Otherwise(instead) = row.served else {
            continue;
        };
        for meta in &metas {
            let Some(annotation) = meta.annotations.get(row.key) else {
                continue;
            };
            let plain: String = annotation.value.split_whitespace().collect();
            let is_local = instead == ADDRESSES && own_addresses(stack).is_some();
            if is_local || NOTHING.contains(&&*plain) {
                continue;
            }
            let message = format!("{} is not supported: {instead}", row.key);
            let unserved = Diagnostic::warning("not-supported", message);
            found.push(meta.origin_of(row.key, annotation).place(unserved));
        }
    }
    if let Some(service) = service.filter(|_| stack.members.is_empty()) {
        found.extend(open_ranges(stack, service));
    }
}

/// The error that AWS has no listener for a port of the Service; the controller plans one all the same.
pub(super) fn refused(stack: &Stack, scope: Scope<'_>) -> Option<Diagnostic> {
    let mut listeners = stack.listeners.values();
    let sctp = listeners.find(|listener| *listener.protocol == SCTP)?;
    let (namespace, name) = stack.id.split_once('/')?;
    let service = scope.service(namespace, name)?;
    let message = format!(
        "port {}: AWS's load balancers do not carry SCTP",
        *sctp.port
    );
    Some(Refused::field("spec.ports", message).diagnose(service))
}

/// The warning that source ranges have no effect.
fn open_ranges(stack: &Stack, service: &Service) -> Option<Diagnostic> {
    let mut balancers = stack.load_balancers.values();
    let has_groups = balancers.any(|balancer| !balancer.security_groups.is_empty());
    let asks = !service.load_balancer_source_ranges.is_empty();
    if !asks || has_groups || stack.classic.is_some() {
        return None;
    }
    let message = "loadBalancerSourceRanges are not supported of a load balancer without security groups, whose nodes \
                   would tell clients apart: every client gets in";
    Some(
        service
            .meta
            .found(Diagnostic::warning("not-supported", message)),
    )
}

/// Reports EndpointSlices that belong to no Service.
pub(crate) fn stray_endpoints(inventory: &Inventory, found: &mut Vec<Diagnostic>) {
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
