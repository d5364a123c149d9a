//! Services: `ValidateServiceCreate`, and what the API server checks when it allocates addresses and ports.

mod addresses;
mod spec;

use std::collections::{HashMap, HashSet};

use addresses::{cluster_ips, endpoint_ip, families, single_stack, source_ranges};
use spec::{is_headless, protocol, text, type_of};

use super::message::Report;
use super::meta::labels;
use super::name;
use super::rule::Check::{Exactly, Fields, Number, OneOf, Text, Written};
use super::rule::Rule;
use crate::{Cursor, Faults};

const KIND: &str = "Service";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const NOT_IN_RANGE: &str =
    "provided port is not in the valid range. The range of valid ports is 30000-32767";
/// The default of `--service-node-port-range`.
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30000..=32767;

pub(super) const RULES: &[Rule] = &[
    Rule::new(KIND, "spec.type", OneOf(TYPES), "validateService"),
    Rule::new(KIND, "spec", Fields(ports_required), "validateService"),
    Rule::new(KIND, "spec", Fields(headless), "validateService"),
    Rule::new(KIND, "spec", Fields(external_name), "validateService"),
    Rule::new(
        KIND,
        "spec.ports",
        Fields(port_names),
        "validateServicePort",
    ),
    Rule::new(
        KIND,
        "spec.ports[].port",
        Number(1, 65535),
        "validateServicePort",
    ),
    Rule::new(
        KIND,
        "spec.ports[].protocol",
        OneOf(PROTOCOLS),
        "validateServicePort",
    ),
    Rule::new(
        KIND,
        "spec.ports[].targetPort",
        Fields(target_port),
        "validateServicePort",
    ),
    Rule::new(
        KIND,
        "spec.ports[].appProtocol",
        Written(name::qualified),
        "validateServicePort",
    ),
    Rule::new(KIND, "spec.ports", Fields(unique_ports), "validateService"),
    Rule::new(
        KIND,
        "spec",
        Fields(node_ports),
        "validateService, initNodePorts",
    ),
    Rule::new(KIND, "spec.selector", Fields(labels), "ValidateLabels"),
    Rule::new(
        KIND,
        "spec.sessionAffinity",
        OneOf(&["ClientIP", "None"]),
        "validateService",
    ),
    Rule::new(
        KIND,
        "spec",
        Fields(affinity),
        "validateClientIPAffinityConfig",
    ),
    Rule::new(
        KIND,
        "spec.ipFamilies",
        Fields(families),
        "ValidateServiceClusterIPsRelatedFields",
    ),
    Rule::new(
        KIND,
        "spec.ipFamilyPolicy",
        Exactly(&["PreferDualStack", "RequireDualStack", "SingleStack"]),
        "ValidateServiceClusterIPsRelatedFields",
    ),
    Rule::new(
        KIND,
        "spec",
        Fields(cluster_ips),
        "ValidateServiceClusterIPsRelatedFields",
    ),
    Rule::new(KIND, "spec", Fields(single_stack), "initIPFamilyFields"),
    Rule::new(
        KIND,
        "spec.externalIPs[]",
        Fields(endpoint_ip),
        "ValidateEndpointIP",
    ),
    Rule::new(KIND, "", Fields(source_ranges), "validateService"),
    Rule::new(
        KIND,
        "spec",
        Fields(only_load_balancers),
        "validateService, validateLoadBalancerClassField",
    ),
    Rule::new(
        KIND,
        "spec.loadBalancerClass",
        Written(name::qualified),
        "validateLoadBalancerClassField",
    ),
    Rule::new(
        KIND,
        "spec.externalTrafficPolicy",
        OneOf(&["Cluster", "Local"]),
        "validateServiceExternalTrafficPolicy",
    ),
    Rule::new(
        KIND,
        "spec",
        Fields(external_traffic),
        "validateServiceExternalTrafficPolicy",
    ),
    Rule::new(
        KIND,
        "spec.internalTrafficPolicy",
        Exactly(&["Cluster", "Local"]),
        "validateServiceInternalTrafficFieldsValue",
    ),
    Rule::new(
        KIND,
        "spec.trafficDistribution",
        Exactly(&["PreferClose", "PreferSameZone", "PreferSameNode"]),
        "validateServiceTrafficDistribution",
    ),
    Rule::new(
        KIND,
        "metadata.annotations",
        Fields(topology),
        "validateService",
    ),
    Rule::new(
        KIND,
        "spec.ports[].name",
        Text(name::label),
        "validateServicePort",
    ),
];

