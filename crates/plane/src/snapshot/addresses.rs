//! The addresses of load balancers in the next snapshot.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use elbow_model::addresses::Addresses;
use elbow_model::{Changed, LoadBalancer, LoadBalancerType, Model};
use rustc_hash::{FxHashMap, FxHashSet};

use super::state::Snapshot;

/// The address at which each Application Load Balancer of `model` is reached from this process: its first IPv4 address,
/// else its first one.
pub(super) fn application_addresses(
    model: &Model,
    new: &Addresses,
    previous: &Snapshot,
) -> FxHashMap<Arc<str>, IpAddr> {
    let balancers = model.load_balancers.iter();
    let balancers = balancers.filter(|one| one.kind == LoadBalancerType::Application);
    let address = |balancer: &Arc<LoadBalancer>| {
        let before = || Some(&previous.balancers.get(&balancer.name)?.addresses);
        let all = new.get(&balancer.name).or_else(before)?;
        let ip = all.iter().find(|ip| ip.is_ipv4()).or_else(|| all.first())?;
        let ip = match ip {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => *ip,
        };
        Some((Arc::clone(&balancer.name), ip))
    };
    balancers.filter_map(address).collect()
}

/// The load balancers that did not change and get another address, as before and now.
pub(super) fn moved<'a>(
    changed: &Changed<'_, LoadBalancer>,
    old: &'a [Arc<LoadBalancer>],
    new: &'a [Arc<LoadBalancer>],
    addresses: &Addresses,
    previous: &Snapshot,
) -> Vec<(Option<&'a Arc<LoadBalancer>>, &'a Arc<LoadBalancer>)> {
    // Usually nothing asks for new addresses.
    if addresses.is_empty() {
        return Vec::new();
    }
    let done: FxHashSet<&str> = changed.set.iter().map(|(_, lb)| &*lb.name).collect();
    let is_moved = |lb: &&Arc<LoadBalancer>| {
        let (before, now) = (previous.balancers.get(&lb.name), addresses.get(&lb.name));
        let differs = before
            .zip(now)
            .is_some_and(|(before, now)| before.addresses != *now);
        differs && !done.contains(&*lb.name)
    };
    let moved: FxHashMap<&str, _> = new
        .iter()
        .filter(is_moved)
        .map(|lb| (&*lb.name, lb))
        .collect();
    let pairs = old
        .iter()
        .filter_map(|lb| Some((Some(lb), *moved.get(&*lb.name)?)));
    pairs.collect()
}
