//! The annotations that are known, to find those that are misspelt or stand in the wrong place.

use std::collections::BTreeSet;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::suggest::did_you_mean;
use serde_json::Value;

use super::PREFIX;
use crate::advice::{about, idle};
use crate::inventory::Key;
use crate::objects::{Ingress, Meta, Service};
use crate::scope::Scope;

/// Where an annotation is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    /// On Ingresses alone.
    Ingress,
    /// On the Services behind them too, which go before.
    Both,
}
use On::{Both, Ingress as Here};

/// Section 2.2.
const KNOWN: &[(&str, On)] = &[
    ("acm-pca-arn", Here),
    ("auth-idp-cognito", Both),
    ("auth-idp-oidc", Both),
    ("auth-on-unauthenticated-request", Both),
    ("auth-scope", Both),
    ("auth-session-cookie", Both),
    ("auth-session-timeout", Both),
    ("auth-type", Both),
    ("backend-protocol", Both),
    ("backend-protocol-version", Both),
    ("certificate-arn", Here),
    ("create-acm-cert", Here),
    ("customer-owned-ipv4-pool", Here),
    ("dry-run-plan", Here),
    ("enable-frontend-nlb", Here),
    ("frontend-nlb-attributes", Here),
    ("frontend-nlb-eip-allocations", Here),
    ("frontend-nlb-healthcheck-healthy-threshold-count", Here),
    ("frontend-nlb-healthcheck-interval-seconds", Here),
    ("frontend-nlb-healthcheck-path", Here),
    ("frontend-nlb-healthcheck-port", Here),
    ("frontend-nlb-healthcheck-protocol", Here),
    ("frontend-nlb-healthcheck-success-codes", Here),
    ("frontend-nlb-healthcheck-timeout-seconds", Here),
    ("frontend-nlb-healthcheck-unhealthy-threshold-count", Here),
    ("frontend-nlb-listener-port-mapping", Here),
    ("frontend-nlb-scheme", Here),
    ("frontend-nlb-security-groups", Here),
    ("frontend-nlb-subnets", Here),
    ("frontend-nlb-tags", Here),
    ("group.name", Here),
    ("group.order", Here),
    ("healthcheck-interval-seconds", Both),
    ("healthcheck-path", Both),
    ("healthcheck-port", Both),
    ("healthcheck-protocol", Both),
    ("healthcheck-timeout-seconds", Both),
    ("healthy-threshold-count", Both),
    ("inbound-cidrs", Here),
    ("ip-address-type", Here),
    ("ipam-ipv4-pool-id", Here),
    ("jwt-validation", Here),
    ("listen-ports", Here),
    ("load-balancer-attributes", Here),
    ("load-balancer-name", Here),
    ("manage-backend-security-group-rules", Here),
    ("minimum-load-balancer-capacity", Here),
    ("multi-cluster-target-group", Both),
    ("mutual-authentication", Here),
    ("scheme", Here),
    ("security-group-prefix-lists", Here),
    ("security-groups", Here),
    ("shield-advanced-protection", Here),
    ("ssl-policy", Here),
    ("ssl-redirect", Here),
    ("subnets", Here),
    ("success-codes", Both),
    ("tags", Both),
    ("target-group-attributes", Both),
    ("target-node-labels", Both),
    ("target-type", Both),
    ("unhealthy-threshold-count", Both),
    ("use-regex-path-match", Here),
    ("waf-acl-id", Here),
    ("wafv2-acl-arn", Here),
    ("wafv2-acl-name", Here),
    ("web-acl-id", Here),
];

/// Annotations for things beside the load balancer that are not made.
const NOT_MADE: &[&str] = &[
    "acm-pca-arn",
    "create-acm-cert",
    "enable-frontend-nlb",
    "shield-advanced-protection",
    "waf-acl-id",
    "wafv2-acl-arn",
    "wafv2-acl-name",
    "web-acl-id",
];

/// What a name follows: the name of a Service, an action, a protocol and a port.
const KNOWN_STARTS: &[(&str, On)] = &[
    ("actions.", Here),
    ("conditions.", Here),
    ("listener-attributes.", Here),
    ("target-control-port.", Both),
    ("transforms.", Here),
];

/// Names so much this controller's own that they are meant for it under whatever prefix.
const UNMISTAKABLE: &[&str] = &[
    "certificate-arn",
    "group.name",
    "group.order",
    "inbound-cidrs",
    "listen-ports",
    "load-balancer-attributes",
    "success-codes",
    "target-group-attributes",
    "wafv2-acl-arn",
];

/// What annotations of Services are called on an Ingress, where the names differ by more than their starts.
const CALLED: &[(&str, &str)] = &[
    ("additional-resource-tags", "tags"),
    ("attributes", "load-balancer-attributes"),
    ("healthcheck-healthy-threshold", "healthy-threshold-count"),
    ("healthcheck-interval", "healthcheck-interval-seconds"),
    ("healthcheck-success-codes", "success-codes"),
    ("healthcheck-timeout", "healthcheck-timeout-seconds"),
    (
        "healthcheck-unhealthy-threshold",
        "unhealthy-threshold-count",
    ),
    ("internal", "scheme"),
    ("name", "load-balancer-name"),
    ("nlb-target-type", "target-type"),
    ("ssl-cert", "certificate-arn"),
    ("ssl-negotiation-policy", "ssl-policy"),
];

