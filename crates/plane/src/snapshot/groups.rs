//! Target groups in force.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use elbow_balance::{Group, Target};
use elbow_health::Reason;
use elbow_model::{TargetGroup, TargetId, TargetState};
use rustc_hash::FxHashMap;

use super::Parts;
use crate::names::Resolved;

/// A target group in force.
pub(crate) struct GroupState {
    pub(crate) group: Arc<Group>,
    /// How many of its targets drain: the last ones.
    draining: usize,
    /// Names of the load balancers that forward to it, in order. Without any it takes no traffic and is not checked.
    pub(crate) users: Vec<Arc<str>>,
}

impl GroupState {
    /// The group that `config` describes. Targets of `previous` that stay keep their live numbers; of the others, those
    /// drain that have not yet.
    pub(super) fn new(
        config: &Arc<TargetGroup>,
        previous: Option<&Self>,
        users: Vec<Arc<str>>,
        parts: &Parts<'_>,
    ) -> Self {
        let previous = previous.map_or(&[][..], |state| &state.group.targets);
        let mut left = by_registration(previous);
        let mut targets = Vec::with_capacity(config.targets.len());
        for registered in &config.targets {
            for ip in ips(&registered.id, parts.resolved) {
                let address = SocketAddr::new(ip, registered.port);
                let before = left.remove(&(address, registered));
                targets.push(before.map_or_else(|| new_target(registered, address), Arc::clone));
            }
        }
        // In the order in which they were, and not in that of the map.
        let leaving = previous.iter();
        let leaving = leaving.filter(|t| left.contains_key(&(t.address, &t.registered)));
        let stay = targets.len();
        targets.extend(leaving.cloned());
        Self {
            draining: targets.len() - stay,
            group: Arc::new(Group::new(Arc::clone(config), targets, parts.workers)),
            users,
        }
    }

    /// The same group for other load balancers.
    pub(super) fn with_users(&self, users: Vec<Arc<str>>) -> Self {
        Self {
            group: Arc::clone(&self.group),
            draining: self.draining,
            users,
        }
    }

    /// Whether a listener forwards to it.
    pub(crate) fn in_use(&self) -> bool {
        !self.users.is_empty()
    }

    /// Targets that stay.
    pub(crate) fn registered(&self) -> &[Arc<Target>] {
        self.halves().0
    }

    /// Deregistered targets whose delay runs.
    pub(crate) fn draining(&self) -> &[Arc<Target>] {
        self.halves().1
    }

    fn halves(&self) -> (&[Arc<Target>], &[Arc<Target>]) {
        let targets = &self.group.targets;
        targets.split_at(targets.len() - self.draining)
    }

    /// The names that its targets are registered by.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        let targets = self.group.config.targets.iter();
        targets.filter_map(|target| match &target.id {
            TargetId::Host(name) => Some(name),
            TargetId::Ip(_) | TargetId::Alb(_) => None,
        })
    }

    /// Lets deregistered targets drain and brings back those that are registered again.
    pub(super) fn activate(&self) {
        for target in self.draining() {
            target.set_reason(Reason::to_bits(Some(&Reason::DEREGISTRATION_IN_PROGRESS)));
            target.set_state(TargetState::Draining);
        }
        for target in self.registered() {
            if !self.in_use() {
                target.set_state(TargetState::Unused);
            } else if target.state() == TargetState::Draining {
                target.set_reason(registration());
                target.set_state(TargetState::Initial);
            }
        }
    }
}

/// Those that can be adopted: one that has drained, or was in no use, begins anew.
fn by_registration(
    targets: &[Arc<Target>],
) -> FxHashMap<(SocketAddr, &elbow_model::Target), &Arc<Target>> {
    let targets = targets.iter();
    let alive = targets.filter(|target| target.state() != TargetState::Unused);
    alive
        .map(|target| ((target.address, &target.registered), target))
        .collect()
}

fn new_target(registered: &elbow_model::Target, address: SocketAddr) -> Arc<Target> {
    let target = Target::new(registered.clone(), address);
    target.set_reason(registration());
    Arc::new(target)
}

fn registration() -> u32 {
    Reason::to_bits(Some(&Reason::REGISTRATION_IN_PROGRESS))
}

fn ips(id: &TargetId, resolved: &FxHashMap<Arc<str>, Resolved>) -> Vec<IpAddr> {
    match id {
        TargetId::Ip(ip) => vec![*ip],
        TargetId::Host(name) => match resolved.get(name) {
            Some(Ok(addresses)) => addresses.clone(),
            _ => Vec::new(),
        },
        TargetId::Alb(_) => Vec::new(),
    }
}
