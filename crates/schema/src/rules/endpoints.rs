//! EndpointSlices and Endpoints: `ValidateEndpointSlice`, `ValidateEndpoints`.

use std::collections::HashSet;

use super::address;
use super::message::Report;
use super::meta::labels;
use super::name;
use super::rule::Check::{AtMost, Exactly, Fields, Number, OneOf, Text, Written};
use super::rule::Rule;
use crate::{Cursor, Faults};

const SLICE_KIND: &str = "discovery.k8s.io/EndpointSlice";
const KIND: &str = "Endpoints";
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
const FAMILIES: &[&str] = &["FQDN", "IPv4", "IPv6"];

pub(super) const SLICE: &[Rule] = &[
    Rule::new(SLICE_KIND, "", Fields(address_type), "validateAddressType"),
    Rule::new(SLICE_KIND, "ports", AtMost(20_000), "validatePorts"),
    Rule::new(
        SLICE_KIND,
        "ports",
        Fields(slice_port_names),
        "validatePorts",
    ),
    Rule::new(
        SLICE_KIND,
        "ports[].name",
        Text(name::label),
        "validatePorts",
    ),
    Rule::new(
        SLICE_KIND,
        "ports[].protocol",
        Exactly(PROTOCOLS),
        "validatePorts",
    ),
    Rule::new(
        SLICE_KIND,
        "ports[].appProtocol",
        Written(name::qualified),
        "validatePorts",
    ),
    Rule::new(SLICE_KIND, "endpoints", AtMost(1000), "validateEndpoints"),
    Rule::new(SLICE_KIND, "", Fields(slice_addresses), "validateEndpoints"),
    Rule::new(
        SLICE_KIND,
        "endpoints[].addresses",
        AtMost(100),
        "validateEndpoints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].nodeName",
        Written(name::subdomain),
        "ValidateNodeName",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hostname",
        Written(name::label),
        "validateEndpoints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].deprecatedTopology",
        AtMost(16),
        "validateEndpoints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].deprecatedTopology",
        Fields(labels),
        "ValidateLabels",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hints.forZones",
        AtMost(8),
        "validateHints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hints.forZones",
        Fields(unique_names),
        "validateHints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hints.forZones[].name",
        Written(name::label_value),
        "validateHints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hints.forNodes",
        AtMost(8),
        "validateHints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hints.forNodes",
        Fields(unique_names),
        "validateHints",
    ),
    Rule::new(
        SLICE_KIND,
        "endpoints[].hints.forNodes[].name",
        Fields(node_name),
        "validateHints",
    ),
];

pub(super) const ENDPOINTS: &[Rule] = &[
    Rule::new(KIND, "subsets[]", Fields(subset), "validateEndpointSubsets"),
    Rule::new(
        KIND,
        "subsets[].addresses[]",
        Fields(endpoint_address),
        "validateEndpointAddress",
    ),
    Rule::new(
        KIND,
        "subsets[].notReadyAddresses[]",
        Fields(endpoint_address),
        "validateEndpointAddress",
    ),
    Rule::new(
        KIND,
        "subsets[].addresses[].hostname",
        Text(name::label),
        "validateEndpointAddress",
    ),
    Rule::new(
        KIND,
        "subsets[].addresses[].nodeName",
        Written(name::subdomain),
        "validateEndpointAddress",
    ),
    Rule::new(
        KIND,
        "subsets[].notReadyAddresses[].hostname",
        Text(name::label),
        "validateEndpointAddress",
    ),
    Rule::new(
        KIND,
        "subsets[].notReadyAddresses[].nodeName",
        Written(name::subdomain),
        "validateEndpointAddress",
    ),
    Rule::new(
        KIND,
        "subsets[].ports",
        Fields(port_names),
        "validateEndpointPort",
    ),
    Rule::new(
        KIND,
        "subsets[].ports[].name",
        Text(name::label),
        "validateEndpointPort",
    ),
    Rule::new(
        KIND,
        "subsets[].ports[].port",
        Number(1, 65535),
        "validateEndpointPort",
    ),
    Rule::new(
        KIND,
        "subsets[].ports[].protocol",
        OneOf(PROTOCOLS),
        "validateEndpointPort",
    ),
    Rule::new(
        KIND,
        "subsets[].ports[].appProtocol",
        Written(name::qualified),
        "validateEndpointPort",
    ),
];

