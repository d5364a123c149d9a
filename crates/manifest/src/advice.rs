//! Warnings and notes about what follows from a plan, and those that all kinds of objects share. What a code means stands in
//! the crate `elbow-advice`.

use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::Context;
use crate::objects::{Ingress, Meta, Service};
use crate::scope::Scope;
use crate::stack::{FRONTEND_NLB, Stack};

mod access;
pub(crate) mod fate;
mod hairpin;
mod health;
mod hidden;
mod placement;

/// What follows from the plan of an IngressGroup.
pub(crate) fn of_group(
    stack: &Stack,
    members: &[&Ingress],
    scope: Scope<'_>,
    context: &Context,
) -> Vec<Diagnostic> {
    let mut found = hidden::report(stack, members);
    for member in members {
        found.extend(access::of_ingress(&member.meta, stack));
    }
    found.extend(health::report(stack, scope));
    found.extend(placement::report(stack, context));
    found
}

/// What follows from the plan of a Service.
pub(crate) fn of_service(
    service: &Service,
    stack: &Stack,
    scope: Scope<'_>,
    context: &Context,
) -> Vec<Diagnostic> {
    let mut found = access::of_service(&service.meta, &service.load_balancer_source_ranges, stack);
    found.extend(health::report(stack, scope));
    found.extend(placement::report(stack, context));
    found.extend(hairpin::report(stack));
    found
}

/// The note that targets are reached over TLS without verification of their certificates: ALB and NLB never verify
/// them (ALB guide, target groups, "Protocol"), and CLB only with a policy that no annotation creates
/// (control-plane.md 1, S10).
///
/// ```
/// use elbow_manifest::{Context, advice, plan, read};
///
/// let text = "
/// apiVersion: v1
/// kind: Service
/// metadata:
///   name: minio
///   annotations:
///     service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:us-east-1:1:certificate/a
///     service.beta.kubernetes.io/aws-load-balancer-backend-protocol: ssl
/// spec: {type: LoadBalancer, ports: [{port: 443, nodePort: 30443}]}
/// ";
/// let stacks = plan(&read(text, "minio.yaml").0, &Context::default()).stacks;
/// assert_eq!(advice::unverified(&stacks[0]).unwrap().code, "unverified-backend");
/// ```
pub fn unverified(stack: &Stack) -> Option<Diagnostic> {
    let groups = stack.target_groups.values();
    let secure = groups.filter(|group| matches!(group.protocol.as_str(), "HTTPS" | "TLS"));
    let mut names: Vec<&str> = secure.map(|group| &*group.name).collect();
    if let Some(spec) = &stack.classic {
        let mut to_instances = spec
            .listeners
            .iter()
            .map(|listener| *listener.instance_protocol);
        if to_instances.any(|protocol| matches!(protocol, "HTTPS" | "SSL")) {
            names.push(&spec.load_balancer_name);
        }
    }
    let first = names.first()?;
    let more = match names.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "targets of {first}{more} are reached over TLS and their certificates are not verified, as on AWS"
    );
    Some(Diagnostic::new(
        Severity::Note,
        "unverified-backend",
        message,
    ))
}

/// Points a finding at the annotation `key`.
pub(crate) fn about(meta: &Meta, key: &str, found: Diagnostic) -> Diagnostic {
    let found = meta.found(found.field(format!("metadata.annotations.{key}")));
    match meta.annotations.get(key) {
        Some(annotation) => {
            let at = annotation.key_at;
            found.at(&*meta.place.file, at.line, at.column)
        }
        None => found,
    }
}

/// The warning that the annotation `key` has no effect.
pub(crate) fn idle(meta: &Meta, key: &str, why: &str) -> Diagnostic {
    let message = format!("{key} has no effect: {why}");
    about(meta, key, Diagnostic::warning("no-effect", message))
}

/// The warning that there is no listener called `PROTOCOL-PORT` for the annotation `key`.
pub(crate) fn missing_listener(
    meta: &Meta,
    key: &str,
    listener: &str,
    stack: &Stack,
) -> Option<Diagnostic> {
    let names = stack.listeners.values();
    let names: Vec<String> = names
        .filter(|one| !one.load_balancer.leads_to(FRONTEND_NLB))
        .map(|one| format!("{}-{}", one.protocol, one.port))
        .collect();
    if names.is_empty() || names.iter().any(|name| name == listener) {
        return None;
    }
    let hint = format!("there are: {}", names.join(", "));
    Some(idle(meta, key, &format!("there is no listener {listener}")).hint(hint))
}
