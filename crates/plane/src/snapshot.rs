//! From a model to what the workers serve: an immutable value, swapped whole. What stays as it was is shared with the
//! snapshot before, so that a change costs what it changes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_model::addresses::Addresses;
use elbow_model::{DnsZone, LoadBalancer, Model, TargetGroup, TargetState};
use elbow_telemetry::Telemetry;
use elbow_tls::{Loaded, Tickets};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::error::Rejection;
use crate::instances;
use crate::names::Resolved;

mod build;
mod certificates;
mod groups;
mod listeners;
#[cfg(test)]
mod tests;

pub(crate) use certificates::Certificates;
pub use certificates::check;
pub(crate) use groups::GroupState;
pub(crate) use listeners::{Limit, ListenerState, Room, forwarded_groups};

/// Everything in force at one time.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Rises by one with every snapshot.
    pub(crate) generation: u64,
    pub(crate) model: Arc<Model>,
    pub(crate) balancers: FxHashMap<Arc<str>, Arc<BalancerState>>,
    pub(crate) groups: FxHashMap<Arc<str>, Arc<GroupState>>,
    /// By the address that is bound.
    pub(crate) listeners: FxHashMap<SocketAddr, Arc<ListenerState>>,
    pub(crate) certificates: Arc<Certificates>,
}

/// A load balancer in force.
pub(crate) struct BalancerState {
    pub(crate) config: Arc<LoadBalancer>,
    /// Where it listens.
    pub(crate) addresses: Vec<IpAddr>,
    /// As in its configuration.
    pub(crate) listeners: Vec<Arc<ListenerState>>,
    /// Of a Classic one.
    pub(crate) instance_groups: Vec<Arc<TargetGroup>>,
}

/// What a snapshot is made of besides the model.
pub(crate) struct Parts<'a> {
    pub(crate) previous: &'a Snapshot,
    pub(crate) resolved: &'a FxHashMap<Arc<str>, Resolved>,
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) tickets: &'a Tickets,
    pub(crate) workers: usize,
    pub(crate) port_offset: u16,
    pub(crate) dns: &'a DnsZone,
}

/// What a snapshot does not share with the one before.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Names of groups that came, went, are other ones or serve others.
    pub(crate) groups: FxHashSet<Arc<str>>,
    /// Names of load balancers that came, went or have another listener.
    pub(crate) balancers: FxHashSet<Arc<str>>,
    /// Addresses to listen on from now on.
    pub(crate) opened: Vec<SocketAddr>,
    /// Addresses whose listener is another one from now on, or is reached in another way.
    pub(crate) handed_over: Vec<SocketAddr>,
    /// Addresses that nobody listens on any more.
    pub(crate) closed: Vec<SocketAddr>,
}

impl Snapshot {
    /// The snapshot that follows `parts.previous` when `model` is applied. `addresses` has those of load balancers that
    /// have none yet.
    ///
    /// Targets that stay keep their live numbers; targets that go are listed as draining in groups
    /// that stay. Nothing changes for those who serve until [`Snapshot::activate`].
    ///
    /// # Errors
    /// All that cannot be used.
    pub(crate) fn build(
        model: Arc<Model>,
        addresses: &Addresses,
        parts: &Parts<'_>,
    ) -> Result<(Self, Changes), Vec<Rejection>> {
        build::follow(model, addresses, parts)
    }

    /// This snapshot with the groups called `groups` made anew, after names resolved or a delay ended.
    pub(crate) fn refreshed(
        groups: Vec<Arc<str>>,
        parts: &Parts<'_>,
    ) -> Result<(Self, Changes), Vec<Rejection>> {
        build::refresh(groups, parts)
    }

    /// Puts the states of targets in force where there are `changes`.
    pub(crate) fn activate(&self, changes: &Changes) {
        for group in changes
            .groups
            .iter()
            .filter_map(|name| self.groups.get(name))
        {
            group.activate();
        }
        // A listener that is new finds the instances as healthy as the others know them to be.
        let balancers = changes.balancers.iter();
        let balancers = balancers.filter_map(|name| self.balancers.get(name));
        for instance in balancers.flat_map(|balancer| instances::of(self, balancer)) {
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

    /// Names of the groups whose targets `host` is one of.
    pub(crate) fn groups_of_host(&self, host: &str) -> Vec<Arc<str>> {
        let groups = self.groups.iter();
        let named = groups.filter(|(_, group)| group.hosts().any(|name| **name == *host));
        named.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// The certificates in force, in the order of the configuration.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Arc<Loaded>> {
        let declared = self.model.certificates.iter();
        declared.filter_map(|certificate| self.certificates.get(&certificate.name))
    }

    /// The groups in force: the declared ones in the order of the configuration, then those of instances.
    pub(crate) fn groups_in_order(&self) -> impl Iterator<Item = &Arc<GroupState>> {
        let declared = self.model.target_groups.iter();
        let balancers = self.model.load_balancers.iter();
        let balancers = balancers.filter_map(|lb| self.balancers.get(&lb.name));
        let formed = balancers.flat_map(|balancer| &balancer.instance_groups);
        let names = declared.chain(formed).map(|config| &config.name);
        names.filter_map(|name| self.groups.get(name))
    }
}
