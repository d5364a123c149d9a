//! The health checks of the snapshot in force; they run on the control thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::{Group, Target};
use elbow_health::{Asker, CLASSIC_USER_AGENT, Outcome, Reason, Tracker, USER_AGENT};
use elbow_model::{
    HealthCheck, HealthCheckPort, LoadBalancerType, Protocol, ProxyProtocol, TargetState,
};
use elbow_net::proxy;
use elbow_telemetry::GroupMetrics;
use rustc_hash::FxHashMap;
use tokio::task::{AbortHandle, spawn_local};
use tracing::info;

use crate::control::abort;
use crate::instances::{self, InstanceTargets};
use crate::plane::Shared;
use crate::snapshot::{GroupState, Snapshot, forwarded_groups};
use crate::stream::Connector;

/// Between the first checks of two targets, so that those of many are not all due at the same moments.
const PACE: Duration = Duration::from_micros(100);

/// The checks that run.
pub(crate) struct Checks {
    shared: Arc<Shared>,
    connector: Rc<Connector>,
    running: FxHashMap<Owner, FxHashMap<Key, Check>>,
    /// When the next check that starts has its first turn.
    turn: Instant,
}

/// Whose health checks ask for; checks come and go with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Group(Arc<str>),
    /// A Classic load balancer.
    Balancer(Arc<str>),
}

/// What has one health.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A target of a group, by [`Target::serial`].
    Target(u64),
    /// An instance of a Classic load balancer: at this address, with these ports.
    Instance(IpAddr, BTreeMap<u16, u16>),
}

/// A check as it is configured.
#[derive(Clone, PartialEq, Eq)]
struct Config {
    check: HealthCheck,
    address: SocketAddr,
    asker: Asker,
}

/// A check that is to run, and the targets whose health it is.
struct Wanted {
    config: Config,
    targets: Vec<(Arc<Group>, Arc<Target>)>,
}

/// One that runs.
struct Check {
    config: Config,
    tracker: Rc<RefCell<Tracker>>,
    targets: Rc<RefCell<Vec<Checked>>>,
    task: AbortHandle,
}

