//! The IPv6 addresses of dualstack load balancers.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::time::Duration;

use elbow_model::addresses::{DEFAULT_IPV6_POOL, Ipv4Net, Ipv6Net, Ipv6Source};
use elbow_model::{IpAddressType, Model};
use elbow_net::listen::{self, Locality};
use elbow_plane::{Applied, Plane};
use tracing::{info, warn};

/// Where IPv6 addresses come from on this machine: from `pool` if it is local, else all are `::1`, if there is IPv6 at all
/// and the addresses of `ipv4` are loopback addresses too.
pub(crate) fn source(pool: Ipv6Net, ipv4: Ipv4Net) -> Ipv6Source {
    let second = Ipv6Addr::from_bits(pool.network().to_bits() | 1);
    if answers(second) {
        Ipv6Source::Pool(pool)
    } else if ipv4.network().is_loopback() && answers(Ipv6Addr::LOCALHOST) {
        Ipv6Source::Loopback
    } else {
        Ipv6Source::None
    }
}

/// Whether this machine receives what is sent to an address.
fn answers(address: Ipv6Addr) -> bool {
    let listener = listen::bind_alone((address, 0).into(), Locality::Routed);
    let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
    bound.is_ok_and(|(address, _listener)| TcpStream::connect_timeout(&address, PATIENCE).is_ok())
}

/// How long a connection within the machine may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// Logs which dualstack load balancers of a change are served at `::1` or over IPv4 alone, and how to give each an address of
/// its own.
pub(crate) fn tell(plane: &Plane, applied: &Applied) {
    let view = plane.view();
    let known: HashSet<&str> = pooled(&applied.before).collect();
    for name in pooled(&applied.now).filter(|name| !known.contains(name)) {
        let Some(served) = view.load_balancer(name) else {
            continue;
        };
        let mut addresses = served.addresses.iter();
        match addresses.find(|address| address.is_ipv6()) {
            None => warn!(
                load_balancer = %name,
                "dualstack load balancer is served over IPv4 alone: {}", way_out()
            ),
            Some(address) if *address == IpAddr::from(Ipv6Addr::LOCALHOST) => info!(
                load_balancer = %name,
                "dualstack load balancer has the IPv6 address ::1, which others share: {}", way_out()
            ),
            Some(_) => {}
        }
    }
}

/// The dualstack load balancers without an address of their own, by name.
fn pooled(model: &Model) -> impl Iterator<Item = &str> {
    let balancers = model
        .load_balancers
        .iter()
        .filter(|one| one.ip_address_type == IpAddressType::Dualstack && one.addresses.is_empty());
    balancers.map(|one| &*one.name)
}

/// How each dualstack load balancer gets an IPv6 address of its own.
fn way_out() -> String {
    let pool = DEFAULT_IPV6_POOL;
    format!(
        "to give each an address of its own, run `sudo ip -6 route add local {pool} dev lo`, or name a local range by \
         --address-pool-v6, and start elbow again"
    )
}

#[cfg(test)]
mod tests {
    use elbow_model::addresses::DEFAULT_POOL;

    use super::*;

    #[test]
    fn a_pool_that_is_not_local_gives_way_to_loopback() {
        let documentation = "2001:db8::/64".parse().unwrap();
        assert!(!matches!(
            source(documentation, DEFAULT_POOL),
            Ipv6Source::Pool(_)
        ));
        let elsewhere = "192.0.2.0/24".parse().unwrap();
        assert_eq!(source(documentation, elsewhere), Ipv6Source::None);
        let loopback = "::1/128".parse().unwrap();
        let has_ipv6 = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
        let expected = if has_ipv6 {
            Ipv6Source::Pool(loopback)
        } else {
            Ipv6Source::None
        };
        assert_eq!(source(loopback, DEFAULT_POOL), expected);
    }
}
