//! Log lines about what clients and targets can cause at will: few of them.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The time between two log lines of a worker about the same kind of event.
const INTERVAL: Duration = Duration::from_secs(10);

/// Whether the last log line is long enough ago, which it then is not.
pub(crate) fn is_due(last: &Cell<Option<Instant>>) -> bool {
    let now = Instant::now();
    let is_due = last
        .get()
        .is_none_or(|at| now.duration_since(at) >= INTERVAL);
    if is_due {
        last.set(Some(now));
    }
    is_due
}
