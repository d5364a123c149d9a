//! One request and its response between a client and a target, whatever versions of HTTP they speak.

pub(crate) mod body;
pub(crate) mod prepare;
pub(crate) mod side;

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use elbow_balance::InFlight;

use crate::error::{Error, ErrorKind, Side};
use crate::outgoing::additions::Additions;
use side::{ClientSide, MoveError, Sink, Source, Turn, UpstreamSide};

/// Parts of a body that one poll moves; then other connections get their turn.
const ROUNDS: usize = 8;

/// Interim responses that a target may send before the final one.
const INTERIM_MAX: u32 = 10_000;

/// How much of the request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Sending,
    Sent,
    /// The target takes no more of it; it may have answered before.
    Refused,
}

/// A request on its way from a client to a target, and its response on the way back.
pub(crate) struct Exchange<C, U> {
    pub(crate) client: C,
    pub(crate) upstream: U,
    in_flight: InFlight,
    additions: Additions,
    /// Both connections end after this request.
    closes: bool,
    upload: Upload,
    /// Interim responses so far.
    interim: u32,
    /// The target's status, once the head of the response is here.
    pub(crate) status: Option<u16>,
    /// When that head was complete.
    pub(crate) answered: Option<Instant>,
}

/// How an exchange ended.
pub(crate) enum Ended {
    /// The response is with the client.
    Complete,
    /// The target agreed to the upgrade, and the head that says so is with the client.
    Switched,
    /// Nothing of a response is with the client.
    Failed(Error),
    /// Part of a response is with the client: all that is left is to cut the connection.
    Cut(Error),
}

impl<C: ClientSide, U: UpstreamSide> Exchange<C, U> {
    /// An exchange between `client` and `upstream`, which has the head of the request. Both
    /// connections end after it when `closes`.
    pub(crate) fn new(
        client: C,
        upstream: U,
        in_flight: InFlight,
        additions: Additions,
        closes: bool,
    ) -> Self {
        Self {
            client,
            upstream,
            in_flight,
            additions,
            closes,
            upload: Upload::Sending,
            interim: 0,
            status: None,
            answered: None,
        }
    }

    /// Bytes of the request's body received from the client, with their framing.
    pub(crate) fn received(&self) -> u64 {
        self.client.received()
    }

    /// Whether all of the request has been read from the client.
    pub(crate) fn is_request_read(&self) -> bool {
        self.upload == Upload::Sent
    }

    /// The upstream side, the guard of the target, and whether the connection may serve another
    /// request: a request that was not sent to its end cannot be followed by another.
    pub(crate) fn into_upstream(self) -> (U, InFlight, bool) {
        let reusable = !self.closes && self.upload == Upload::Sent && self.upstream.is_reusable();
        (self.upstream, self.in_flight, reusable)
    }

