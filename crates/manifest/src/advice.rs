//! What is taken but will not do what its author thinks, in words that all kinds of objects share.

use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::objects::Meta;
use crate::stack::Stack;

/// The note that targets of a stack are spoken to over TLS and nobody looks at their certificates: neither ALB nor
/// NLB verifies them (ALB guide, target groups, "Protocol"), and CLB does so only by a policy that no
/// annotation makes (section 1, S10).
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
    let secure = groups.filter(|group| matches!(&*group.protocol, "HTTPS" | "TLS"));
    let mut names: Vec<&str> = secure.map(|group| &*group.name).collect();
    if let Some(spec) = &stack.classic {
        let mut to_instances = spec
            .listeners
            .iter()
            .map(|listener| listener.instance_protocol);
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

/// A finding about the annotation `key`, at its place.
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

/// The warning that the annotation `key` does nothing, for a reason.
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
        .map(|one| format!("{}-{}", one.protocol, one.port))
        .collect();
    if names.is_empty() || names.iter().any(|name| name == listener) {
        return None;
    }
    let hint = format!("there are: {}", names.join(", "));
    Some(idle(meta, key, &format!("there is no listener {listener}")).hint(hint))
}
