//! Pods that reach themselves through their own load balancer.

use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::stack::Stack;

/// Notes that an internal Network Load Balancer was asked to keep the addresses of clients: a client that is a target, too,
/// gets no answer when it is sent to itself.
pub(crate) fn report(stack: &Stack) -> Option<Diagnostic> {
    let mut balancers = stack.load_balancers.values();
    if !balancers.any(|one| one.kind == "network" && *one.scheme == "internal") {
        return None;
    }
    let preserved = stack.target_groups.values().find_map(|group| {
        let mut attributes = group.target_group_attributes.iter();
        let on = attributes.find(|one| one.key == "preserve_client_ip.enabled")?;
        (*on.value == "true").then_some((group, on))
    });
    let (group, on) = preserved?;
    let message = format!(
        "the targets of {} see the addresses of their clients: a pod or node that connects through this load balancer and is sent \
         to itself times out",
        group.name
    );
    let found = Diagnostic::new(Severity::Note, "hairpin", message);
    Some(on.value.origin.place(found).hint(
        "let pods use the ClusterIP of the Service, or set preserve_client_ip.enabled=false and use proxy_protocol_v2 for the address",
    ))
}
