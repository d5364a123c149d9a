//! Security groups and their permissions.

use elbow_model::{self as model, IpProtocol, PermissionSpec, SecurityGroupSpec};
use schemars::JsonSchema;
use serde::Serialize;

use super::item::{Fields, Item};
use super::values::ip_protocols;

/// Which clients may connect, and to which ports.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct SecurityGroup {
    pub(super) group_name: String,
    /// Clients without permission are refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) ingress: Vec<Permission>,
}

/// One of the permissions of a security group.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Permission {
    #[schemars(schema_with = "ip_protocols")]
    pub(super) ip_protocol: String,
    /// tcp and udp only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from_port: Option<u16>,
    /// tcp and udp only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_port: Option<u16>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) ip_ranges: Vec<IpRange>,
    #[serde(rename = "ipv6Ranges", skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) ipv6_ranges: Vec<Ipv6Range>,
}

/// An IPv4 block, e.g. `10.0.0.0/8`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct IpRange {
    #[serde(rename = "cidrIP")]
    pub(super) cidr: String,
}

/// An IPv6 block, e.g. `::/0`.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Ipv6Range {
    #[serde(rename = "cidrIPv6")]
    pub(super) cidr: String,
}

/// What a file says of a security group.
pub(super) fn read(item: &Item<'_>) -> SecurityGroupSpec {
    item.mapping(|fields| SecurityGroupSpec {
        group_name: fields.text("groupName"),
        ingress: fields.list("ingress", read_permission).unwrap_or_default(),
    })
}

fn read_permission(item: &Item<'_>) -> PermissionSpec {
    let ranges = |fields: &Fields<'_>, list, field| {
        let cidr = |item: &Item<'_>| item.mapping(|fields| fields.text(field));
        fields.list(list, cidr).unwrap_or_default()
    };
    item.mapping(|fields| PermissionSpec {
        ip_protocol: fields.text("ipProtocol"),
        from_port: fields.number("fromPort"),
        to_port: fields.number("toPort"),
        ip_ranges: ranges(fields, "ipRanges", "cidrIP"),
        ipv6_ranges: ranges(fields, "ipv6Ranges", "cidrIPv6"),
    })
}

/// A security group as a file has it.
pub(super) fn render(from: &model::SecurityGroup) -> SecurityGroup {
    SecurityGroup {
        group_name: from.name.to_string(),
        ingress: from.ingress.iter().map(permission).collect(),
    }
}

fn permission(from: &model::Permission) -> Permission {
    let has_ports = matches!(from.protocol, IpProtocol::Tcp | IpProtocol::Udp);
    let texts = |v6: bool| {
        let sources = from
            .sources
            .iter()
            .filter(move |net| net.addr().is_ipv6() == v6);
        sources.map(ToString::to_string)
    };
    Permission {
        ip_protocol: from.protocol.as_str().to_owned(),
        from_port: has_ports.then_some(*from.ports.start()),
        to_port: has_ports.then_some(*from.ports.end()),
        ip_ranges: texts(false).map(|cidr| IpRange { cidr }).collect(),
        ipv6_ranges: texts(true).map(|cidr| Ipv6Range { cidr }).collect(),
    }
}
