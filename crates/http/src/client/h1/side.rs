//! The client side of an exchange on HTTP/1.x.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use elbow_model::LoadBalancerAttributes;
use elbow_net::{Buffer, Stream, Transfer, TransferError, poll_read_pooled};

use super::response;
use crate::error::{Error, ErrorKind};
use crate::exchange::body::{Reader, Writer};
use crate::exchange::side::{ClientSide, MoveError, Sink, Source, Turn};
use crate::h1::Framing;
use crate::h1::request::Request;
use crate::h1::response::Response;
use crate::header::head::{RequestHead, Version};
use crate::header::trailers::Trailers;
use crate::outgoing::additions::Additions;
use crate::outgoing::request::takes_trailers;
use crate::spare::Spares;

/// Bytes of interim responses that wait for a client, beyond which further ones are left out.
const INTERIM_MAX: usize = 16 * 1024;

/// What of a request decides how its response is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Of the request body.
    pub(crate) framing: Framing,
    /// The client wants the connection to stay, and the request allows it.
    pub(crate) keep: bool,
    /// Both connections end after this request.
    pub(crate) closes: bool,
    /// HEAD.
    pub(crate) to_head: bool,
    /// HTTP/1.0 or older: the client knows no chunks.
    pub(crate) http10: bool,
    /// HTTP/0.9: the client gets the body alone (RFC 1945, 6: Simple-Response).
    pub(crate) http09: bool,
    /// A WebSocket handshake.
    pub(crate) websocket: bool,
    /// The client waits for 100 before it sends its body.
    pub(crate) expects_continue: bool,
    /// The target gets the trailers of the request.
    pub(crate) passes_trailers: bool,
    /// The client gets the trailers of the response.
    pub(crate) takes_trailers: bool,
    /// The client gets interim responses.
    pub(crate) takes_interim: bool,
}

impl Facts {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self {
            framing: request.framing,
            keep: request.persistent,
            closes: false,
            to_head: request.head.method == "HEAD",
            http10: request.head.version <= Version::Http10,
            http09: request.head.version == Version::Http09,
            websocket: request.websocket,
            expects_continue: request.expects_continue,
            passes_trailers: false,
            takes_trailers: false,
            takes_interim: false,
        }
    }

    /// Follows the options of `attributes` that pass more than AWS does.
    pub(crate) fn pass(&mut self, attributes: &LoadBalancerAttributes, head: &RequestHead<'_>) {
        self.passes_trailers = attributes.passes_trailers;
        // Without TE, a client need not read them (RFC 9110, 6.5.1).
        self.takes_trailers = attributes.passes_trailers && takes_trailers(head);
        self.takes_interim = attributes.passes_interim_responses && !self.http10;
    }
}

/// A client that sends one request and receives its response.
pub(crate) struct Side<'c, S> {
    io: &'c mut S,
    /// Received and not yet used.
    input: &'c mut Option<Buffer>,
    facts: Facts,
    request: Reader,
    response: Writer,
    /// The client was promised that the connection stays.
    pub(crate) keeps: bool,
    /// Bytes of the heads that the client gets.
    pub(crate) head_size: u64,
    /// Of them, those of interim responses.
    interim_size: u64,
}

impl<'c, S: Stream> Side<'c, S> {
    /// A client whose request has the head that `facts` come from.
    pub(crate) fn new(
        io: &'c mut S,
        input: &'c mut Option<Buffer>,
        facts: Facts,
        spares: &Rc<Spares>,
    ) -> Self {
        Self {
            io,
            input,
            facts,
            request: Reader::new(facts.framing, facts.passes_trailers),
            response: Writer::new(spares.later(), false),
            keeps: false,
            head_size: 0,
            interim_size: 0,
        }
    }

    /// Bytes sent to the client.
    pub(crate) fn sent(&self) -> u64 {
        self.response.sent()
    }
}

