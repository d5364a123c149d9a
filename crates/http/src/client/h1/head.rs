//! The wait for the head of a request.

use std::future::poll_fn;
use std::task::{Context as TaskContext, Poll, ready};

use elbow_model::DesyncMitigationMode;
use elbow_net::{Buffer, Connect, HEAD, Stream, TICK, poll_read_pooled};
use elbow_telemetry::ShedReason;

use super::Connection;
use crate::context::Context;
use crate::error::ErrorKind;
use crate::h1::REQUEST_LIMITS;
use crate::h1::request::Refusal;
use crate::h1::scan::{Found, Scan, ScanError};

/// How the wait for a request ended.
pub(super) enum Next {
    Request(Found),
    /// No request came, so no response is due.
    Over,
    Refused(Refusal),
    /// Part of a head came, and the rest did not.
    Failed(ErrorKind),
}

/// The wait for a head.
#[derive(Default)]
struct Wait {
    scan: Scan,
    /// The tick by which the head must be complete; set once part of it has come.
    deadline: Option<u64>,
}

impl<S: Stream, C: Connect> Connection<S, C> {
    /// Waits for the head of a request.
    pub(super) fn next(&mut self) -> impl Future<Output = Next> {
        self.timer.touch();
        // Boxed, and only once part of a head has come: most heads come whole, and most connections have none.
        let mut begun: Option<Box<Wait>> = None;
        poll_fn(move |cx| {
            let mut first = Wait::default();
            let wait = begun.as_deref_mut().unwrap_or(&mut first);
            let next = self.poll_next(cx, wait);
            if wait.deadline.is_some() {
                if next.is_ready() {
                    self.timer.reset(self.attributes.idle_timeout);
                } else if begun.is_none() {
                    begun = Some(Box::new(first));
                }
            }
            next
        })
    }

    fn poll_next(&mut self, cx: &mut TaskContext<'_>, wait: &mut Wait) -> Poll<Next> {
        let mut has_news = false;
        loop {
            if let Some(input) = &mut self.input {
                let scanned = wait.scan.advance(input, &REQUEST_LIMITS);
                // First of all, so that nothing depends on how much of the rest has come.
                if self.context.http09
                    && let Some(found) = wait.scan.simple_request(input)
                    && !is_strictest(&self.context)
                {
                    return Poll::Ready(Next::Request(found));
                }
                match scanned {
                    Ok(Some(found)) => return Poll::Ready(Next::Request(found)),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Next::Refused(error.into())),
                }
                if wait.scan.is_empty() {
                    // Only empty lines came: give the buffer back.
                    (self.input, wait.scan) = (None, Scan::default());
                    continue;
                }
                if let Err(next) = make_room(input, &self.context) {
                    return Poll::Ready(next);
                }
            }
            let buffers = &self.context.worker.buffers;
            match poll_read_pooled(cx, buffers, &mut self.io, &mut self.input) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::Over),
                Poll::Ready(Ok(_)) => {
                    self.timer.touch();
                    has_news = true;
                }
                Poll::Pending => break,
            }
        }
        let idle = self.input.is_none();
        let worker = &self.context.worker;
        if worker.stopping() || idle && worker.closes_idle() {
            return Poll::Ready(Next::Over);
        }
        // Part of a head may also be left of what came with the last request.
        if !idle && (has_news || wait.deadline.is_none()) {
            self.await_rest(&mut wait.deadline);
        }
        ready!(self.timer.poll_expired(cx));
        Poll::Ready(if idle {
            Next::Over
        } else {
            Next::Failed(ErrorKind::RequestTimeout)
        })
    }

    /// Sets the timer for the rest of a head: the idle timeout, but never later than `deadline`,
    /// however steadily bytes arrive.
    fn await_rest(&self, deadline: &mut Option<u64>) {
        let now = self.context.worker.timers.now();
        let deadline = *deadline.get_or_insert_with(|| {
            let timeout = (self.context.listener)().attributes.request_header_timeout;
            let ticks = timeout.as_millis() / TICK.as_millis();
            now.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
        });
        let left = u32::try_from(deadline.saturating_sub(now)).unwrap_or(u32::MAX);
        self.timer
            .reset(self.attributes.idle_timeout.min(TICK * left));
    }
}

/// Whether a request of HTTP/0.9 is malformed.
fn is_strictest<C: Connect>(context: &Context<C>) -> bool {
    (context.listener)().attributes.desync_mitigation_mode == DesyncMitigationMode::Strictest
}

/// Makes room for more of a head, or returns why that fails.
fn make_room<C: Connect>(input: &mut Buffer, context: &Context<C>) -> Result<(), Next> {
    if input.room() > 0 {
        return Ok(());
    }
    input.compact();
    if input.room() > 0 {
        return Ok(());
    }
    if input.capacity() >= HEAD {
        return Err(Next::Refused(ScanError::HeadTooLong.into()));
    }
    let Some(mut larger) = context.worker.buffers.take_head() else {
        context.metrics.shed(ShedReason::Buffers);
        return Err(Next::Failed(ErrorKind::NoBuffer));
    };
    larger.extend(input);
    *input = larger;
    Ok(())
}
