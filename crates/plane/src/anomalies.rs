//! Anomaly detection for the groups of the active snapshot. It runs on the control thread.

use std::sync::Arc;

use elbow_balance::{Detector, anomaly};
use rustc_hash::FxHashMap;
use tokio::time::{MissedTickBehavior, interval};
use tracing::info;

use crate::shared::Shared;
use crate::snapshot::{GroupState, Snapshot};
use crate::task::Task;

/// Compares the targets of each group in every interval.
pub(crate) fn follow(shared: Arc<Shared>) -> Task {
    Task::spawn(async move {
        let mut detectors = FxHashMap::default();
        let mut ticks = interval(anomaly::INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            compare(&mut detectors, &shared.snapshot.load_full());
        }
    })
}

/// Compares the targets of the groups of `snapshot`, and forgets groups that are gone.
fn compare(detectors: &mut FxHashMap<Arc<str>, Detector>, snapshot: &Snapshot) {
    let is_compared =
        |state: &GroupState| state.in_use() && state.group.personality.detects_anomalies;
    detectors.retain(|name, _| {
        snapshot
            .groups
            .get(name)
            .is_some_and(|state| is_compared(state))
    });
    for (name, state) in &snapshot.groups {
        if !is_compared(state) {
            continue;
        }
        let detector = detectors.entry(Arc::clone(name)).or_default();
        detector.compare(&state.group, |target| {
            let message = if target.is_anomalous() {
                "target fails more requests than the others"
            } else {
                "target no longer fails more requests than the others"
            };
            info!(
                target_group = %name,
                id = %target.registered.id,
                port = target.registered.port,
                "{message}"
            );
        });
    }
}
