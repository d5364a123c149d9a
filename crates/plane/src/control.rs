//! The control thread: health checks, host names, deregistration delays.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use elbow_balance::{Cutoff, Group, Target};
use elbow_model::TargetState;
use elbow_model::personality::DrainedConnections;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tracing::{error, info};

use crate::anomalies;
use crate::checks::Checks;
use crate::message::Update;
use crate::names;
use crate::return_paths::ReturnPaths;
use crate::shared::Shared;
use crate::snapshot::GroupState;
use crate::task::Task;

/// How long flows go on after the weight of their group became 0: a short time, which AWS does not specify (NLB guide:
/// listeners).
const CUTOFF_DELAY: Duration = Duration::from_secs(5);

/// The plane's handle to the control thread.
pub(crate) struct ControlHandle {
    pub(crate) updates: mpsc::UnboundedSender<Update>,
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

/// CloudWatch has a data point of capacity units for each minute.
const LCU_PERIOD: Duration = Duration::from_secs(60);

/// Starts the control thread.
pub(crate) fn spawn(shared: Arc<Shared>) -> io::Result<ControlHandle> {
    let (updates, mut incoming) = mpsc::unbounded_channel::<Update>();
    let (stop, mut stopped) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name("control".into())
        .spawn(move || {
            LocalSet::new().block_on(&runtime, async move {
                let mut control = Control::new(Arc::clone(&shared));
                let mut minute = tokio::time::interval(LCU_PERIOD);
                loop {
                    tokio::select! {
                        Some(update) = incoming.recv() => control.follow(&update),
                        now = minute.tick() => shared.telemetry.sample_lcus(now.into_std()),
                        _ = stopped.recv() => break,
                    }
                }
            });
        })?;
    Ok(ControlHandle {
        updates,
        stop,
        thread: Mutex::new(Some(thread)),
    })
}

/// What runs for the active snapshot.
struct Control {
    shared: Arc<Shared>,
    checks: Checks,
    return_paths: ReturnPaths,
    names: FxHashMap<Arc<str>, Followed>,
    /// Running deregistration delays, by group name and [`Target::serial`].
    delays: FxHashMap<Arc<str>, FxHashMap<u64, Task>>,
    _anomalies: Task,
}

/// A host name that is resolved repeatedly.
struct Followed {
    _task: Task,
    /// The groups with this target.
    groups: FxHashSet<Arc<str>>,
}

impl Control {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            checks: Checks::new(Arc::clone(&shared)),
            return_paths: ReturnPaths::default(),
            _anomalies: anomalies::follow(Arc::clone(&shared)),
            shared,
            names: FxHashMap::default(),
            delays: FxHashMap::default(),
        }
    }

    /// Starts the missing tasks of the snapshot, and stops those no longer needed.
    fn follow(&mut self, Update { snapshot, changes }: &Update) {
        for name in &changes.groups {
            let group = snapshot.groups.get(name);
            self.follow_names(name, group.map(|group| &**group));
            self.follow_delays(name, group.map(|group| &**group));
            self.checks.follow_group(snapshot, name);
            self.return_paths.follow(snapshot, name);
        }
        for name in &changes.balancers {
            self.checks.follow_instances(snapshot, name);
        }
        self.cut(&changes.cut);
        self.shared.health_changed();
    }

    /// Ends flows a short time after the weight of their group became 0.
    fn cut(&self, cutoffs: &[Cutoff]) {
        if cutoffs.is_empty() {
            return;
        }
        let (shared, cutoffs) = (Arc::clone(&self.shared), cutoffs.to_vec());
        spawn_local(async move {
            tokio::time::sleep(CUTOFF_DELAY).await;
            cutoffs.iter().for_each(Cutoff::cut);
            shared.wake_workers();
        });
    }

    fn follow_names(&mut self, group: &Arc<str>, state: Option<&GroupState>) {
        let wanted = state.into_iter().flat_map(GroupState::hosts);
        let wanted: FxHashSet<&Arc<str>> = wanted.collect();
        self.names.retain(|host, followed| {
            if !wanted.contains(host) {
                followed.groups.remove(group);
            }
            !followed.groups.is_empty()
        });
        for host in wanted {
            let shared = &self.shared;
            let followed = self.names.entry(Arc::clone(host));
            let followed = followed.or_insert_with(|| Followed {
                _task: follow_name(Arc::clone(shared), Arc::clone(host)),
                groups: FxHashSet::default(),
            });
            followed.groups.insert(Arc::clone(group));
        }
    }

    fn follow_delays(&mut self, name: &Arc<str>, state: Option<&GroupState>) {
        let draining = state.map_or(&[][..], GroupState::draining);
        if let Some(running) = self.delays.get_mut(name) {
            let drains = |serial: &u64| draining.iter().any(|target| target.serial == *serial);
            running.retain(|serial, _| drains(serial));
        }
        let Some(state) = state.filter(|_| !draining.is_empty()) else {
            self.delays.remove(name);
            return;
        };
        let running = self.delays.entry(Arc::clone(name)).or_default();
        for target in draining {
            running.entry(target.serial).or_insert_with(|| {
                let (group, target) = (Arc::clone(&state.group), Arc::clone(target));
                Task::spawn(deregister_after_delay(
                    Arc::clone(&self.shared),
                    group,
                    target,
                ))
            });
        }
    }
}

fn follow_name(shared: Arc<Shared>, name: Arc<str>) -> Task {
    let follow = names::follow(name, move |name, found| {
        match &found {
            Ok(addresses) => info!(%name, ?addresses, "resolved"),
            Err(error) => error!(%name, %error, "cannot resolve target"),
        }
        shared.resolve(name, found);
    });
    Task::spawn(follow)
}

/// Waits for the deregistration delay. Then the target is unused, and its open connections are terminated if the kind of
/// load balancer does so.
async fn deregister_after_delay(shared: Arc<Shared>, group: Arc<Group>, target: Arc<Target>) {
    let attributes = &group.config.attributes;
    tokio::time::sleep(attributes.deregistration_delay).await;
    target.set_state(TargetState::Unused);
    let ends = match group.personality.drained_connections {
        DrainedConnections::Close => true,
        DrainedConnections::AsConfigured => attributes.deregistration_connection_termination,
    };
    if ends {
        target.terminate_connections();
        shared.wake_workers();
    }
    info!(target_group = %group.config.name, id = %target.registered.id, "target drained");
    shared.drained(&group.config.name);
}
