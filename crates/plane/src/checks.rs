//! The health checks of the snapshot in force; they run on the control thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

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
use crate::snapshot::{Snapshot, forwards_to};
use crate::stream::Connector;

/// The checks that run.
pub(crate) struct Checks {
    shared: Arc<Shared>,
    connector: Rc<Connector>,
    running: FxHashMap<Key, Check>,
}

/// What has one health.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A target of a group, by [`Target::serial`].
    Target(u64),
    /// An instance of a Classic load balancer: at this address, with these ports.
    Instance(Arc<str>, IpAddr, BTreeMap<u16, u16>),
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
            connector: Rc::new(Connector::new(shared.originators.tls13.clone())),
            shared,
            running: FxHashMap::default(),
        }
    }

    /// Starts what `snapshot` needs and is not there, ends what it does not need.
    pub(crate) fn reconcile(&mut self, snapshot: &Snapshot) {
        let wanted = wanted(snapshot);
        self.running
            .retain(|key, check| wanted.contains_key(key) || abort(&mut check.task));
        for (key, wanted) in wanted {
            let targets = wanted.targets.into_iter();
            let targets: Vec<Checked> = targets.map(|t| Checked::new(&self.shared, t)).collect();
            let check = match self.running.remove(&key) {
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
                    let reason = Reason::to_bits(tracker.borrow().reason());
                    for checked in &targets {
                        checked.target.set_reason(reason);
                    }
                    self.start(wanted.config, tracker, Rc::new(RefCell::new(targets)))
                }
            };
            self.running.insert(key, check);
        }
    }

    fn start(
        &self,
        config: Config,
        tracker: Rc<RefCell<Tracker>>,
        targets: Rc<RefCell<Vec<Checked>>>,
    ) -> Check {
        let connector = Rc::clone(&self.connector);
        let (asked, of_run, checked) = (config.clone(), Rc::clone(&tracker), Rc::clone(&targets));
        let run = async move {
            let Config {
                check,
                address,
                asker,
            } = asked;
            let on_result = |outcome: Outcome| on_result(&of_run, &checked.borrow(), &outcome);
            // The first check at once: a new target waits for nothing else.
            let delay = Duration::ZERO;
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
            if target.state() != TargetState::Draining {
                target.set_state(tracker.state());
            }
            target.set_reason(Reason::to_bits(tracker.reason()));
        }
        *self.targets.borrow_mut() = targets;
    }
}

/// Every check that `snapshot` needs.
fn wanted(snapshot: &Snapshot) -> FxHashMap<Key, Wanted> {
    let mut wanted = FxHashMap::default();
    let in_use = |name: &Arc<str>| snapshot.in_use.contains(name);
    for (name, group) in snapshot.groups.iter().filter(|(n, _)| in_use(n)) {
        if group.config.attributes.of_classic {
            continue;
        }
        for target in &group.targets {
            if target.state() != TargetState::Draining {
                let check = Wanted {
                    config: of_target(snapshot, name, group, target),
                    targets: vec![(Arc::clone(group), Arc::clone(target))],
                };
                wanted.insert(Key::Target(target.serial), check);
            }
        }
    }
    for instance in instances::of(snapshot) {
        let config = of_instance(&instance);
        let InstanceTargets {
            load_balancer,
            instance,
            ip,
            targets,
            ..
        } = instance;
        let key = Key::Instance(load_balancer, ip, instance.ports);
        wanted.insert(key, Wanted { config, targets });
    }
    wanted
}

fn of_target(snapshot: &Snapshot, name: &str, group: &Group, target: &Target) -> Config {
    let check = &group.config.health_check;
    let port = match check.port {
        HealthCheckPort::TrafficPort => target.address.port(),
        HealthCheckPort::Port(port) => port,
    };
    let address = SocketAddr::new(target.address.ip(), port);
    let host = match is_layer_4(group) {
        true => host_of_network(snapshot, name),
        false => None,
    };
    let host = host.unwrap_or_else(|| elbow_health::host(check.protocol, address.ip(), port));
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
fn host_of_network(snapshot: &Snapshot, group: &str) -> Option<String> {
    let balancers = snapshot.model.load_balancers.iter();
    let network = balancers.filter(|lb| lb.kind == LoadBalancerType::Network);
    let mut listeners = network.flat_map(|lb| lb.listeners.iter().map(move |l| (lb, l)));
    let (balancer, listener) = listeners.find(|(_, l)| forwards_to(l, group))?;
    let ip = *snapshot.addresses.get(&balancer.name)?.first()?;
    Some(SocketAddr::new(ip, listener.port).to_string())
}

fn of_instance(instance: &InstanceTargets) -> Config {
    let check = instance.check.clone();
    let port = match check.port {
        HealthCheckPort::Port(port) => instance.instance.port(port),
        // A Classic check always names its port.
        HealthCheckPort::TrafficPort => 0,
    };
    Config {
        asker: Asker {
            host: elbow_health::host(check.protocol, instance.ip, port),
            user_agent: CLASSIC_USER_AGENT,
            preface: Vec::new(),
        },
        address: SocketAddr::new(instance.ip, port),
        check,
    }
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
        checked.on_result(&tracker, outcome.passed(), transition.is_some());
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

    fn on_result(&self, tracker: &Tracker, passed: bool, changed: bool) {
        match passed {
            true => self.metrics.health_checks_passed.increment(),
            false => self.metrics.health_checks_failed.increment(),
        }
        // A target that began to drain while it was asked, or went out of use, stays so.
        if matches!(
            self.target.state(),
            TargetState::Draining | TargetState::Unused
        ) {
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
        let Some(group) = snapshot.groups.get(&self.group.config.name) else {
            return;
        };
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

pub(crate) fn is_layer_4(group: &Group) -> bool {
    !matches!(group.config.protocol, Protocol::Http | Protocol::Https)
}