impl Checks {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            connector: Rc::new(Connector::of_reserve(shared.originators.tls13.clone())),
            shared,
            running: FxHashMap::default(),
            turn: Instant::now(),
        }
    }

    /// Starts what the group called `name` needs and is not there, ends what it does not need.
    pub(crate) fn follow_group(&mut self, snapshot: &Snapshot, name: &Arc<str>) {
        let state = snapshot.groups.get(name);
        let wanted = state.map_or_else(FxHashMap::default, |state| of_group(snapshot, state));
        self.follow(Owner::Group(Arc::clone(name)), wanted);
    }

    /// The same for the instances of the load balancer called `name`.
    pub(crate) fn follow_instances(&mut self, snapshot: &Snapshot, name: &Arc<str>) {
        let state = snapshot.balancers.get(name);
        let instances = state.into_iter().flat_map(|s| instances::of(snapshot, s));
        let wanted = instances.map(of_instance).collect();
        self.follow(Owner::Balancer(Arc::clone(name)), wanted);
    }

    fn follow(&mut self, owner: Owner, wanted: FxHashMap<Key, Wanted>) {
        let mut running = self.running.remove(&owner).unwrap_or_default();
        running.retain(|key, check| wanted.contains_key(key) || abort(&mut check.task));
        for (key, wanted) in wanted {
            let targets = wanted.targets.into_iter();
            let targets: Vec<Checked> = targets.map(|t| Checked::new(&self.shared, t)).collect();
            let check = match running.remove(&key) {
                Some(check) => {
                    check.adopt(targets);
                    if check.config == wanted.config {
                        check
                    } else {
                        check.task.abort();
                        let mut tracker = check.tracker.borrow_mut();
                        tracker.reconfigure(&wanted.config.check);
                        drop(tracker);
                        self.start(wanted.config, check.tracker, check.targets)
                    }
                }
                None => {
                    let tracker = Rc::new(RefCell::new(Tracker::new(&wanted.config.check)));
                    self.start(wanted.config, tracker, Rc::new(RefCell::new(targets)))
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
    ) -> Check {
        let connector = Rc::clone(&self.connector);
        let (asked, of_run, checked) = (config.clone(), Rc::clone(&tracker), Rc::clone(&targets));
        // Nearly at once, as a new target waits for nothing else.
        let now = Instant::now();
        let delay = self.turn.saturating_duration_since(now);
        self.turn = now + delay + PACE;
        let run = async move {
            let Config {
                check,
                address,
                asker,
            } = asked;
            let on_result = |outcome: Outcome| on_result(&of_run, &checked.borrow(), &outcome);
            elbow_health::run(&*connector, &check, address, &asker, delay, on_result).await;
        };
        Check {
            task: spawn_local(run).abort_handle(),
            config,
            tracker,
            targets,
        }
    }
}

impl Check {
    /// Goes on for `targets`; those that are new are as healthy as it knows them to be.
    fn adopt(&self, targets: Vec<Checked>) {
        let tracker = self.tracker.borrow();
        for checked in &targets {
            let target = &checked.target;
            if is_checked(target) {
                target.set_reason(Reason::to_bits(tracker.reason()));
                target.set_state(tracker.state());
            }
        }
        *self.targets.borrow_mut() = targets;
    }
}

/// The checks that a group needs; a Classic load balancer has its instances checked.
fn of_group(snapshot: &Snapshot, state: &GroupState) -> FxHashMap<Key, Wanted> {
    let group = &state.group;
    if !state.in_use() || group.config.attributes.of_classic {
        return FxHashMap::default();
    }
    let host = match is_layer_4(group) {
        true => host_of_network(snapshot, state),
        false => None,
    };
    let wanted = |target: &Arc<Target>| Wanted {
        config: of_target(group, target, host.as_deref()),
        targets: vec![(Arc::clone(group), Arc::clone(target))],
    };
    let targets = state.registered().iter();
    targets
        .map(|target| (Key::Target(target.serial), wanted(target)))
        .collect()
}

fn of_target(group: &Group, target: &Target, host: Option<&str>) -> Config {
    let check = &group.config.health_check;
    let port = match check.port {
        HealthCheckPort::TrafficPort => target.address.port(),
        HealthCheckPort::Port(port) => port,
    };
    let address = SocketAddr::new(target.address.ip(), port);
    let own = || elbow_health::host(check.protocol, address.ip(), port);
    let host = host.map_or_else(own, str::to_owned);
    Config {
        check: check.clone(),
        address,
        asker: Asker {
            host,
            user_agent: USER_AGENT,
            preface: match group.config.attributes.proxy_protocol {
                Some(ProxyProtocol::V2) => proxy::v2_local(),
                _ => Vec::new(),
            },
        },
    }
}

/// An NLB names its own address and listener port, an ALB the target (NLB guide: health checks; ALB
/// guide: troubleshooting).
fn host_of_network(snapshot: &Snapshot, group: &GroupState) -> Option<String> {
    let balancers = group.users.iter();
    let balancers = balancers.filter_map(|name| snapshot.balancers.get(name));
    let mut network = balancers.filter(|state| state.config.kind == LoadBalancerType::Network);
    let balancer = network.next()?;
    let name = &group.group.config.name;
    let mut listeners = balancer.config.listeners.iter();
    let listener = listeners.find(|listener| forwarded_groups(listener).any(|g| g == name))?;
    let ip = *balancer.addresses.first()?;
    Some(SocketAddr::new(ip, listener.port).to_string())
}

fn of_instance(instance: InstanceTargets) -> (Key, Wanted) {
    let InstanceTargets {
        instance,
        ip,
        check,
        targets,
    } = instance;
    let port = match check.port {
        HealthCheckPort::Port(port) => instance.port(port),
        // A Classic check always names its port.
        HealthCheckPort::TrafficPort => 0,
    };
    let config = Config {
        asker: Asker {
            host: elbow_health::host(check.protocol, ip, port),
            user_agent: CLASSIC_USER_AGENT,
            preface: Vec::new(),
        },
        address: SocketAddr::new(ip, port),
        check,
    };
    (
        Key::Instance(ip, instance.ports),
        Wanted { config, targets },
    )
}

/// A target that a check speaks for.
struct Checked {
    shared: Arc<Shared>,
    metrics: Arc<GroupMetrics>,
    group: Arc<Group>,
    target: Arc<Target>,
}

fn on_result(tracker: &RefCell<Tracker>, targets: &[Checked], outcome: &Outcome) {
    let mut tracker = tracker.borrow_mut();
    let transition = tracker.on_result(outcome);
    for checked in targets {
        checked.on_result(&tracker, outcome, transition.is_some());
    }
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

    fn on_result(&self, tracker: &Tracker, outcome: &Outcome, changed: bool) {
        match outcome {
            Outcome::Pass { .. } => self.metrics.health_checks_passed.increment(),
            Outcome::Skipped(_) => return self.metrics.health_checks_skipped.increment(),
            _ => self.metrics.health_checks_failed.increment(),
        }
        if !is_checked(&self.target) {
            return;
        }
        let state = tracker.state();
        let reason = Reason::to_bits(tracker.reason());
        if !changed && reason == self.target.reason() {
            return;
        }
        self.target.set_reason(reason);
        self.target.set_state(state);
        self.shared.health_changed();
        if !changed {
            return;
        }
        info!(
            target_group = %self.group.config.name,
            id = %self.target.registered.id,
            port = self.target.registered.port,
            state = match self.group.config.attributes.of_classic {
                true => state.as_instance_state(),
                false => state.as_str(),
            },
            reason = tracker.reason().map_or("-", |r| r.code),
            "target health changed"
        );
        if state == TargetState::Unhealthy {
            self.end_flows();
        }
    }

    /// An NLB ends the connections of a target that became unhealthy, unless none is healthy (NLB
    /// guide: edit target group attributes, unhealthy connection termination).
    fn end_flows(&self) {
        let snapshot = self.shared.snapshot.load();
        let Some(state) = snapshot.groups.get(&self.group.config.name) else {
            return;
        };
        let group = &state.group;
        let another = group
            .targets
            .iter()
            .any(|t| t.state() == TargetState::Healthy);
        let attributes = &group.config.attributes;
        if is_layer_4(group) && another && attributes.unhealthy_connection_termination {
            self.target.cut();
            self.shared.wake_workers();
        }
    }
}

/// A target that began to drain while it was asked, or went out of use, stays so.
fn is_checked(target: &Target) -> bool {
    !matches!(target.state(), TargetState::Draining | TargetState::Unused)
}

pub(crate) fn is_layer_4(group: &Group) -> bool {
    !matches!(group.config.protocol, Protocol::Http | Protocol::Https)
}

#[cfg(test)]
mod tests;
