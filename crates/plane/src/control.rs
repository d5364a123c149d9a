//! The control thread: health checks, host names, deregistration delays.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use elbow_balance::{Group, Target};
use elbow_model::TargetState;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tracing::{error, info};

use crate::checks::{Checks, is_layer_4};
use crate::names;
use crate::plane::Shared;
use crate::snapshot::{Changes, GroupState, Snapshot};

/// The control thread as the plane holds it.
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
                let mut control = Control::new(shared);
                loop {
                    tokio::select! {
                        Some(update) = incoming.recv() => control.follow(&update),
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

/// What the control thread is told of.
pub(crate) struct Update {
    /// In force from now on.
    pub(crate) snapshot: Arc<Snapshot>,
    /// What is new about it.
    pub(crate) changes: Changes,
}

/// What runs for the snapshot in force.
struct Control {
    shared: Arc<Shared>,
    checks: Checks,
    names: FxHashMap<Arc<str>, Followed>,
    /// By the names of groups; those of a group by [`Target::serial`].
    delays: FxHashMap<Arc<str>, FxHashMap<u64, AbortHandle>>,
}

/// A host name that is looked up.
struct Followed {
    task: AbortHandle,
    /// Whose targets it is.
    groups: FxHashSet<Arc<str>>,
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

    /// Starts what the snapshot needs and is not there, ends what it does not need.
    fn follow(&mut self, Update { snapshot, changes }: &Update) {
        for name in &changes.groups {
            let group = snapshot.groups.get(name);
            self.follow_names(name, group.map(|group| &**group));
            self.follow_delays(name, group.map(|group| &**group));
            self.checks.follow_group(snapshot, name);
        }
        for name in &changes.balancers {
            self.checks.follow_instances(snapshot, name);
        }
        self.shared.health_changed();
    }

    fn follow_names(&mut self, group: &Arc<str>, state: Option<&GroupState>) {
        let wanted = state.into_iter().flat_map(GroupState::hosts);
        let wanted: FxHashSet<&Arc<str>> = wanted.collect();
        self.names.retain(|host, followed| {
            if !wanted.contains(host) {
                followed.groups.remove(group);
            }
            !followed.groups.is_empty() || abort(&mut followed.task)
        });
        for host in wanted {
            let shared = &self.shared;
            let followed = self.names.entry(Arc::clone(host));
            let followed = followed.or_insert_with(|| Followed {
                task: follow_name(Arc::clone(shared), Arc::clone(host)),
                groups: FxHashSet::default(),
            });
            followed.groups.insert(Arc::clone(group));
        }
    }

    fn follow_delays(&mut self, name: &Arc<str>, state: Option<&GroupState>) {
        let draining = state.map_or(&[][..], GroupState::draining);
        if let Some(running) = self.delays.get_mut(name) {
            let drains = |serial: &u64| draining.iter().any(|target| target.serial == *serial);
            running.retain(|serial, task| drains(serial) || abort(task));
        }
        let Some(state) = state.filter(|_| !draining.is_empty()) else {
            self.delays.remove(name);
            return;
        };
        let running = self.delays.entry(Arc::clone(name)).or_default();
        for target in draining {
            running.entry(target.serial).or_insert_with(|| {
                let (group, target) = (Arc::clone(&state.group), Arc::clone(target));
                spawn_local(end_of_delay(Arc::clone(&self.shared), group, target)).abort_handle()
            });
        }
    }
}

fn follow_name(shared: Arc<Shared>, name: Arc<str>) -> AbortHandle {
    let follow = names::follow(name, move |name, found| {
        match &found {
            Ok(addresses) => info!(%name, ?addresses, "resolved"),
            Err(error) => error!(%name, %error, "a target does not resolve"),
        }
        shared.resolve(name, found);
    });
    spawn_local(follow).abort_handle()
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
    shared.drained(&group.config.name);
}
