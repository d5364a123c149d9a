//! One request on a connection of HTTP/1.x to a target.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use elbow_net::{Buffer, Stream, Transfer, TransferError};

use crate::error::{Error, ErrorKind};
use crate::exchange::body::{Reader, Writer};
use crate::exchange::side::{MoveError, Sink, Source, Turn, UpstreamSide};
use crate::h1::response::{self, Response, ResponseError};
use crate::h1::scan::{Found, Scan};
use crate::h1::{Framing, RESPONSE_LIMITS};
use crate::header::trailers::Trailers;
use crate::spare::Spare;

use crate::pool::Key;

/// A connection to a target, and its key in the pool.
pub(crate) struct Reached<Io> {
    pub(crate) io: Io,
    pub(crate) key: Key,
}

/// A request that is sent, and its response.
pub(crate) struct Request<Io> {
    connection: Reached<Io>,
    request: Writer,
    /// Received and not yet used.
    input: Option<Buffer>,
    /// Where the search for the end of a head stands.
    scan: Scan,
    /// The head that was found.
    found: Option<Found>,
    /// The request was HEAD.
    to_head: bool,
    /// The client gets the trailers of the response.
    passes_trailers: bool,
    response: Reader,
    /// The target keeps the connection.
    persistent: bool,
}

impl<Io: Stream> Request<Io> {
    /// A request on `connection` with `head`, and a body with `framing`; `to_head` when it is HEAD. The
    /// trailers of the response are dropped unless `passes_trailers`.
    pub(crate) fn new(
        connection: Reached<Io>,
        head: Spare,
        framing: Framing,
        to_head: bool,
        passes_trailers: bool,
    ) -> Self {
        Self {
            connection,
            request: Writer::new(head, framing == Framing::Chunked),
            input: None,
            scan: Scan::default(),
            found: None,
            to_head,
            passes_trailers,
            response: Reader::new(Framing::Empty, false),
            persistent: false,
        }
    }

    /// The connection, and what came on it behind the response.
    pub(crate) fn into_connection(self) -> (Reached<Io>, Option<Buffer>) {
        (self.connection, self.input)
    }
}

impl<Io: Stream> UpstreamSide for Request<Io> {
    fn poll_head<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        client: &mut K,
    ) -> Poll<Result<(), Error>> {
        loop {
            if let Some(input) = &mut self.input {
                let found = self.scan.advance(input, &RESPONSE_LIMITS);
                self.found = found.map_err(|e| refused(e.into()))?;
                if self.found.is_some() {
                    self.scan = Scan::default();
                    return Poll::Ready(Ok(()));
                }
                if input.room() == 0 {
                    input.compact();
                    if input.room() == 0 {
                        return Poll::Ready(Err(ErrorKind::ResponseHeaderTooLarge.into()));
                    }
                }
            }
            let room = ready!(client.poll_head_room());
            let buffers = &turn.worker.buffers;
            let input = self.input.get_or_insert_with(|| buffers.take());
            let polled = input.poll_read(cx, &mut self.connection.io, room);
            if input.is_empty() {
                // Whoever waits holds no buffer.
                self.input = None;
            }
            match ready!(polled) {
                Ok(0) => return Poll::Ready(Err(closed(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => turn.timer.touch(),
                Err(e) => return Poll::Ready(Err(closed(e))),
            }
        }
    }

    fn take_head<R>(
        &mut self,
        then: impl FnOnce(&Response<'_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let (Some(found), Some(input)) = (self.found.take(), &mut self.input) else {
            return Err(ErrorKind::Internal.into());
        };
        let head = input.get(found.start..found.end).unwrap_or_default();
        let parsed = response::parse(head, found.lines, self.to_head, |response| {
            self.response = Reader::new(response.framing, self.passes_trailers);
            self.persistent = response.persistent;
            then(response)
        });
        let seen = parsed.map_err(refused)??;
        input.consume(found.end);
        if input.is_empty() {
            self.input = None;
        }
        Ok(seen)
    }

    fn is_reusable(&self) -> bool {
        // Bytes behind the end answer nothing that was asked.
        self.persistent && self.response.is_ended() && self.input.is_none()
    }

    fn request_over(&mut self) {
        self.request.retire();
    }
}

impl<Io: Stream> Source for Request<Io> {
    fn pass_received<K: Sink>(
        &mut self,
        _cx: &mut Context<'_>,
        _turn: Turn<'_>,
        sink: &mut K,
    ) -> Result<(), Error> {
        let passed = self.response.pass_received(&mut self.input, sink);
        passed.map_err(|e| Error::new(ErrorKind::BadResponse, e))
    }

    fn poll_receive<K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        sink: &mut K,
    ) -> Poll<Result<(), MoveError>> {
        let (io, input) = (&mut self.connection.io, &mut self.input);
        let received = self.response.poll_receive(cx, turn, io, input, sink);
        received.map_err(|e| match e {
            TransferError::Reader(e) => MoveError::Source(closed(e)),
            TransferError::Writer(e) => MoveError::Sink(e),
        })
    }

    fn take_failure(&mut self) -> Option<Error> {
        self.response.take_failure().map(closed)
    }

    fn has_failed(&self) -> bool {
        self.response.has_failed()
    }

    fn is_ended(&self) -> bool {
        self.response.is_ended()
    }

    fn is_awaited(&self) -> bool {
        self.response.is_awaited()
    }

    fn received(&self) -> u64 {
        self.response.received()
    }
}

impl<Io: Stream> Sink for Request<Io> {
    fn is_ready(&self) -> bool {
        self.request.is_ready()
    }

    fn put(&mut self, data: &[u8]) {
        self.request.put(data);
    }

    fn put_bytes(&mut self, data: Bytes) {
        self.request.put_bytes(data);
    }

    fn put_buffer(&mut self, buffer: Buffer, n: usize) -> Option<Buffer> {
        self.request.put_buffer(buffer, n)
    }

    fn end(&mut self, trailers: Option<&Trailers>) {
        self.request.end(trailers);
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> Poll<io::Result<()>> {
        self.request.poll_write(cx, turn, &mut self.connection.io)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.request.poll_flush(cx, &mut self.connection.io)
    }

    fn is_drained(&self) -> bool {
        self.request.is_drained()
    }

    fn poll_transfer<R: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        transfer: &mut Transfer,
        from: &mut R,
    ) -> Option<Poll<Result<(), TransferError>>> {
        let io = &mut self.connection.io;
        self.request.poll_transfer(cx, turn, transfer, from, io)
    }
}

fn closed(error: io::Error) -> Error {
    Error::new(ErrorKind::TargetClosed, error)
}

fn refused(error: ResponseError) -> Error {
    let kind = match error {
        ResponseError::TooLarge => ErrorKind::ResponseHeaderTooLarge,
        _ => ErrorKind::BadResponse,
    };
    Error::new(kind, error)
}
