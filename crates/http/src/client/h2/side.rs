//! The client side of an exchange on a stream of HTTP/2.

use std::io;
use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::link::{Arrived, Stream};
use crate::budget::HeldHead;
use crate::error::{Error, ErrorKind};
use crate::exchange::side::{ClientSide, MoveError, Sink, Source, Turn};
use crate::h1::Framing;
use crate::h1::response::Response;
use crate::header::trailers::Trailers;
use crate::outgoing::additions::Additions;
use crate::outgoing::passed::passed;
use crate::page::digits;

/// Bytes of a response that are read at a time, so that many streams share an output.
const READ_MAX: usize = 32 * 1024;
/// Bytes of a head that are read although the client takes no body.
const HEAD_MIN: usize = 4 * 1024;
/// Parts of a request's body that are copied: a system call of their own would cost more.
const COPIED: usize = 16 * 1024;

/// A client that sends one request and takes its response.
pub(super) struct Side {
    stream: Stream,
    /// How the request's body is framed for the target; a length is the one that the client announced.
    framing: Framing,
    request_ended: bool,
    received: u64,
    /// The target gets the trailers of the request.
    passes_trailers: bool,
    /// The charge for the request's head, whose memory stays as long as it is sent.
    held_head: Option<HeldHead>,
    /// The client has the head of the response.
    responded: bool,
    /// What came with the head and does not fit into the client's window.
    pending: Vec<u8>,
    /// The response is complete behind `pending`.
    end: Option<Option<Trailers>>,
    /// Bytes of heads and bodies for the client, as the log counts them.
    sent: u64,
    /// The client has to take something before anything can move.
    blocked: bool,
}

impl Side {
    /// A client that sends a request on `stream`, with a body that `framing` announced. The request's
    /// head is charged as `held_head`; its trailers are dropped unless `passes_trailers`.
    pub(super) fn new(
        stream: Stream,
        framing: Framing,
        passes_trailers: bool,
        held_head: HeldHead,
    ) -> Self {
        Self {
            stream,
            framing,
            request_ended: framing == Framing::Empty,
            received: 0,
            passes_trailers,
            held_head: Some(held_head),
            responded: false,
            pending: Vec::new(),
            end: None,
            sent: 0,
            blocked: false,
        }
    }

    /// The stream, for another response or its end.
    pub(super) fn into_stream(self) -> Stream {
        self.stream
    }

    /// Whether the stream is gone.
    pub(super) fn is_reset(&self) -> bool {
        self.stream.is_reset()
    }

    /// Makes whatever happens to the stream wake the task of `cx`.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.stream.register(cx);
    }

    /// Bytes for the client so far, as the log counts them.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    fn put_request<K: Sink>(&mut self, data: Vec<u8>, sink: &mut K) {
        self.received += data.len() as u64;
        let is_copied = data.len() <= COPIED;
        if is_copied {
            sink.put(&data);
            self.stream.recycle(data);
        } else {
            sink.put_bytes(Bytes::from(data));
        }
        // END_STREAM may come in a frame of its own; the target need not wait for it.
        let is_whole = self.framing == Framing::Length(self.received);
        if is_whole || (is_copied && self.stream.is_at_end()) {
            self.end_request(sink);
        }
    }

    fn end_request<K: Sink>(&mut self, sink: &mut K) {
        let trailers = match self.stream.take_arrived() {
            Arrived::End(trailers) => trailers.filter(|_| self.passes_trailers),
            _ => None,
        };
        self.request_ended = true;
        sink.end(trailers.as_ref());
    }

    /// Sends the end of the response.
    fn send_end(&mut self, trailers: Option<&Trailers>) {
        let mut fields = trailers.iter().flat_map(|trailers| trailers.fields());
        let Some(first) = fields.next() else {
            return self.stream.end();
        };
        self.sent += self.stream.send_head(true, |head| {
            for (name, value) in std::iter::once(first).chain(fields) {
                if let Ok(name) = str::from_utf8(name) {
                    head.put(name, value);
                }
            }
        });
    }
}

impl ClientSide for Side {
    fn respond(
        &mut self,
        response: &Response<'_>,
        _may_keep: bool,
        additions: &Additions,
    ) -> Result<(), Error> {
        let unframed = matches!(response.framing, Framing::Chunked | Framing::UntilClose);
        let end = response.framing == Framing::Empty;
        self.sent += self.stream.send_head(end, |head| {
            head.status(response.status);
            for field in passed(response, additions) {
                head.put(field.name, field.value);
            }
            if let Some(length) = response.length
                && !unframed
                && response.status != 204
            {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                head.put("content-length", digits(&mut [0; 20], length));
            }
            for cookie in additions.cookies(response) {
                head.put("set-cookie", cookie.as_bytes());
            }
            if let Some(more) = &additions.fields {
                for (name, value) in more.iter() {
                    head.put(name, value.as_bytes());
                }
            }
        });
        self.responded = true;
        Ok(())
    }

