//! One request on a stream, and its response.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};
use std::{io, mem};

use bytes::{Buf, Bytes};
use elbow_h2::StreamKey;
use elbow_net::Connect;

use super::open::{Destination, connection};
use crate::budget::Charge;
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::exchange::side::{MoveError, Sink, Source, Turn, UpstreamSide};
use crate::h1::response::{self, Response, ResponseError};
use crate::h1::scan::{Found, Scan};
use crate::h1::{Framing, RESPONSE_LIMITS};
use crate::header::trailers::Trailers;
use crate::multiplex::connection::Connection;
use crate::multiplex::head;
use crate::multiplex::incoming::{Failure, Incoming};
use crate::spare::Spare;
use crate::upstream::Outline;

/// Bytes of a request, head and body, that are kept until the target answers, so that it can be sent
/// again when the target never saw it.
const REPLAY_MAX: usize = 16 * 1024;
/// How often a request that the target never saw is sent again.
const REPEATS_MAX: u32 = 3;

/// Opens a further stream.
type Reopening<Io> = Pin<Box<dyn Future<Output = Result<Rc<Connection<Io>>, Error>>>>;

/// How far the end of the request is.
enum End {
    /// More may come.
    Open,
    /// It is to be sent after the body.
    Due(Option<Trailers>),
    Sent,
}

/// A request that is sent, and its response.
pub(crate) struct Request<C: Connect> {
    context: Rc<Context<C>>,
    to: Destination,
    outline: Outline,
    connection: Rc<Connection<C::Io>>,
    stream: StreamKey,
    /// Opens the stream on which the request is sent again.
    reopening: Option<Reopening<C::Io>>,
    repeats: u32,
    /// The request so far, to send it again; `None` once that is not possible.
    replay: Option<Replay>,
    /// Copied, not sent yet, from `rest_at` on.
    rest: Spare,
    rest_at: usize,
    /// Not copied, sent after `rest`.
    part: Bytes,
    end: End,
    scan: Scan,
    found: Option<Found>,
    /// Bytes of the body that the client has room for.
    granted: usize,
    received: u64,
    /// The replay, and the source of further charges.
    charge: Charge,
    /// All of the response has been given away.
    is_ended: bool,
    failure: Option<Error>,
}

/// A request that may have to be sent again.
struct Replay {
    head: Spare,
    body: Spare,
    /// The end of the request, once it was sent.
    end: Option<Option<Trailers>>,
}

impl<C: Connect> Request<C> {
    /// Sends the request `head`, which is one of HTTP/1.1, over `connection`, which has room for it.
    pub(crate) fn new(
        context: Rc<Context<C>>,
        to: Destination,
        connection: Rc<Connection<C::Io>>,
        head: Spare,
        outline: Outline,
        charge: Charge,
    ) -> Result<Self, Error> {
        let stream = connection.open(&outline.head(&head, to.is_tls), charge.another());
        let stream = stream.ok_or(ErrorKind::Internal)?;
        let is_empty = outline.framing == Framing::Empty;
        let spares = Rc::clone(&context.pools.spares);
        Ok(Self {
            context,
            to,
            outline,
            connection,
            stream,
            reopening: None,
            repeats: 0,
            replay: (head.len() <= REPLAY_MAX).then(|| Replay {
                head,
                body: spares.later(),
                end: None,
            }),
            rest: spares.later(),
            rest_at: 0,
            part: Bytes::new(),
            end: if is_empty { End::Sent } else { End::Open },
            scan: Scan::default(),
            found: None,
            granted: 0,
            received: 0,
            charge,
            is_ended: false,
            failure: None,
        })
    }

    fn with<R>(
        &self,
        then: impl FnOnce(&mut Incoming, &mut elbow_h2::Connection) -> R,
    ) -> Result<R, Error> {
        let found = self.connection.stream(self.stream, then);
        found.ok_or_else(|| ErrorKind::Internal.into())
    }

    /// Whether the target refused the request unseen, and it can be sent again.
    fn is_refused(&self) -> bool {
        let refused = self.with(|incoming, _| {
            incoming.failure.as_ref().is_some_and(Failure::may_repeat) && incoming.heads.is_empty()
        });
        self.replay.is_some() && self.repeats < REPEATS_MAX && refused.unwrap_or(false)
    }