impl<S: Stream> ClientSide for Side<'_, S> {
    fn respond(
        &mut self,
        response: &Response<'_>,
        may_keep: bool,
        additions: &Additions,
    ) -> Result<(), Error> {
        let keep = self.facts.keep && may_keep;
        let head = self.response.head();
        let before = head.len();
        let outgoing = response::write_head(head, response, self.facts.http10, keep, additions);
        if self.facts.http09 {
            head.truncate(before);
        }
        self.head_size += (head.len() - before) as u64;
        self.keeps = outgoing.keep;
        self.response.set_chunked(outgoing.chunked);
        Ok(())
    }

    fn switch(&mut self, response: &Response<'_>, additions: &Additions) -> bool {
        if self.facts.websocket {
            let head = self.response.head();
            let before = head.len();
            response::write_switch(head, response, additions);
            self.head_size += (head.len() - before) as u64;
        }
        self.facts.websocket
    }

    fn interim(&mut self, response: &Response<'_>, additions: &Additions) {
        // The client has its 100 already (parity 1.11), and one that reads nothing makes us hold
        // no more than this.
        if !self.facts.takes_interim
            || response.status == 100
            || self.response.pending() > INTERIM_MAX
        {
            return;
        }
        let head = self.response.head();
        let before = head.len();
        response::write_interim(head, response, additions);
        let size = (head.len() - before) as u64;
        self.head_size += size;
        self.interim_size += size;
    }

    fn is_response_begun(&self) -> bool {
        // Whole interim responses are no part of the final one; part of one must not be followed
        // by another head.
        let sent = self.response.sent();
        sent > 0 && sent != self.interim_size
    }

    /// What the client sends instead of closing is kept for later.
    fn is_gone(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> bool {
        loop {
            if self.input.as_ref().is_some_and(|input| input.room() == 0) {
                return false;
            }
            match poll_read_pooled(cx, &turn.worker.buffers, self.io, self.input) {
                Poll::Ready(Ok(0) | Err(_)) => return true,
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return false,
            }
        }
    }

    fn is_blocked(&self) -> bool {
        // Its connection has no timer but that of the exchange.
        false
    }

    fn request_over(&mut self) {}
}

impl<S: Stream> Source for Side<'_, S> {
    fn pass_received<K: Sink>(
        &mut self,
        _cx: &mut Context<'_>,
        _turn: Turn<'_>,
        sink: &mut K,
    ) -> Result<(), Error> {
        let passed = self.request.pass_received(self.input, sink);
        passed.map_err(|e| Error::new(ErrorKind::BadRequest, e))
    }

    fn poll_receive<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Poll<Result<(), MoveError>> {
        let received = self
            .request
            .poll_receive(cx, turn, self.io, self.input, sink);
        received.map_err(|e| match e {
            TransferError::Reader(e) => MoveError::Source(aborted(e)),
            TransferError::Writer(e) => MoveError::Sink(e),
        })
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.request.take_failure().map(aborted)
    }

    fn has_failed(&self) -> bool {
        self.request.has_failed()
    }

    fn is_ended(&self) -> bool {
        self.request.is_ended()
    }

    fn is_awaited(&self) -> bool {
        self.request.is_awaited()
    }

    fn received(&self) -> u64 {
        self.request.received()
    }
}

impl<S: Stream> Sink for Side<'_, S> {
    fn is_ready(&self) -> bool {
        self.response.is_ready()
    }

    fn put(&mut self, data: &[u8]) {
        self.response.put(data);
    }

    fn put_buffer(&mut self, buffer: Buffer, n: usize) -> Option<Buffer> {
        self.response.put_buffer(buffer, n)
    }

    fn end(&mut self, trailers: Option<&Trailers>) {
        self.response.end(trailers);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        self.response.poll_write(cx, turn, self.io)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.response.poll_flush(cx, self.io)
    }

    fn is_drained(&self) -> bool {
        self.response.is_drained()
    }

    fn poll_transfer<R: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        transfer: &mut Transfer,
        from: &mut R,
    ) -> Option<Poll<Result<(), TransferError>>> {
        self.response
            .poll_transfer(cx, turn, transfer, from, self.io)
    }
}

fn aborted(error: io::Error) -> Error {
    Error::new(ErrorKind::BodyAborted, error)
}
