//! Gives dualstack load balancers an IPv6 address beside that of the pool.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::Ipv6Net;

use super::{Addresses, Taken};
use crate::identity::name_hash;
use crate::kinds::IpAddressType;
use crate::load_balancer::LoadBalancer;
use crate::model::Model;

/// The default IPv6 pool, a unique local range (RFC 4193). Unlike 127.0.0.0/8 it is not local without set-up.
pub const DEFAULT_IPV6_POOL: Ipv6Net =
    Ipv6Net::new_assert(Ipv6Addr::new(0xfd6c, 0x626f, 0x7700, 0, 0, 0, 0, 0), 64);

/// Where dualstack load balancers without an address get an IPv6 address from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6Source {
    /// Nowhere: they are served over IPv4 alone.
    #[default]
    None,
    /// They share `::1`, which is local on every machine with IPv6. Of two with the same port, one is served over IPv4 alone.
    Loopback,
    /// Each gets an address of its own from this range, which must be local.
    Pool(Ipv6Net),
}

/// Adds an IPv6 address to each dualstack load balancer of `model` that has an address of the IPv4 pool in `assigned`, as far
/// as there are any.
///
/// A load balancer keeps the address that it had `before`. Otherwise an address of a range depends on the name, and the next
/// free one is taken if two names lead to the same. `is_free` says whether the machine has no other use for the ports of a
/// load balancer on an address; it is not asked about an address that is kept.
pub fn add_ipv6<'a>(
    model: &Model,
    source: Ipv6Source,
    assigned: &mut Addresses,
    before: impl Fn(&str) -> Option<&'a [IpAddr]>,
    is_free: impl Fn(IpAddr, &LoadBalancer) -> bool,
) {
    let mut taken = Taken::default();
    let mut wanting: BTreeMap<&Arc<str>, &LoadBalancer> = BTreeMap::new();
    for load_balancer in &model.load_balancers {
        for address in &load_balancer.addresses {
            taken.add(*address, load_balancer);
        }
        let is_dualstack = load_balancer.ip_address_type == IpAddressType::Dualstack;
        if is_dualstack && load_balancer.addresses.is_empty() {
            wanting.insert(&load_balancer.name, load_balancer);
        }
    }
    // Those that keep an address come first.
    let held = |name: &str| {
        let mut held = before(name)?.iter().copied();
        held.find(|address| source.has(*address))
    };
    for (name, load_balancer) in &wanting {
        if let Some(address) = held(name) {
            taken.add(address, load_balancer);
        }
    }
    for (name, load_balancer) in wanting {
        if let Some(address) = held(name) {
            if let Some(addresses) = assigned.get_mut(name) {
                addresses.push(address);
            }
            continue;
        }
        let tries = taken.ports.len() + TRIES;
        let mut found = source.candidates(name, tries);
        let found = found.find(|address| {
            let is_own = source == Ipv6Source::Loopback || !taken.ports.contains_key(address);
            is_own && taken.has_room(*address, load_balancer) && is_free(*address, load_balancer)
        });
        if let Some(address) = found {
            if let Some(addresses) = assigned.get_mut(name) {
                addresses.push(address);
            }
            taken.add(address, load_balancer);
        }
    }
}

/// How many addresses that the machine uses for something else are skipped.
const TRIES: usize = 4;

impl Ipv6Source {
    /// Whether an address is from here.
    fn has(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::Loopback, IpAddr::V6(address)) => address == Ipv6Addr::LOCALHOST,
            (Self::Pool(range), IpAddr::V6(address)) => range.contains(&address),
            _ => false,
        }
    }

    /// At most `tries` addresses, starting at the one of `name`. The first address of a range is not among them: it means any
    /// router (RFC 4291, 2.6.1).
    fn candidates(self, name: &str, tries: usize) -> impl Iterator<Item = IpAddr> {
        let (first, count) = match self {
            Self::None => (0, 0),
            Self::Loopback => (Ipv6Addr::LOCALHOST.to_bits(), 1),
            Self::Pool(range) => {
                let bits = u32::from(128 - range.prefix_len()).min(64);
                let first = range.network().to_bits();
                match (1_u128 << bits) - 1 {
                    0 => (first, 1),
                    count => (first + 1, count),
                }
            }
        };
        let start = u128::from(name_hash(name));
        let tries = u128::try_from(tries).unwrap_or(1).min(count);
        (0..tries).map(move |turn| Ipv6Addr::from_bits(first + (start + turn) % count).into())
    }
}