    /// Drives both directions until the exchange is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<Ended> {
        if self.in_flight.is_terminated() {
            return Poll::Ready(self.failed(ErrorKind::TargetCut.into()));
        }
        if turn.worker.stopping() {
            return Poll::Ready(self.failed(ErrorKind::Stopping.into()));
        }
        if self.upload == Upload::Sending
            && let Poll::Ready(Err(error)) = self.poll_upload(cx, turn)
        {
            return Poll::Ready(self.failed(error));
        }
        if self.status.is_none() {
            match self.poll_head(cx, turn) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(self.failed(error)),
                Poll::Pending => {
                    if let Poll::Ready(Err(e)) = self.poll_interim(cx, turn) {
                        let error = Error::new(ErrorKind::ClientGone, e);
                        return Poll::Ready(Ended::Failed(error));
                    }
                }
            }
        }
        if let Some(status) = self.status {
            match poll_move(cx, turn, &mut self.upstream, &mut self.client) {
                Poll::Ready(Ok(())) if status == 101 => return Poll::Ready(Ended::Switched),
                Poll::Ready(Ok(())) => return Poll::Ready(Ended::Complete),
                Poll::Ready(Err(MoveError::Source(error))) => {
                    return Poll::Ready(self.failed(error));
                }
                Poll::Ready(Err(MoveError::Sink(e))) => {
                    return Poll::Ready(Ended::Cut(Error::new(ErrorKind::ClientGone, e)));
                }
                Poll::Pending => {}
            }
        } else if self.upload == Upload::Sent && self.client.is_gone(cx, turn) {
            return Poll::Ready(Ended::Failed(ErrorKind::ClientGone.into()));
        }
        if self.client.is_blocked() {
            turn.timer.touch();
        }
        turn.timer.poll_expired(cx).map(|()| self.timed_out())
    }

    fn poll_upload(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<Result<(), Error>> {
        match ready!(poll_move(cx, turn, &mut self.client, &mut self.upstream)) {
            Ok(()) => self.upload = Upload::Sent,
            // A target may answer early and close: its response is what counts.
            Err(MoveError::Sink(error)) => {
                tracing::debug!(%error, "target takes no more of the request");
                self.upload = Upload::Refused;
            }
            Err(MoveError::Source(error)) => return Poll::Ready(Err(error)),
        }
        self.client.request_over();
        self.upstream.request_over();
        Poll::Ready(Ok(()))
    }

    /// Receives until the head of the final response is here; the client sees the others, too.
    fn poll_head(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<Result<(), Error>> {
        while self.status.is_none() {
            ready!(self.upstream.poll_head(cx, turn, &mut self.client))?;
            // A response to half a request leaves the rest of the request in the way.
            let may_keep = self.upload == Upload::Sent && !self.closes && !turn.worker.draining();
            let (client, additions) = (&mut self.client, &self.additions);
            let status = self.upstream.take_head(|response| {
                match response.status {
                    101 if response.websocket && client.switch(response, additions) => {}
                    // Nobody asked for this protocol.
                    101 => return Err(ErrorKind::BadResponse.into()),
                    ..200 => {
                        client.interim(response, additions);
                        return Ok(None);
                    }
                    _ => client.respond(response, may_keep, additions)?,
                }
                Ok(Some(response.status))
            })?;
            self.status = status;
            if status.is_some_and(is_failure) {
                self.in_flight.target().count_failure();
            }
            if status.is_none() {
                self.interim += 1;
            }
            if self.interim > INTERIM_MAX {
                return Poll::Ready(Err(Error::new(
                    ErrorKind::BadResponse,
                    "too many interim responses",
                )));
            }
        }
        self.answered = Some(Instant::now());
        Poll::Ready(Ok(()))
    }

    /// Sends the interim responses that the client takes.
    fn poll_interim(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        ready!(self.client.poll_write(cx, turn))?;
        self.client.poll_flush(cx)
    }

    fn failed(&self, error: Error) -> Ended {
        // A status of 500 or more is counted already; a request that was cut here is no fault of the target.
        let is_counted = self.status.is_some_and(is_failure) || error.kind == ErrorKind::TargetCut;
        if error.side == Side::Target && !is_counted {
            self.in_flight.target().count_failure();
        }
        if self.client.is_response_begun() {
            Ended::Cut(error)
        } else {
            Ended::Failed(error)
        }
    }

    /// Nothing has moved for the idle timeout.
    fn timed_out(&self) -> Ended {
        let waits_for_client = self.upload == Upload::Sending
            && self.upstream.is_drained()
            && self.client.is_awaited();
        let kind = if waits_for_client {
            ErrorKind::BodyTimeout
        } else {
            ErrorKind::TargetTimeout
        };
        self.failed(kind.into())
    }
}

/// Whether a response with this status counts as a failure of its target.
fn is_failure(status: u16) -> bool {
    status >= 500
}

/// Moves what can be moved now of a message; ready when all of it is written and flushed.
fn poll_move<R: Source, K: Sink>(
    cx: &mut Context<'_>,
    turn: Turn<'_>,
    source: &mut R,
    sink: &mut K,
) -> Poll<Result<(), MoveError>> {
    for _ in 0..ROUNDS {
        // What came with a head, or just after it, is sent with it.
        if sink.is_ready() {
            source
                .pass_received(cx, turn, sink)
                .map_err(MoveError::Source)?;
        }
        ready!(sink.poll_write(cx, turn)).map_err(MoveError::Sink)?;
        if source.has_failed() {
            ready!(sink.poll_flush(cx)).map_err(MoveError::Sink)?;
        }
        if let Some(error) = source.take_failure() {
            return Poll::Ready(Err(MoveError::Source(error)));
        }
        if source.is_ended() {
            return sink.poll_flush(cx).map_err(MoveError::Sink);
        }
        let Poll::Ready(received) = source.poll_receive(cx, turn, sink) else {
            // What was written must not wait for what is yet to come.
            let _ = sink.poll_flush(cx).map_err(MoveError::Sink)?;
            return Poll::Pending;
        };
        received?;
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}
