//! The health checks of the active snapshot. They run on the control thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::{Group, Target};
use elbow_health::{Checkup, Outcome, Prober, Reason, Tracker};
use elbow_model::personality::{HealthCheckHost, HealthUnit, UnhealthyConnections};
use elbow_model::{
    HealthCheck, HealthCheckPort, LoadBalancerType, Personality, ProxyProtocol, TargetState,
};
use elbow_net::proxy;
use elbow_telemetry::GroupMetrics;
use elbow_tls::BackendPolicy;
use rustc_hash::FxHashMap;
use tracing::info;

use crate::connector::{Connector, Origin};
use crate::shared::Shared;
use crate::snapshot::{GroupState, InstanceTargets, Snapshot, forwarded_groups};
use crate::state_name::state_name;
use crate::task::Task;

mod diagnosis;
mod log;
mod passive;
mod ramp;
mod retention;

use diagnosis::Told;
use ramp::Ramp;
use retention::Retention;

/// Delay between the first checks of two targets, so that the checks of many targets are spread over time.
const SPACING: Duration = Duration::from_micros(100);

/// The running checks.
pub(crate) struct Checks {
    shared: Arc<Shared>,
    running: FxHashMap<Owner, FxHashMap<Key, Check>>,
    told: Told,
    /// When the next new check may start.
    next_start: Instant,
}

/// The owner of a set of checks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Group(Arc<str>),
    /// A Classic load balancer.
    Balancer(Arc<str>),
}

/// What a check determines the health of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A target of a group, by [`Target::serial`].
    Target(u64),
    /// An instance of a Classic load balancer, by address and ports.
    Instance(IpAddr, BTreeMap<u16, u16>),
}

/// The configuration of a check.
#[derive(Clone, PartialEq, Eq)]
struct Config {
    check: HealthCheck,
    address: SocketAddr,
    prober: Prober,
    /// What a check with TLS offers.
    tls: BackendPolicy,
    /// The address of the load balancer, which the target sees where that can be.
    own: Option<IpAddr>,
    /// After how many connections that it did not accept the target is unhealthy.
    passive: Option<u32>,
}

/// A check that should run, and the targets whose health it determines.
struct Wanted {
    config: Config,
    targets: Vec<(Arc<Group>, Arc<Target>)>,
}

/// A running check.
struct Check {
    config: Config,
    tracker: Rc<RefCell<Tracker>>,
    targets: Rc<RefCell<Vec<Checked>>>,
    sequels: Sequels,
    task: Task,
}

/// What goes on for a time after a state was entered.
#[derive(Clone, Default)]
struct Sequels {
    ramp: Ramp,
    retention: Retention,
}

