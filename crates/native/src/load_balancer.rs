//! Load balancers and the zones of their nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use elbow_model::{self as model, LoadBalancerAddressSpec, LoadBalancerSpec, ZoneSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::classic::{self, BackendServerAuthentication, ClassicHealthCheck, Instance};
use super::item::Item;
use super::listener::{self, Listener};
use super::security_group::{self, SecurityGroup};
use super::values::{
    backend_server_policies, ip_address_types, load_balancer_attributes, schemes, texts, types,
};

/// One load balancer and its listeners.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct LoadBalancer {
    /// Unique; 1 to 32 letters, digits and hyphens.
    #[schemars(regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$"))]
    pub(super) name: String,
    #[serde(rename = "type")]
    #[schemars(schema_with = "types")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "schemes")]
    pub(super) scheme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(default, schema_with = "ip_address_types")]
    pub(super) ip_address_type: Option<String>,
    /// Where it listens; by default, on an address of the pool that depends on the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) addresses: Vec<String>,
    /// The zones of its nodes. Each node has an address of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) availability_zones: Vec<Zone>,
    /// Which clients may connect; without any group, all may.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) security_groups: Vec<SecurityGroup>,
    /// By their AWS keys.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "load_balancer_attributes")]
    pub(super) attributes: BTreeMap<String, String>,
    #[schemars(default)]
    pub(super) listeners: Vec<Listener>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check: Option<ClassicHealthCheck>,
    /// Classic load balancers only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) instances: Vec<Instance>,
    /// Classic load balancers only: by instance port.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "backend_server_policies")]
    pub(super) backend_server_policies: BTreeMap<String, Vec<String>>,
    /// Classic load balancers only: by instance port.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(default, schema_with = "classic::backend_server_authentication")]
    pub(super) backend_server_authentication: BTreeMap<String, BackendServerAuthentication>,
}

/// An Availability Zone with a node of the load balancer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Zone {
    /// E.g. us-east-1a.
    #[schemars(length(min = 1, max = 63))]
    pub(super) zone_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subnet_id: Option<String>,
    /// The addresses of the node; by default, one of the pool.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) load_balancer_addresses: Vec<LoadBalancerAddress>,
}

/// An address of a node.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct LoadBalancerAddress {
    /// IPv4 or IPv6.
    pub(super) ip_address: String,
}

/// What a file says of a load balancer.
pub(super) fn read(item: &Item<'_>) -> LoadBalancerSpec {
    item.mapping(|fields| LoadBalancerSpec {
        name: fields.text("name"),
        kind: fields.text("type"),
        scheme: fields.text("scheme"),
        ip_address_type: fields.text("ipAddressType"),
        addresses: fields.texts("addresses").unwrap_or_default(),
        availability_zones: fields
            .list("availabilityZones", read_zone)
            .unwrap_or_default(),
        security_groups: fields
            .list("securityGroups", security_group::read)
            .unwrap_or_default(),
        attributes: fields.attributes().unwrap_or_default(),
        listeners: fields.list("listeners", listener::read).unwrap_or_default(),
        health_check: fields
            .get("healthCheck")
            .map(|item| classic::read_check(&item)),
        instances: fields.list("instances", classic::read_instance),
        backend_server_policies: fields
            .get("backendServerPolicies")
            .map(|item| classic::read_policies(&item)),
        backend_server_authentication: fields
            .get("backendServerAuthentication")
            .map(|item| classic::read_authentication(&item)),
    })
}

fn read_zone(item: &Item<'_>) -> ZoneSpec {
    let address = |item: &Item<'_>| {
        item.mapping(|fields| LoadBalancerAddressSpec {
            ip_address: fields.text("ipAddress"),
        })
    };
    item.mapping(|fields| ZoneSpec {
        zone_name: fields.text("zoneName"),
        subnet_id: fields.text("subnetId"),
        load_balancer_addresses: fields
            .list("loadBalancerAddresses", address)
            .unwrap_or_default(),
    })
}

/// A load balancer as a file has it.
pub(super) fn render(from: &model::LoadBalancer) -> LoadBalancer {
    LoadBalancer {
        name: from.name.to_string(),
        kind: from.kind.as_str().to_owned(),
        scheme: Some(from.scheme.as_str().to_owned()),
        ip_address_type: Some(from.ip_address_type.as_str().to_owned()),
        addresses: texts(&from.addresses),
        availability_zones: from.zones.iter().map(zone).collect(),
        security_groups: from
            .security_groups
            .iter()
            .map(security_group::render)
            .collect(),
        attributes: from.attributes.raw.clone(),
        listeners: from.listeners.iter().map(listener::render).collect(),
        health_check: from
            .classic
            .as_ref()
            .map(|c| classic::render_check(&c.health_check)),
        instances: from
            .classic
            .iter()
            .flat_map(|c| &c.instances)
            .map(classic::render_instance)
            .collect(),
        backend_server_policies: from
            .classic
            .iter()
            .flat_map(|c| &c.backend_server_policies)
            .map(|(port, policies)| (port.to_string(), classic::names(policies)))
            .collect(),
        backend_server_authentication: from
            .classic
            .iter()
            .flat_map(|c| &c.backend_server_authentication)
            .map(|(port, policy)| (port.to_string(), classic::render_authentication(policy)))
            .collect(),
    }
}

fn zone(from: &model::Zone) -> Zone {
    let address = |address: &IpAddr| LoadBalancerAddress {
        ip_address: address.to_string(),
    };
    Zone {
        zone_name: from.name.to_string(),
        subnet_id: from.subnet.as_deref().map(str::to_owned),
        load_balancer_addresses: from.addresses.iter().map(address).collect(),
    }
}