fn ports_required(spec: &Cursor<'_>, faults: &mut Faults) {
    let ports = spec.get("ports");
    let is_list = ports.is_absent() || ports.is_list();
    if is_list
        && ports.items().next().is_none()
        && !is_headless(spec)
        && type_of(spec) != "ExternalName"
    {
        faults.required(&ports, "");
    }
}

fn headless(spec: &Cursor<'_>, faults: &mut Faults) {
    let of = type_of(spec);
    if ["LoadBalancer", "NodePort"].contains(&of) && is_headless(spec) {
        let ips = spec.get("clusterIPs");
        let first = ips.item(0);
        let single = spec.get("clusterIP");
        let place = if first.is_absent() { single } else { first };
        let message = format!(
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for {of} services"
        );
        let hint = "remove clusterIP, or use the type ClusterIP";
        faults.add_at(
            &first,
            place.at(),
            "invalid-combination",
            message,
            Some(hint.into()),
        );
    }
}

fn external_name(spec: &Cursor<'_>, faults: &mut Faults) {
    if type_of(spec) != "ExternalName" {
        return;
    }
    let ips = spec.get("clusterIPs");
    let single = spec.get("clusterIP");
    let set = if ips.items().next().is_some() {
        Some(&ips)
    } else {
        Some(&single)
    };
    let set = set.filter(|value| {
        value.items().next().is_some() || value.text().is_some_and(|text| !text.is_empty())
    });
    if let Some(value) = set {
        let message = "spec.clusterIPs: Forbidden: may not be set for ExternalName services";
        faults.add_at(
            &ips,
            value.at(),
            "forbidden-field",
            message,
            Some("remove the field".into()),
        );
    }
    let families = spec.get("ipFamilies");
    if families.items().next().is_some() {
        faults.forbidden(&families, "may not be set for ExternalName services");
    }
    let policy = spec.get("ipFamilyPolicy");
    if policy.text().is_some() {
        faults.forbidden(&policy, "may not be set for ExternalName services");
    }
    let cname = spec.get("externalName");
    let name = cname.text().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    if !name.is_empty() {
        faults.problems(&cname, name::subdomain(name));
    } else if cname.is_absent() || cname.text().is_some() {
        faults.required(&cname, "");
    }
}

fn port_names(ports: &Cursor<'_>, faults: &mut Faults) {
    let required = ports.items().count() > 1;
    let mut names = HashSet::new();
    for port in ports.items() {
        let name = port.get("name");
        match port.text_of("name").unwrap_or_default() {
            "" if required && port.is_object() && (name.is_absent() || name.text().is_some()) => {
                faults.required(&name, "");
            }
            "" => {}
            text if names.insert(text) => {}
            text => faults.duplicate(&name, &format!("{text:?}")),
        }
    }
}

/// 0 and an empty text mean the port itself.
fn target_port(value: &Cursor<'_>, faults: &mut Faults) {
    if value.number() != Some(0) && value.text() != Some("") {
        super::rule::port(value, faults);
    }
}

fn unique_ports(ports: &Cursor<'_>, faults: &mut Faults) {
    let mut seen = HashSet::new();
    for port in ports.items() {
        let Some(number) = port.get("port").number() else {
            continue;
        };
        if !seen.insert((protocol(&port), number)) {
            faults.duplicate(&port, &format!("port {number} of {}", protocol(&port)));
        }
    }
}

