//! Assigns an address of a pool to each load balancer that has none.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub use ipnet::{Ipv4Net, Ipv6Net};

use crate::identity::name_hash;
use crate::kinds::Transport;
use crate::load_balancer::LoadBalancer;
use crate::model::Model;

mod ipv6;

pub use ipv6::{DEFAULT_IPV6_POOL, Ipv6Source, add_ipv6};

/// The addresses that each load balancer listens on, by name.
pub type Addresses = BTreeMap<Arc<str>, Vec<IpAddr>>;

/// The default pool. On Linux, every address of 127.0.0.0/8 is local without set-up.
pub const DEFAULT_POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 10, 0), 24);

/// The pool has no free address for some load balancers, and they cannot share one because their ports are taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address pool {pool} has no address left for load balancer {}, and its ports are taken on every address",
    some(.load_balancers)
)]
pub struct PoolFull {
    /// The pool.
    pub pool: Ipv4Net,
    /// The load balancers without an address, by name.
    pub load_balancers: Vec<Arc<str>>,
    /// The addresses of the others.
    pub assigned: Addresses,
}

/// The first of `names`, and how many more there are.
fn some(names: &[Arc<str>]) -> String {
    match names {
        [] => String::new(),
        [name] => name.to_string(),
        [name, rest @ ..] => format!("{name} and {} more", rest.len()),
    }
}

/// Addresses that load balancers should have, for example because a record of names and addresses says so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferred {
    /// By the name of the load balancer.
    pub addresses: BTreeMap<Arc<str>, IpAddr>,
    /// Whether they also move load balancers that have another address already.
    pub moves: bool,
}

/// Assigns addresses of `pool` to every load balancer of `model` that has none: one for each of its zones, or one without
/// zones. The others keep theirs.
///
/// A load balancer keeps the pool address that it had `before`, else it gets the `preferred` one if it is free; with
/// [`Preferred::moves`], the preferred one comes first. Otherwise the address depends on the name, so that a restart keeps
/// it. If two names lead to the same address, the second takes the next free one. When no address is free, load balancers
/// with different ports share one: a pool can be the only address of a machine. Zones after the first get what every load
/// balancer's first zone leaves over; they share nothing, and may get nothing.
///
/// ```
/// use elbow_model::{Model, addresses};
///
/// let pool = addresses::DEFAULT_POOL;
/// let assigned = addresses::assign(&Model::default(), pool, &addresses::Preferred::default(), |_| None);
/// assert!(assigned.unwrap().is_empty());
/// ```
pub fn assign<'a>(
    model: &Model,
    pool: Ipv4Net,
    preferred: &Preferred,
    before: impl Fn(&str) -> Option<&'a [IpAddr]>,
) -> Result<Addresses, PoolFull> {
    let mut assigned = Addresses::new();
    let mut taken = Taken::default();
    let mut without: BTreeMap<&Arc<str>, &LoadBalancer> = BTreeMap::new();
    let mut zonal: BTreeMap<&Arc<str>, &LoadBalancer> = BTreeMap::new();
    let held_in_pool = |name: &str| {
        let held = before(name).unwrap_or_default().iter().copied();
        held.filter(|address| is_host(pool, *address))
    };
    for load_balancer in &model.load_balancers {
        if load_balancer.addresses.is_empty() {
            without.insert(&load_balancer.name, load_balancer);
            if load_balancer.pool_addresses() > 1 {
                zonal.insert(&load_balancer.name, load_balancer);
                taken
                    .held_by_zones
                    .extend(held_in_pool(&load_balancer.name).skip(1));
            }
            continue;
        }
        for address in &load_balancer.addresses {
            taken.add(*address, load_balancer);
        }
        let addresses = load_balancer.addresses.clone();
        assigned.insert(Arc::clone(&load_balancer.name), addresses);
    }
    let kept = |name: &str| held_in_pool(name).next();
    let wanted = |name: &str| preferred.addresses.get(name).copied();
    let first = |name: &str| {
        if preferred.moves {
            wanted(name)
        } else {
            kept(name)
        }
    };
    let then = |name: &str| {
        if preferred.moves {
            kept(name)
        } else {
            wanted(name)
        }
    };
    for held in [&first as &dyn Fn(&str) -> Option<IpAddr>, &then] {
        without.retain(|name, load_balancer| {
            let address = held(name).filter(|address| is_host(pool, *address));
            let address = address.filter(|address| taken.has_room(*address, load_balancer));
            if let Some(address) = address {
                taken.add(address, load_balancer);
                assigned.insert(Arc::clone(name), vec![address]);
            }
            address.is_none()
        });
    }
    let mut left_over = Vec::new();
    // By name, whatever the order of the input.
    for (name, load_balancer) in without {
        let found = taken
            .free(name, pool)
            .or_else(|| taken.shared(load_balancer, pool));
        match found {
            Some(address) => {
                taken.add(address, load_balancer);
                assigned.insert(Arc::clone(name), vec![address]);
            }
            None => left_over.push(Arc::clone(name)),
        }
    }
    for (name, load_balancer) in zonal {
        let Some(addresses) = assigned.get_mut(name) else {
            continue;
        };
        let held: Vec<IpAddr> = held_in_pool(name).collect();
        for (number, zone) in load_balancer.zones.iter().enumerate().skip(1) {
            let kept = held.get(number).copied();
            let kept = kept.filter(|address| !taken.ports.contains_key(address));
            let Some(address) = kept.or_else(|| taken.free(&format!("{name}/{}", zone.name), pool))
            else {
                break;
            };
            taken.add(address, load_balancer);
            addresses.push(address);
        }
    }
    if left_over.is_empty() {
        return Ok(assigned);
    }
    Err(PoolFull {
        pool,
        load_balancers: left_over,
        assigned,
    })
}

