//! Passive health checks: what the connections of clients tell of a target (`elbow.passive_health_checks.failures`).

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::Poll;

use elbow_health::{Outcome, Tracker};

use super::{Checked, Sequels};

/// Makes the targets of a check unhealthy when one of them has not accepted `most` connections in a row. Ends at once with `None`.
/// A target that joins the check is watched from the next active check on.
pub(super) async fn watch(
    most: Option<u32>,
    tracker: &RefCell<Tracker>,
    targets: &RefCell<Vec<Checked>>,
    sequels: &Sequels,
) {
    let Some(most) = most else {
        return;
    };
    loop {
        poll_fn(|cx| {
            let is_out = |checked: &Checked| checked.target.poll_refusals(cx, most).is_ready();
            // All, so that each wakes this task.
            match targets
                .borrow()
                .iter()
                .map(is_out)
                .filter(|out| *out)
                .count()
            {
                0 => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        let targets = targets.borrow();
        if tracker.borrow_mut().on_passive_failure() {
            let outcome = Outcome::Failed("connections of clients are not accepted".to_owned());
            let tracker = tracker.borrow();
            for checked in targets.iter() {
                checked.on_result(&tracker, sequels, &outcome, true);
            }
        }
        for checked in targets.iter() {
            checked.target.forget_refusals();
        }
    }
}