    /// Sends the request again on another stream, if it was refused.
    fn poll_repeat(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Error>> {
        if self.reopening.is_none() {
            if !self.is_refused() {
                return Poll::Ready(Ok(()));
            }
            let (context, to) = (Rc::clone(&self.context), self.to.clone());
            self.reopening = Some(Box::pin(async move {
                connection(&context, &to).await.map(|(found, _)| found)
            }));
        }
        if let Some(reopening) = &mut self.reopening {
            let connection = ready!(reopening.as_mut().poll(cx));
            self.reopening = None;
            self.repeat(connection?)?;
            // The rest of the request has to be sent, too.
            cx.waker().wake_by_ref();
        }
        Poll::Ready(Ok(()))
    }

    fn repeat(&mut self, connection: Rc<Connection<C::Io>>) -> Result<(), Error> {
        let Some(replay) = &mut self.replay else {
            return Err(ErrorKind::Internal.into());
        };
        let head = self.outline.head(&replay.head, self.to.is_tls);
        let stream = connection.open(&head, self.charge.another());
        let stream = stream.ok_or(ErrorKind::TargetClosed)?;
        self.connection.close(self.stream);
        self.connection = connection;
        self.stream = stream;
        self.repeats += 1;
        let mut body = mem::replace(&mut replay.body, self.context.pools.spares.later());
        let unsent = self.rest.get(self.rest_at..).unwrap_or_default();
        body.extend_from_slice(unsent);
        self.rest = body;
        self.rest_at = 0;
        if let Some(end) = replay.end.take()
            && self.outline.framing != Framing::Empty
        {
            self.end = End::Due(end);
        }
        Ok(())
    }

    /// Keeps what was sent, to send it again.
    fn sent(replay: &mut Option<Replay>, charge: &Charge, data: &[u8]) {
        let Some(kept) = replay else {
            return;
        };
        let bytes = kept.head.len() + kept.body.len() + data.len();
        if bytes > REPLAY_MAX {
            *replay = None;
            charge.set(0);
            return;
        }
        kept.body.fill();
        kept.body.extend_from_slice(data);
        charge.set(bytes);
    }

    /// Sends what was put, as far as the target takes it; ready when all of it is sent.
    fn poll_send(&mut self, cx: &mut TaskContext<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        let connection = Rc::clone(&self.connection);
        let stream = self.stream;
        let polled = connection.stream(stream, |incoming, h2| {
            if incoming.failure.is_some() {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let mut sent = 0;
            let rest = self.rest.get(self.rest_at..).unwrap_or_default();
            if !rest.is_empty() {
                let n = h2.send_data(stream, rest, false);
                Self::sent(
                    &mut self.replay,
                    &self.charge,
                    rest.get(..n).unwrap_or_default(),
                );
                (self.rest_at, sent) = (self.rest_at + n, sent + n);
            }
            if self.rest_at == self.rest.len() && !self.part.is_empty() {
                let n = h2.send_data(stream, &self.part, false);
                Self::sent(
                    &mut self.replay,
                    &self.charge,
                    self.part.get(..n).unwrap_or_default(),
                );
                self.part.advance(n);
                sent += n;
            }
            if sent > 0 {
                turn.timer.touch();
            }
            if self.rest_at < self.rest.len() || !self.part.is_empty() {
                h2.wait(stream, true);
                incoming.wait(cx);
                return Poll::Pending;
            }
            self.rest.give_back();
            self.rest_at = 0;
            if let End::Due(trailers) = &mut self.end {
                match trailers {
                    Some(trailers) => {
                        let write = |out: &mut elbow_h2::HeadWriter<'_>| {
                            head::write_trailers(trailers, out);
                        };
                        h2.send_head(stream, true, write);
                    }
                    None => h2.end(stream),
                }
                if let Some(replay) = &mut self.replay {
                    replay.end = Some(trailers.take());
                }
                self.end = End::Sent;
            }
            Poll::Ready(Ok(()))
        });
        connection.wake();
        polled.unwrap_or_else(|| Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())))
    }
}

impl<C: Connect> UpstreamSide for Request<C> {
    fn poll_head<K: Sink>(
        &mut self,
        cx: &mut TaskContext<'_>,
        turn: Turn<'_>,
        client: &mut K,
    ) -> Poll<Result<(), Error>> {
        ready!(self.poll_repeat(cx))?;
        if !self.is_drained() {
            // A request that is sent again has been put already. An error shows below.
            let _ = self.poll_send(cx, turn);
        }
        ready!(client.poll_head_room());
        let mut scan = self.scan;
        let polled = self.with(|incoming, _| {
            match scan.advance(&incoming.heads, &RESPONSE_LIMITS) {
                Ok(Some(found)) => return Poll::Ready(Ok(found)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(refused(error.into()))),
            }
            if let Some(failure) = incoming.failure.clone() {
                return Poll::Ready(Err(failure.into()));
            }
            incoming.wait(cx);
            Poll::Pending
        })?;
        self.scan = scan;
        let found = ready!(polled)?;
        turn.timer.touch();
        self.scan = Scan::default();
        self.replay = None;
        self.charge.set(0);
        self.found = Some(found);
        Poll::Ready(Ok(()))
    }

