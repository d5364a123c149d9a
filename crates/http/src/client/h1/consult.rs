//! The wait for an identity provider.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use elbow_auth::{Advice, Consultation};
use elbow_net::{Connect, Stream};

use super::Connection;
use crate::error::ErrorKind;

impl<S: Stream, C: Connect> Connection<S, C> {
    /// Asks an identity provider. The request has a timeout of its own; the idle timeout restarts after it.
    pub(super) async fn consult(
        &mut self,
        consultation: Consultation,
    ) -> Result<Advice, ErrorKind> {
        let mut advice = pin!(consultation.run());
        let advice = poll_fn(|cx| {
            if let Poll::Ready(advice) = advice.as_mut().poll(cx) {
                return Poll::Ready(Ok(advice));
            }
            // Polled for the waker: a worker that stops wakes the owners of all timers.
            while self.timer.poll_expired(cx).is_ready() {
                self.timer.touch();
            }
            if self.context.worker.stopping() {
                return Poll::Ready(Err(ErrorKind::Stopping));
            }
            Poll::Pending
        })
        .await;
        self.timer.touch();
        advice
    }
}
