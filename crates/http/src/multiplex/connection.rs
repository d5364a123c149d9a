//! One connection of HTTP/2 to a target, shared by the requests on it.
//!
//! A task of its own reads and writes ([`Connection::drive`]). Requests put what they send into the
//! connection, and take what arrived for them; the task writes for all of them at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use std::{io, mem};

use elbow_h2::{Config, ConnectionError, ErrorCode, Event, StreamKey};
use elbow_net::{Buffer, Stream, Timer, Worker};

use super::head::{self, RequestHead};
use super::incoming::{Failure, Incoming};
use crate::budget::{Charge, RESPONSE_WINDOW, WorkerBudget};
use crate::error::ErrorKind;
use crate::h1::RESPONSE_LIMITS;
use crate::spare::Spares;

/// Streams on one connection; a target may allow fewer.
const STREAMS_MAX: usize = 128;
/// Receive window of the connection in bytes. Each stream has its own window, and one that is blocked
/// must not block others.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// The limit of a response head (ALB guide: quotas), with the 32 bytes that HTTP/2 adds for each field.
const HEADER_LIST_MAX: u32 = 48 * 1024;
/// Bytes that wait to be written, beyond which requests wait.
const OUTPUT_MAX: usize = 256 * 1024;
/// Reads of one turn; then other connections get their turn.
const ROUNDS: usize = 8;

/// A connection that requests share.
pub(crate) struct Connection<Io> {
    state: RefCell<State<Io>>,
}

struct State<Io> {
    io: Io,
    h2: elbow_h2::Connection,
    input: Option<Buffer>,
    /// By [`StreamKey::index`].
    streams: Vec<Option<Incoming>>,
    spares: Rc<Spares>,
    budget: Rc<WorkerBudget>,
    /// The output.
    charge: Charge,
    /// Streams that may be open at a time; a target may allow fewer.
    streams_max: usize,
    /// The target's SETTINGS are here, or it broke the rules.
    has_spoken: bool,
    /// A stream was opened.
    is_used: bool,
    is_unflushed: bool,
    /// Why the connection takes no more streams, once it is over.
    over: Option<Failure>,
    /// The connection closes when it is idle.
    closes: bool,
    /// The task that reads and writes.
    driver: Option<Waker>,
    /// Woken once the state is free.
    woken: Vec<Waker>,
}

impl<Io: Stream> Connection<Io> {
    /// A connection over `io`, on which nothing was sent.
    pub(crate) fn new(io: Io, spares: Rc<Spares>, budget: Rc<WorkerBudget>) -> Self {
        let config = Config {
            streams_max: 0,
            stream_window: u32::try_from(RESPONSE_WINDOW).unwrap_or(u32::MAX),
            connection_window: CONNECTION_WINDOW,
            header_list_max: HEADER_LIST_MAX,
            output_max: OUTPUT_MAX,
        };
        let state = State {
            io,
            h2: elbow_h2::Connection::client(config),
            input: None,
            streams: Vec::new(),
            spares,
            charge: budget.hold(),
            budget,
            streams_max: STREAMS_MAX,
            has_spoken: false,
            is_used: false,
            is_unflushed: false,
            over: None,
            closes: false,
            driver: None,
            woken: Vec::new(),
        };
        Self {
            state: RefCell::new(state),
        }
    }

    /// Streams that may be opened now, and how many there may be in all.
    pub(crate) fn room(&self) -> (usize, usize) {
        let state = self.state.borrow();
        if state.over.is_some() || state.closes || !state.h2.can_open() {
            return (0, 0);
        }
        let open = state.h2.open_streams();
        let most = state
            .streams_max
            .min(open.saturating_add(state.h2.streams_left()));
        (most.saturating_sub(open), most)
    }

    /// Whether the target's SETTINGS are here.
    pub(crate) fn has_spoken(&self) -> bool {
        self.state.borrow().has_spoken
    }

