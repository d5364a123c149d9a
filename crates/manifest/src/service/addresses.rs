//! The addresses of a Network Load Balancer in each of its subnets, as the AWS Load Balancer Controller assigns them
//! (`buildLoadBalancerSubnetMappings` in `pkg/service/model_build_load_balancer.go`).

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

use crate::annotations::{Row, service as keys};
use crate::lookup::service::{Reader, Refused};

/// A subnet of the load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: String,
    /// Its IPv4 range.
    pub ipv4: Option<IpNet>,
    /// Its IPv6 range.
    pub ipv6: Option<IpNet>,
    /// Whether its ranges are unknown, and addresses of it are taken in their order.
    pub any_address: bool,
}

/// The addresses of the load balancer in one subnet.
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
    /// The source prefix of UDP over IPv6, if the user chooses it.
    pub source_nat_ipv6_prefix: Option<String>,
}

const ELASTIC: &Row = keys::EIP_ALLOCATIONS;
const PRIVATE: &Row = keys::PRIVATE_IPV4_ADDRESSES;
const IPV6: &Row = keys::IPV6_ADDRESSES;
const NAT: &Row = keys::ENABLE_PREFIX_FOR_IPV6_SOURCE_NAT;
const PREFIXES: &Row = keys::SOURCE_NAT_IPV6_PREFIXES;
/// The lists with one value for each subnet.
pub(super) const LISTS: [&Row; 4] = [ELASTIC, PRIVATE, IPV6, PREFIXES];
const ONE_EACH: &str = "give one for each subnet";

/// One mapping per subnet, and whether UDP over IPv6 is translated (`on` or `off`). `read` keeps the errors of lists, so that
/// those of all lists are told.
pub fn mappings(
    read: &Reader<'_>,
    scheme: &str,
    dualstack: bool,
    places: &[Place],
) -> Result<(Vec<Mapping>, &'static str), Refused> {
    let refused = &read.refused;
    let nat = source_nat(read, dualstack, places)?;
    let elastic = counted(read, ELASTIC, places, || {
        let message = "EIP allocations can only be set for internet facing load balancers";
        refuse_unless(scheme == "internet-facing", ELASTIC, message)
    });
    let elastic = refused.or_default(elastic);
    let private = counted(read, PRIVATE, places, || {
        let message = "private IPv4 addresses can only be set for internal load balancers";
        refuse_unless(scheme == "internal", PRIVATE, message)
    });
    let private = refused.or_default(private);
    let private = private.map(|list| parsed(PRIVATE, &list)).transpose();
    let private = refused.or_default(private);
    let ipv6 = counted(read, IPV6, places, || {
        let message = "IPv6 addresses can only be set for dualstack load balancers";
        refuse_unless(dualstack, IPV6, message)
    });
    let ipv6 = refused.or_default(ipv6);
    let ipv6 = refused.or_default(ipv6.map(|list| parsed(IPV6, &list)).transpose());
    let prefixes = counted(read, PREFIXES, places, || {
        let message = "prefixes need a dualstack load balancer";
        refuse_unless(dualstack, PREFIXES, message)?;
        let message = "prefixes need aws-load-balancer-enable-prefix-for-ipv6-source-nat: on";
        refuse_unless(nat == "on", PREFIXES, message)
    });
    let prefixes = refused.or_default(prefixes);
    let mut mappings = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let nth =
            |list: &Option<Vec<String>>| list.as_ref().and_then(|list| list.get(index)).cloned();
        let prefix = nth(&prefixes);
        if let Some(prefix) = &prefix {
            source_prefix(prefix, place)?;
        }
        mappings.push(Mapping {
            subnet_id: place.id.clone(),
            allocation_id: nth(&elastic),
            private_ipv4_address: inside(PRIVATE, private.as_deref(), (place, index), place.ipv4)?,
            ipv6_address: inside(IPV6, ipv6.as_deref(), (place, index), place.ipv6)?,
            source_nat_ipv6_prefix: prefix,
        });
    }
    Ok((mappings, nat))
}

