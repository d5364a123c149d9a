//! The control thread: health checks, host names, deregistration delays.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use elbow_balance::{Group, Target};
use elbow_health::{Outcome, Reason, Tracker};
use elbow_model::{
    HealthCheck, HealthCheckPort, LoadBalancerType, Protocol, TargetId, TargetState,
};
use elbow_telemetry::GroupMetrics;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tracing::{error, info};

use crate::names;
use crate::plane::Shared;
use crate::snapshot::{Snapshot, forwards_to};
use crate::stream::Connector;

/// Reasons by [`Target::serial`]; written by the control thread, read for status.
#[derive(Default)]
pub(crate) struct Reasons(Mutex<FxHashMap<u64, Option<Reason>>>);

impl Reasons {
    /// The reason of the target; `None` when it has none, or is not checked yet.
    pub(crate) fn of(&self, target: &Target) -> Option<Reason> {
        let reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.get(&target.serial).cloned().flatten()
    }

    fn set(&self, target: &Target, reason: Option<Reason>) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.insert(target.serial, reason);
    }

    fn retain(&self, keep: impl Fn(u64) -> bool) {
        let mut reasons = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.retain(|serial, _| keep(*serial));
    }
}

/// The control thread as the plane holds it.
pub(crate) struct ControlHandle {
    pub(crate) snapshots: mpsc::UnboundedSender<Arc<Snapshot>>,
    stop: mpsc::UnboundedSender<()>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl ControlHandle {
    /// Ends the thread and waits for it.
    pub(crate) fn stop(&self) {
        // It may have ended already.
        let _ = self.stop.send(());
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the control thread panicked");
        }
    }
}

/// Starts the control thread.
pub(crate) fn spawn(shared: Arc<Shared>) -> io::Result<ControlHandle> {
    let (snapshots, mut incoming) = mpsc::unbounded_channel::<Arc<Snapshot>>();
    let (stop, mut stopped) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let mut control = Control::new(shared);
                loop {
                    tokio::select! {
                        Some(snapshot) = incoming.recv() => control.reconcile(&snapshot),
                        _ = stopped.recv() => break,
                    }
                }
            });
        })?;
    Ok(ControlHandle {
        snapshots,
        stop,
        thread: Mutex::new(Some(thread)),
    })
}

/// What runs for the snapshot in force.
struct Control {
    shared: Arc<Shared>,
    connector: Rc<Connector>,
    /// By [`Target::serial`].
    checks: FxHashMap<u64, Check>,
    names: FxHashMap<Arc<str>, AbortHandle>,
    /// By [`Target::serial`].
    delays: FxHashMap<u64, AbortHandle>,
}

/// The health check of one target.
struct Check {
    config: HealthCheck,
    host: String,
    tracker: Rc<RefCell<Tracker>>,
    task: AbortHandle,
}

impl Control {
    fn new(shared: Arc<Shared>) -> Self {
        let connector = Rc::new(Connector::new(shared.originators.tls13.clone()));
        Self {
            shared,
            connector,
            checks: FxHashMap::default(),
            names: FxHashMap::default(),
            delays: FxHashMap::default(),
        }
    }

    /// Starts what `snapshot` needs and is not there, ends what it does not need.
    fn reconcile(&mut self, snapshot: &Snapshot) {
        self.reconcile_names(snapshot);
        self.reconcile_delays(snapshot);
        self.reconcile_checks(snapshot);
        let known: FxHashSet<u64> = snapshot
            .groups
            .values()
            .flat_map(|g| &g.targets)
            .map(|t| t.serial)
            .collect();
        self.shared.reasons.retain(|serial| known.contains(&serial));
    }

    fn reconcile_names(&mut self, snapshot: &Snapshot) {
        let targets = snapshot.model.target_groups.iter().flat_map(|g| &g.targets);
        let wanted: FxHashSet<Arc<str>> = targets
            .filter_map(|t| match &t.id {
                TargetId::Host(name) => Some(Arc::clone(name)),
                _ => None,
            })
            .collect();
        self.names
            .retain(|name, task| wanted.contains(name) || abort(task));
        for name in wanted {
            let shared = Arc::clone(&self.shared);
            self.names.entry(Arc::clone(&name)).or_insert_with(|| {
                let follow = names::follow(name, move |name, found| {
                    match &found {
                        Ok(addresses) => info!(%name, ?addresses, "resolved"),
                        Err(error) => error!(%name, %error, "a target does not resolve"),
                    }
                    shared.refresh(|resolved| match (resolved.get(name), &found) {
                        // A resolver that is away does not take targets away.
                        (Some(Ok(_)), Err(_)) => {}
                        _ => {
                            resolved.insert(Arc::clone(name), found);
                        }
                    });
                });
                spawn_local(follow).abort_handle()
            });
        }
    }

    fn reconcile_delays(&mut self, snapshot: &Snapshot) {
        let draining = |serial: &u64| snapshot.draining.iter().any(|(_, t)| t.serial == *serial);
        self.delays
            .retain(|serial, task| draining(serial) || abort(task));
        for (name, target) in &snapshot.draining {
            let Some(group) = snapshot.groups.get(name) else {
                continue;
            };
            self.shared
                .reasons
                .set(target, Some(Reason::DEREGISTRATION_IN_PROGRESS));
            let shared = Arc::clone(&self.shared);
            let (group, target) = (Arc::clone(group), Arc::clone(target));
            self.delays
                .entry(target.serial)
                .or_insert_with(|| spawn_local(end_of_delay(shared, group, target)).abort_handle());
        }
    }

