//! The client side of HTTP/1.x: one task per connection, request after request.

mod consult;
mod head;
mod response;
mod side;
mod upgrade;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use elbow_auth::Advice;
use elbow_model::LoadBalancerAttributes;
use elbow_net::{Buffer, ConnMeta, Connect, Stream, Timer, deliver};

use crate::context::Context;
use crate::decide::forward::Forward;
use crate::error::{Error, ErrorKind};
use crate::exchange::prepare::{ClientRequest, Plan, prepare};
use crate::exchange::side::Turn;
use crate::exchange::{Ended, Exchange};
use crate::h1::Framing;
use crate::h1::request::{self, Refusal};
use crate::h1::scan::Found;
use crate::header::date::unix_now;
use crate::listener::Listener;
use crate::page::LocalResponse;
use crate::record::Record;
use crate::spare::Spare;
use crate::upstream;
use crate::upstream::target;
use head::Next;
use side::{Facts, Side};

/// How long a client that got an early response may go on sending. A reset before that could
/// destroy the response on its way.
const LINGER: Duration = Duration::from_secs(5);

/// A client connection.
pub(crate) struct Connection<S, C: Connect> {
    pub(crate) context: Rc<Context<C>>,
    pub(crate) io: S,
    pub(crate) meta: ConnMeta,
    /// The connection's id in the access log.
    pub(crate) id: u64,
    /// The idle timeout, for the client and the target.
    pub(crate) timer: Timer,
    /// As they were at accept: the idle timeout and the client keep-alive duration of a connection do not change.
    attributes: Arc<LoadBalancerAttributes>,
    /// Received and not yet used.
    pub(crate) input: Option<Buffer>,
}

/// What happens to the connection after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The next request may come.
    Keep,
    /// The connection is closed.
    Close,
    /// As [`Fate::Close`], but the client may still be sending.
    Linger,
    /// It is dropped without an orderly close.
    Drop,
}

impl<S: Stream, C: Connect> Connection<S, C> {
    /// A connection that was just accepted.
    pub(crate) fn new(context: Rc<Context<C>>, io: S, meta: ConnMeta, id: u64) -> Self {
        let attributes = Arc::clone(&(context.listener)().attributes);
        Self {
            timer: context.worker.timers.timer(attributes.idle_timeout),
            attributes,
            id,
            input: None,
            context,
            io,
            meta,
        }
    }

    /// Serves requests until the connection ends.
    pub(crate) async fn run(&mut self) {
        // Boxed, except for the wait: most connections wait most of the time.
        loop {
            let fate = match self.next().await {
                Next::Request(found) => Box::pin(self.request(found)).await,
                Next::Over => Fate::Close,
                Next::Refused(refusal) => Box::pin(self.refuse_head(refusal)).await,
                Next::Failed(kind) => Box::pin(self.fail_head(kind)).await,
            };
            match fate {
                Fate::Keep => {}
                // Unread bytes behind the last request would make the close a reset.
                Fate::Close if self.input.is_some() => return Box::pin(self.linger()).await,
                // The close of a plain socket ends its sending direction, too.
                Fate::Close if self.io.plain().is_some() => return,
                Fate::Close => return self.shutdown().await,
                Fate::Linger => return Box::pin(self.linger()).await,
                Fate::Drop => return,
            }
        }
    }

    /// Serves one request.
    async fn request(&mut self, found: Found) -> Fate {
        let context = Rc::clone(&self.context);
        let listener = (context.listener)();
        let mut record = Record::new(Instant::now(), found.end as u64);
        let mut out = context.pools.spares.take();
        let mut parsed = self.parse(found, None, &listener, &mut record, &mut out);
        while let Ok((facts, Ok(Plan::Consult(consultation)))) = parsed {
            // The head stays in the input, and is read again.
            parsed = match Box::pin(self.consult(consultation)).await {
                Ok(advice) => self.parse(found, Some(&advice), &listener, &mut record, &mut out),
                Err(kind) => Ok((facts, Err(kind.into()))),
            };
        }
        if let Some(mut input) = self.input.take() {
            input.consume(found.end);
            // Whatever follows a large head fits into a small buffer again.
            self.input = Some(input).filter(|i| !i.is_empty()).map(Buffer::shrink);
        }
        match parsed {
            Err(refusal) => self.refuse(refusal, &listener, record).await,
            Ok((facts, Ok(Plan::Forward(forward)))) => {
                self.forward(facts, forward, out, &listener, record).await
            }
            Ok((facts, Ok(Plan::Answer(response)))) => {
                record.status = Some(response.status);
                self.answer(&response, Some(facts), &listener, record).await
            }
            Ok((facts, Ok(Plan::Consult(_)))) => {
                let error = ErrorKind::Internal.into();
                self.fail(error, facts, &listener, record).await
            }
            Ok((facts, Err(error))) => self.fail(error, facts, &listener, record).await,
        }
    }

