use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

#[cfg(test)]
mod tests;

/// A timer that fires later than this shows that the process did not run (SIGSTOP, a suspended machine, a
/// busy host) and could not read from its peers.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);

/// A timeout is waited for in this many parts. A part in which the process was paused does not count, so at most one
/// part is waited for again.
const PARTS: u32 = 4;

/// The timeout has elapsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// Awaits `future` for at most `after`. Time in which the process was paused does not count. Polls `future` once more
/// before reporting a timeout, in case data has arrived meanwhile.
///
/// # Errors
/// If `future` is not ready in time.
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
        // After a pause the timer may fire before the sockets are polled; this polls them first.
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
