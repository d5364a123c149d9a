//! Every load balancer gets an address of its own.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

pub use ipnet::Ipv4Net;

use crate::Model;
use crate::load_balancer::name_hash;

/// Where each load balancer listens, by its name.
pub type Addresses = BTreeMap<Arc<str>, Vec<IpAddr>>;

/// The pool that is used unless told otherwise: on Linux all of 127.0.0.0/8 answers without set-up.
pub const DEFAULT_POOL: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 10, 0), 24);

/// There are more load balancers without an address than the pool has addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address pool {pool} has no address left for load balancer {}", some(.load_balancers))]
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
/// address of the pool `before` keeps it.
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
    let mut taken = HashSet::new();
    for load_balancer in &model.load_balancers {
        let mut addresses = load_balancer.addresses.clone();
        if addresses.is_empty()
            && let Some([IpAddr::V4(held)]) = before(&load_balancer.name)
            && is_host(pool, *held)
        {
            addresses.push(IpAddr::V4(*held));
        }
        taken.extend(addresses.iter().copied());
        assigned.insert(Arc::clone(&load_balancer.name), addresses);
    }
    let mut without = Vec::new();
    // By name, whatever the order of the input.
    for (name, addresses) in assigned.iter_mut().filter(|(_, a)| a.is_empty()) {
        // Those that are left over are not looked for again and again.
        let address = without.is_empty().then(|| free_address(name, pool, &taken));
        match address.flatten() {
            Some(address) => {
                taken.insert(address);
                addresses.push(address);
            }
            None => without.push(Arc::clone(name)),
        }
    }
    if without.is_empty() {
        return Ok(assigned);
    }
    Err(PoolFull {
        pool,
        load_balancers: without,
    })
}

fn free_address(name: &str, pool: Ipv4Net, taken: &HashSet<IpAddr>) -> Option<IpAddr> {
    let (first, count) = hosts(pool);
    let start = name_hash(name) % count;
    // One more than is taken is always enough to try.
    let tries = count.min(taken.len() as u64 + 1);
    (0..tries).find_map(|i| {
        let offset = u32::try_from((start + i) % count).ok()?;
        let address = IpAddr::V4(Ipv4Addr::from_bits(first.checked_add(offset)?));
        (!taken.contains(&address)).then_some(address)
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
