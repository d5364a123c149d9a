//! Annotations of an Ingress that are misspelt, stand in the wrong place or ask for what elbow does not make.

use elbow_model::diagnostic::Diagnostic;

use crate::Context;
use crate::advice::{about, idle};
use crate::annotations::ingress::{self as keys, PREFIX};
use crate::annotations::{Readers, Row, Served, find, meant, service};
use crate::objects::{Meta, Service};
use crate::scope::Scope;

/// Annotations that no other controller has: under whatever prefix, they are meant for this one.
const UNMISTAKABLE: &[&Row] = &[
    keys::CERTIFICATE_ARN,
    keys::GROUP_NAME,
    keys::GROUP_ORDER,
    keys::INBOUND_CIDRS,
    keys::LISTEN_PORTS,
    keys::LOAD_BALANCER_ATTRIBUTES,
    keys::SUCCESS_CODES,
    keys::TARGET_GROUP_ATTRIBUTES,
    keys::WAFV2_ACL_ARN,
];

/// Reports the annotations of an Ingress that do not exist, or are none of an Ingress.
pub(super) fn report(meta: &Meta, context: &Context, found: &mut Vec<Diagnostic>) {
    for (key, annotation) in &meta.annotations {
        if !key.starts_with(PREFIX) {
            found.extend(misplaced(meta, key));
            continue;
        }
        match find(keys::ROWS, key) {
            None => found.push(unknown(meta, key, Readers::INGRESS)),
            Some(row) if asks(&annotation.value) => {
                found.extend(not_made(meta, key, row, context));
            }
            Some(_) => {}
        }
    }
}

/// The warning that elbow does not make the resource that an annotation asks for.
fn not_made(meta: &Meta, key: &str, row: &Row, context: &Context) -> Option<Diagnostic> {
    let message = match row.served {
        Served::PlannedBehind(gate) if !context.gate(gate, false) => {
            let off = format!("the feature gate {gate} of the controller is off");
            return Some(idle(meta, key, &off));
        }
        Served::Planned | Served::PlannedBehind(_) => {
            format!("{key} is planned and not served: it sets {}", row.sets)
        }
        Served::Yes | Served::Otherwise(_) => return None,
    };
    let warning = Diagnostic::warning("no-effect", message);
    Some(about(meta, key, warning))
}

/// Whether a value asks for the resource: with `none`, the controller removes it.
fn asks(value: &str) -> bool {
    !matches!(value, "" | "none" | "false")
}

/// The finding about an annotation with the right prefix that does not exist, on an object that `readers` read.
fn unknown(meta: &Meta, key: &str, readers: Readers) -> Diagnostic {
    let mut unknown = missing(meta, key);
    unknown.hint = meant(key, readers).map(|meant| meant.hint(key));
    unknown
}

fn missing(meta: &Meta, key: &str) -> Diagnostic {
    let message = format!("there is no annotation {key}; it has no effect");
    about(
        meta,
        key,
        Diagnostic::warning("unknown-annotation", message),
    )
}

/// A finding about an annotation that is meant for an ALB and has another prefix.
fn misplaced(meta: &Meta, key: &str) -> Option<Diagnostic> {
    let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
    let suggestion = || meant(key, Readers::INGRESS);
    let of_service = find(service::ROWS, key).is_some() || name.starts_with("aws-load-balancer-");
    if of_service && (prefix.is_empty() || prefix.ends_with("kubernetes.io")) {
        let mut found = idle(meta, key, "it is read on Services only");
        found.hint = suggestion().map(|meant| meant.hint(key));
        return Some(found);
    }
    let is_alike =
        prefix.contains("alb.") || prefix.starts_with("nlb.") || prefix.ends_with("k8s.aws");
    let is_meant = is_alike || UNMISTAKABLE.iter().any(|row| row.name() == name);
    let meant = suggestion().filter(|_| is_meant)?;
    Some(missing(meta, key).hint(meant.hint(key)))
}

/// The annotations of Ingresses on a Service that are not read there, or by nobody.
pub(crate) fn on_a_service(service: &Service, scope: Scope<'_>) -> Vec<Diagnostic> {
    let meta = &service.meta;
    let is_backend = || scope.is_backend(&(meta.namespace.clone(), meta.name.clone()));
    let ours = meta
        .annotations
        .keys()
        .filter(|key| key.starts_with(PREFIX));
    let check = |key: &String| match find(keys::ROWS, key) {
        None => Some(unknown(meta, key, Readers::BACKEND)),
        Some(row) if !row.readers.include(Readers::BACKEND) => {
            Some(idle(meta, key, "it is read on Ingresses only"))
        }
        Some(_) if !is_backend() && !scope.has_unread_ingress(&meta.namespace) => {
            let why = "no Ingress of its namespace leads to this Service";
            Some(idle(meta, key, why))
        }
        Some(_) => None,
    };
    ours.filter_map(check).collect()
}