impl Checks {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            running: FxHashMap::default(),
            told: Told::default(),
            next_start: Instant::now(),
        }
    }

    /// Starts the missing checks of the group `name`, and stops those no longer needed.
    pub(crate) fn follow_group(&mut self, snapshot: &Snapshot, name: &Arc<str>) {
        let state = snapshot.groups.get(name);
        let wanted = state.map_or_else(FxHashMap::default, |state| group_checks(snapshot, state));
        self.follow(Owner::Group(Arc::clone(name)), wanted);
    }

    /// Like [`Self::follow_group`], for the instances of the load balancer `name`.
    pub(crate) fn follow_instances(&mut self, snapshot: &Snapshot, name: &Arc<str>) {
        let state = snapshot.balancers.get(name);
        let wanted = state.into_iter().flat_map(|state| {
            let instances = snapshot.instances(state).into_iter();
            instances.map(|instance| instance_check(instance, &state.addresses))
        });
        let wanted = wanted.collect();
        self.follow(Owner::Balancer(Arc::clone(name)), wanted);
    }

    fn follow(&mut self, owner: Owner, wanted: FxHashMap<Key, Wanted>) {
        let mut running = self.running.remove(&owner).unwrap_or_default();
        running.retain(|key, _| wanted.contains_key(key));
        for (key, wanted) in wanted {
            let targets = wanted.targets.into_iter();
            let targets: Vec<Checked> = targets.map(|t| Checked::new(&self.shared, t)).collect();
            let check = match running.remove(&key) {
                Some(check) => {
                    check.adopt(targets);
                    if check.config == wanted.config {
                        check
                    } else {
                        drop(check.task);
                        let mut tracker = check.tracker.borrow_mut();
                        tracker.reconfigure(&wanted.config.check);
                        drop(tracker);
                        self.start(wanted.config, check.tracker, check.targets, check.sequels)
                    }
                }
                None => {
                    let tracker = tracker(&wanted.config.check, &targets);
                    let tracker = Rc::new(RefCell::new(tracker));
                    let targets = Rc::new(RefCell::new(targets));
                    self.start(wanted.config, tracker, targets, Sequels::default())
                }
            };
            running.insert(key, check);
        }
        if !running.is_empty() {
            self.running.insert(owner, running);
        }
    }

    fn start(
        &mut self,
        config: Config,
        tracker: Rc<RefCell<Tracker>>,
        targets: Rc<RefCell<Vec<Checked>>>,
        sequels: Sequels,
    ) -> Check {
        let originator = self.shared.originators.with(config.tls).clone();
        let origin = Origin {
            address: config.own,
            networks: Arc::clone(&self.shared.networks),
        };
        let connector = Connector::for_health_checks(originator, origin);
        let (own_config, own_tracker, checked) =
            (config.clone(), Rc::clone(&tracker), Rc::clone(&targets));
        let own_sequels = sequels.clone();
        let told = self.told.clone();
        // As soon as possible: a new target gets no traffic before its first check.
        let now = Instant::now();
        let delay = self.next_start.saturating_duration_since(now);
        self.next_start = now + delay + SPACING;
        let run = async move {
            let Config {
                check,
                address,
                prober,
                passive,
                ..
            } = own_config;
            let on_result = |checkup: Checkup| {
                let targets = checked.borrow();
                log::write(&targets, &check, address, &checkup);
                let outcome = checkup.outcome;
                if on_result(&own_tracker, &targets, &own_sequels, &outcome) {
                    for checked in targets.iter() {
                        told.follow(&checked.group, &check, address, &outcome);
                    }
                }
            };
            let active = elbow_health::run(&connector, &check, address, &prober, delay, on_result);
            let passive = passive::watch(passive, &own_tracker, &checked, &own_sequels);
            tokio::join!(active, passive);
        };
        Check {
            task: Task::spawn(run),
            config,
            tracker,
            targets,
            sequels,
        }
    }
}

impl Check {
    /// Replaces the targets of the check. New ones get its current state.
    fn adopt(&self, targets: Vec<Checked>) {
        let tracker = self.tracker.borrow();
        for checked in &targets {
            let target = &checked.target;
            // One that keeps its connections for a time goes on doing so.
            let is_told = target.state() != TargetState::UnhealthyDraining;
            if is_told && target.state().is_registered() {
                target.set_reason(Reason::to_bits(tracker.reason()));
                target.set_state(tracker.state());
            }
        }
        *self.targets.borrow_mut() = targets;
    }
}

/// The tracker of a new check of `targets`. They have a result already if the previous process handed them over.
fn tracker(check: &HealthCheck, targets: &[Checked]) -> Tracker {
    let target = targets.first().map(|checked| &checked.target);
    match target.map(|target| (target.state(), target.reason())) {
        Some((state @ (TargetState::Healthy | TargetState::Unhealthy), reason)) => {
            Tracker::resume(check, state, Reason::from_bits(reason))
        }
        _ => Tracker::new(check),
    }
}

/// The checks of a group; none with a Classic load balancer, whose instances are checked instead.
fn group_checks(snapshot: &Snapshot, state: &GroupState) -> FxHashMap<Key, Wanted> {
    let group = &state.group;
    if !state.in_use() || group.personality.health_unit == HealthUnit::Instance {
        return FxHashMap::default();
    }
    let host = match group.personality.health_check_host {
        HealthCheckHost::Target => None,
        HealthCheckHost::Listener => host_of_listener(snapshot, state),
    };
    let wanted = |target: &Arc<Target>| Wanted {
        config: Config {
            own: node_of_target(snapshot, state, target),
            ..target_config(group, target, host.as_deref())
        },
        targets: vec![(Arc::clone(group), Arc::clone(target))],
    };
    // Not those outside the zones of the load balancer.
    let targets = state.registered().iter();
    targets
        .filter(|target| target.state().is_registered())
        .map(|target| (Key::Target(target.serial), wanted(target)))
        .collect()
}

