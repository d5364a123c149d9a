//! Every load balancer gets an address of its own, as long as there are enough.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub use ipnet::Ipv4Net;

use crate::load_balancer::name_hash;
use crate::{LoadBalancer, Model};

/// Where each load balancer listens, by its name.
pub type Addresses = BTreeMap<Arc<str>, Vec<IpAddr>>;

/// The pool that is used unless told otherwise: on Linux all of 127.0.0.0/8 answers without set-up.
pub const DEFAULT_POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 10, 0), 24);

/// There are more load balancers without an address than the pool has addresses, and they listen on the same ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the address pool {pool} has no address left for load balancer {}, and its ports are taken on those that it has",
    some(.load_balancers)
)]
pub struct PoolFull {
    /// The pool.
    pub pool: Ipv4Net,
    /// All that got none, by name.
    pub load_balancers: Vec<Arc<str>>,
}

/// The first of `names`, and how many there are besides.
fn some(names: &[Arc<str>]) -> String {
    match names {
        [] => String::new(),
        [name] => name.to_string(),
        [name, rest @ ..] => format!("{name} and {} more", rest.len()),
    }
}

/// Gives every load balancer of `model` without addresses one from `pool`; the others keep theirs.
///
/// The address depends on the name, so that a restart keeps it, and hardly on the other load
/// balancers: one of two that fall on the same address takes the next free one. One that had an
/// address of the pool `before` keeps it. When no address is free, those whose ports differ share one: a pool may be
/// the one address of a machine.
///
/// ```
/// use elbow_model::{Model, addresses};
///
/// let assigned = addresses::assign(&Model::default(), addresses::DEFAULT_POOL, |_| None);
/// assert!(assigned.unwrap().is_empty());
/// ```
pub fn assign<'a>(
    model: &Model,
    pool: Ipv4Net,
    before: impl Fn(&str) -> Option<&'a [IpAddr]>,
) -> Result<Addresses, PoolFull> {
    let mut assigned = Addresses::new();
    let mut taken = Taken::default();
    let mut without: BTreeMap<&Arc<str>, &LoadBalancer> = BTreeMap::new();
    for load_balancer in &model.load_balancers {
        let mut addresses = load_balancer.addresses.clone();
        if addresses.is_empty()
            && let Some([IpAddr::V4(held)]) = before(&load_balancer.name)
            && is_host(pool, *held)
        {
            addresses.push(IpAddr::V4(*held));
        }
        if addresses.is_empty() {
            without.insert(&load_balancer.name, load_balancer);
        }
        for address in &addresses {
            taken.add(*address, load_balancer);
        }
        assigned.insert(Arc::clone(&load_balancer.name), addresses);
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
    if left_over.is_empty() {
        return Ok(assigned);
    }
    Err(PoolFull {
        pool,
        load_balancers: left_over,
    })
}

/// The addresses that load balancers have, with the ports that they listen on there.
#[derive(Default)]
struct Taken {
    ports: HashMap<IpAddr, HashSet<u16>>,
    /// Whether an address of the pool was looked for in vain, so that nobody looks again.
    is_full: bool,
}

impl Taken {
    fn add(&mut self, address: IpAddr, load_balancer: &LoadBalancer) {
        let ports = load_balancer.listeners.iter().map(|listener| listener.port);
        self.ports.entry(address).or_default().extend(ports);
    }

    /// The first address from that of `name` on that nobody has.
    fn free(&mut self, name: &str, pool: Ipv4Net) -> Option<IpAddr> {
        if self.is_full {
            return None;
        }
        // One more than is taken is always enough to try.
        let tries = self.ports.len() as u64 + 1;
        let mut found = candidates(name, pool, tries);
        let found = found.find(|address| !self.ports.contains_key(address));
        self.is_full = found.is_none();
        found
    }

    /// The first address from that of the load balancer's name on where nobody has one of its ports.
    fn shared(&self, load_balancer: &LoadBalancer, pool: Ipv4Net) -> Option<IpAddr> {
        let is_taken = |ports: &HashSet<u16>| {
            let mut listeners = load_balancer.listeners.iter();
            listeners.any(|listener| ports.contains(&listener.port))
        };
        candidates(&load_balancer.name, pool, u64::MAX)
            .find(|address| !self.ports.get(address).is_some_and(is_taken))
    }
}

/// The addresses of `pool`, at most `tries`, from the one that belongs to `name` on.
fn candidates(name: &str, pool: Ipv4Net, tries: u64) -> impl Iterator<Item = IpAddr> {
    let (first, count) = hosts(pool);
    let start = name_hash(name) % count;
    (0..count.min(tries)).filter_map(move |i| {
        let offset = u32::try_from((start + i) % count).ok()?;
        Some(IpAddr::V4(Ipv4Addr::from_bits(first.checked_add(offset)?)))
    })
}

fn is_host(pool: Ipv4Net, address: Ipv4Addr) -> bool {
    let (first, count) = hosts(pool);
    address
        .to_bits()
        .checked_sub(first)
        .is_some_and(|offset| u64::from(offset) < count)
}

/// The first address and how many there are, without those of the network and of broadcast.
fn hosts(pool: Ipv4Net) -> (u32, u64) {
    let first = pool.network().to_bits();
    let all = 1_u64 << (32 - pool.prefix_len());
    if all > 2 {
        (first + 1, all - 2)
    } else {
        (first, all)
    }
}

#[cfg(test)]
mod tests;
