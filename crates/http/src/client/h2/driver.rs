//! The task of a connection: reads frames, starts requests, and writes once a turn.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use elbow_h2::{ConnectionError, ErrorCode, Event};
use elbow_net::{Buffer, Connect, Stream, poll_read_pooled};
use elbow_telemetry::ShedReason;

use super::task::Begun;
use super::{Connection, FAREWELL};
use crate::header::trailers::Trailers;

/// Reads of one turn; then other connections get theirs.
const READS_MAX: usize = 4;

/// Moves the bytes of one connection.
pub(super) struct Driver<S, C: Connect> {
    connection: Rc<Connection<C>>,
    io: S,
    /// Received and not yet used: part of a frame.
    input: Option<Buffer>,
    /// What was written may wait in the stream.
    unflushed: bool,
    state: State,
    /// [`Connection::touches`] when the idle timeout last expired.
    silent_since: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Serving,
    /// GOAWAY was sent; streams in progress end as usual.
    ShuttingDown,
    /// Nothing more is read: the output is written, then the connection is closed.
    Closing,
}

/// What one event asks for, once the protocol is free for commands.
#[allow(clippy::large_enum_variant)] // On the stack, for a moment.
enum Asked<C: Connect> {
    Nothing,
    Begin(Begun<C>),
    /// Bytes of a body that nobody reads.
    Release(elbow_h2::StreamKey, usize),
    Fail(ConnectionError),
}

impl<S: Stream, C: Connect> Driver<S, C> {
    pub(super) fn new(connection: Rc<Connection<C>>, io: S) -> Self {
        Self {
            connection,
            io,
            input: None,
            unflushed: false,
            state: State::Serving,
            silent_since: None,
        }
    }

    /// Serves the connection until it is over.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.link.driver_runs();
        let polled = self.poll_turn(cx);
        if polled.is_pending() {
            self.connection.link.driver_waits(cx);
        }
        polled
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let connection = Rc::clone(&self.connection);
        let link = &connection.link;
        loop {
            if link.is_exceeded() {
                tracing::debug!(client = %connection.meta.client, "HTTP/2 connection holds too much");
                connection.context.metrics.shed(ShedReason::Buffers);
                return Poll::Ready(());
            }
            if self.state != State::Closing && self.poll_read(cx).is_err() {
                // The client is gone, and with it all of its streams.
                return Poll::Ready(());
            }
            self.shut_down_if_due();
            let written = self.poll_write(cx);
            link.settle();
            match written {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) if link.protocol.borrow().is_over() => {
                    ready!(self.poll_close(cx));
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) => link.reclaim_output(),
                Poll::Pending => {}
            }
            link.wake_ready();
            let worker = &connection.context.worker;
            if connection.active.get() == 0 && worker.stopping() {
                return Poll::Ready(());
            }
            ready!(connection.timer.poll_expired(cx));
            if self.is_silent() {
                return Poll::Ready(());
            }
        }
    }

    /// Reads what is here; an error when the client has closed.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        for _ in 0..READS_MAX {
            let buffers = &self.connection.context.worker.buffers;
            if let Some(input) = self.input.as_mut().filter(|input| input.room() == 0) {
                // A frame is smaller than a buffer, so there is room behind part of one.
                input.compact();
            }
            match poll_read_pooled(cx, buffers, &mut self.io, &mut self.input)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Poll::Ready(_) => self.receive(),
            }
            if self.state == State::Closing {
                return Ok(());
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Acts on the frames received.
    fn receive(&mut self) {
        let Some(mut input) = self.input.take() else {
            return;
        };
        let connection = Rc::clone(&self.connection);
        let mut used = 0;
        loop {
            let mut protocol = connection.link.protocol.borrow_mut();
            let received = protocol.receive(input.get(used..).unwrap_or_default());
            used += received.used;
            let Some(event) = received.event else {
                break;
            };
            let asked = note(&connection, event);
            drop(protocol);
            match asked {
                Asked::Nothing => {}
                Asked::Begin(begun) => begun.run(),
                Asked::Release(key, n) => {
                    connection.link.protocol.borrow_mut().release(key, n);
                }
                Asked::Fail(error) => self.fail(error),
            }
        }
        input.consume(used);
        self.input = Some(input).filter(|input| !input.is_empty());
    }

    /// The client broke a rule; GOAWAY is in the output.
    fn fail(&mut self, error: ConnectionError) {
        let connection = &self.connection;
        tracing::debug!(client = %connection.meta.client, %error, "HTTP/2 connection failed");
        if error.code == ErrorCode::ENHANCE_YOUR_CALM {
            connection.context.metrics.shed(ShedReason::Http2Flood);
        }
        self.state = State::Closing;
        connection.timer.reset(FAREWELL);
        connection.link.reset_all();
    }

    /// Sends GOAWAY when the connection takes no more requests.
    fn shut_down_if_due(&mut self) {
        let connection = &self.connection;
        let is_due = connection.last.get() || connection.context.worker.draining();
        if self.state != State::Serving || !is_due {
            return;
        }
        self.state = State::ShuttingDown;
        if connection.active.get() == 0 {
            connection.timer.reset(FAREWELL);
        }
        connection.link.protocol.borrow_mut().shut_down();
    }

    /// Writes all that was said in this turn.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut protocol = self.connection.link.protocol.borrow_mut();
        protocol.end_turn();
        while !protocol.output().is_empty() {
            let n = ready!(self.io.poll_send(cx, protocol.output()))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            protocol.consume_output(n);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the connection, within the time that is left.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => self.connection.timer.poll_expired(cx),
        }
    }

    /// The timer has expired: whether the connection ends now. An idle one gets GOAWAY and some more
    /// time. Streams in progress have timers of their own that expire now, too; their error responses
    /// need another turn.
    fn is_silent(&mut self) -> bool {
        let connection = &self.connection;
        let touches = connection.touches.get();
        let is_idle = connection.active.get() == 0;
        match self.state {
            State::Closing => return true,
            State::ShuttingDown if is_idle => return true,
            _ if self.silent_since == Some(touches) => return true,
            State::Serving | State::ShuttingDown => {}
        }
        self.silent_since = Some(touches);
        connection.last.set(connection.last.get() || is_idle);
        connection.timer.reset(if is_idle {
            FAREWELL
        } else {
            connection.idle_timeout
        });
        false
    }
}

impl<S, C: Connect> Drop for Driver<S, C> {
    fn drop(&mut self) {
        self.connection.link.reset_all();
    }
}

/// Keeps what an event brings for its stream.
fn note<C: Connect>(connection: &Rc<Connection<C>>, event: Event<'_>) -> Asked<C> {
    let link = &connection.link;
    match event {
        Event::Head { stream, head, end } => {
            link.open(stream, end);
            return Asked::Begin(Begun::new(connection, stream, head, end));
        }
        Event::Data { stream, data, end } => {
            if !link.receive(stream, data, end) {
                return Asked::Release(stream, data.len());
            }
        }
        Event::Trailers { stream, head } => {
            let mut trailers = Trailers::default();
            for (name, value) in head.fields() {
                trailers.push(name, value);
            }
            link.receive_trailers(stream, trailers);
        }
        Event::Reset { stream, .. } => link.reset(stream),
        // The client opens no more streams; those in progress go on.
        Event::GoAway { .. } => {}
        Event::Failed(error) => return Asked::Fail(error),
    }
    Asked::Nothing
}