/// Reports the annotations of an Ingress that do not exist, or are none of an Ingress.
pub(super) fn report(meta: &Meta, found: &mut Vec<Diagnostic>) {
    for (key, annotation) in &meta.annotations {
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
        if prefix != PREFIX {
            found.extend(misplaced(meta, key, prefix, name));
            continue;
        }
        if NOT_MADE.contains(&name) && annotation.value != "false" {
            let not_made = match name {
                "enable-frontend-nlb" => {
                    let message = format!(
                        "{key} is not supported: the network load balancer in front is not made"
                    );
                    Diagnostic::warning("not-supported", message)
                }
                _ => {
                    let message = format!("{key} is known, but what it asks for is not made");
                    Diagnostic::warning("no-effect", message)
                }
            };
            found.push(about(meta, key, not_made));
        }
        if place(name).is_none() {
            found.push(unknown(meta, key, name));
        }
    }
}

fn unknown(meta: &Meta, key: &str, name: &str) -> Diagnostic {
    let message = format!("there is no annotation {key}; it does nothing");
    let mut unknown = about(
        meta,
        key,
        Diagnostic::warning("unknown-annotation", message),
    );
    unknown.hint = did_you_mean(name, KNOWN.iter().map(|(name, _)| *name));
    unknown
}

/// Where an annotation is read; `None`: there is no such one.
fn place(name: &str) -> Option<On> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    let start = || {
        KNOWN_STARTS
            .iter()
            .find(|(start, _)| name.starts_with(start))
    };
    known.or_else(start).map(|(_, on)| *on)
}

/// An annotation for us, to all appearance, that does not start as ours do.
fn misplaced(meta: &Meta, key: &str, prefix: &str, name: &str) -> Option<Diagnostic> {
    if let Some(of_service) = name.strip_prefix("aws-load-balancer-") {
        let called = CALLED.iter().find(|(service, _)| *service == of_service);
        let called = called.map_or(of_service, |(_, called)| *called);
        let found = idle(meta, key, "it is read on Services only");
        return Some(match place(called) {
            Some(_) => found.hint(format!("did you mean \"{PREFIX}/{called}\"?")),
            None => found,
        });
    }
    let alike = prefix.contains("alb.") || prefix.ends_with("k8s.aws");
    if !alike && !UNMISTAKABLE.contains(&name) || place(name).is_none() {
        return None;
    }
    let message = format!("there is no annotation {key}; it does nothing");
    let unknown = about(
        meta,
        key,
        Diagnostic::warning("unknown-annotation", message),
    );
    Some(unknown.hint(format!("did you mean \"{PREFIX}/{name}\"?")))
}

/// The Services that an Ingress leads to, whoever it belongs to: by path, or by an action.
pub(crate) fn led_to(ingress: &Ingress) -> BTreeSet<Key> {
    let mut all = BTreeSet::new();
    let meta = &ingress.meta;
    let mut add = |name: &str| {
        all.insert((meta.namespace.clone(), name.to_owned()));
    };
    backends(ingress).for_each(&mut add);
    for (key, annotation) in &meta.annotations {
        if key.starts_with("alb.ingress.kubernetes.io/actions.")
            && let Ok(action) = serde_json::from_str(&annotation.value)
        {
            service_names(&action, &mut add);
        }
    }
    all
}

/// Every `serviceName` in an action.
fn service_names(action: &Value, add: &mut impl FnMut(&str)) {
    match action {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str() {
                    Some(name) if field.eq_ignore_ascii_case("serviceName") => add(name),
                    _ => service_names(value, add),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| service_names(item, add)),
        _ => {}
    }
}

/// The annotations of Ingresses on a Service: those that are not read there, or by nobody.
pub(crate) fn on_a_service(service: &Service, scope: Scope<'_>) -> Vec<Diagnostic> {
    let meta = &service.meta;
    let mut found = Vec::new();
    for key in meta.annotations.keys() {
        let name = key.strip_prefix(PREFIX);
        let Some(name) = name.and_then(|rest| rest.strip_prefix('/')) else {
            continue;
        };
        match place(name) {
            None => found.push(unknown(meta, key, name)),
            Some(Here) => found.push(idle(meta, key, "it is read on Ingresses only")),
            Some(Both) if !scope.is_backend(&(meta.namespace.clone(), meta.name.clone())) => {
                let why = "no Ingress of its namespace leads to this Service";
                found.push(idle(meta, key, why));
            }
            Some(Both) => {}
        }
    }
    found
}

/// What the paths of an Ingress lead to, by name.
pub(super) fn backends(ingress: &Ingress) -> impl Iterator<Item = &str> {
    let paths = ingress.rules.iter().filter_map(|rule| rule.paths.as_ref());
    let paths = paths.flatten().map(|path| &path.backend);
    paths
        .chain(&ingress.default_backend)
        .map(|backend| backend.name())
}