/// Whether UDP over IPv6 is translated: `ValidateEnablePrefixForIpv6SourceNat` in `pkg/networking/utils.go`.
fn source_nat(
    read: &Reader<'_>,
    dualstack: bool,
    places: &[Place],
) -> Result<&'static str, Refused> {
    let nat = super::load_balancer::on_off(read, NAT)?.unwrap_or("off");
    if nat == "off" {
        return Ok(nat);
    }
    let message = "only a dualstack load balancer has a prefix for IPv6 source NAT";
    refuse_unless(dualstack, NAT, message)?;
    let without = places
        .iter()
        .filter(|place| place.ipv6.is_none() && !place.any_address);
    let without: Vec<&str> = without.map(|place| place.id.as_str()).collect();
    let message = format!(
        "a prefix for source NAT needs subnets with an IPv6 range; these have none: {}",
        without.join(", ")
    );
    refuse_unless(without.is_empty(), NAT, &message)?;
    Ok(nat)
}

fn refuse_unless(holds: bool, key: &'static Row, message: &str) -> Result<(), Refused> {
    if holds {
        Ok(())
    } else {
        Err(Refused::annotation(key, message))
    }
}

/// The list, if the annotation is there: `check` allows it, and it has one value for each subnet.
fn counted(
    read: &Reader<'_>,
    key: &'static Row,
    places: &[Place],
    check: impl FnOnce() -> Result<(), Refused>,
) -> Result<Option<Vec<String>>, Refused> {
    if read.text(key).is_none() {
        return Ok(None);
    }
    check()?;
    let list = read.list(key);
    if list.len() != places.len() {
        let message = format!("found {} values for {} subnets", list.len(), places.len());
        return Err(Refused::annotation(key, message).hint(ONE_EACH));
    }
    Ok(Some(list))
}

/// The addresses of a list, all of the annotation's family.
fn parsed(key: &'static Row, list: &[String]) -> Result<Vec<IpAddr>, Refused> {
    let ipv4 = key == PRIVATE;
    let family = if ipv4 { "IPv4" } else { "IPv6" };
    let address = |text: &String| {
        let address = text.parse::<IpAddr>().ok();
        let address = address.filter(|address| address.is_ipv4() == ipv4);
        address.ok_or_else(|| {
            Refused::annotation(key, format!("expected an {family} address, found {text:?}"))
        })
    };
    list.iter().map(address).collect()
}

/// The only address of the list that lies in the subnet, which is the one at `index`.
fn inside(
    key: &'static Row,
    list: Option<&[IpAddr]>,
    (place, index): (&Place, usize),
    range: Option<IpNet>,
) -> Result<Option<String>, Refused> {
    let Some(list) = list else { return Ok(None) };
    let inside = |address: &&IpAddr| range.is_some_and(|range| range.contains(*address));
    let mut found = list.iter().filter(inside);
    match (found.next(), found.next()) {
        (Some(address), None) => Ok(Some(address.to_string())),
        _ if place.any_address => Ok(list.get(index).map(IpAddr::to_string)),
        (first, _) => {
            let many = if first.is_some() { "several" } else { "none" };
            let message = format!("expected one address in subnet {}, found {many}", place.id);
            Err(Refused::annotation(key, message).hint("give one address inside each subnet"))
        }
    }
}

/// Refuses a source prefix that does not fit its subnet: `ValidateSourceNatPrefixForSubnetPair` in
/// `pkg/networking/utils.go`, which ignores what follows a second slash.
fn source_prefix(prefix: &str, place: &Place) -> Result<(), Refused> {
    if prefix == "auto_assigned" {
        return Ok(());
    }
    let wrong = |message: String| {
        Refused::annotation(PREFIXES, format!("invalid prefix {prefix:?}: {message}"))
            .hint("write auto_assigned, or an IPv6 range of length 80 inside the subnet")
    };
    let mut parts = prefix.split('/');
    let (address, length) = (parts.next().unwrap_or_default(), parts.next());
    if length != Some("80") {
        return Err(wrong("its length must be 80".to_owned()));
    }
    let Ok(address) = address.parse::<Ipv6Addr>() else {
        return Err(wrong(format!("{address:?} is not an IPv6 address")));
    };
    let is_inside = |range: IpNet| range.contains(&IpAddr::V6(address));
    if place.any_address || place.ipv6.is_some_and(is_inside) {
        return Ok(());
    }
    Err(wrong(format!("it is outside of subnet {}", place.id)))
}
