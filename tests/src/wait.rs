//! Waiting for events.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that is bound to come, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `probe` until it has an answer; panics with `what` when [`PATIENCE`] is over.
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    until_for(PATIENCE, what, probe)
}

/// Asks `probe` until it has an answer; panics with `what` when `patience` is over.
pub fn until_for<T>(patience: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {patience:?} in vain for {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
