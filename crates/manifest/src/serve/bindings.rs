//! TargetGroupBindings: Services with endpoints that are targets of a group made elsewhere.

use elbow_model::TargetSpec;
use elbow_model::diagnostic::{Diagnostic, Severity};

use super::targets::{Finder, Target};
use super::{Surroundings, server_ids};
use crate::objects::{Binding, Node};
use crate::scope::Scope;

/// The fault of a TargetGroupBinding, if it has one. `known` tells whether a target group has the name it gives.
pub(crate) fn misbound(binding: &Binding, known: bool, scope: Scope<'_>) -> Option<Diagnostic> {
    let meta = &binding.meta;
    if !known {
        let message = format!(
            "no target group of these objects is called {}",
            binding.group
        );
        // The controller's own bindings remain when the Ingress is not among the objects.
        let severity = if binding.is_made() {
            Severity::Note
        } else {
            Severity::Warning
        };
        let unknown = Diagnostic::new(severity, "unknown-target-group", message);
        return Some(meta.found(unknown.field("spec.targetGroupName")));
    }
    let Some(service) = scope.service(&meta.namespace, &binding.service) else {
        let message = format!("there is no Service {}/{}", meta.namespace, binding.service);
        let unknown = Diagnostic::warning("unknown-service", message);
        return Some(meta.found(unknown.field("spec.serviceRef.name")));
    };
    if service.port(&binding.port).is_none() {
        let message = format!(
            "Service {} has no port {}",
            service.meta.key(),
            binding.port
        );
        let unknown = Diagnostic::warning("unknown-port", message);
        return Some(meta.found(unknown.field("spec.serviceRef.port")));
    }
    None
}

/// The targets of a TargetGroupBinding, for a group of that type. Those of a group of QUIC have server IDs, and `found` gets what
/// is wrong with them.
pub(crate) fn bound_targets(
    binding: &Binding,
    target_type: &str,
    is_quic: bool,
    surroundings: &Surroundings<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<TargetSpec> {
    let Surroundings { context, scope, .. } = *surroundings;
    let finder = Finder::new(scope, context);
    let mut targets = bound(binding, target_type, &finder, scope);
    if is_quic {
        found.extend(server_ids::assign(&mut targets, surroundings));
    }
    targets.iter().map(Target::spec).collect()
}

/// The targets of a TargetGroupBinding, for a group of that type.
pub(super) fn bound<'a>(
    binding: &Binding,
    target_type: &str,
    finder: &Finder<'a>,
    scope: Scope<'_>,
) -> Vec<Target<'a>> {
    let service = scope.service(&binding.meta.namespace, &binding.service);
    let port = service.and_then(|service| Some((service, service.port(&binding.port)?)));
    let Some((service, port)) = port else {
        return Vec::new();
    };
    let targets = match binding.target_type.as_deref().unwrap_or(target_type) {
        "ip" => finder.ip(service, port, binding.ipv6),
        _ => {
            let selector = binding.node_selector.clone().unwrap_or_default();
            let selects = |node: &Node| selector.matches(&node.meta.labels);
            finder.instance(service, port, &selects, binding.ipv6)
        }
    };
    targets.list
}
