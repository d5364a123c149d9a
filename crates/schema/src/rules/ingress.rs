//! Ingresses: `ValidateIngressCreate`.

use super::address;
use super::message::Report;
use super::name;
use super::rule::Check::{Fields, Text, Written};
use super::rule::Rule;
use crate::{Cursor, Faults};

const KIND: &str = "networking.k8s.io/Ingress";
const CLASS: &str = "kubernetes.io/ingress.class";

pub(super) const RULES: &[Rule] = &[
    Rule::new(KIND, "", Fields(class_annotation), "ValidateIngressCreate"),
    Rule::new(KIND, "", Fields(rules_or_backend), "ValidateIngressSpec"),
    Rule::new(
        KIND,
        "spec.ingressClassName",
        Written(name::subdomain),
        "ValidateIngressClassName",
    ),
    Rule::new(
        KIND,
        "spec.defaultBackend",
        Fields(default_backend),
        "validateIngressBackend",
    ),
    Rule::new(
        KIND,
        "spec.rules[].host",
        Fields(host),
        "validateIngressRules",
    ),
    Rule::new(
        KIND,
        "spec.rules[].http",
        Fields(paths),
        "validateHTTPIngressRuleValue",
    ),
    Rule::new(
        KIND,
        "spec.rules[].http.paths[]",
        Fields(path),
        "validateHTTPIngressPath",
    ),
    Rule::new(
        KIND,
        "spec.tls[].hosts[]",
        Written(name::host),
        "validateIngressTLS",
    ),
    Rule::new(
        KIND,
        "spec.tls[].secretName",
        Text(name::subdomain),
        "validateTLSSecretName",
    ),
];

fn class_annotation(root: &Cursor<'_>, faults: &mut Faults) {
    let (metadata, spec) = (root.get("metadata"), root.get("spec"));
    let annotations = metadata.get("annotations");
    let annotation = annotations.key(CLASS);
    let class = spec.get("ingressClassName");
    if let (Some(written), Some(class)) = (annotation.text(), class.text())
        && written != class
    {
        faults.invalid(
            &annotation,
            "must match `ingressClassName` when both are specified",
        );
    }
}

/// Also without a `spec`.
fn rules_or_backend(root: &Cursor<'_>, faults: &mut Faults) {
    let spec = root.get("spec");
    let rules = spec.get("rules");
    let usable = spec.is_absent() || spec.is_mapping();
    let no_rules = rules.is_absent() || rules.is_list() && rules.items().next().is_none();
    if usable && no_rules && spec.get("defaultBackend").is_absent() {
        let message =
            "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified";
        faults.add(&spec, "missing-field", message);
    }
}

fn host(host: &Cursor<'_>, faults: &mut Faults) {
    let Some(text) = host.text().filter(|text| !text.is_empty()) else {
        return;
    };
    if address::parse(text).is_some() {
        faults.invalid(host, "must be a DNS name, not an IP address");
    }
    faults.problems(host, name::host(text));
}

fn paths(http: &Cursor<'_>, faults: &mut Faults) {
    let paths = http.get("paths");
    let usable = paths.is_absent() || paths.is_list();
    if http.is_mapping() && usable && paths.items().next().is_none() {
        faults.required(&paths, "");
    }
}

fn path(path: &Cursor<'_>, faults: &mut Faults) {
    if !path.is_object() {
        return;
    }
    let (kind, text) = (path.get("pathType"), path.get("path"));
    let written = text.text().unwrap_or_default();
    let is_text = text.is_absent() || text.text().is_some();
    match kind.text() {
        None if kind.is_absent() => {
            let message = format!(
                "{}: Required value: pathType must be specified",
                kind.path()
            );
            let hint = "write pathType: Prefix, Exact or ImplementationSpecific";
            faults.add_with_hint(&kind, "missing-field", message, hint);
            return;
        }
        None => {}
        Some("Exact" | "Prefix") if is_text => strict_path(&text, written, faults),
        Some("ImplementationSpecific") if !written.is_empty() && !written.starts_with('/') => {
            faults.invalid(&text, "must be an absolute path");
        }
        Some("Exact" | "Prefix" | "ImplementationSpecific") => {}
        Some(other) => {
            faults.unsupported(&kind, other, &["Exact", "ImplementationSpecific", "Prefix"]);
        }
    }
    backend(&path.get("backend"), faults);
}

