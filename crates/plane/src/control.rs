//! The control thread: health checks, host names, deregistration delays.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use elbow_balance::{Group, Target};
use elbow_health::Reason;
use elbow_model::{TargetId, TargetState};
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tracing::{error, info};

use crate::checks::{Checks, is_layer_4};
use crate::names;
use crate::plane::Shared;
use crate::snapshot::Snapshot;

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
    checks: Checks,
    names: FxHashMap<Arc<str>, AbortHandle>,
    /// By [`Target::serial`].
    delays: FxHashMap<u64, AbortHandle>,
}

impl Control {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            checks: Checks::new(Arc::clone(&shared)),
            shared,
            names: FxHashMap::default(),
            delays: FxHashMap::default(),
        }
    }

    /// Starts what `snapshot` needs and is not there, ends what it does not need.
    fn reconcile(&mut self, snapshot: &Snapshot) {
        self.reconcile_names(snapshot);
        self.reconcile_delays(snapshot);
        self.checks.reconcile(snapshot);
        self.shared.health_changed();
    }

    fn reconcile_names(&mut self, snapshot: &Snapshot) {
        let groups = snapshot.model.groups();
        let targets = groups.iter().flat_map(|g| &g.targets);
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
            target.set_reason(Reason::to_bits(Some(&Reason::DEREGISTRATION_IN_PROGRESS)));
            let shared = Arc::clone(&self.shared);
            let (group, target) = (Arc::clone(group), Arc::clone(target));
            self.delays
                .entry(target.serial)
                .or_insert_with(|| spawn_local(end_of_delay(shared, group, target)).abort_handle());
        }
    }
}

/// Ends a task that is no longer needed; false, as `retain` wants it.
pub(crate) fn abort(task: &mut AbortHandle) -> bool {
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