    /// Parses and decides. Synchronous, so that the head need not be kept.
    fn parse(
        &self,
        found: Found,
        advice: Option<&Advice>,
        listener: &Listener,
        record: &mut Record,
        out: &mut Vec<u8>,
    ) -> Result<(Facts, Result<Plan, Error>), Refusal> {
        let input = self.input.as_deref().unwrap_or_default();
        let head = input.get(found.start..found.end).unwrap_or_default();
        let mode = listener.attributes.desync_mitigation_mode;
        request::parse(head, found.lines, mode, |request| {
            record.verdict = request.verdict;
            let mut facts = Facts::of(request);
            facts.closes = request.verdict.closes(mode);
            facts.keep &= !self.is_last(record.started);
            facts.pass(&listener.attributes, &request.head);
            facts.websocket &= listener.has_websocket();
            let incoming = ClientRequest {
                head: &request.head,
                meta: &self.meta,
                framing: request.framing,
                websocket: facts.websocket,
                refused: request.refused,
                advice,
            };
            let planned = prepare(&self.context, listener, &incoming, record, out);
            (facts, planned)
        })
    }

    /// Whether a request that arrives at `now` is the connection's last one.
    fn is_last(&self, now: Instant) -> bool {
        self.context.worker.draining()
            || now.saturating_duration_since(self.meta.accepted)
                >= self.attributes.client_keep_alive
    }

    /// Forwards a request and sends its response.
    async fn forward(
        &mut self,
        facts: Facts,
        mut forward: Forward,
        head: Spare,
        listener: &Arc<Listener>,
        mut record: Record,
    ) -> Fate {
        if facts.expects_continue && facts.framing != Framing::Empty {
            // Before any contact with the target (parity 1.11), also to a client that has begun to
            // send its body.
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            record.sent += interim.len() as u64;
            record.sent_heads += interim.len() as u64;
            if self.write(interim).await.is_err() {
                return self.gone(ErrorKind::ClientGone.into(), listener, record);
            }
        }
        let context = Rc::clone(&self.context);
        let reached = match target::reach(&context, listener, &mut forward, &mut record).await {
            Ok(reached) => reached,
            Err(error) => return self.fail(error, facts, listener, record).await,
        };
        let additions = forward.additions(listener, unix_now());
        let spares = &context.pools.spares;
        let client = Side::new(&mut self.io, &mut self.input, facts, spares);
        let upstream = upstream::Request::new(
            reached,
            head,
            facts.framing,
            facts.to_head,
            facts.takes_trailers,
        );
        let mut exchange =
            Exchange::new(client, upstream, forward.in_flight, additions, facts.closes);
        self.timer.touch();
        let turn = Turn {
            worker: &context.worker,
            timer: &self.timer,
        };
        let ended = poll_fn(|cx| exchange.poll(cx, turn)).await;
        record.received += exchange.received();
        let sent = exchange.client.sent();
        record.sent += sent;
        record.sent_heads += sent.min(exchange.client.head_size);
        record.answered = exchange.answered;
        record.target_status = exchange.status;
        record.status = exchange.status;
        // What a client of HTTP/0.9 still sends does not count.
        let read = exchange.is_request_read() && !facts.http09;
        match ended {
            Ended::Complete => {
                let keep = exchange.client.keeps;
                let (upstream, _, reusable) = exchange.into_upstream();
                if reusable {
                    let (connection, _) = upstream.into_connection();
                    target::give_back(&context, connection, listener);
                }
                record.finish(&context, listener, &self.meta, self.id);
                match (keep, read) {
                    (true, _) => Fate::Keep,
                    (false, true) => Fate::Close,
                    (false, false) => Fate::Linger,
                }
            }
            Ended::Switched => {
                let (upstream, in_flight, _) = exchange.into_upstream();
                let (target, early) = upstream.into_connection();
                record.websocket = true;
                upgrade::relay(self, target.io, early, &in_flight, listener, record).await;
                Fate::Drop
            }
            Ended::Failed(error) if error.kind == ErrorKind::ClientGone => {
                drop(exchange);
                self.gone(error, listener, record)
            }
            Ended::Failed(error) => {
                let facts = Facts {
                    keep: facts.keep && read,
                    framing: if read { Framing::Empty } else { facts.framing },
                    ..facts
                };
                drop(exchange);
                self.fail(error, facts, listener, record).await
            }
            Ended::Cut(error) => {
                let is_client_gone = error.kind == ErrorKind::ClientGone;
                record.cut(error);
                record.finish(&context, listener, &self.meta, self.id);
                drop(exchange);
                if !is_client_gone {
                    // The client still gets what was written of the response.
                    deliver(&context.worker, &self.timer, &mut self.io).await;
                    if facts.http10 {
                        // The body ends with the connection, so a FIN would look like its end.
                        self.io.reset_on_close();
                    }
                }
                Fate::Drop
            }
        }
    }

    /// Answers a request that failed.
    async fn fail(
        &mut self,
        error: Error,
        facts: Facts,
        listener: &Listener,
        mut record: Record,
    ) -> Fate {
        let facts = Facts {
            keep: facts.keep && !error.kind.closes_client(),
            ..facts
        };
        let page = listener.error_page(error.kind);
        record.fail(error, listener);
        self.answer(&page, Some(facts), listener, record).await
    }