fn strict_path(path: &Cursor<'_>, text: &str, faults: &mut Faults) {
    if !text.starts_with('/') {
        faults.invalid(path, "must be an absolute path");
    }
    for part in ["//", "/./", "/../", "%2f", "%2F"] {
        if text.contains(part) {
            faults.invalid(path, format!("must not contain '{part}'"));
        }
    }
    for end in ["/..", "/."] {
        if text.ends_with(end) {
            faults.invalid(path, format!("cannot end with '{end}'"));
        }
    }
}

fn default_backend(value: &Cursor<'_>, faults: &mut Faults) {
    if value.is_mapping() {
        backend(value, faults);
    }
}

fn backend(backend: &Cursor<'_>, faults: &mut Faults) {
    if !backend.is_absent() && !backend.is_mapping() {
        return;
    }
    let (service, resource) = (backend.get("service"), backend.get("resource"));
    match (service.is_absent(), resource.is_absent()) {
        (false, false) => faults.invalid(backend, "cannot set both resource and service backends"),
        (true, true) => {
            let path = backend.path();
            let message =
                format!("{path}: Invalid value: \"\": resource or service backend is required");
            let hint = "write service: {name: …, port: {number: …}}";
            faults.add_with_hint(backend, "missing-field", message, hint);
        }
        (true, false) => resource_backend(&resource, faults),
        (false, true) => service_backend(backend, &service, faults),
    }
}

fn resource_backend(resource: &Cursor<'_>, faults: &mut Faults) {
    let group = resource.get("apiGroup");
    faults.problems(
        &group,
        group.text().map(name::subdomain).unwrap_or_default(),
    );
    for field in ["kind", "name"] {
        let value = resource.get(field);
        match value.text() {
            Some("") => faults.required(&value, ""),
            Some(text) => faults.problems(&value, name::path_segment(text)),
            None if value.is_absent() => faults.required(&value, ""),
            None => {}
        }
    }
}

fn service_backend(backend: &Cursor<'_>, service: &Cursor<'_>, faults: &mut Faults) {
    if !service.is_mapping() {
        return;
    }
    let name = service.get("name");
    match name.text() {
        Some("") => faults.required(&name, ""),
        Some(text) => faults.problems(&name, name::label(text)),
        None if name.is_absent() => faults.required(&name, ""),
        None => {}
    }
    let port = service.get("port");
    let (port_name, number) = (port.get("name"), port.get("number"));
    let named = port_name.text().filter(|text| !text.is_empty());
    let numbered = number.number().filter(|number| *number != 0);
    match (named, numbered) {
        (Some(_), Some(_)) => faults.invalid(backend, "cannot set both port name & port number"),
        (Some(text), None) => faults.problems(&port_name, name::port_name(text)),
        (None, Some(_)) => super::rule::port(&number, faults),
        (None, None) => {
            let odd = |value: &Cursor<'_>| {
                !value.is_absent()
                    && !value.is_mapping()
                    && value.number().is_none()
                    && value.text().is_none()
            };
            if !odd(&port) && !odd(&port_name) && number_is_plain(&number) {
                let path = backend.path();
                let message = format!("{path}: Required value: port name or number is required");
                let at = if port.is_absent() {
                    service.at()
                } else {
                    port.at()
                };
                let hint = "write port: {number: …} or port: {name: …}";
                faults.add_at(backend, at, "missing-field", message, Some(hint.into()));
            }
        }
    }
}

/// Whether a number is absent or one; its decoding reports the others.
fn number_is_plain(number: &Cursor<'_>) -> bool {
    number.is_absent() || number.number().is_some()
}
