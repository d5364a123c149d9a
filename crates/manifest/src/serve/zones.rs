//! Targets in zones where their load balancer has no subnet.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::diagnostic::Diagnostic;

use super::targets::Target;
use crate::Context;
use crate::objects::Service;
use crate::stack::Stack;

/// The warning about targets outside the zones of the load balancer. AWS knows the zones of its account: those of which no
/// subnet is known say nothing.
pub(super) fn outside(
    stack: &Stack,
    targets: &[Target<'_>],
    service: &Service,
    context: &Context,
) -> Option<Diagnostic> {
    let zone = |id: &str| {
        let mut subnets = context.subnets.iter();
        let subnet = subnets.find(|subnet| subnet.id == id)?;
        Some(&*subnet.availability_zone)
    };
    let balancers = stack.load_balancers.values();
    let own: BTreeSet<&str> = balancers
        .flat_map(|balancer| &balancer.subnet_mapping)
        .filter_map(|mapping| zone(&mapping.subnet_id))
        .collect();
    let known = known(context);
    let mut outside: BTreeMap<&str, usize> = BTreeMap::new();
    for zone in targets.iter().filter_map(|target| target.zone.as_deref()) {
        if known.contains(zone) && !own.contains(zone) {
            *outside.entry(zone).or_default() += 1;
        }
    }
    if own.is_empty() || outside.is_empty() {
        return None;
    }
    let count: usize = outside.values().sum();
    let zones: Vec<&str> = outside.into_keys().collect();
    let message = format!(
        "{count} of {} targets of Service {} are in {}, where the load balancer has no subnet: on AWS they get no traffic",
        targets.len(),
        service.meta.key(),
        zones.join(", ")
    );
    let found = Diagnostic::warning("target-outside-zones", message);
    let hint = "name a subnet of each zone that has targets";
    Some(service.meta.found(found).hint(hint))
}

/// Leaves out zones that a described account does not have, such as those of the nodes of a test cluster: a load balancer
/// would never use targets there.
pub(super) fn keep_known(targets: &mut [Target<'_>], context: &Context) {
    if !context.describes_subnets {
        return;
    }
    let known = known(context);
    for target in targets {
        target.zone.take_if(|zone| !known.contains(&**zone));
    }
}

/// The zones of the account.
fn known(context: &Context) -> BTreeSet<&str> {
    let subnets = context.subnets.iter();
    subnets.map(|one| &*one.availability_zone).collect()
}
