use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

#[cfg(test)]
mod tests;

/// A timer that is later than this did not wait for its turn: the process did not run (SIGSTOP, a
/// suspended machine, a busy host), and its peers were not heard.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// Parts of a timeout, each of which is counted or, when the process did not run, is not. At most one part passes
/// unnoticed.
const PARTS: u32 = 4;

/// The time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Awaits `future` for `after`, in which time the process runs: a pause of the process itself does not count. What has
/// come meanwhile is looked at before the timeout is believed.
///
/// # Errors
/// When the time is over and `future` is not ready.
pub async fn timeout<F: Future>(after: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut left = PARTS;
    while left > 0 {
        let Some(due) = Instant::now().checked_add(after / PARTS) else {
            return Ok(future.await);
        };
        if let Ok(output) = timeout_at(due, future.as_mut()).await {
            return Ok(output);
        }
        if due.elapsed() < PAUSE {
            left -= 1;
        }
        // A signal wakes the process before its sockets are looked at.
        yield_now().await;
    }
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Ok(output),
            Poll::Pending => Err(Elapsed),
        })
    })
    .await
}
