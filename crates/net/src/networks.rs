//! The networks that this machine reaches without a router.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::source::Source;

#[cfg(test)]
mod tests;

/// Bytes of a routing table that are read; a router's may be very long.
const MOST: u64 = 64 * 1024;

/// The networks that this machine reaches without a router, by their interfaces. Networks of one address, as those of pods on a
/// node, are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

/// An address and the mask of its network; an IPv4 address is mapped to IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    mask: u128,
}

impl Networks {
    /// Those of this machine now. None where the system does not tell them.
    pub fn of_machine() -> Self {
        let read = |path| read(path).unwrap_or_default();
        let mut found = ipv4(&read("/proc/net/route"));
        found.extend(ipv6(&read("/proc/net/ipv6_route")));
        Self(found)
    }

    /// The source of connections to `target` for a load balancer at `own`: that address, where the target's answers to it come
    /// back for sure. Elsewhere the kernel knows which address of the machine the target can answer.
    pub fn source(&self, own: IpAddr, target: SocketAddr) -> Source {
        match Source::own(own, target) {
            Source::Any if self.join(own, target.ip()) => Source::Own(own),
            source => source,
        }
    }

    /// The smallest network that has `address`, as a CIDR block.
    pub fn of(&self, address: IpAddr) -> Option<String> {
        let networks = self.0.iter().filter(|network| network.contains(address));
        networks
            .max_by_key(|network| network.mask)
            .map(ToString::to_string)
    }

    /// Whether both addresses are in one of the networks.
    fn join(&self, a: IpAddr, b: IpAddr) -> bool {
        let mut networks = self.0.iter();
        networks.any(|network| network.contains(a) && network.contains(b))
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        (bits(address) ^ self.address) & self.mask == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.mask.count_ones();
        match Ipv6Addr::from_bits(self.address).to_canonical() {
            IpAddr::V4(ip) => write!(f, "{ip}/{}", length.saturating_sub(96)),
            IpAddr::V6(ip) => write!(f, "{ip}/{length}"),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

fn read(path: &str) -> io::Result<String> {
    let mut text = Vec::new();
    File::open(path)?.take(MOST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Whether these flags are those of a route to something (RTF_REJECT of route(7) is not set).
fn is_reached(flags: &str) -> bool {
    u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 0x200 == 0)
}

/// The networks of `/proc/net/route`: interface, destination, gateway, flags, …, mask at the eighth place, with addresses as the
/// machine has them in memory.
fn ipv4(table: &str) -> Vec<Network> {
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address = |at: usize| {
            let number = u32::from_str_radix(fields.get(at)?, 16).ok()?;
            Some(Ipv4Addr::from(number.to_ne_bytes()))
        };
        let (destination, gateway, mask) = (address(1)?, address(2)?, address(7)?);
        let is_network =
            !mask.is_unspecified() && !mask.is_broadcast() && is_reached(fields.get(3)?);
        (gateway.is_unspecified() && is_network).then(|| Network {
            address: destination.to_ipv6_mapped().to_bits(),
            mask: u128::from(mask.to_bits()) | !u128::from(u32::MAX),
        })
    };
    table.lines().filter_map(network).collect()
}

/// The networks of `/proc/net/ipv6_route`: destination, its length, source, its length, next hop, …, flags at the ninth place.
fn ipv6(table: &str) -> Vec<Network> {
    let network = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let address = |at: usize| {
            let number = u128::from_str_radix(fields.get(at)?, 16).ok()?;
            Some(Ipv6Addr::from_bits(number))
        };
        let (destination, next_hop) = (address(0)?, address(4)?);
        let length = u32::from_str_radix(fields.get(1)?, 16).ok()?;
        let is_network = (1..128).contains(&length)
            && !destination.is_unicast_link_local()
            && !destination.is_multicast()
            && is_reached(fields.get(8)?);
        (next_hop.is_unspecified() && is_network).then(|| Network {
            address: destination.to_bits(),
            mask: u128::MAX << (128 - length),
        })
    };
    table.lines().filter_map(network).collect()
}
