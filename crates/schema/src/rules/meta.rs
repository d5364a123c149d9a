//! `metadata`: `ValidateObjectMeta`.

use super::message::Report;
use super::name::{self, Problems};
use super::rule::Check::{Fields, Number, Text};
use super::rule::Rule;
use crate::{Cursor, Faults};

/// Of all annotations of an object, keys and values.
const ANNOTATIONS_BYTES: usize = 256 << 10;

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        "*",
        "metadata.namespace",
        Text(name::label),
        "ValidateNamespaceName",
    ),
    Rule::new(
        "*",
        "metadata.generation",
        Number(0, i64::MAX),
        "ValidateNonnegativeField",
    ),
    Rule::new("*", "metadata.labels", Fields(labels), "ValidateLabels"),
    Rule::new(
        "*",
        "metadata.annotations",
        Fields(annotations),
        "ValidateAnnotations",
    ),
    Rule::new(
        "*",
        "metadata.ownerReferences",
        Fields(owners),
        "ValidateOwnerReferences",
    ),
    Rule::new(
        "*",
        "metadata.finalizers",
        Fields(finalizers),
        "ValidateFinalizers",
    ),
    Rule::new(
        "*",
        "metadata.managedFields[]",
        Fields(managed),
        "ValidateManagedFields",
    ),
    Rule::new("Service", "metadata", Fields(label_named), "NameIsDNSLabel"),
    Rule::new(
        "Namespace",
        "metadata",
        Fields(label_named),
        "NameIsDNSLabel",
    ),
    Rule::new(
        "Secret",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "Node",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "Pod",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "Endpoints",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "discovery.k8s.io/EndpointSlice",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "networking.k8s.io/Ingress",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "networking.k8s.io/IngressClass",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "elbv2.k8s.aws/IngressClassParams",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "elbv2.k8s.aws/TargetGroupBinding",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "eks.amazonaws.com/IngressClassParams",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "eks.amazonaws.com/TargetGroupBinding",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "minio.min.io/Tenant",
        "metadata",
        Fields(subdomain_named),
        "NameIsDNSSubdomain",
    ),
    Rule::new(
        "Service",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "Namespace",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "Secret",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "Node",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "Pod",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "Endpoints",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "discovery.k8s.io/EndpointSlice",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "networking.k8s.io/Ingress",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
    Rule::new(
        "networking.k8s.io/IngressClass",
        "metadata.finalizers[]",
        Text(kube_finalizer),
        "validateKubeFinalizerName",
    ),
];

fn label_named(metadata: &Cursor<'_>, faults: &mut Faults) {
    named(metadata, name::label, faults);
}

fn subdomain_named(metadata: &Cursor<'_>, faults: &mut Faults) {
    named(metadata, name::subdomain, faults);
}

fn named(metadata: &Cursor<'_>, syntax: fn(&str) -> Problems, faults: &mut Faults) {
    let name = metadata.get("name");
    if let Some(text) = name.text().filter(|text| !text.is_empty()) {
        faults.problems(&name, syntax(text));
    }
    let generate = metadata.get("generateName");
    if let Some(text) = generate.text().filter(|text| !text.is_empty()) {
        faults.problems(&generate, name::prefix(text, syntax));
    }
}

/// The labels, or a selector of labels, in a mapping.
pub(super) fn labels(labels: &Cursor<'_>, faults: &mut Faults) {
    for (key, value) in labels.keys() {
        faults.invalid_key(labels, key, name::qualified(&key.name));
        for problem in value.text().map(name::label_value).unwrap_or_default() {
            let text = value.text().unwrap_or_default();
            let message = format!("{}: Invalid value: {text:?}: {problem}", labels.path());
            faults.add_at(labels, value.at(), "invalid-value", message, None);
        }
    }
}

fn annotations(annotations: &Cursor<'_>, faults: &mut Faults) {
    let mut bytes = 0;
    for (key, value) in annotations.keys() {
        let problems = name::qualified(&key.name.to_lowercase());
        faults.invalid_key(annotations, key, problems);
        bytes += key.name.len() + value.text().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES {
        faults.too_long(annotations, ANNOTATIONS_BYTES);
    }
}

/// Kubernetes names the list, not the reference.
fn owners(owners: &Cursor<'_>, faults: &mut Faults) {
    let mut controllers = 0;
    for owner in owners.items() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            let value = owner.get(field);
            if value.is_absent() || value.text() == Some("") {
                let what = if field == "apiVersion" {
                    "version must"
                } else {
                    "must"
                };
                let path = owners.path();
                let message = format!("{path}.{field}: Invalid value: \"\": {what} not be empty");
                faults.add_at(&value, value.at(), "missing-field", message, None);
            }
        }
        let of = (owner.get("apiVersion").text(), owner.get("kind").text());
        if of == (Some("v1"), Some("Event")) {
            faults.invalid(&owner, "/v1, Kind=Event is disallowed from being an owner");
        }
        if owner.get("controller").boolean() == Some(true) {
            controllers += 1;
            if controllers > 1 {
                faults.invalid(&owner, "Only one reference can have Controller set to true");
            }
        }
    }
}

fn finalizers(finalizers: &Cursor<'_>, faults: &mut Faults) {
    let has = |name: &str| finalizers.items().any(|item| item.text() == Some(name));
    for finalizer in finalizers.items() {
        let text = finalizer.decoded_text();
        faults.problems(&finalizer, text.map(name::qualified).unwrap_or_default());
    }
    if has("orphan") && has("foregroundDeletion") {
        let why = "finalizer orphan and foregroundDeletion cannot be both set";
        faults.invalid(finalizers, why);
    }
}

/// Of Kubernetes' own kinds.
pub(super) fn kube_finalizer(text: &str) -> Problems {
    if text.contains('/') || ["kubernetes", "orphan", "foregroundDeletion"].contains(&text) {
        return Problems::new();
    }
    vec!["name is neither a standard finalizer name nor is it fully qualified".into()]
}

fn managed(entry: &Cursor<'_>, faults: &mut Faults) {
    let operation = entry.get("operation");
    if !["Apply", "Update"].map(Some).contains(&operation.text()) {
        faults.invalid(&operation, "must be `Apply` or `Update`");
    }
    let format = entry.get("fieldsType");
    if format
        .text()
        .is_some_and(|text| !["", "FieldsV1"].contains(&text))
    {
        faults.invalid(&format, "must be `FieldsV1`");
    }
    for field in ["manager", "subresource"] {
        let value = entry.get(field);
        let most = if field == "manager" { 128 } else { 256 };
        if value.text().is_some_and(|text| text.len() > most) {
            faults.too_long(&value, most);
        }
    }
}