    /// Why the connection is over.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.state.borrow().over.clone()
    }

    /// Opens a stream with the request `head`. What arrives for it is charged as
    /// `charge`. `None` when there is no room.
    pub(crate) fn open(&self, head: &RequestHead<'_>, charge: Charge) -> Option<StreamKey> {
        let write = |out: &mut elbow_h2::HeadWriter<'_>| head::write_request(head, out);
        self.with(|state| {
            let key = state.h2.open(head.is_all, head.to_head, write)?;
            if state.streams.len() <= key.index() {
                state.streams.resize_with(key.index() + 1, || None);
            }
            let incoming = Incoming::new(&state.spares, charge);
            if let Some(slot) = state.streams.get_mut(key.index()) {
                *slot = Some(incoming);
            }
            state.is_used = true;
            state.wake_driver();
            Some(key)
        })
    }

    /// Lets `then` use what arrived on a stream, and the state machine.
    pub(crate) fn stream<R>(
        &self,
        key: StreamKey,
        then: impl FnOnce(&mut Incoming, &mut elbow_h2::Connection) -> R,
    ) -> Option<R> {
        let mut state = self.state.borrow_mut();
        let State { streams, h2, .. } = &mut *state;
        let incoming = streams.get_mut(key.index())?.as_mut()?;
        Some(then(incoming, h2))
    }

    /// Sends what the requests put.
    pub(crate) fn wake(&self) {
        self.with(State::wake_driver);
    }

    /// Forgets a stream; one that is not over is reset.
    pub(crate) fn close(&self, key: StreamKey) {
        let incoming = self.with(|state| {
            state.h2.close(key);
            state.wake_driver();
            state.streams.get_mut(key.index())?.take()
        });
        // Outside the borrow, since a waker may drop a task with another stream.
        drop(incoming);
    }

    /// Takes no more streams, and closes once it is idle; false when streams are in progress.
    pub(crate) fn close_if_idle(&self) -> bool {
        self.with(|state| {
            let is_idle = state.h2.open_streams() == 0 && !state.closes;
            if is_idle {
                state.closes = true;
                state.wake_driver();
            }
            is_idle
        })
    }

    /// Reads and writes until the connection is over: it failed, the target or the worker ends it, or no
    /// stream was open for `idle_timeout`.
    pub(crate) async fn drive(&self, worker: &Worker, idle_timeout: Duration) {
        let timer = worker.timers.timer(idle_timeout);
        poll_fn(|cx| self.with(|state| state.poll(cx, worker, &timer))).await;
    }

    /// Lets `then` use the state, and wakes the requests that it reports.
    fn with<R>(&self, then: impl FnOnce(&mut State<Io>) -> R) -> R {
        let mut state = self.state.borrow_mut();
        let result = then(&mut state);
        if state.woken.is_empty() {
            return result;
        }
        let mut woken = mem::take(&mut state.woken);
        drop(state);
        for waker in woken.drain(..) {
            waker.wake();
        }
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.woken = woken;
        }
        result
    }
}

