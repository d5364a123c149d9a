//! Passive health checks: what the connections of clients tell of a target (`elbow.passive_health_checks.failures`).

use std::cell::RefCell;
use std::time::Duration;

use elbow_health::{Outcome, Tracker};

use super::{Checked, Sequels};

/// The time between two looks at the connections of a target.
const INTERVAL: Duration = Duration::from_millis(250);

/// Makes the targets of a check unhealthy when one of them has not accepted `most` connections in a row. Ends at once with `None`.
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
        tokio::time::sleep(INTERVAL).await;
        let targets = targets.borrow();
        let is_out = targets
            .iter()
            .any(|checked| checked.target.refusals() >= most);
        if is_out && tracker.borrow_mut().on_passive_failure() {
            let outcome = Outcome::Failed("connections of clients are not accepted".to_owned());
            let tracker = tracker.borrow();
            for checked in targets.iter() {
                checked.on_result(&tracker, sequels, &outcome, true);
            }
        }
    }
}
