//! The instances of Classic load balancers. An instance is a target of one group per protocol and port
//! that listeners use, and has the same health in all of them.

use std::net::IpAddr;
use std::sync::Arc;

use elbow_balance::{Group, Target};
use elbow_model::{Classic, HealthCheck, Instance, LoadBalancer};
use rustc_hash::FxHashMap;

use super::group::GroupState;

/// Active groups by name.
type Groups = FxHashMap<Arc<str>, Arc<GroupState>>;

/// An instance at one of its addresses.
pub(crate) struct InstanceTargets {
    pub(crate) instance: Instance,
    pub(crate) ip: IpAddr,
    pub(crate) check: HealthCheck,
    /// Its targets in all groups, without draining ones; not empty.
    pub(crate) targets: Vec<(Arc<Group>, Arc<Target>)>,
}

/// All instances of `balancer`, with their targets in `groups`.
pub(super) fn of(groups: &Groups, balancer: &LoadBalancer) -> Vec<InstanceTargets> {
    let Some(classic) = &balancer.classic else {
        return Vec::new();
    };
    let instances = classic.instances.iter();
    instances
        .flat_map(|instance| at_its_addresses(groups, balancer, classic, instance))
        .collect()
}

fn at_its_addresses(
    groups: &Groups,
    balancer: &LoadBalancer,
    classic: &Classic,
    instance: &Instance,
) -> Vec<InstanceTargets> {
    let mut found: Vec<InstanceTargets> = Vec::new();
    for end in balancer.instance_ends() {
        let Some(state) = groups.get(&end.group_name(&balancer.name)) else {
            continue;
        };
        let port = instance.port(end.port);
        let targets = state.registered().iter();
        for target in targets.filter(|t| is_at(t, instance, port)) {
            let ip = target.address.ip();
            let target = (Arc::clone(&state.group), Arc::clone(target));
            match found.iter_mut().find(|instance| instance.ip == ip) {
                Some(instance) => instance.targets.push(target),
                None => found.push(InstanceTargets {
                    instance: instance.clone(),
                    ip,
                    check: classic.health_check.clone(),
                    targets: vec![target],
                }),
            }
        }
    }
    found
}

/// Whether `target` is `instance` at `port`.
fn is_at(target: &Target, instance: &Instance, port: u16) -> bool {
    let registered = &target.registered;
    registered.id == instance.id
        && registered.port == port
        && registered.availability_zone == instance.availability_zone
}
