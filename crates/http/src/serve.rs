//! The client side of HTTP/1.x: one task per connection, request after request.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::{Duration, Instant};

use elbow_net::{Buffer, ConnMeta, Connect, HEAD, Stream, TICK, Timer, deliver, poll_read_pooled};
use elbow_telemetry::ShedReason;

use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Ended, Exchange, Facts, Near};
use crate::h1::request::{self, Refusal};
use crate::h1::scan::{Found, Scan, ScanError};
use crate::h1::{Framing, REQUEST_LIMITS};
use crate::listener::Listener;
use crate::page::LocalResponse;
use crate::plan::{Asked, Forward, Plan, plan};
use crate::pool::Spare;
use crate::record::{Notes, Record};
use crate::target::Reached;
use crate::{target, upgrade};

/// How long a client that was answered early may go on sending before the connection is reset,
/// which could destroy the answer on its way.
const LINGER: Duration = Duration::from_secs(5);

/// A client connection.
pub(crate) struct Connection<S, C: Connect> {
    pub(crate) context: Rc<Context<C>>,
    pub(crate) io: S,
    pub(crate) meta: ConnMeta,
    /// For the log.
    pub(crate) id: u64,
    /// The idle timeout, of client and target alike.
    pub(crate) timer: Timer,
    /// From accept on; fixed then.
    keep_alive: Duration,
    /// As long as the connection; fixed at accept.
    idle_timeout: Duration,
    /// Read and not yet used.
    pub(crate) input: Option<Buffer>,
}

/// What the wait for a request ended in.
enum Next {
    Request(Found),
    /// Nothing was asked, so nothing is answered.
    Over,
    Refused(Refusal),
    /// Part of a head, and no more of it.
    Failed(ErrorKind),
}

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The next request may come.
    Keep,
    /// Nothing more is to be said.
    Close,
    /// As [`Fate::Close`], but the client may still be sending.
    Linger,
    /// It cannot be ended in order.
    Drop,
}

impl<S: Stream, C: Connect> Connection<S, C> {
    /// A connection that was just accepted.
    pub(crate) fn new(context: Rc<Context<C>>, io: S, meta: ConnMeta) -> Self {
        let attributes = Arc::clone(&(context.listener)().attributes);
        Self {
            timer: context.worker.timers.timer(attributes.idle_timeout),
            keep_alive: attributes.client_keep_alive,
            idle_timeout: attributes.idle_timeout,
            id: context.worker.random(),
            input: None,
            context,
            io,
            meta,
        }
    }

    /// Serves it until it is over.
    pub(crate) async fn run(&mut self) {
        // All but the wait is in boxes: most of the time most connections wait.
        loop {
            let fate = match self.next().await {
                Next::Request(found) => Box::pin(self.request(found)).await,
                Next::Over => Fate::Close,
                Next::Refused(refusal) => Box::pin(self.refuse(refusal)).await,
                Next::Failed(kind) => Box::pin(self.fail_head(kind)).await,
            };
            match fate {
                Fate::Keep => {}
                // What the client has sent behind its last request must not reset the answer.
                Fate::Close if self.input.is_some() => return Box::pin(self.linger()).await,
                Fate::Close => return self.shutdown().await,
                Fate::Linger => return Box::pin(self.linger()).await,
                Fate::Drop => return,
            }
        }
    }

