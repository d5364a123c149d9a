//! The addresses of a Network Load Balancer in each of its subnets.

use std::net::IpAddr;

use ipnet::IpNet;

use super::read::{Reader, Refused};

/// A subnet that the load balancer stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: String,
    /// Its IPv4 range.
    pub ipv4: Option<IpNet>,
    /// Its IPv6 range.
    pub ipv6: Option<IpNet>,
}

/// What the load balancer has in one subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The subnet.
    pub subnet_id: String,
    /// An Elastic IP.
    pub allocation_id: Option<String>,
    /// A fixed private address.
    pub private_ipv4_address: Option<String>,
    /// A fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// The prefix that UDP over IPv6 comes from.
    pub source_nat_ipv6_prefix: Option<String>,
}

const ELASTIC: &str = "aws-load-balancer-eip-allocations";
const PRIVATE: &str = "aws-load-balancer-private-ipv4-addresses";
const IPV6: &str = "aws-load-balancer-ipv6-addresses";
const NAT: &str = "aws-load-balancer-enable-prefix-for-ipv6-source-nat";
const PREFIXES: &str = "aws-load-balancer-source-nat-ipv6-prefixes";

/// One mapping per subnet, and whether UDP over IPv6 is translated (`on` or `off`).
pub fn mappings(
    read: &Reader<'_>,
    scheme: &str,
    dualstack: bool,
    places: &[Place],
) -> Result<(Vec<Mapping>, &'static str), Refused> {
    let nat = super::load_balancer::on_off(read, NAT)?.unwrap_or("off");
    if nat == "on" && !dualstack {
        return Err(Refused::annotation(
            NAT,
            "only a dualstack load balancer has a prefix for IPv6 source NAT",
        ));
    }
    let elastic = counted(read, ELASTIC, places)?;
    let private = counted(read, PRIVATE, places)?;
    let ipv6 = counted(read, IPV6, places)?;
    let prefixes = counted(read, PREFIXES, places)?;
    refuse_unless(
        elastic.is_none() || private.is_none(),
        ELASTIC,
        "only one of EIP allocations or private IPv4 addresses can be set",
    )?;
    refuse_unless(
        elastic.is_none() || scheme == "internet-facing",
        ELASTIC,
        "EIP allocations can only be set for internet facing load balancers",
    )?;
    refuse_unless(
        private.is_none() || scheme == "internal",
        PRIVATE,
        "private IPv4 addresses can only be set for internal load balancers",
    )?;
    refuse_unless(
        ipv6.is_none() || dualstack,
        IPV6,
        "IPv6 addresses can only be set for dualstack load balancers",
    )?;
    refuse_unless(
        prefixes.is_none() || nat == "on",
        PREFIXES,
        "prefixes need aws-load-balancer-enable-prefix-for-ipv6-source-nat: on",
    )?;
    let mut mappings = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let nth =
            |list: &Option<Vec<String>>| list.as_ref().and_then(|list| list.get(index)).cloned();
        mappings.push(Mapping {
            subnet_id: place.id.clone(),
            allocation_id: nth(&elastic),
            private_ipv4_address: inside(PRIVATE, private.as_deref(), place, place.ipv4)?,
            ipv6_address: inside(IPV6, ipv6.as_deref(), place, place.ipv6)?,
            source_nat_ipv6_prefix: nth(&prefixes)
                .or_else(|| (nat == "on").then(|| "auto_assigned".to_owned())),
        });
    }
    Ok((mappings, nat))
}

fn refuse_unless(holds: bool, key: &str, message: &str) -> Result<(), Refused> {
    if holds {
        Ok(())
    } else {
        Err(Refused::annotation(key, message))
    }
}

/// The list, which must be as long as there are subnets.
fn counted(read: &Reader<'_>, key: &str, places: &[Place]) -> Result<Option<Vec<String>>, Refused> {
    if read.text(key).is_none() {
        return Ok(None);
    }
    let list = read.list(key);
    if list.len() != places.len() {
        let message = format!("{} values for {} subnets", list.len(), places.len());
        return Err(Refused::annotation(key, message).hint("give one for each subnet"));
    }
    Ok(Some(list))
}

/// The address of the list that is inside the subnet.
fn inside(
    key: &str,
    list: Option<&[String]>,
    place: &Place,
    range: Option<IpNet>,
) -> Result<Option<String>, Refused> {
    let Some(list) = list else { return Ok(None) };
    for text in list {
        let address: IpAddr = text
            .parse()
            .map_err(|_| Refused::annotation(key, format!("{text:?} is not an address")))?;
        if range.is_some_and(|range| range.contains(&address)) {
            return Ok(Some(text.clone()));
        }
    }
    Err(
        Refused::annotation(key, format!("no matching ip for subnet {}", place.id))
            .hint("give one address inside each subnet"),
    )
}