fn node_ports(spec: &Cursor<'_>, faults: &mut Faults) {
    let of = type_of(spec);
    let is_allocated = ["LoadBalancer", "NodePort"].contains(&of);
    let ports = spec.get("ports");
    let mut seen = HashSet::new();
    let mut allocated = Allocated::default();
    for port in ports.items() {
        let node_port = port.get("nodePort");
        let Some(number) = node_port.number().filter(|number| *number != 0) else {
            continue;
        };
        if !seen.insert((protocol(&port), number)) {
            faults.duplicate(&node_port, &number.to_string());
        }
        if of == "ClusterIP" {
            faults.forbidden(&node_port, "may not be used when `type` is 'ClusterIP'");
        } else if is_allocated && !NODE_PORTS.contains(&number) {
            faults.invalid(&node_port, NOT_IN_RANGE);
        } else if is_allocated && !allocated.add(port.get("port").number().unwrap_or(0), number) {
            faults.invalid(&node_port, "provided port is already allocated");
        }
    }
}

/// The node ports of one Service. Ports with the same number share the node port of the first one.
#[derive(Default)]
struct Allocated {
    by_port: HashMap<i64, i64>,
    all: HashSet<i64>,
}

impl Allocated {
    /// Whether the node port is free for this port.
    fn add(&mut self, port: i64, node_port: i64) -> bool {
        if self.by_port.get(&port) == Some(&node_port) {
            return true;
        }
        self.by_port.entry(port).or_insert(node_port);
        self.all.insert(node_port)
    }
}

fn affinity(spec: &Cursor<'_>, faults: &mut Faults) {
    if text(spec, "sessionAffinity") != "ClientIP" {
        return;
    }
    let config = spec.get("sessionAffinityConfig");
    let client = config.get("clientIP");
    let timeout = client.get("timeoutSeconds");
    if timeout
        .number()
        .is_some_and(|seconds| !(1..=86400).contains(&seconds))
    {
        faults.invalid(&timeout, "must be greater than 0 and less than 86400");
    }
}

fn only_load_balancers(spec: &Cursor<'_>, faults: &mut Faults) {
    if type_of(spec) == "LoadBalancer" {
        return;
    }
    for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] {
        let value = spec.get(field);
        if !value.is_absent() {
            faults.forbidden(&value, "may only be used when `type` is 'LoadBalancer'");
        }
    }
}

fn external_traffic(spec: &Cursor<'_>, faults: &mut Faults) {
    let of = type_of(spec);
    let policy = spec.get("externalTrafficPolicy");
    let written = policy.text().filter(|text| !text.is_empty());
    let is_external = match of {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => spec.get("externalIPs").items().next().is_some(),
        _ => false,
    };
    if !is_external && written.is_some() {
        faults.invalid(
            &policy,
            "may only be set for externally-accessible services",
        );
    }
    let check = spec.get("healthCheckNodePort");
    let Some(number) = check.number().filter(|number| *number != 0) else {
        return;
    };
    if of != "LoadBalancer" || written != Some("Local") {
        let why =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        faults.invalid(&check, why);
    } else if !NODE_PORTS.contains(&number) {
        faults.invalid(&check, NOT_IN_RANGE);
    }
    let ports = spec.get("ports");
    if ports
        .items()
        .any(|port| port.get("nodePort").number() == Some(number))
    {
        faults.invalid(&check, "provided port is already allocated");
    }
}

fn topology(annotations: &Cursor<'_>, faults: &mut Faults) {
    let mode = annotations.key("service.kubernetes.io/topology-mode");
    let hints = annotations.key("service.kubernetes.io/topology-aware-hints");
    if let (Some(mode_text), Some(hints)) = (mode.text(), hints.text())
        && mode_text != hints
    {
        let why = "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified";
        faults.invalid(&mode, why);
    }
}
