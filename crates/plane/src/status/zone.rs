//! The zones of load balancers (ELB guide: how it works; ALB guide and NLB guide: target group health).

use std::net::IpAddr;
use std::sync::Arc;

use elbow_model::{ClientRoutingPolicy, DnsZone, Zone, ZoneName};
use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::shared::Shared;
use crate::snapshot::{BalancerState, GroupState, Snapshot, forwarded_groups};

/// A zone in which a load balancer has a node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ZoneStatus {
    /// For example `us-east-1a`.
    pub zone_name: String,
    /// The addresses of its node; none if the pool had none left.
    pub load_balancer_addresses: Vec<NodeAddress>,
    /// The DNS name of its node.
    pub dns_name: String,
    /// Whether each target group has enough healthy targets for the node, so that its addresses are in DNS.
    pub healthy: bool,
}

/// An address of a node.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAddress {
    /// IPv4 or IPv6.
    pub ip_address: String,
}

/// The zones of `state`; none of a Classic load balancer.
pub(super) fn rows(snapshot: &Snapshot, state: &BalancerState, dns: &DnsZone) -> Vec<ZoneStatus> {
    let config = &state.config;
    if !config.kind.personality().has_zonal_nodes {
        return Vec::new();
    }
    let row = |zone: &Zone| ZoneStatus {
        zone_name: zone.name.to_string(),
        load_balancer_addresses: addresses_in(state, &zone.name)
            .map(|ip| NodeAddress {
                ip_address: ip.to_string(),
            })
            .collect(),
        dns_name: config.zonal_dns_name(&zone.name, dns),
        healthy: is_healthy(snapshot, state, &zone.name),
    };
    config.zones.iter().map(row).collect()
}

/// The addresses of the node of `state` in `zone`.
fn addresses_in<'s>(
    state: &'s BalancerState,
    zone: &'s ZoneName,
) -> impl Iterator<Item = IpAddr> + 's {
    let all = &state.addresses;
    let zone_of = |ip: IpAddr| state.config.zone_at(ip, all);
    let within = all.iter().copied();
    within.filter(move |ip| zone_of(*ip).is_some_and(|own| own.name == *zone))
}

/// The addresses of the node of the load balancer `name` in `zone`.
pub(crate) fn zonal_addresses(shared: &Shared, name: &str, zone: &ZoneName) -> Option<Vec<IpAddr>> {
    let snapshot = shared.snapshot.load();
    let state = snapshot.balancers.get(name)?;
    Some(addresses_in(state, zone).collect())
}

/// The addresses in DNS of the load balancer `name`. Those of zones with too few healthy targets are left out, unless all
/// zones have too few, and those of other zones than the client's as its routing policy says.
pub(crate) fn dns_addresses(
    shared: &Shared,
    name: &str,
    client: IpAddr,
    turn: u64,
) -> Option<Vec<IpAddr>> {
    let snapshot = shared.snapshot.load();
    let state = snapshot.balancers.get(name)?;
    let mut addresses = healthy_addresses(&snapshot, state);
    if is_own_zone_favoured(state.config.attributes.client_routing_policy, turn)
        && let Some(zone) = shared.options.dns.zone_of(client)
    {
        let own = addresses_in(state, zone).filter(|ip| addresses.contains(ip));
        let own: Vec<IpAddr> = own.collect();
        // A node may have an address of IPv4 alone.
        let has_none_like = |ip: &IpAddr| own.iter().all(|own| own.is_ipv4() != ip.is_ipv4());
        addresses.retain(|ip| own.contains(ip) || has_none_like(ip));
    }
    Some(addresses)
}

/// Whether the query `turn` is answered with the client's own zone alone, if that is in DNS.
fn is_own_zone_favoured(policy: ClientRoutingPolicy, turn: u64) -> bool {
    match policy {
        ClientRoutingPolicy::AnyAvailabilityZone => false,
        // 17 of 20 are 85 %. Resolvers ask for IPv4 and IPv6 addresses in turn.
        ClientRoutingPolicy::PartialAvailabilityZoneAffinity => turn / 2 % 20 < 17,
        ClientRoutingPolicy::AvailabilityZoneAffinity => true,
    }
}

/// The addresses of all zones but those with too few healthy targets; of all if all have too few.
fn healthy_addresses(snapshot: &Snapshot, state: &BalancerState) -> Vec<IpAddr> {
    let config = &state.config;
    let zones = config.zones.iter().map(|zone| &zone.name);
    let unhealthy: FxHashSet<&ZoneName> = zones
        .filter(|zone| !is_healthy(snapshot, state, zone))
        .collect();
    let all = &state.addresses;
    let is_in_healthy_zone = |ip: &&IpAddr| {
        let zone = config.zone_at(**ip, all);
        zone.is_some_and(|zone| !unhealthy.contains(&zone.name))
    };
    if unhealthy.is_empty() || !all.iter().any(|ip| is_in_healthy_zone(&ip)) {
        return all.clone();
    }
    let is_left = |ip: &&IpAddr| config.zone_at(**ip, all).is_none() || is_in_healthy_zone(ip);
    all.iter().filter(is_left).copied().collect()
}

/// Whether each target group that the node in `zone` uses has enough healthy targets for it. Groups that cross zones are
/// alike for all nodes, and so make no difference.
fn is_healthy(snapshot: &Snapshot, state: &BalancerState, zone: &ZoneName) -> bool {
    let config = &state.config;
    let groups = config.listeners.iter().flat_map(forwarded_groups);
    let names: FxHashSet<&Arc<str>> = groups.collect();
    let mut groups = names
        .into_iter()
        .filter_map(|name| snapshot.groups.get(name));
    groups.all(|group: &Arc<GroupState>| {
        let of = &group.group.config;
        config.crosses_zones(of) || group.in_zone(zone).meets(of.attributes.dns_failover)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // NLB guide, load balancers: 85 % of the answers with partial affinity, also of each type of address.
    #[test]
    fn own_zone_is_favoured_as_often_as_the_policy_says() {
        let share = |policy, turns: std::iter::StepBy<std::ops::Range<u64>>| {
            let favoured = |turn: &u64| is_own_zone_favoured(policy, *turn);
            turns.filter(favoured).count()
        };
        for (policy, expected) in [
            (ClientRoutingPolicy::AnyAvailabilityZone, 0),
            (ClientRoutingPolicy::PartialAvailabilityZoneAffinity, 85),
            (ClientRoutingPolicy::AvailabilityZoneAffinity, 100),
        ] {
            let of_ipv4 = share(policy, (0..200).step_by(2));
            let of_ipv6 = share(policy, (1..200).step_by(2));
            assert_eq!((of_ipv4, of_ipv6), (expected, expected), "{policy:?}");
        }
    }
}
