//! Security groups: who may open connections.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnet::IpNet;

use super::condition;
use super::item::{Fields, Item};
use crate::{IpProtocol, Permission, SecurityGroup};

pub(super) const FIELDS: &[&str] = &["groupName", "ingress"];
pub(super) const PERMISSION_FIELDS: &[&str] =
    &["ipProtocol", "fromPort", "toPort", "ipRanges", "ipv6Ranges"];
pub(super) const RANGE_FIELDS: &[&str] = &["cidrIP"];
pub(super) const RANGE_V6_FIELDS: &[&str] = &["cidrIPv6"];

pub(super) const PROTOCOLS: &[(&str, IpProtocol)] = &[
    ("tcp", IpProtocol::Tcp),
    ("udp", IpProtocol::Udp),
    ("icmp", IpProtocol::Icmp),
    ("icmpv6", IpProtocol::Icmpv6),
    ("-1", IpProtocol::All),
];

pub(super) fn read(item: &Item<'_>) -> Option<SecurityGroup> {
    let fields = item.fields(FIELDS)?;
    let ingress = fields.items("ingress");
    let ingress = ingress.iter().filter_map(permission).collect();
    Some(SecurityGroup {
        name: fields.required("groupName")?.text()?.into(),
        ingress,
    })
}

fn permission(item: &Item<'_>) -> Option<Permission> {
    let fields = item.fields(PERMISSION_FIELDS)?;
    let protocol = fields.required("ipProtocol")?.one_of(PROTOCOLS);
    let mut sources = ranges(&fields, "ipRanges", RANGE_FIELDS, IpAddr::is_ipv4);
    sources.extend(ranges(
        &fields,
        "ipv6Ranges",
        RANGE_V6_FIELDS,
        IpAddr::is_ipv6,
    ));
    Some(Permission {
        protocol: protocol?,
        ports: ports(&fields, protocol?)?,
        sources,
    })
}

/// All of them, where the protocol has none or all are meant.
fn ports(fields: &Fields<'_>, protocol: IpProtocol) -> Option<RangeInclusive<u16>> {
    if !matches!(protocol, IpProtocol::Tcp | IpProtocol::Udp) {
        return Some(0..=u16::MAX);
    }
    let from = fields.required("fromPort")?.number(0..=u16::MAX)?;
    let to = fields.required("toPort")?.number(from..=u16::MAX)?;
    Some(from..=to)
}

fn ranges(
    fields: &Fields<'_>,
    name: &str,
    known: &'static [&'static str],
    family: fn(&IpAddr) -> bool,
) -> Vec<IpNet> {
    let range = |item: Item<'_>| {
        let fields = item.fields(known)?;
        let item = fields.required(known.first()?)?;
        let network = condition::network(&item)?;
        if !family(&network.addr()) {
            let message = format!("{network} is of the other address family");
            item.error("invalid-cidr", message);
            return None;
        }
        Some(network)
    };
    fields.items(name).into_iter().filter_map(range).collect()
}
