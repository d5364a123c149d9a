//! Where load balancers stand: their subnets.

use elbow_model::At;
use elbow_model::diagnostic::Diagnostic;

use crate::Context;
use crate::stack::Stack;

/// Warns of load balancers that clients of the internet cannot reach: they stand in private subnets.
pub(crate) fn report(stack: &Stack, context: &Context) -> Vec<Diagnostic> {
    let balancers = stack.load_balancers.values().map(|one| {
        let subnets = one.subnet_mapping.iter().map(|one| &*one.subnet_id);
        (&one.scheme, subnets.collect::<Vec<&str>>())
    });
    let classic = stack.classic.iter().map(|one| {
        let subnets = one.subnets.iter().map(|subnet| &**subnet);
        (&one.scheme, subnets.collect())
    });
    balancers
        .chain(classic)
        .filter_map(|(scheme, subnets)| private(scheme, &subnets, context))
        .collect()
}

fn private(scheme: &At<String>, subnets: &[&str], context: &Context) -> Option<Diagnostic> {
    let is_private = |id: &&&str| {
        let mut known = context.subnets.iter();
        known.any(|subnet| {
            let is_private = subnet.scheme == "internal" && !subnet.has_role("internet-facing");
            subnet.id == **id && is_private && !subnet.is_stand_in
        })
    };
    let private: Vec<&str> = subnets.iter().filter(is_private).copied().collect();
    if **scheme != "internet-facing" || private.is_empty() {
        return None;
    }
    let message = format!(
        "the load balancer is internet-facing and stands in private subnets: {}; clients of the internet cannot reach it there",
        private.join(", ")
    );
    let found = Diagnostic::warning("private-subnets", message);
    Some(scheme.origin.place(found).hint(
        "name public subnets, which have a route to an internet gateway; targets may stay in private ones",
    ))
}