/// The addresses in use, with the ports that are taken on each.
#[derive(Default)]
struct Taken {
    ports: HashMap<IpAddr, HashSet<(u16, Transport)>>,
    /// Addresses of further zones, which are taken only if no other is free.
    held_by_zones: HashSet<IpAddr>,
    /// Whether a search found no free address, so that it need not be repeated.
    is_full: bool,
}

impl Taken {
    fn add(&mut self, address: IpAddr, load_balancer: &LoadBalancer) {
        let ports = self.ports.entry(address).or_default();
        ports.extend(ports_of(load_balancer));
    }

    /// Whether the ports of the load balancer are free on an address.
    fn has_room(&self, address: IpAddr, load_balancer: &LoadBalancer) -> bool {
        let taken = self.ports.get(&address);
        taken.is_none_or(|taken| !ports_of(load_balancer).any(|port| taken.contains(&port)))
    }

    /// The first free address, starting at the one of `name`.
    fn free(&mut self, name: &str, pool: Ipv4Net) -> Option<IpAddr> {
        if self.is_full {
            return None;
        }
        // One more than the number of taken addresses is enough to find a free one.
        let tries = (self.ports.len() + self.held_by_zones.len()) as u64 + 1;
        let free = || {
            let all = candidates(name, pool, tries);
            all.filter(|address| !self.ports.contains_key(address))
        };
        let unheld = free().find(|address| !self.held_by_zones.contains(address));
        let found = unheld.or_else(|| free().next());
        self.is_full = found.is_none();
        found
    }

    /// The first address on which all ports of the load balancer are free, starting at the one of its name.
    fn shared(&self, load_balancer: &LoadBalancer, pool: Ipv4Net) -> Option<IpAddr> {
        candidates(&load_balancer.name, pool, u64::MAX)
            .find(|address| self.has_room(*address, load_balancer))
    }
}

fn ports_of(load_balancer: &LoadBalancer) -> impl Iterator<Item = (u16, Transport)> {
    let listeners = load_balancer.listeners.iter();
    listeners.flat_map(|listener| {
        let transports = listener.protocol.transports().iter();
        transports.map(|transport| (listener.port, *transport))
    })
}

/// At most `tries` addresses of `pool`, starting at the one of `name`.
fn candidates(name: &str, pool: Ipv4Net, tries: u64) -> impl Iterator<Item = IpAddr> {
    let (first, count) = hosts(pool);
    let start = name_hash(name) % count;
    (0..count.min(tries)).filter_map(move |i| {
        let offset = u32::try_from((start + i) % count).ok()?;
        Some(IpAddr::V4(Ipv4Addr::from_bits(first.checked_add(offset)?)))
    })
}

/// The address of `pool` that a load balancer of this name has if no other came first.
pub fn home(name: &str, pool: Ipv4Net) -> Option<IpAddr> {
    candidates(name, pool, 1).next()
}

/// Whether `address` is one that `pool` can give to a load balancer.
pub fn is_host(pool: Ipv4Net, address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else {
        return false;
    };
    let (first, count) = hosts(pool);
    let offset = address.to_bits().checked_sub(first);
    offset.is_some_and(|offset| u64::from(offset) < count)
}

/// The first address and the number of addresses, without the network and broadcast addresses.
fn hosts(pool: Ipv4Net) -> (u32, u64) {
    let first = pool.network().to_bits();
    let all = 1_u64 << (32 - pool.prefix_len());
    if all > 2 {
        (first + 1, all - 2)
    } else {
        (first, all)
    }
}