impl<Io: Stream> State<Io> {
    fn poll(&mut self, cx: &mut Context<'_>, worker: &Worker, timer: &Timer) -> Poll<()> {
        match &mut self.driver {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        for round in 0..=ROUNDS {
            let is_more = round < ROUNDS && self.poll_read(cx, worker);
            if !is_more {
                if round == ROUNDS {
                    cx.waker().wake_by_ref();
                }
                break;
            }
        }
        let is_idle = self.h2.open_streams() == 0;
        if !is_idle {
            timer.touch();
        }
        let is_expired = timer.poll_expired(cx).is_ready();
        let is_leaving = self.closes || is_expired || (worker.draining() && self.is_used);
        if (is_idle && is_leaving) || worker.stopping() {
            self.closes = true;
            self.h2.shut_down();
        }
        let window = self.budget.response_window();
        self.h2.set_windows(window, CONNECTION_WINDOW);
        self.h2.end_turn();
        if let Poll::Ready(Err(_)) = self.poll_write(cx) {
            self.end(Failure::Broken(ErrorKind::TargetClosed, "target closed"));
        }
        self.charge.set(self.h2.output().len());
        self.wake_ready();
        if self.over.is_some() || is_idle && (self.closes || !self.h2.can_open()) {
            // Nobody may open a stream any more.
            self.end(Failure::Unseen);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Reads once; whether there may be more.
    fn poll_read(&mut self, cx: &mut Context<'_>, worker: &Worker) -> bool {
        if self.over.is_some() {
            return false;
        }
        let mut buffer = self.input.take().unwrap_or_else(|| worker.buffers.take());
        let read = buffer.poll_read(cx, &mut self.io, usize::MAX);
        let more = match read {
            Poll::Pending => false,
            Poll::Ready(Ok(n)) if n > 0 => {
                self.receive(&mut buffer);
                true
            }
            Poll::Ready(_) => {
                self.end(Failure::Broken(
                    ErrorKind::TargetClosed,
                    "target closed the connection",
                ));
                false
            }
        };
        if !buffer.is_empty() {
            // A whole frame fits into the room behind.
            buffer.compact();
            self.input = Some(buffer);
        }
        more
    }

    /// Gives what is in `buffer` to the streams.
    fn receive(&mut self, buffer: &mut Buffer) {
        loop {
            let received = self.h2.receive(buffer);
            let (used, streams) = (received.used, &mut self.streams);
            let (mut changed, mut failed, mut is_refused) = (None, None, false);
            match received.event {
                None => {
                    self.has_spoken |= used > 0;
                    buffer.consume(used);
                    return;
                }
                Some(Event::Head { stream, head, end }) => {
                    changed = with(streams, stream, |incoming| incoming.head(head, end));
                }
                Some(Event::Data { stream, data, end }) => {
                    changed = with(streams, stream, |incoming| {
                        incoming.keep(data);
                        incoming.is_ended |= end;
                    });
                }
                Some(Event::Trailers { stream, head }) => {
                    changed = with(streams, stream, |incoming| {
                        incoming.trailers = Some(head::trailers(head));
                        incoming.is_ended = true;
                    });
                }
                Some(Event::Reset {
                    stream,
                    code,
                    by_peer,
                }) => {
                    changed = with(streams, stream, |incoming| incoming.reset(code, by_peer));
                    is_refused = by_peer && code == ErrorCode::REFUSED_STREAM;
                }
                Some(Event::GoAway { last, .. }) => self.refuse_beyond(last),
                Some(Event::Failed(error)) => failed = Some(error),
            }
            self.woken.extend(changed.flatten());
            if is_refused {
                // Some targets take fewer than they say, since they count streams that are over for a while.
                let fewer = self.h2.open_streams() * 7 / 8;
                self.streams_max = self.streams_max.min(fewer.max(1));
            }
            self.has_spoken |= used > 0;
            buffer.consume(used);
            if let Some(error) = failed {
                self.break_off(error);
                return;
            }
        }
    }

    /// The target acts on no stream beyond `last`.
    fn refuse_beyond(&mut self, last: u32) {
        let beyond: Vec<_> = self.h2.streams().filter(|key| key.id() > last).collect();
        for key in beyond {
            let waker = with(&mut self.streams, key, |incoming| {
                incoming.failure.get_or_insert(Failure::Unseen);
            });
            self.woken.extend(waker.flatten());
        }
    }

    /// The target broke a rule of HTTP/2, or does not speak it.
    fn break_off(&mut self, error: ConnectionError) {
        tracing::debug!(%error, "connection to target failed");
        self.end(Failure::Broken(ErrorKind::TargetProtocol, error.reason));
    }

    /// Ends the connection, and all streams because of `failure`.
    fn end(&mut self, failure: Failure) {
        if self.over.is_some() {
            return;
        }
        for incoming in self.streams.iter_mut().flatten() {
            if !incoming.is_ended {
                incoming.failure.get_or_insert_with(|| failure.clone());
            }
            self.woken.extend(incoming.waker.take());
        }
        self.over = Some(failure);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.h2.output().is_empty() {
            match self.io.poll_send(cx, self.h2.output()) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                Poll::Ready(Ok(n)) => self.h2.consume_output(n),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            }
            self.is_unflushed = true;
        }
        if self.is_unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Wakes the requests that wait to send and now can.
    fn wake_ready(&mut self) {
        let (streams, woken) = (&mut self.streams, &mut self.woken);
        self.h2.take_ready(|key| {
            let incoming = streams.get_mut(key.index()).and_then(Option::as_mut);
            woken.extend(incoming.and_then(|incoming| incoming.waker.take()));
        });
    }

    fn wake_driver(&mut self) {
        self.woken.extend(self.driver.take());
    }
}

/// Changes what arrived on a stream, and returns who waits for it.
fn with(
    streams: &mut [Option<Incoming>],
    key: StreamKey,
    change: impl FnOnce(&mut Incoming),
) -> Option<Option<Waker>> {
    let incoming = streams.get_mut(key.index())?.as_mut()?;
    change(incoming);
    Some(incoming.waker.take())
}

const _: () = assert!(RESPONSE_LIMITS.head < HEADER_LIST_MAX as usize);
