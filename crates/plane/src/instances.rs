//! The instances of Classic load balancers. Each is a target of several groups, one for each way in
//! which listeners reach it, and has one health for all of them.

use std::net::IpAddr;
use std::sync::Arc;

use elbow_balance::{Group, Target};
use elbow_model::{Classic, HealthCheck, Instance, LoadBalancer};

use crate::snapshot::{BalancerState, Snapshot};

/// An instance at one of its addresses, with all that it is to the listeners.
pub(crate) struct InstanceTargets {
    pub(crate) instance: Instance,
    pub(crate) ip: IpAddr,
    pub(crate) check: HealthCheck,
    /// Not empty; those that drain are not among them.
    pub(crate) targets: Vec<(Arc<Group>, Arc<Target>)>,
}

/// Every instance of `balancer` in `snapshot`.
pub(crate) fn of(snapshot: &Snapshot, balancer: &BalancerState) -> Vec<InstanceTargets> {
    let balancer = &balancer.config;
    let Some(classic) = &balancer.classic else {
        return Vec::new();
    };
    let instances = classic.instances.iter();
    instances
        .flat_map(|instance| at_its_addresses(snapshot, balancer, classic, instance))
        .collect()
}

fn at_its_addresses(
    snapshot: &Snapshot,
    balancer: &LoadBalancer,
    classic: &Classic,
    instance: &Instance,
) -> Vec<InstanceTargets> {
    let mut found: Vec<InstanceTargets> = Vec::new();
    for end in balancer.instance_ends() {
        let Some(state) = snapshot.groups.get(&end.group_name(&balancer.name)) else {
            continue;
        };
        let port = instance.port(end.port);
        let targets = state.registered().iter();
        for target in targets.filter(|t| is_of(t, instance, port)) {
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

/// Whether `target` is what `instance` is at `port`.
fn is_of(target: &Target, instance: &Instance, port: u16) -> bool {
    let registered = &target.registered;
    registered.id == instance.id
        && registered.port == port
        && registered.availability_zone == instance.availability_zone
}