fn target_config(group: &Group, target: &Target, host: Option<&str>) -> Config {
    let check = &group.config.health_check;
    let port = match check.port {
        HealthCheckPort::TrafficPort => target.address.port(),
        HealthCheckPort::Port(port) => port,
    };
    let address = SocketAddr::new(target.address.ip(), port);
    let default_host = || elbow_health::host(check.protocol, address.ip(), port);
    let host = host.map_or_else(default_host, str::to_owned);
    Config {
        check: check.clone(),
        address,
        tls: if group.config.attributes.health_check_tls13 {
            BackendPolicy::Tls13
        } else {
            BackendPolicy::Tls12
        },
        own: None,
        passive: group.config.attributes.passive_failures,
        prober: Prober {
            host,
            user_agent: group.personality.health_check_user_agent,
            preface: match group.config.attributes.proxy_protocol {
                Some(ProxyProtocol::V2) => proxy::v2_local(),
                _ => Vec::new(),
            },
        },
    }
}

/// The address and port of the listener that forwards to `group`, if its kind of load balancer sends them as Host.
fn host_of_listener(snapshot: &Snapshot, group: &GroupState) -> Option<String> {
    let sends_own_host =
        |kind: LoadBalancerType| kind.personality().health_check_host == HealthCheckHost::Listener;
    let balancers = group.users.iter();
    let mut balancers = balancers.filter_map(|name| snapshot.balancers.get(name));
    let balancer = balancers.find(|state| sends_own_host(state.config.kind))?;
    let name = &group.group.config.name;
    let mut listeners = balancer.config.listeners.iter();
    let listener = listeners.find(|listener| forwarded_groups(listener).any(|g| g == name))?;
    let ip = *balancer.addresses.first()?;
    Some(SocketAddr::new(ip, listener.port).to_string())
}

/// The node that forwards to `target` of `group`: that of its zone, else the first one of its address family.
fn node_of_target(snapshot: &Snapshot, group: &GroupState, target: &Target) -> Option<IpAddr> {
    let mut balancers = group.users.iter();
    let balancer = balancers.find_map(|name| snapshot.balancers.get(name))?;
    let all = &balancer.addresses;
    let is_same = |ip: &&IpAddr| ip.is_ipv4() == target.address.is_ipv4();
    let zone = target.registered.availability_zone.as_ref();
    let is_in_zone = |ip: &&IpAddr| {
        let own = balancer.config.zone_at(**ip, all);
        own.is_some_and(|own| Some(&own.name) == zone)
    };
    let mut own = all.iter().filter(is_same);
    own.clone().find(is_in_zone).or_else(|| own.next()).copied()
}

/// The check of an instance of a load balancer at these `addresses`.
fn instance_check(instance: InstanceTargets, addresses: &[IpAddr]) -> (Key, Wanted) {
    let InstanceTargets {
        instance,
        ip,
        check,
        targets,
    } = instance;
    let port = match check.port {
        HealthCheckPort::Port(port) => instance.port(port),
        // A check of a Classic load balancer always has a port.
        HealthCheckPort::TrafficPort => 0,
    };
    let config = Config {
        prober: Prober {
            host: elbow_health::host(check.protocol, ip, port),
            user_agent: Personality::CLASSIC.health_check_user_agent,
            preface: Vec::new(),
        },
        address: SocketAddr::new(ip, port),
        own: addresses
            .iter()
            .find(|own| own.is_ipv4() == ip.is_ipv4())
            .copied(),
        passive: None,
        check,
        tls: BackendPolicy::default(),
    };
    (
        Key::Instance(ip, instance.ports),
        Wanted { config, targets },
    )
}

