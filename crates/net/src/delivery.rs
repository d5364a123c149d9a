use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::sys::is_acknowledged;
use crate::{Stream, Timer, Worker};

/// Delay until the next check.
const NEXT_TICK: Duration = Duration::ZERO;

/// Waits until a peer has acknowledged everything written to it. Sending RST earlier would discard the
/// rest of the send queue.
///
/// The kernel does not notify about an empty send queue, so the queue is checked once per tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The tick at which the wait ends in any case.
    deadline: u64,
}

impl Delivery {
    /// Starts the wait; `timer` paces the checks.
    pub(crate) fn new(worker: &Worker, timer: &Timer) -> Self {
        timer.reset(NEXT_TICK);
        Self {
            deadline: worker.timers.deadline(worker.delivery_timeout()),
        }
    }

    /// Ready once all data is `written` to `socket` and acknowledged, once the connection is closed,
    /// or at the deadline.
    pub(crate) fn poll(
        self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        socket: &TcpStream,
        written: bool,
    ) -> Poll<()> {
        // A socket that cannot be queried has no send queue.
        let is_over = || is_acknowledged(socket).unwrap_or(true);
        if worker.timers.now() >= self.deadline || written && is_over() {
            return Poll::Ready(());
        }
        if timer.is_expired() {
            timer.touch();
        }
        timer.poll_expired(cx)
    }
}

/// Waits until the peer of `stream` has acknowledged everything written, so that a reset loses no data,
/// for at most [`Worker::set_delivery_timeout`].
pub async fn deliver<S: Stream>(worker: &Worker, timer: &Timer, stream: &mut S) {
    let delivery = Delivery::new(worker, timer);
    poll_fn(|cx| {
        // An error while flushing also ends the wait: nothing more can be delivered.
        let flushed = Pin::new(&mut *stream).poll_flush(cx).is_ready();
        if worker.stopping() {
            return Poll::Ready(());
        }
        delivery.poll(cx, worker, timer, stream.socket(), flushed)
    })
    .await;
}