    /// Records a client that went away.
    fn gone(&self, error: Error, listener: &Listener, mut record: Record) -> Fate {
        record.fail(error, listener);
        record.finish(&self.context, listener, &self.meta, self.id);
        Fate::Drop
    }

    /// Answers a head that broke a limit before its end.
    async fn refuse_head(&mut self, refusal: Refusal) -> Fate {
        let listener = (self.context.listener)();
        let record = Record::new(Instant::now(), self.discard());
        self.refuse(refusal, &listener, record).await
    }

    /// Answers a head that cannot be parsed.
    async fn refuse(&mut self, refusal: Refusal, listener: &Listener, mut record: Record) -> Fate {
        record.verdict = refusal.verdict;
        let status = record.fail(refusal.kind.into(), listener);
        self.answer(&listener.page(status), None, listener, record)
            .await
    }

    /// Answers a head whose rest did not come.
    async fn fail_head(&mut self, kind: ErrorKind) -> Fate {
        let listener = (self.context.listener)();
        let mut record = Record::new(Instant::now(), self.discard());
        let status = record.fail(kind.into(), &listener);
        self.answer(&listener.page(status), None, &listener, record)
            .await
    }

    /// Drops the bytes received, and returns their number.
    fn discard(&mut self) -> u64 {
        self.input.take().map_or(0, |input| input.len() as u64)
    }

    /// Sends a response of our own. Without `facts` the request is unknown, so the connection
    /// ends.
    async fn answer(
        &mut self,
        response: &LocalResponse,
        facts: Option<Facts>,
        listener: &Listener,
        mut record: Record,
    ) -> Fate {
        let http09 = facts.is_some_and(|facts| facts.http09);
        let read = !http09 && facts.is_some_and(|facts| self.skip_body(facts.framing, &mut record));
        let keep = read && facts.is_some_and(|facts| facts.keep && !facts.closes);
        let to_head = facts.is_some_and(|facts| facts.to_head);
        let mut out = self.context.pools.spares.take();
        let date = self.context.pools.date.now();
        let fields = listener.response_fields.as_deref();
        response.write_h1(&mut out, &date, to_head, !keep, fields);
        let body = if to_head { 0 } else { response.body.len() };
        if http09 {
            let head = out.len().saturating_sub(body);
            out.drain(..head);
        }
        self.timer.touch();
        let written = self.write(&out).await;
        record.sent += out.len() as u64;
        record.sent_heads += out.len().saturating_sub(body) as u64;
        record.finish(&self.context, listener, &self.meta, self.id);
        match (written, keep, read) {
            (Err(_), _, _) => Fate::Drop,
            (Ok(()), true, _) => Fate::Keep,
            (Ok(()), false, true) => Fate::Close,
            (Ok(()), false, false) => Fate::Linger,
        }
    }

    /// Drops the request body if all of it is here; false otherwise.
    fn skip_body(&mut self, framing: Framing, record: &mut Record) -> bool {
        let Framing::Length(length) = framing else {
            return framing == Framing::Empty;
        };
        let Some(input) = &mut self.input else {
            return false;
        };
        let Some(length) = usize::try_from(length).ok().filter(|n| *n <= input.len()) else {
            return false;
        };
        record.received += length as u64;
        input.consume(length);
        if input.is_empty() {
            self.input = None;
        }
        true
    }

    /// Writes all of `bytes` to the client, within the idle timeout.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        poll_fn(|cx| {
            while !rest.is_empty() {
                match Pin::new(&mut self.io).poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(n)) => {
                        self.timer.touch();
                        rest = rest.get(n..).unwrap_or_default();
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {
                        ready!(self.poll_given_up(cx));
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                }
            }
            match Pin::new(&mut self.io).poll_flush(cx) {
                Poll::Ready(done) => Poll::Ready(done),
                Poll::Pending => {
                    ready!(self.poll_given_up(cx));
                    Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                }
            }
        })
        .await
    }

    /// Closes the sending direction.
    async fn shutdown(&mut self) {
        self.timer.reset(LINGER);
        let _ = poll_fn(|cx| match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => {
                ready!(self.poll_given_up(cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        })
        .await;
    }

    /// Ready when waiting for the client ends: by the idle timeout, or because the worker stops.
    fn poll_given_up(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.context.worker.stopping() {
            return Poll::Ready(());
        }
        self.timer.poll_expired(cx)
    }

    /// Closes the sending direction, and reads on until the client closes.
    async fn linger(&mut self) {
        self.shutdown().await;
        self.input = None;
        let worker = Rc::clone(&self.context.worker);
        poll_fn(|cx| {
            let mut buffer = worker.buffers.take_large();
            loop {
                match buffer.poll_read(cx, &mut self.io, usize::MAX) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(_)) => buffer.clear(),
                    Poll::Pending => return self.poll_given_up(cx),
                }
            }
        })
        .await;
    }
}