    fn switch(&mut self, _response: &Response<'_>, _additions: &Additions) -> bool {
        false
    }

    fn interim(&mut self, _response: &Response<'_>, _additions: &Additions) {
        // Clients of HTTP/2 get none (parity 1.11).
    }

    fn is_response_begun(&self) -> bool {
        self.responded
    }

    fn is_gone(&mut self, _cx: &mut Context<'_>, _turn: Turn<'_>) -> bool {
        // The task of a stream that is reset ends.
        false
    }

    fn is_blocked(&self) -> bool {
        // Whether the client is slow or gone shows on its connection, which has a timer for it.
        self.blocked
    }

    fn request_over(&mut self) {
        self.held_head = None;
        self.stream.leave_unread();
    }
}

impl Source for Side {
    fn pass_received<K: Sink>(
        &mut self,
        _cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Result<(), Error> {
        // The first part goes with the head; the next ones wait until the target has taken the last.
        if self.request_ended || (self.received > 0 && !sink.is_drained()) {
            return Ok(());
        }
        self.stream.passed_on();
        match self.stream.take_arrived() {
            Arrived::Nothing => {}
            Arrived::Data(data) => {
                turn.timer.touch();
                self.put_request(data, sink);
            }
            Arrived::End(trailers) => {
                self.request_ended = true;
                sink.end(trailers.filter(|_| self.passes_trailers).as_ref());
            }
            // As before the body (parity 1.10: 460).
            Arrived::Reset => return Err(ErrorKind::ClientGone.into()),
        }
        Ok(())
    }

    fn poll_receive<K: Sink>(
        &mut self,
        _cx: &mut Context<'_>,
        _turn: Turn<'_>,
        sink: &mut K,
    ) -> Poll<Result<(), MoveError>> {
        if sink.is_drained() {
            self.stream.passed_on();
        }
        // The task is registered for whatever arrives.
        if self.stream.has_arrived() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    fn take_failure(&mut self) -> Option<Error> {
        None
    }

    fn has_failed(&self) -> bool {
        false
    }

    fn is_ended(&self) -> bool {
        self.request_ended
    }

    fn is_awaited(&self) -> bool {
        !self.request_ended
    }

    fn received(&self) -> u64 {
        self.received
    }
}

impl Sink for Side {
    fn is_ready(&self) -> bool {
        self.pending.is_empty() && self.end.is_none()
    }

    fn put(&mut self, data: &[u8]) {
        let n = self.stream.send_data(data);
        self.sent += n as u64;
        let rest = data.get(n..).unwrap_or_default();
        if !rest.is_empty() {
            self.pending.extend_from_slice(rest);
            self.stream.store(rest.len(), 0);
        }
    }

    fn end(&mut self, trailers: Option<&Trailers>) {
        if self.pending.is_empty() {
            self.send_end(trailers);
        } else {
            self.end = Some(trailers.cloned());
        }
    }

    fn poll_write(&mut self, _cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            if self.stream.capacity() == 0 {
                self.blocked = true;
                return Poll::Pending;
            }
            let n = self.stream.send_data(&self.pending);
            self.sent += n as u64;
            self.pending.drain(..n);
            self.stream.store(0, n);
            if mem::take(&mut self.blocked) {
                // Now the target's time runs.
                turn.timer.touch();
            }
        }
        if let Some(trailers) = self.end.take() {
            self.send_end(trailers.as_ref());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection's driver writes at the end of the turn.
        Poll::Ready(Ok(()))
    }

    fn is_drained(&self) -> bool {
        self.is_ready()
    }

    fn poll_head_room(&mut self) -> Poll<usize> {
        self.blocked = !self.stream.takes_head();
        if self.blocked {
            return Poll::Pending;
        }
        Poll::Ready(self.stream.window().clamp(HEAD_MIN, READ_MAX))
    }

    fn poll_room(&mut self, turn: Turn<'_>) -> Poll<usize> {
        let capacity = self.stream.capacity();
        let was_blocked = mem::replace(&mut self.blocked, capacity == 0);
        if capacity == 0 {
            return Poll::Pending;
        }
        if was_blocked {
            // Now the target's time runs.
            turn.timer.touch();
        }
        Poll::Ready(capacity.min(READ_MAX))
    }
}
