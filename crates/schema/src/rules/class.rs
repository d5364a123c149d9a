//! IngressClasses: `ValidateIngressClass`.

use super::message::Report;
use super::name;
use super::rule::Check::{Fields, Text, Written};
use super::rule::Rule;
use crate::{Cursor, Faults};

const KIND: &str = "networking.k8s.io/IngressClass";
const CONTROLLER_BYTES: usize = 250;

pub(super) const RULES: &[Rule] = &[
    Rule::new(KIND, "", Fields(controller), "validateIngressClassSpec"),
    Rule::new(
        KIND,
        "spec.controller",
        Text(name::domain_prefixed_path),
        "IsDomainPrefixedPath",
    ),
    Rule::new(
        KIND,
        "spec.parameters.apiGroup",
        Written(name::subdomain),
        "validateIngressClassParametersReference",
    ),
    Rule::new(
        KIND,
        "spec.parameters",
        Fields(reference),
        "validateIngressClassParametersReference",
    ),
    Rule::new(
        KIND,
        "spec.parameters.kind",
        Text(name::path_segment),
        "validateIngressClassParametersReference",
    ),
    Rule::new(
        KIND,
        "spec.parameters.name",
        Text(name::path_segment),
        "validateIngressClassParametersReference",
    ),
    Rule::new(
        KIND,
        "spec.parameters",
        Fields(scope),
        "validateIngressClassParametersReference",
    ),
];

/// Also without a `spec`.
fn controller(root: &Cursor<'_>, faults: &mut Faults) {
    let spec = root.get("spec");
    let controller = spec.get("controller");
    match controller.text() {
        Some("") => faults.required(&controller, ""),
        None if controller.is_absent() && (spec.is_absent() || spec.is_mapping()) => {
            faults.required(&controller, "");
        }
        Some(text) if text.len() > CONTROLLER_BYTES => {
            faults.too_long(&controller, CONTROLLER_BYTES);
        }
        _ => {}
    }
}

fn reference(parameters: &Cursor<'_>, faults: &mut Faults) {
    if !parameters.is_mapping() {
        return;
    }
    for field in ["kind", "name"] {
        let value = parameters.get(field);
        if value.is_absent() || value.text() == Some("") {
            faults.required(&value, "");
        }
    }
}

fn scope(parameters: &Cursor<'_>, faults: &mut Faults) {
    let (scope, namespace) = (parameters.get("scope"), parameters.get("namespace"));
    if !parameters.is_mapping() {
        return;
    }
    match scope.text() {
        Some("Namespace") => match namespace.text() {
            Some(text) => faults.problems(&namespace, name::label(text)),
            None if namespace.is_absent() => {
                faults.required(&namespace, "`parameters.scope` is set to 'Namespace'");
            }
            None => {}
        },
        Some("Cluster") | None => {
            let is_cluster = scope.is_absent() || scope.text().is_some();
            if is_cluster && !namespace.is_absent() {
                faults.forbidden(&namespace, "`parameters.scope` is set to 'Cluster'");
            }
        }
        Some(other) => faults.unsupported(&scope, other, &["Cluster", "Namespace"]),
    }
}
