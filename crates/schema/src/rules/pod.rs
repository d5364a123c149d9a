//! Pods, as far as elbow reads them: names, containers, their ports and probes, readiness gates.

use std::collections::HashSet;

use super::message::Report;
use super::meta::labels;
use super::name;
use super::rule::Check::{Fields, NumberIfSet, OneOf, Text, Written};
use super::rule::Rule;
use crate::{Cursor, Faults};

const KIND: &str = "Pod";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

pub(super) const RULES: &[Rule] = &[
    Rule::new(KIND, "", Fields(containers), "validateContainers"),
    Rule::new(
        KIND,
        "spec.containers[].name",
        Text(name::label),
        "validateContainerCommon",
    ),
    Rule::new(
        KIND,
        "spec.containers[]",
        Fields(container),
        "validateContainerCommon",
    ),
    Rule::new(
        KIND,
        "spec.containers[].ports",
        Fields(ports),
        "validateContainerPorts",
    ),
    Rule::new(
        KIND,
        "spec.containers[].ports[].hostPort",
        NumberIfSet(1, 65535),
        "validateContainerPorts",
    ),
    Rule::new(
        KIND,
        "spec.containers[].ports[].protocol",
        OneOf(PROTOCOLS),
        "validateContainerPorts",
    ),
    Rule::new(
        KIND,
        "spec.containers[].imagePullPolicy",
        OneOf(&["Always", "IfNotPresent", "Never"]),
        "validatePullPolicy",
    ),
    Rule::new(
        KIND,
        "spec.containers[].readinessProbe",
        Fields(readiness_probe),
        "validateReadinessProbe",
    ),
    Rule::new(
        KIND,
        "spec.containers[].livenessProbe",
        Fields(liveness_probe),
        "validateLivenessProbe",
    ),
    Rule::new(
        KIND,
        "spec.containers[].startupProbe",
        Fields(liveness_probe),
        "validateStartupProbe",
    ),
    Rule::new(
        KIND,
        "spec.restartPolicy",
        OneOf(&["Always", "OnFailure", "Never"]),
        "validateRestartPolicy",
    ),
    Rule::new(KIND, "spec.nodeSelector", Fields(labels), "ValidateLabels"),
    Rule::new(
        KIND,
        "spec.readinessGates",
        Fields(gates),
        "validateReadinessGates",
    ),
    Rule::new(
        KIND,
        "spec.serviceAccountName",
        Text(name::subdomain),
        "ValidateServiceAccountName",
    ),
    Rule::new(
        KIND,
        "spec.nodeName",
        Text(name::subdomain),
        "ValidateNodeName",
    ),
    Rule::new(KIND, "spec.hostname", Text(name::label), "ValidatePodSpec"),
    Rule::new(KIND, "spec.subdomain", Text(name::label), "ValidatePodSpec"),
    Rule::new(
        KIND,
        "spec.containers[].readinessProbe.httpGet.httpHeaders[].name",
        Written(name::header_name),
        "validateHTTPGetAction",
    ),
];

/// Also without a `spec`.
fn containers(root: &Cursor<'_>, faults: &mut Faults) {
    let spec = root.get("spec");
    let containers = spec.get("containers");
    let usable =
        (spec.is_absent() || spec.is_mapping()) && (containers.is_absent() || containers.is_list());
    if usable && containers.items().next().is_none() {
        faults.required(&containers, "");
    }
    let mut names = HashSet::new();
    for container in containers.items() {
        let name = container.get("name");
        let text = container.text_of("name").unwrap_or_default();
        if !names.insert(text) {
            faults.duplicate(&name, &format!("{text:?}"));
        }
    }
}

fn container(container: &Cursor<'_>, faults: &mut Faults) {
    for field in ["name", "image"] {
        let value = container.get(field);
        let usable = container.is_object();
        if usable && (value.is_absent() || value.text() == Some("")) {
            faults.required(&value, "");
        }
    }
}

fn ports(ports: &Cursor<'_>, faults: &mut Faults) {
    let mut names = HashSet::new();
    for port in ports.items() {
        let (name, number) = (port.get("name"), port.get("containerPort"));
        if let Some(text) = port.text_of("name").filter(|text| !text.is_empty()) {
            let problems = name::port_name(text);
            if problems.is_empty() && !names.insert(text) {
                faults.duplicate(&name, &format!("{text:?}"));
            }
            faults.problems(&name, problems);
        }
        match number.number() {
            None | Some(0) if number.is_absent() || number.number() == Some(0) => {
                faults.required(&number, "");
            }
            Some(_) => super::rule::port(&number, faults),
            None => {}
        }
    }
}

fn readiness_probe(value: &Cursor<'_>, faults: &mut Faults) {
    probe(value, faults);
    let grace = value.get("terminationGracePeriodSeconds");
    if grace.number().is_some() {
        faults.invalid(&grace, "must not be set for readinessProbes");
    }
}

fn liveness_probe(value: &Cursor<'_>, faults: &mut Faults) {
    probe(value, faults);
    let threshold = value.get("successThreshold");
    if threshold
        .number()
        .is_some_and(|number| ![0, 1].contains(&number))
    {
        faults.invalid(&threshold, "must be 1");
    }
    let grace = value.get("terminationGracePeriodSeconds");
    if grace.number().is_some_and(|number| number <= 0) {
        faults.invalid(&grace, "must be greater than 0");
    }
}

const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];

fn probe(probe: &Cursor<'_>, faults: &mut Faults) {
    if !probe.is_mapping() {
        return;
    }
    let mut handlers = 0;
    for field in HANDLERS {
        let handler = probe.get(field);
        if handler.is_absent() {
            continue;
        }
        handlers += 1;
        if handlers > 1 {
            faults.forbidden(&handler, "may not specify more than 1 handler type");
        }
    }
    if handlers == 0 {
        faults.required(probe, "must specify a handler type");
    }
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        let value = probe.get(field);
        if value.number().is_some_and(|number| number < 0) {
            faults.invalid(&value, "must be greater than or equal to 0");
        }
    }
    let get = probe.get("httpGet");
    if get.is_mapping() {
        probe_port(&get.get("port"), faults);
        let scheme = get.get("scheme");
        if let Some(text) = scheme
            .text()
            .filter(|text| !["", "HTTP", "HTTPS"].contains(text))
        {
            faults.unsupported(&scheme, text, &["HTTP", "HTTPS"]);
        }
    }
    let socket = probe.get("tcpSocket");
    if socket.is_mapping() {
        probe_port(&socket.get("port"), faults);
    }
}

fn probe_port(port: &Cursor<'_>, faults: &mut Faults) {
    if port.is_absent() {
        faults.invalid(port, "must be between 1 and 65535, inclusive");
    } else {
        super::rule::port(port, faults);
    }
}

fn gates(gates: &Cursor<'_>, faults: &mut Faults) {
    for gate in gates.items() {
        let kind = gate.get("conditionType");
        if kind.is_absent() || kind.text().is_some() {
            faults.problems(&kind, name::qualified(kind.text().unwrap_or_default()));
        }
    }
}
