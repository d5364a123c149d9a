//! Unhealthy targets of Network Load Balancers that keep their connections for a time (NLB guide: edit target group attributes,
//! unhealthy draining interval).

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use elbow_health::Reason;
use elbow_model::TargetState;
use tokio::time::sleep;
use tracing::info;

use super::Checked;
use crate::task::Task;

/// The end of the time for which a target keeps its connections, while it lasts.
#[derive(Clone, Default)]
pub(super) struct Retention(Rc<RefCell<Option<Task>>>);

impl Retention {
    /// Ends the retention of `checked`, whose state has changed, and begins a new one if it has an interval.
    pub(super) fn follow(&self, checked: &Checked, interval: Option<Duration>) {
        *self.0.borrow_mut() = interval.map(|interval| {
            let checked = checked.clone();
            Task::spawn(async move {
                sleep(interval).await;
                end(&checked);
            })
        });
    }
}

/// The target is unhealthy from now on, and its connections end.
fn end(checked: &Checked) {
    // It may have been deregistered a moment ago.
    if checked.target.state() != TargetState::UnhealthyDraining {
        return;
    }
    let reason = Reason::to_bits(Some(&Reason::FAILED_HEALTH_CHECKS));
    checked.set_state(TargetState::Unhealthy, reason);
    checked.terminate_flows(|_| true);
    info!(
        target_group = %checked.group.config.name,
        id = %checked.target.registered.id,
        port = checked.target.registered.port,
        "unhealthy target no longer keeps its connections"
    );
}
