//! The values of a snapshot.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_balance::{Cutoff, Target};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    BackendServerAuthentication, LoadBalancer, Model, TargetGroup, TargetState, Transport,
    TrustStore, ZoneName,
};
use elbow_tls::Loaded;
use rustc_hash::{FxHashMap, FxHashSet};

use super::certificates::Certificates;
use super::group::GroupState;
use super::instances::{self, InstanceTargets};
use super::listener::ListenerState;
use super::pem_files::PemFiles;
use crate::listener_key::ListenerKey;

/// Everything that is active at one time.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Increases by one with every snapshot.
    pub(crate) generation: u64,
    pub(crate) model: Arc<Model>,
    pub(crate) balancers: FxHashMap<Arc<str>, Arc<BalancerState>>,
    pub(crate) groups: FxHashMap<Arc<str>, Arc<GroupState>>,
    pub(crate) listeners: FxHashMap<ListenerKey, Arc<ListenerState>>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) trust_stores: Arc<PemFiles<TrustStore>>,
    pub(crate) public_keys: Arc<PemFiles<BackendServerAuthentication>>,
}

/// An active load balancer.
pub(crate) struct BalancerState {
    pub(crate) config: Arc<LoadBalancer>,
    /// The addresses that it listens on.
    pub(crate) addresses: Vec<IpAddr>,
    /// In the order of the configuration.
    pub(crate) listeners: Vec<Arc<ListenerState>>,
    /// The listeners of nodes that use the targets of their zone alone; empty if every node uses all targets.
    pub(crate) zonal: Vec<(ZoneName, Vec<Arc<ListenerState>>)>,
    /// The groups formed by the instances of a Classic load balancer.
    pub(crate) instance_groups: Vec<Arc<TargetGroup>>,
}

/// What differs from the previous snapshot.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Names of groups that were added, removed or changed, or whose using load balancers changed.
    pub(crate) groups: FxHashSet<Arc<str>>,
    /// Names of load balancers that were added, removed, or have a changed listener.
    pub(crate) balancers: FxHashSet<Arc<str>>,
    /// Sockets to open.
    pub(crate) opened: Vec<ListenerKey>,
    /// Sockets that another listener takes over.
    pub(crate) handed_over: Vec<ListenerKey>,
    /// Sockets to close.
    pub(crate) closed: Vec<ListenerKey>,
    /// What ends the flows to groups whose weight became 0.
    pub(crate) cut: Vec<Cutoff>,
}

impl Snapshot {
    /// Why certificates, trust stores and public keys keep their previous content.
    pub(crate) fn stale(&self) -> impl Iterator<Item = &Diagnostic> {
        let stale = self.certificates.stale().chain(self.trust_stores.stale());
        stale.chain(self.public_keys.stale())
    }

    /// All instances of `balancer`.
    pub(crate) fn instances(&self, balancer: &BalancerState) -> Vec<InstanceTargets> {
        instances::of(&self.groups, &balancer.config)
    }

    /// Applies the target states that follow from `changes`.
    pub(crate) fn activate(&self, changes: &Changes) {
        for group in changes
            .groups
            .iter()
            .filter_map(|name| self.groups.get(name))
        {
            group.activate(|target| self.is_outside(group, target));
        }
        // Targets of a new listener get the health that other listeners already know of their instances.
        let balancers = changes.balancers.iter();
        let balancers = balancers.filter_map(|name| self.balancers.get(name));
        for instance in balancers.flat_map(|balancer| self.instances(balancer)) {
            let targets = || instance.targets.iter().map(|(_, target)| target);
            let mut states = targets().map(|target| target.state());
            let Some(known) = states.find(|state| *state != TargetState::Initial) else {
                continue;
            };
            for target in targets().filter(|t| t.state() == TargetState::Initial) {
                target.set_state(known);
            }
        }
    }

    /// Whether the zone of `target` is known, and none of the load balancers of `group` has a node there (ALB guide and NLB
    /// guide: target groups, unused).
    fn is_outside(&self, group: &GroupState, target: &Target) -> bool {
        let Some(zone) = &target.registered.availability_zone else {
            return false;
        };
        let has_no_node = |state: &Arc<BalancerState>| {
            let LoadBalancer { kind, zones, .. } = &*state.config;
            kind.personality().has_zonal_nodes
                && !zones.is_empty()
                && zones.iter().all(|own| own.name != *zone)
        };
        let mut users = group.users.iter();
        users.all(|name| self.balancers.get(name).is_some_and(has_no_node))
    }

    /// Names of the groups that have `host` as a target.
    pub(crate) fn groups_of_host(&self, host: &str) -> Vec<Arc<str>> {
        let groups = self.groups.iter();
        let named = groups.filter(|(_, group)| group.hosts().any(|name| **name == *host));
        named.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// The active certificates, in the order of the configuration.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        let declared = self.model.certificates.iter();
        declared.filter_map(|certificate| self.certificates.get(&certificate.name))
    }

    /// The active groups: declared ones in the order of the configuration, then those formed by instances.
    pub(crate) fn groups_in_order(&self) -> impl Iterator<Item = &Arc<GroupState>> {
        let declared = self.model.target_groups.iter();
        let balancers = self.model.load_balancers.iter();
        let balancers = balancers.filter_map(|lb| self.balancers.get(&lb.name));
        let formed = balancers.flat_map(|balancer| &balancer.instance_groups);
        let names = declared.chain(formed).map(|config| &config.name);
        names.filter_map(|name| self.groups.get(name))
    }
}

impl BalancerState {
    /// The listener at `port` that uses one of `transports`.
    pub(super) fn listener(
        &self,
        port: u16,
        transports: &[Transport],
    ) -> Option<&Arc<ListenerState>> {
        let overlaps = |own: &[Transport]| own.iter().any(|one| transports.contains(one));
        let mut listeners = self.listeners.iter();
        listeners.find(|listener| listener.port == port && overlaps(listener.transports))
    }

    /// The listeners of its node at `address`.
    fn listeners_at(&self, address: IpAddr) -> &[Arc<ListenerState>] {
        let zone = self.config.zone_at(address, &self.addresses);
        let zonal = zone.and_then(|zone| self.zonal.iter().find(|(name, _)| *name == zone.name));
        zonal.map_or(&self.listeners, |(_, listeners)| listeners)
    }

    /// The sockets of its listeners.
    pub(super) fn sockets(
        &self,
        port_offset: u16,
    ) -> impl Iterator<Item = (ListenerKey, &Arc<ListenerState>)> {
        self.addresses.iter().flat_map(move |ip| {
            self.listeners_at(*ip).iter().flat_map(move |listener| {
                let port = listener.port.saturating_add(port_offset);
                let address = SocketAddr::new(*ip, port);
                let key = move |transport: &Transport| ListenerKey {
                    address,
                    transport: *transport,
                };
                listener.transports.iter().map(move |t| (key(t), listener))
            })
        })
    }
}
