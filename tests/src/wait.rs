//! Waiting for events.

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for an event, on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Calls `probe` until it returns a value; panics with `what` after [`TIMEOUT`].
pub fn until<T>(what: &str, probe: impl FnMut() -> Option<T>) -> T {
    until_for(TIMEOUT, what, probe)
}

/// Calls `probe` until it returns a value; panics with `what` after `timeout`.
pub fn until_for<T>(timeout: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "timed out after {timeout:?} waiting for {what}"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
