//! One direction of a relay.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::delivery::Delivery;
use crate::transfer::{Transfer, TransferError, is_end};
use crate::{Buffer, Stream, Timer, Worker};

/// One direction.
pub(super) struct Half {
    pub(super) transfer: Transfer,
    pub(super) state: HalfState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HalfState {
    Open,
    /// The reader has ended and everything is written; FIN is next.
    Ending,
    /// FIN is sent.
    Closed,
}

impl Half {
    pub(super) fn new(early: Option<Buffer>) -> Self {
        Self {
            transfer: Transfer::until_end_after(early),
            state: HalfState::Open,
        }
    }

    /// Moves bytes, then FIN. `last` means that the other direction is closed already: plain sockets
    /// are about to be closed, which sends FIN.
    #[allow(clippy::too_many_arguments)] // Called once per direction.
    pub(super) fn poll<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        last: bool,
        count: impl Fn(u64),
    ) -> Poll<Result<(), TransferError>> {
        if self.state == HalfState::Open {
            match self.poll_transfer(cx, worker, timer, from, to, count) {
                Poll::Ready(Ok(())) => self.state = HalfState::Ending,
                Poll::Ready(Err(TransferError::Reader(e))) => {
                    self.state = HalfState::Ending;
                    if !is_end(&e) {
                        return Poll::Ready(Err(TransferError::Reader(e)));
                    }
                }
                other => return other,
            }
        }
        if self.state == HalfState::Ending {
            if !(last && to.plain().is_some()) {
                match Pin::new(to).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(TransferError::Writer(e))),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.state = HalfState::Closed;
        }
        Poll::Ready(Ok(()))
    }

    /// After a failure of `from`: moves the data it sent before, without a FIN. Ready once `to` has
    /// acknowledged it, or never will.
    #[allow(clippy::too_many_arguments)] // Called once per direction.
    pub(super) fn poll_last<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        delivery: Delivery,
        count: impl Fn(u64),
    ) -> Poll<()> {
        if self.state == HalfState::Open {
            match self.poll_transfer(cx, worker, timer, from, to, count) {
                // The failure was already reported, so the stream now just ends.
                Poll::Ready(Ok(()) | Err(TransferError::Reader(_))) => {
                    self.state = HalfState::Ending;
                }
                Poll::Ready(Err(TransferError::Writer(_))) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        let written = self.state != HalfState::Open;
        delivery.poll(cx, worker, timer, to.socket(), written)
    }

    fn poll_transfer<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        count: impl Fn(u64),
    ) -> Poll<Result<(), TransferError>> {
        let before = self.transfer.moved();
        let polled = self.transfer.poll(cx, worker, timer, from, to);
        if self.transfer.moved() > before {
            count(self.transfer.moved() - before);
        }
        polled
    }

    pub(super) fn has_failed_reader(&self) -> bool {
        self.transfer.failure().is_some_and(|e| !is_end(e))
    }
}