    /// Waits for the head of a request.
    async fn next(&mut self) -> Next {
        self.timer.touch();
        let mut scan = Scan::default();
        // When the head has to be complete; set once part of it has come alone.
        let mut deadline = None;
        let mut has_news = true;
        let next = poll_fn(|cx| {
            loop {
                if let Some(input) = &mut self.input {
                    match scan.advance(input, &REQUEST_LIMITS) {
                        Ok(Some(found)) => return Poll::Ready(Next::Request(found)),
                        Ok(None) => {}
                        Err(error) => return Poll::Ready(Next::Refused(error.into())),
                    }
                    if scan.is_empty() {
                        // Empty lines alone: nothing to hold a buffer for.
                        (self.input, scan) = (None, Scan::default());
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
            if worker.stopping() || idle && worker.draining() {
                return Poll::Ready(Next::Over);
            }
            if std::mem::take(&mut has_news) && !idle {
                self.await_rest(&mut deadline);
            }
            ready!(self.timer.poll_expired(cx));
            Poll::Ready(match idle {
                true => Next::Over,
                false => Next::Failed(ErrorKind::RequestTimeout),
            })
        })
        .await;
        if deadline.is_some() {
            self.timer.reset(self.idle_timeout);
        }
        next
    }

    /// Waits for the rest of a head, part of which has just come: until `deadline` at most, however
    /// steadily the bytes come.
    fn await_rest(&self, deadline: &mut Option<u64>) {
        let now = self.context.worker.timers.now();
        let deadline = *deadline.get_or_insert_with(|| {
            let timeout = (self.context.listener)().attributes.request_header_timeout;
            let ticks = timeout.as_millis() / TICK.as_millis();
            now.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
        });
        let left = u32::try_from(deadline.saturating_sub(now)).unwrap_or(u32::MAX);
        self.timer.reset(self.idle_timeout.min(TICK * left));
    }

    /// Serves one request.
    async fn request(&mut self, found: Found) -> Fate {
        let context = Rc::clone(&self.context);
        let listener = (context.listener)();
        let mut record = Record::new(Instant::now(), found.end as u64);
        let mut out = context.pools.spares.take();
        let parsed = self.parse(found, &listener, &mut record, &mut out);
        if let Some(mut input) = self.input.take() {
            input.consume(found.end);
            // What follows a large head fits a small buffer, since that was too small for the head.
            self.input = Some(input).filter(|i| !i.is_empty()).map(Buffer::shrink);
        }
        match parsed {
            Err(refusal) => {
                let status = listener.status(refusal.status);
                record.verdict = refusal.verdict;
                record.status = Some(status);
                self.answer(&listener.page(status), None, &listener, record)
                    .await
            }
            Ok((facts, Ok(Plan::Forward(forward)))) => {
                self.forward(facts, forward, out, &listener, record).await
            }
            Ok((facts, Ok(Plan::Answer(response)))) => {
                record.status = Some(response.status);
                self.answer(&response, Some(facts), &listener, record).await
            }
            Ok((facts, Err(error))) => self.fail(error, facts, &listener, record).await,
        }
    }

    /// Parses and decides; synchronous, so that nothing of the head has to be kept.
    fn parse(
        &self,
        found: Found,
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
            facts.websocket &= !listener.classic;
            if let Some(status) = listener.refusal(&request.head).or(request.refused) {
                if self.context.log.is_some() {
                    let spare = self.context.pools.spares.take();
                    record.notes = Some(Notes::take(spare, &request.head, listener));
                }
                facts.keep &= status == 405;
                return (facts, Err(refused(status, request.verdict.blocked(mode))));
            }
            let asked = Asked {
                listener,
                meta: &self.meta,
                framing: request.framing,
                websocket: facts.websocket,
            };
            let planned = plan(&self.context, &request.head, &asked, record, out);
            (facts, planned)
        })
    }

    /// Whether no further request is taken after one that came at `now`.
    fn is_last(&self, now: Instant) -> bool {
        self.context.worker.draining()
            || now.saturating_duration_since(self.meta.accepted) >= self.keep_alive
    }

    /// Sends a request on and its response back.
    async fn forward(
        &mut self,
        facts: Facts,
        mut forward: Forward,
        head: Spare,
        listener: &Arc<Listener>,
        mut record: Record,
    ) -> Fate {
        if facts.expects_continue && facts.framing != Framing::Empty && self.input.is_none() {
            // Before any contact with the target (parity 1.11); a client that has begun to send
            // its body does not wait for this.
            let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
            record.sent += interim.len() as u64;
            record.sent_heads += interim.len() as u64;
            if self.write(interim).await.is_err() {
                return self.gone(ErrorKind::ClientGone.into(), listener, record);
            }
        }
        let context = Rc::clone(&self.context);
        let Reached { io, key } = match target::reach(&context, &mut forward, &mut record).await {
            Ok(reached) => reached,
            Err(error) => return self.fail(error, facts, listener, record).await,
        };
        let spares = Rc::clone(&context.pools.spares);
        let additions = forward.additions(listener);
        let mut exchange = Exchange::new(facts, forward.in_flight, io, head, spares, additions);
        self.timer.touch();
        let ended = {
            let mut near = Near {
                worker: &context.worker,
                timer: &self.timer,
                io: &mut self.io,
                input: &mut self.input,
            };
            poll_fn(|cx| exchange.poll(cx, &mut near)).await
        };
        record.received += exchange.received();
        record.sent += exchange.sent();
        record.sent_heads += exchange.sent().min(exchange.head_size);
        record.answered = exchange.answered;
        record.target_status = exchange.status;
        record.status = exchange.status;
        let read = exchange.is_request_read();
        match ended {
            Ended::Complete => {
                let keep = exchange.keeps_client();
                let (io, _, _, reusable) = exchange.into_target();
                if reusable {
                    target::give_back(&context, Reached { io, key }, listener);
                }
                record.finish(&context, listener, &self.meta, self.id);
                match (keep, read) {
                    (true, _) => Fate::Keep,
                    (false, true) => Fate::Close,
                    (false, false) => Fate::Linger,
                }
            }
            Ended::Switched => {
                let (target, early, in_flight, _) = exchange.into_target();
                record.websocket = true;
                upgrade::relay(self, target, early, &in_flight, listener, record).await;
                Fate::Drop
            }
            Ended::Failed(error) if error.kind == ErrorKind::ClientGone => {
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
                tracing::debug!(client = %self.meta.client, %error, "response cut");
                record.finish(&context, listener, &self.meta, self.id);
                drop(exchange);
                if error.kind != ErrorKind::ClientGone {
                    // What there is of the response still arrives.
                    deliver(&context.worker, &self.timer, &mut self.io).await;
                    if facts.http10 {
                        // Where the end of the connection is the end of the body, FIN would lie.
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
        tracing::debug!(client = %self.meta.client, %error, label = error.label(), "request failed");
        let status = listener.error_status(&error);
        record.fail(&error, status);
        let facts = Facts {
            keep: facts.keep && !error.closes_client(),
            ..facts
        };
        self.answer(&listener.page(status), Some(facts), listener, record)
            .await
    }

    /// Notes a client that went away.
    fn gone(&self, error: Error, listener: &Listener, mut record: Record) -> Fate {
        record.fail(&error, listener.error_status(&error));
        record.finish(&self.context, listener, &self.meta, self.id);
        Fate::Drop
    }

    /// Answers a head that cannot be found.
    async fn refuse(&mut self, refusal: Refusal) -> Fate {
        let listener = (self.context.listener)();
        let status = listener.status(refusal.status);
        let mut record = Record::new(Instant::now(), self.discard());
        record.verdict = refusal.verdict;
        record.status = Some(status);
        self.answer(&listener.page(status), None, &listener, record)
            .await
    }

    /// Answers a head that has not all come.
    async fn fail_head(&mut self, kind: ErrorKind) -> Fate {
        let error = Error::from(kind);
        let listener = (self.context.listener)();
        let mut record = Record::new(Instant::now(), self.discard());
        let status = listener.error_status(&error);
        record.fail(&error, status);
        self.answer(&listener.page(status), None, &listener, record)
            .await
    }

    /// Drops what has come of a head that is not used, and says how much that was.
    fn discard(&mut self) -> u64 {
        self.input.take().map_or(0, |input| input.len() as u64)
    }

    /// Sends a response of our own. Without `facts` nothing is known of the request, so that the
    /// connection ends.
    async fn answer(
        &mut self,
        response: &LocalResponse,
        facts: Option<Facts>,
        listener: &Listener,
        mut record: Record,
    ) -> Fate {
        let read = facts.is_some_and(|facts| self.skip_body(facts.framing, &mut record));
        let keep = read && facts.is_some_and(|facts| facts.keep && !facts.closes);
        let to_head = facts.is_some_and(|facts| facts.to_head);
        let mut out = self.context.pools.spares.take();
        let date = self.context.pools.date.now();
        let fields = listener.response_fields.as_deref();
        response.write_h1(&mut out, &date, to_head, !keep, fields);
        self.timer.touch();
        let written = self.write(&out).await;
        let body = if to_head { 0 } else { response.body.len() };
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

    /// Drops a request body that is here already; false when it is not.
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

    /// Says that nothing more will come.
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

    /// Ready when the client is not waited for any longer.
    fn poll_given_up(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.context.worker.stopping() {
            return Poll::Ready(());
        }
        self.timer.poll_expired(cx)
    }

    /// Says that nothing more will come, and lets the client finish what it is sending.
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

/// Makes room for more of a head, or says what becomes of it.
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

/// The error of a head that can be read and is refused.
fn refused(status: u16, blocked: bool) -> Error {
    match status {
        405 => ErrorKind::MethodNotAllowed,
        501 => ErrorKind::UnsupportedTransferCoding,
        _ if blocked => ErrorKind::Desync,
        _ => ErrorKind::BadRequest,
    }
    .into()
}