fn address_type(root: &Cursor<'_>, faults: &mut Faults) {
    let family = root.get("addressType");
    match family.text() {
        Some("") => faults.required(&family, ""),
        Some(text) if !FAMILIES.contains(&text) => faults.unsupported(&family, text, FAMILIES),
        None if family.is_absent() => faults.required(&family, ""),
        _ => {}
    }
}

/// A port without a name has the empty one.
fn slice_port_names(ports: &Cursor<'_>, faults: &mut Faults) {
    let mut names = HashSet::new();
    for port in ports.items() {
        let name = port.get("name");
        let text = port.text_of("name").unwrap_or_default();
        if !names.insert(text) {
            faults.duplicate(&name, &format!("{text:?}"));
        }
    }
}

fn slice_addresses(root: &Cursor<'_>, faults: &mut Faults) {
    let family = root.get("addressType").text().unwrap_or_default();
    let endpoints = root.get("endpoints");
    for endpoint in endpoints.items() {
        let addresses = endpoint.get("addresses");
        let usable = addresses.is_absent() || addresses.is_list();
        if endpoint.is_object() && usable && addresses.items().next().is_none() {
            faults.required(&addresses, "must contain at least 1 address");
        }
        for item in addresses.items() {
            if let Some(text) = item.decoded_text() {
                slice_address(&addresses, &item, text, family, faults);
            }
        }
    }
}

fn slice_address(
    addresses: &Cursor<'_>,
    item: &Cursor<'_>,
    text: &str,
    family: &str,
    faults: &mut Faults,
) {
    let (problems, wants_v6) = match family {
        "IPv4" => (address::ip(text), false),
        "IPv6" => (address::canonical_ip(text), true),
        "FQDN" if text.is_empty() => return faults.required(item, ""),
        "FQDN" => return faults.problems(item, name::domain(text)),
        _ => return,
    };
    if !problems.is_empty() {
        return faults.problems(item, problems);
    }
    if address::parse(text).is_some_and(|ip| ip.is_ipv6() != wants_v6) {
        let path = addresses.path();
        let message = format!("{path}: Invalid value: {text:?}: must be an {family} address");
        faults.add_at(addresses, item.at(), "invalid-value", message, None);
    }
    faults.problems(item, address::pod_ip(text));
}

fn unique_names(hints: &Cursor<'_>, faults: &mut Faults) {
    let mut names = HashSet::new();
    for hint in hints.items() {
        let name = hint.get("name");
        let text = hint.text_of("name").unwrap_or_default();
        if !names.insert(text) {
            faults.duplicate(&name, &format!("{text:?}"));
        }
    }
}

/// An absent name is an empty one.
fn node_name(name: &Cursor<'_>, faults: &mut Faults) {
    let empty = name.is_absent().then_some("");
    if let Some(text) = name.text().or(empty) {
        faults.problems(name, name::subdomain(text));
    }
}

fn subset(subset: &Cursor<'_>, faults: &mut Faults) {
    let empty = |field: &str| {
        let list = subset.get(field);
        (list.is_absent() || list.is_list()) && list.items().next().is_none()
    };
    let usable = subset.is_object();
    if usable && empty("addresses") && empty("notReadyAddresses") {
        faults.required(subset, "must specify `addresses` or `notReadyAddresses`");
    }
}

/// A missing address is read as an empty text, which is not an IP address.
fn endpoint_address(address: &Cursor<'_>, faults: &mut Faults) {
    let ip = address.get("ip");
    let text = match ip.text() {
        Some(text) => text,
        None if ip.is_absent() && address.is_object() => "",
        None => return,
    };
    let problems = address::ip(text);
    let problems = if problems.is_empty() {
        address::pod_ip(text)
    } else {
        problems
    };
    faults.problems(&ip, problems);
}

fn port_names(ports: &Cursor<'_>, faults: &mut Faults) {
    if ports.items().count() < 2 {
        return;
    }
    for port in ports.items() {
        let name = port.get("name");
        if name.is_absent() || name.text() == Some("") {
            faults.required(&name, "");
        }
    }
}
