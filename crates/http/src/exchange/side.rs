//! What the exchange needs of its two sides, whatever version of HTTP each of them speaks.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use elbow_net::{Buffer, Stream, Timer, Transfer, TransferError, Worker};

use crate::error::Error;
use crate::h1::response::Response;
use crate::header::trailers::Trailers;
use crate::outgoing::additions::Additions;

/// What one poll of an exchange works with.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'t> {
    pub(crate) worker: &'t Worker,
    /// The idle timeout; touched by whoever moves bytes.
    pub(crate) timer: &'t Timer,
}

/// The side that a message comes from.
pub(crate) trait Source {
    /// Gives `sink` the part of the body that is here already. Makes no system call.
    fn pass_received<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Result<(), Error>;

    /// Receives more of the body. It is given to `sink` by the next [`Source::pass_received`],
    /// unless `sink` took it from the socket.
    fn poll_receive<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Poll<Result<(), MoveError>>;

    /// An error of this side that came after bytes that are still worth sending.
    fn take_failure(&mut self) -> Option<Error>;

    /// Whether there is such an error.
    fn has_failed(&self) -> bool;

    /// Whether all of the body has been given away.
    fn is_ended(&self) -> bool;

    /// Whether this side has to send more before anything can move, provided that the sink has
    /// written everything.
    fn is_awaited(&self) -> bool;

    /// Bytes of the body received so far, with their framing.
    fn received(&self) -> u64;
}

/// The side that a message goes to.
pub(crate) trait Sink {
    /// Whether it takes a part of the body now.
    fn is_ready(&self) -> bool;

    /// Takes a part of the body.
    fn put(&mut self, data: &[u8]);

    /// Takes a part of the body without copying it, where it can.
    fn put_bytes(&mut self, data: Bytes) {
        self.put(&data);
    }

    /// Takes the first `n` bytes of `buffer` as a part of the body, and returns the rest.
    fn put_buffer(&mut self, mut buffer: Buffer, n: usize) -> Option<Buffer> {
        self.put(buffer.get(..n).unwrap_or_default());
        buffer.consume(n);
        (!buffer.is_empty()).then_some(buffer)
    }

    /// Takes the end of the body, with the trailers that its sender passed on. They are left out
    /// where the body is framed without a place for them.
    fn end(&mut self, trailers: Option<&Trailers>);

    /// Writes what was put; ready when it is written.
    fn poll_write(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<io::Result<()>>;

    /// Flushes what was written.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether everything that was put is written.
    fn is_drained(&self) -> bool;

    /// Moves bytes from the socket `from`; `None` when this side cannot send them as they are.
    fn poll_transfer<R: Stream>(
        &mut self,
        _cx: &mut Context<'_>,
        _turn: Turn<'_>,
        _transfer: &mut Transfer,
        _from: &mut R,
    ) -> Option<Poll<Result<(), TransferError>>> {
        None
    }

    /// How many bytes of a head, and of the body behind it, may be read for this side; pending while
    /// it takes no head.
    fn poll_head_room(&mut self) -> Poll<usize> {
        Poll::Ready(usize::MAX)
    }

    /// How many bytes of a body may be read for this side; pending while it has room for none.
    fn poll_room(&mut self, _turn: Turn<'_>) -> Poll<usize> {
        Poll::Ready(usize::MAX)
    }
}

/// The client side of one request.
pub(crate) trait ClientSide: Source + Sink {
    /// Takes the head of the final response. The connection may be kept only if `may_keep`.
    fn respond(
        &mut self,
        response: &Response<'_>,
        may_keep: bool,
        additions: &Additions,
    ) -> Result<(), Error>;

    /// Takes the head of the response that switches to WebSocket; false when the client did not
    /// ask for it.
    fn switch(&mut self, response: &Response<'_>, additions: &Additions) -> bool;

    /// Takes the head of an interim response.
    fn interim(&mut self, response: &Response<'_>, additions: &Additions);

    /// Whether part of the final response is with the client, so that no other can take its place.
    fn is_response_begun(&self) -> bool;

    /// Whether the client closed while it waits for the response.
    fn is_gone(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> bool;

    /// Whether the client has to take bytes before anything can move. A client that does not is
    /// the business of its connection's own timer.
    fn is_blocked(&self) -> bool;

    /// Gives back what only the request needed: no more of it is sent.
    fn request_over(&mut self);
}

/// The upstream side of one request: one request on one connection to a target.
pub(crate) trait UpstreamSide: Source + Sink {
    /// Receives until the head of a response is complete, interim or final, as far as `client` has
    /// room.
    fn poll_head<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        client: &mut K,
    ) -> Poll<Result<(), Error>>;

    /// Parses that head and lets `then` see it.
    fn take_head<R>(
        &mut self,
        then: impl FnOnce(&Response<'_>) -> Result<R, Error>,
    ) -> Result<R, Error>;

    /// Whether the connection may serve another request, given that all of this one was sent.
    fn is_reusable(&self) -> bool;

    /// Gives back what only the request needed: no more of it is sent.
    fn request_over(&mut self);
}

/// Why a body did not get across.
#[derive(Debug)]
pub(crate) enum MoveError {
    /// Its sender failed, closed before its end, or broke the framing.
    Source(Error),
    /// Its receiver failed.
    Sink(io::Error),
}