    fn take_head<R>(
        &mut self,
        then: impl FnOnce(&Response<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let Some(found) = self.found.take() else {
            return Err(ErrorKind::Internal.into());
        };
        // Taken out, since `then` may use another stream of a connection.
        let spares = &self.context.pools.spares;
        let (mut heads, is_over) = self.with(|incoming, _| {
            let has_more = !incoming.available().is_empty() || incoming.trailers.is_some();
            let heads = mem::replace(&mut incoming.heads, spares.later());
            (heads, incoming.is_ended && !has_more)
        })?;
        let head = heads.get(found.start..found.end).unwrap_or_default();
        let is_last = is_over && found.end == heads.len();
        let parsed = response::parse(head, found.lines, self.outline.to_head, |response| {
            let framing = match response.framing {
                // A response that is only a head ends with it, as gRPC's Trailers-Only do.
                _ if is_last => Framing::Empty,
                framing => framing,
            };
            then(&Response {
                framing,
                ..*response
            })
        });
        let seen = parsed.map_err(refused)??;
        self.is_ended = is_last;
        heads.drain(..found.end);
        self.with(|incoming, _| incoming.put_back(heads))?;
        Ok(seen)
    }

    fn is_reusable(&self) -> bool {
        // The connection is shared; the stream is not used again.
        false
    }

    fn request_over(&mut self) {}
}

impl<C: Connect> Source for Request<C> {
    fn pass_received<K: Sink>(
        &mut self,
        _cx: &mut TaskContext<'_>,
        _turn: Turn<'_>,
        sink: &mut K,
    ) -> Result<(), Error> {
        if self.is_ended {
            return Ok(());
        }
        let (stream, granted) = (self.stream, mem::take(&mut self.granted));
        let (is_over, trailers, is_due) = self.with(|incoming, h2| {
            let data = incoming.available();
            let n = granted.min(data.len());
            let mut is_due = false;
            if n > 0 {
                sink.put(data.get(..n).unwrap_or_default());
                incoming.consume(n);
                is_due = h2.release(stream, n);
            }
            let is_over = incoming.is_ended && incoming.available().is_empty();
            (is_over, incoming.trailers.take_if(|_| is_over), is_due)
        })?;
        self.received += granted as u64;
        if is_due {
            self.connection.wake();
        }
        if is_over {
            self.is_ended = true;
            sink.end(trailers.as_ref());
        }
        Ok(())
    }

    fn poll_receive<K: Sink>(
        &mut self,
        cx: &mut TaskContext<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Poll<Result<(), MoveError>> {
        let state = self.with(|incoming, _| {
            let available = incoming.available().len();
            if available == 0 && !incoming.is_ended && incoming.failure.is_none() {
                incoming.wait(cx);
                return Poll::Pending;
            }
            let failure = incoming.failure.clone().filter(|_| !incoming.is_ended);
            Poll::Ready((available, failure))
        });
        let (available, failure) = ready!(state.map_err(MoveError::Source)?);
        if available > 0 {
            let room = ready!(sink.poll_room(turn));
            self.granted = room.min(available);
        } else {
            self.failure = failure.map(Error::from);
        }
        turn.timer.touch();
        Poll::Ready(Ok(()))
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    fn is_ended(&self) -> bool {
        self.is_ended
    }

    fn is_awaited(&self) -> bool {
        !self.is_ended
    }

    fn received(&self) -> u64 {
        self.received
    }
}

impl<C: Connect> Sink for Request<C> {
    fn is_ready(&self) -> bool {
        self.reopening.is_none() && self.rest_at == self.rest.len() && self.part.is_empty()
    }

    fn put(&mut self, data: &[u8]) {
        self.rest.fill();
        self.rest.extend_from_slice(data);
    }

    fn put_bytes(&mut self, data: Bytes) {
        self.part = data;
    }

    fn end(&mut self, trailers: Option<&Trailers>) {
        if matches!(self.end, End::Open) {
            let trailers = trailers.filter(|trailers| !trailers.lines().is_empty());
            self.end = End::Due(trailers.cloned());
        }
    }

    fn poll_write(&mut self, cx: &mut TaskContext<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        if self.reopening.is_some() || self.is_refused() {
            // `poll_head` sends the request again.
            return Poll::Pending;
        }
        if self.is_ready() && !matches!(self.end, End::Due(_)) {
            return Poll::Ready(Ok(()));
        }
        self.poll_send(cx, turn)
    }

    fn poll_flush(&mut self, _cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        // The connection writes at the end of the turn.
        Poll::Ready(Ok(()))
    }

    fn is_drained(&self) -> bool {
        self.is_ready() && !matches!(self.end, End::Due(_))
    }
}

impl<C: Connect> Drop for Request<C> {
    fn drop(&mut self) {
        self.connection.close(self.stream);
    }
}

fn refused(error: ResponseError) -> Error {
    let kind = match error {
        ResponseError::TooLarge => ErrorKind::ResponseHeaderTooLarge,
        _ => ErrorKind::BadResponse,
    };
    Error::new(kind, error)
}