    fn reconcile_checks(&mut self, snapshot: &Snapshot) {
        let mut wanted: FxHashMap<u64, (Arc<Group>, Arc<Target>, String)> = FxHashMap::default();
        for (name, group) in snapshot
            .groups
            .iter()
            .filter(|(n, _)| snapshot.in_use.contains(*n))
        {
            for target in &group.targets {
                if target.state() != TargetState::Draining {
                    let host = check_host(snapshot, name, group, target);
                    wanted.insert(target.serial, (Arc::clone(group), Arc::clone(target), host));
                }
            }
        }
        self.checks
            .retain(|serial, check| wanted.contains_key(serial) || abort(&mut check.task));
        for (serial, (group, target, host)) in wanted {
            let config = group.config.health_check.clone();
            let kept = self.checks.remove(&serial);
            if let Some(check) = kept {
                if check.config == config && check.host == host {
                    self.checks.insert(serial, check);
                    continue;
                }
                check.task.abort();
                check.tracker.borrow_mut().reconfigure(&config);
                self.start_check(group, target, host, check.tracker);
            } else {
                let tracker = Rc::new(RefCell::new(Tracker::new(&config)));
                self.shared
                    .reasons
                    .set(&target, tracker.borrow().reason().cloned());
                self.start_check(group, target, host, tracker);
            }
        }
    }

    fn start_check(
        &mut self,
        group: Arc<Group>,
        target: Arc<Target>,
        host: String,
        tracker: Rc<RefCell<Tracker>>,
    ) {
        let config = group.config.health_check.clone();
        let serial = target.serial;
        let address = SocketAddr::new(target.address.ip(), check_port(&config, &target));
        let checked = Checked {
            shared: Arc::clone(&self.shared),
            metrics: self.shared.telemetry.group(&group.config.name),
            group: Arc::clone(&group.config.name),
            target,
            tracker: Rc::clone(&tracker),
        };
        let connector = Rc::clone(&self.connector);
        let (check, asked) = (config.clone(), host.clone());
        let run = async move {
            let on_result = |outcome: Outcome| checked.on_result(&outcome);
            // The first check at once: a new target waits for nothing else.
            elbow_health::run(
                &*connector,
                &check,
                address,
                &asked,
                Duration::ZERO,
                on_result,
            )
            .await;
        };
        let task = spawn_local(run).abort_handle();
        self.checks.insert(
            serial,
            Check {
                config,
                host,
                tracker,
                task,
            },
        );
    }
}

/// Where the results of one target's checks go.
struct Checked {
    shared: Arc<Shared>,
    group: Arc<str>,
    metrics: Arc<GroupMetrics>,
    target: Arc<Target>,
    tracker: Rc<RefCell<Tracker>>,
}

impl Checked {
    fn on_result(&self, outcome: &Outcome) {
        match outcome.passed() {
            true => self.metrics.health_checks_passed.increment(),
            false => self.metrics.health_checks_failed.increment(),
        }
        let mut tracker = self.tracker.borrow_mut();
        let transition = tracker.on_result(outcome);
        self.shared
            .reasons
            .set(&self.target, tracker.reason().cloned());
        let state = tracker.state();
        // A target that began to drain while it was asked stays so.
        if transition.is_none() || self.target.state() == TargetState::Draining {
            return;
        }
        self.target.set_state(state);
        info!(
            target_group = %self.group,
            id = %self.target.registered.id,
            port = self.target.registered.port,
            state = state.as_str(),
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
        let Some(group) = snapshot.groups.get(&self.group) else {
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

fn is_layer_4(group: &Group) -> bool {
    !matches!(group.config.protocol, Protocol::Http | Protocol::Https)
}

/// Ends a task that is no longer needed; false, as `retain` wants it.
fn abort(task: &mut AbortHandle) -> bool {
    task.abort();
    false
}

/// After the deregistration delay: what still runs on an ALB's target is cut and the target is
/// unused; an NLB lets flows live on unless told otherwise (ALB guide and NLB guide: edit target
/// group attributes).
async fn end_of_delay(shared: Arc<Shared>, group: Arc<Group>, target: Arc<Target>) {
    let attributes = &group.config.attributes;
    tokio::time::sleep(attributes.deregistration_delay).await;
    target.set_state(TargetState::Unused);
    if !is_layer_4(&group) || attributes.deregistration_connection_termination {
        target.cut();
        shared.wake_workers();
    }
    info!(target_group = %group.config.name, id = %target.registered.id, "target drained");
    shared.refresh(|_| {});
}

/// The Host header of HTTP checks: an ALB names the target, an NLB its own address and listener port
/// (ALB guide: troubleshooting; NLB guide: health checks).
fn check_host(snapshot: &Snapshot, name: &str, group: &Group, target: &Target) -> String {
    let of_network = || {
        let balancers = snapshot.model.load_balancers.iter();
        let network = balancers.filter(|lb| lb.kind == LoadBalancerType::Network);
        let mut listeners = network.flat_map(|lb| lb.listeners.iter().map(move |l| (lb, l)));
        let (balancer, listener) = listeners.find(|(_, l)| forwards_to(l, name))?;
        let ip = *snapshot.addresses.get(&balancer.name)?.first()?;
        Some(SocketAddr::new(ip, listener.port).to_string())
    };
    let host = if is_layer_4(group) {
        of_network()
    } else {
        None
    };
    host.unwrap_or_else(|| {
        let check = &group.config.health_check;
        let port = check_port(check, target);
        elbow_health::host(check.protocol, target.address.ip(), port)
    })
}

/// Where a target is asked for its health.
fn check_port(check: &HealthCheck, target: &Target) -> u16 {
    match check.port {
        HealthCheckPort::TrafficPort => target.address.port(),
        HealthCheckPort::Port(port) => port,
    }
}
