use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::sys::is_acknowledged;
use crate::{Stream, Timer, Worker};

/// Until the next look.
const NEXT_TICK: Duration = Duration::ZERO;

/// The wait until a peer has what was written to it, before a reset that would destroy the rest: RST
/// empties the send queue of its sender.
///
/// The kernel tells nobody that a send queue is empty, so that the wait looks once per tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The tick at which it is given up.
    deadline: u64,
}

impl Delivery {
    /// Begins now, with `timer` for the looks.
    pub(crate) fn new(worker: &Worker, timer: &Timer) -> Self {
        timer.reset(NEXT_TICK);
        Self {
            deadline: worker.timers.deadline(worker.delivery_timeout()),
        }
    }

    /// Ready once everything is `written` to `socket` and acknowledged, once the connection is over,
    /// or at the deadline.
    pub(crate) fn poll(
        self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        socket: &TcpStream,
        written: bool,
    ) -> Poll<()> {
        // What cannot be asked has no queue.
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

/// Waits until the peer of `stream` has acknowledged everything that was written, so that a reset
/// destroys nothing; at most for [`Worker::delivery_timeout`].
pub async fn deliver<S: Stream>(worker: &Worker, timer: &Timer, stream: &mut S) {
    let delivery = Delivery::new(worker, timer);
    poll_fn(|cx| {
        // A stream that cannot be flushed has nothing more to deliver.
        let flushed = Pin::new(&mut *stream).poll_flush(cx).is_ready();
        if worker.stopping() {
            return Poll::Ready(());
        }
        delivery.poll(cx, worker, timer, stream.socket(), flushed)
    })
    .await;
}