/// A target whose health a check determines.
#[derive(Clone)]
struct Checked {
    shared: Arc<Shared>,
    metrics: Arc<GroupMetrics>,
    group: Arc<Group>,
    target: Arc<Target>,
}

/// Applies the result of a check to its targets, and returns whether their state changed.
fn on_result(
    tracker: &RefCell<Tracker>,
    targets: &[Checked],
    sequels: &Sequels,
    outcome: &Outcome,
) -> bool {
    let mut tracker = tracker.borrow_mut();
    let changed = tracker.on_result(outcome);
    for checked in targets {
        checked.on_result(&tracker, sequels, outcome, changed);
    }
    changed
}

impl Checked {
    fn new(shared: &Arc<Shared>, (group, target): (Arc<Group>, Arc<Target>)) -> Self {
        Self {
            shared: Arc::clone(shared),
            metrics: shared.telemetry.group(&group.config.name),
            group,
            target,
        }
    }

    fn on_result(&self, tracker: &Tracker, sequels: &Sequels, outcome: &Outcome, changed: bool) {
        match outcome {
            Outcome::Pass { .. } => self.metrics.health_checks_passed.increment(),
            Outcome::Skipped(_) => return self.metrics.health_checks_skipped.increment(),
            _ => self.metrics.health_checks_failed.increment(),
        }
        // Draining and unused targets keep their state.
        if !self.target.state().is_registered() {
            return;
        }
        let reason = Reason::to_bits(tracker.reason());
        if !changed {
            // The reason of a target that keeps its connections for a time does not change.
            let keeps = self.target.state() == TargetState::UnhealthyDraining;
            if !keeps && reason != self.target.reason() {
                self.set_state(tracker.state(), reason);
            }
            return;
        }
        let interval = self.retention_interval(tracker.state());
        let (state, reason) = match interval {
            Some(_) => {
                let reason = Reason::to_bits(Some(&Reason::FAILED_HEALTH_CHECKS));
                (TargetState::UnhealthyDraining, reason)
            }
            None => (tracker.state(), reason),
        };
        // Before the first request.
        sequels.ramp.follow(&self.group, &self.target, state);
        self.set_state(state, reason);
        sequels.retention.follow(self, interval);
        info!(
            target_group = %self.group.config.name,
            id = %self.target.registered.id,
            port = self.target.registered.port,
            state = state_name(self.group.personality, state),
            reason = tracker.reason().map_or("-", |r| r.code),
            "target health changed"
        );
        if state == TargetState::Unhealthy {
            self.terminate_flows(|group| {
                let attributes = &group.config.attributes;
                attributes.unhealthy_connection_termination
            });
        }
    }

    fn set_state(&self, state: TargetState, reason: u32) {
        self.target.forget_refusals();
        self.target.set_reason(reason);
        self.target.set_state(state);
        self.shared.health_changed();
    }

    /// How long the target, which enters `state`, keeps its connections before it counts as unhealthy alone.
    fn retention_interval(&self, state: TargetState) -> Option<Duration> {
        let attributes = &self.group.config.attributes;
        let keeps = state == TargetState::Unhealthy
            && self.group.personality.unhealthy_connections == UnhealthyConnections::AsConfigured
            && !attributes.unhealthy_connection_termination;
        attributes.unhealthy_draining_interval.filter(|_| keeps)
    }

    /// Terminates the connections of the target, which is unhealthy, if its kind of load balancer and `is_configured` say so
    /// and another target is healthy.
    fn terminate_flows(&self, is_configured: impl Fn(&Group) -> bool) {
        let snapshot = self.shared.snapshot.load();
        let Some(state) = snapshot.groups.get(&self.group.config.name) else {
            return;
        };
        let group = &state.group;
        let another = group
            .targets
            .iter()
            .any(|t| t.state() == TargetState::Healthy);
        let terminates = match group.personality.unhealthy_connections {
            UnhealthyConnections::Keep => false,
            UnhealthyConnections::AsConfigured => is_configured(group),
        };
        if terminates && another {
            self.target.terminate_connections();
            self.shared.wake_workers();
        }
    }
}

#[cfg(test)]
mod tests;
