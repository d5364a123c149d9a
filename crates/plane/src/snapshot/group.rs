//! Active target groups.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use elbow_balance::{Group, Share, Target};
use elbow_health::Reason;
use elbow_model::{Personality, TargetGroup, TargetId, TargetState, ZoneName};
use rustc_hash::FxHashMap;

use crate::names::Resolved;

/// The spec of a group.
pub(super) struct GroupSpec {
    pub(super) config: Arc<TargetGroup>,
    pub(super) personality: &'static Personality,
}

impl GroupSpec {
    /// The spec of a group of the model. Groups formed by instances have the personality of their load balancer.
    pub(super) fn declared(config: &Arc<TargetGroup>) -> Self {
        Self {
            config: Arc::clone(config),
            personality: config.protocol.personality(),
        }
    }

    /// The spec of an existing `group`.
    pub(super) fn of(group: &Group) -> Self {
        Self {
            config: Arc::clone(&group.config),
            personality: group.personality,
        }
    }
}

/// An active target group.
pub(crate) struct GroupState {
    pub(crate) group: Arc<Group>,
    /// Number of draining targets, which are the last ones of the group.
    draining: usize,
    /// What nodes use that keep to their zone, by the name of the zone.
    zones: Mutex<FxHashMap<ZoneName, Arc<Group>>>,
    /// Sorted names of the load balancers that forward to it. Without any it gets no traffic and no health checks.
    pub(crate) users: Vec<Arc<str>>,
}

impl GroupState {
    /// Builds the group of `spec` for `workers` workers; `places` tells the addresses of names. Targets of
    /// `previous` that stay keep their state and counters; the others start draining.
    pub(super) fn new(
        spec: &GroupSpec,
        previous: Option<&Self>,
        users: Vec<Arc<str>>,
        places: &Places<'_>,
        workers: usize,
    ) -> Self {
        let config = &spec.config;
        let previous = previous.map_or(&[][..], |state| &state.group.targets);
        let was_empty = !previous.iter().any(|target| target.state().is_registered());
        let mut left = by_registration(previous);
        let mut targets = Vec::with_capacity(config.targets.len());
        for registered in &config.targets {
            for address in places.of(registered) {
                let before = left.remove(&(address, registered));
                let new = || new_target(registered, address, was_empty);
                targets.push(before.map_or_else(new, Arc::clone));
            }
        }
        // In their previous order, not in that of the map.
        let leaving = previous.iter();
        let leaving = leaving.filter(|t| left.contains_key(&(t.address, &t.registered)));
        let stay = targets.len();
        targets.extend(leaving.cloned());
        let draining = targets.len() - stay;
        let group = Group::new(Arc::clone(config), targets, workers);
        Self {
            draining,
            group: Arc::new(group.with_personality(spec.personality)),
            zones: Mutex::default(),
            users,
        }
    }

    /// The same group for other load balancers.
    pub(super) fn with_users(&self, users: Vec<Arc<str>>) -> Self {
        Self {
            group: Arc::clone(&self.group),
            draining: self.draining,
            zones: Mutex::new(self.lock_zones().clone()),
            users,
        }
    }

    /// The group as a node uses it that keeps to `zone`. Targets in no zone are in every zone.
    pub(crate) fn in_zone(&self, zone: &ZoneName) -> Arc<Group> {
        let is_within = |target: &Target| {
            let own = target.registered.availability_zone.as_ref();
            own.is_none_or(|own| own == zone)
        };
        let mut zones = self.lock_zones();
        let group = zones.entry(zone.clone());
        let group = group.or_insert_with(|| Arc::new(self.group.with_targets(is_within)));
        Arc::clone(group)
    }

    fn lock_zones(&self) -> MutexGuard<'_, FxHashMap<ZoneName, Arc<Group>>> {
        // A panic leaves no half entry.
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a listener forwards to it.
    pub(crate) fn in_use(&self) -> bool {
        !self.users.is_empty()
    }

    /// Registered targets.
    pub(crate) fn registered(&self) -> &[Arc<Target>] {
        self.halves().0
    }

    /// Deregistered targets whose deregistration delay has not passed.
    pub(crate) fn draining(&self) -> &[Arc<Target>] {
        self.halves().1
    }

    fn halves(&self) -> (&[Arc<Target>], &[Arc<Target>]) {
        let targets = &self.group.targets;
        targets.split_at(targets.len() - self.draining)
    }

    /// The host names among its targets.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Arc<str>> {
        let targets = self.group.config.targets.iter();
        targets.filter_map(|target| match &target.id {
            TargetId::Host(name) => Some(name),
            TargetId::Ip(_) | TargetId::Alb(_) => None,
        })
    }

    /// Sets the state of deregistered targets to draining, and resets that of targets registered again. `is_outside` tells
    /// targets in zones where no load balancer has a node.
    pub(super) fn activate(&self, is_outside: impl Fn(&Target) -> bool) {
        for target in self.draining() {
            target.set_reason(Reason::to_bits(Some(&Reason::DEREGISTRATION_IN_PROGRESS)));
            target.set_state(TargetState::Draining);
            // If it is registered again, it starts as a new target.
            target.set_share(Share::FULL);
            target.set_skips_slow_start(false);
        }
        for target in self.registered() {
            if !self.in_use() {
                target.set_state(TargetState::Unused);
            } else if is_outside(target) {
                target.set_reason(Reason::to_bits(Some(&Reason::ZONE_NOT_ENABLED)));
                target.set_state(TargetState::Unused);
            } else if !target.state().is_registered() {
                target.set_reason(registration());
                target.set_state(TargetState::Initial);
            }
        }
    }
}

/// The targets that the next group can reuse. Draining and unused targets are not reused.
fn by_registration(
    targets: &[Arc<Target>],
) -> FxHashMap<(SocketAddr, &elbow_model::Target), &Arc<Target>> {
    let targets = targets.iter();
    let alive = targets.filter(|target| target.state() != TargetState::Unused);
    alive
        .map(|target| ((target.address, &target.registered), target))
        .collect()
}

/// `is_first`: it is one of the first targets of its group.
fn new_target(
    registered: &elbow_model::Target,
    address: SocketAddr,
    is_first: bool,
) -> Arc<Target> {
    let target = Target::new(registered.clone(), address);
    target.set_reason(registration());
    target.set_skips_slow_start(is_first);
    Arc::new(target)
}

fn registration() -> u32 {
    Reason::to_bits(Some(&Reason::REGISTRATION_IN_PROGRESS))
}

/// Where the targets are that are registered by name.
pub(super) struct Places<'a> {
    /// The addresses of host names.
    pub(super) resolved: &'a FxHashMap<Arc<str>, Resolved>,
    /// The address of each Application Load Balancer.
    pub(super) balancers: &'a FxHashMap<Arc<str>, IpAddr>,
    /// What is added to the ports of listeners.
    pub(super) port_offset: u16,
}

impl Places<'_> {
    fn of(&self, target: &elbow_model::Target) -> Vec<SocketAddr> {
        let at = |ip: &IpAddr| SocketAddr::new(*ip, target.port);
        match &target.id {
            TargetId::Ip(ip) => vec![at(ip)],
            TargetId::Host(name) => match self.resolved.get(name) {
                Some(Ok(addresses)) => addresses.iter().map(at).collect(),
                _ => Vec::new(),
            },
            TargetId::Alb(name) => {
                let port = target.port.checked_add(self.port_offset);
                let place = self.balancers.get(name).zip(port);
                let place = place.map(|(ip, port)| SocketAddr::new(*ip, port));
                place.into_iter().collect()
            }
        }
    }
}
