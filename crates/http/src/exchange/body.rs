//! Message bodies on connections of HTTP/1.x: received, framed again and sent.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use elbow_net::{Buffer, Stream, Transfer, TransferError};

use super::side::{Sink, Turn};
use crate::h1::Framing;
use crate::h1::chunked::{ChunkError, Decoder, LAST_CHUNK, size_line};
use crate::header::trailers::Trailers;
use crate::spare::Spare;

/// Body bytes that came with a head are sent with it in one piece up to this many; copying them
/// costs less than a second system call.
const COALESCED: usize = 16 * 1024;

/// The body of a message that is received.
pub(crate) struct Reader {
    body: Body,
    /// Bytes of the body, with their framing; without those that a transfer moved.
    received: u64,
    /// Reported once everything that came before it is sent.
    failure: Option<io::Error>,
}

/// How the end of a body is found, and how far it is.
enum Body {
    Ended,
    /// Passes as it is, until so many bytes have come or the sender closes.
    Plain(Transfer, Option<u64>),
    Chunked(Decoder),
}

impl Reader {
    /// A body with `framing` of which nothing was received. Its trailers are dropped unless
    /// `keeps_trailers`.
    pub(crate) fn new(framing: Framing, keeps_trailers: bool) -> Self {
        Self {
            body: match framing {
                Framing::Empty => Body::Ended,
                Framing::Length(length) => Body::Plain(Transfer::exact(length), Some(length)),
                Framing::Chunked if keeps_trailers => Body::Chunked(Decoder::keeping_trailers()),
                Framing::Chunked => Body::Chunked(Decoder::default()),
                Framing::UntilClose => Body::Plain(Transfer::until_end(), None),
            },
            received: 0,
            failure: None,
        }
    }

    /// Bytes of the body received so far, with their framing.
    pub(crate) fn received(&self) -> u64 {
        match &self.body {
            Body::Plain(transfer, _) => self.received + transfer.moved(),
            _ => self.received,
        }
    }

    /// Whether all of the body has been given away.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(self.body, Body::Ended)
    }

    /// Whether the sender has to go on, provided that the receiver has all there is.
    pub(crate) fn is_awaited(&self) -> bool {
        match &self.body {
            Body::Ended => false,
            Body::Plain(transfer, _) => !transfer.is_blocked(),
            Body::Chunked(_) => true,
        }
    }

    /// Whether receiving failed after bytes that are still to be sent.
    pub(crate) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// The error that [`Reader::has_failed`] tells of.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Gives `sink` what has come already. Bytes behind the end of the body stay in `input`.
    pub(crate) fn pass_received<K: Sink>(
        &mut self,
        input: &mut Option<Buffer>,
        sink: &mut K,
    ) -> Result<(), ChunkError> {
        if self.is_ended() {
            return Ok(());
        }
        let Some(mut buffer) = input.take() else {
            return Ok(());
        };
        let mut trailers = None;
        let ended = match &mut self.body {
            Body::Ended => false,
            Body::Plain(transfer, left) => {
                let known = left.and_then(|left| usize::try_from(left).ok());
                let n = known.map_or(buffer.len(), |left| left.min(buffer.len()));
                self.received += n as u64;
                match left {
                    Some(left) => {
                        *left -= n as u64;
                        *transfer = Transfer::exact(*left);
                    }
                    None => *transfer = Transfer::until_end(),
                }
                *input = sink.put_buffer(buffer, n);
                *left == Some(0)
            }
            Body::Chunked(decoder) => {
                let step = decoder.compact(buffer.filled_mut())?;
                self.received += step.used as u64;
                if step.data > 0 {
                    sink.put(buffer.get(..step.data).unwrap_or_default());
                }
                buffer.consume(step.used);
                *input = Some(buffer).filter(|buffer| !buffer.is_empty());
                if decoder.is_done()
                    && let Some(lines) = decoder.take_trailers()
                {
                    trailers = Some(Trailers::parse(lines).ok_or(ChunkError::Trailer)?);
                }
                decoder.is_done()
            }
        };
        if ended {
            self.body = Body::Ended;
            sink.end(trailers.as_ref());
        }
        Ok(())
    }

    /// Receives more from `io`, into `input` or straight to `sink`.
    pub(crate) fn poll_receive<Io: Stream, K: Sink>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        io: &mut Io,
        input: &mut Option<Buffer>,
        sink: &mut K,
    ) -> Poll<Result<(), TransferError>> {
        if let Body::Plain(transfer, _) = &mut self.body
            && let Some(polled) = sink.poll_transfer(cx, turn, transfer, io)
        {
            ready!(polled)?;
            self.received += transfer.moved();
            self.body = Body::Ended;
            return Poll::Ready(Ok(()));
        }
        let room = ready!(sink.poll_room(turn));
        let mut buffer = turn.worker.buffers.take();
        match ready!(buffer.poll_read(cx, io, room)) {
            Ok(0) if matches!(self.body, Body::Plain(_, None)) => {
                self.body = Body::Ended;
                sink.end(None);
            }
            Ok(0) => self.failure = Some(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                turn.timer.touch();
                *input = Some(buffer);
            }
            Err(e) => self.failure = Some(e),
        }
        Poll::Ready(Ok(()))
    }
}

/// A message that is sent.
pub(crate) struct Writer {
    /// Whether the body is sent in chunks.
    chunked: bool,
    /// Framed, sent first.
    out: Spare,
    /// How much of `out` is sent.
    out_at: usize,
    /// A part of the body that is not copied, sent after `out`.
    held: Held,
    /// The end of a chunk, sent last.
    suffix: &'static [u8],
    /// Bytes sent, head and framing included.
    sent: u64,
    unflushed: bool,
}

/// A part of a body, in the memory that it came in.
enum Held {
    Nothing,
    Buffer(Buffer),
    Bytes(Bytes),
}

impl Held {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Buffer(buffer) => buffer,
            Self::Bytes(bytes) => bytes,
        }
    }

    fn consume(&mut self, n: usize) {
        match self {
            Self::Nothing => {}
            Self::Buffer(buffer) => buffer.consume(n),
            Self::Bytes(bytes) => bytes.advance(n.min(bytes.len())),
        }
        if self.as_slice().is_empty() {
            *self = Self::Nothing;
        }
    }
}

impl Writer {
    /// A message that begins with `head`.
    pub(crate) fn new(head: Spare, chunked: bool) -> Self {
        Self {
            chunked,
            out: head,
            out_at: 0,
            held: Held::Nothing,
            suffix: b"",
            sent: 0,
            unflushed: false,
        }
    }

    /// Where the head of the message is appended.
    pub(crate) fn head(&mut self) -> &mut Vec<u8> {
        self.out.fill();
        &mut self.out
    }

    /// Says whether the body is sent in chunks.
    pub(crate) fn set_chunked(&mut self, chunked: bool) {
        self.chunked = chunked;
    }

    /// Bytes sent so far, head and framing included.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes that were put as copies and are not sent.
    pub(crate) fn pending(&self) -> usize {
        self.out.len() - self.out_at
    }

    /// Whether a part of the body can be put.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.held, Held::Nothing) && self.suffix.is_empty()
    }

    /// Whether everything that was put is sent.
    pub(crate) fn is_drained(&self) -> bool {
        self.pending() == 0 && self.is_ready()
    }

    /// Forgets what is not sent, and lets others use the memory.
    pub(crate) fn retire(&mut self) {
        self.out.give_back();
        self.out_at = 0;
        self.held = Held::Nothing;
        self.suffix = b"";
    }

    /// Takes a part of the body, as one chunk if the body is chunked.
    pub(crate) fn put(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if self.chunked {
            self.put_size(data.len());
        }
        self.out.extend_from_slice(data);
        if self.chunked {
            self.out.extend_from_slice(b"\r\n");
        }
    }

    /// As [`Writer::put`], without a copy.
    pub(crate) fn put_bytes(&mut self, data: Bytes) {
        if self.chunked {
            self.put_size(data.len());
            self.suffix = b"\r\n";
        }
        self.held = Held::Bytes(data);
    }

    /// As [`Writer::put`] for the first `n` bytes of `buffer`; returns the rest.
    pub(crate) fn put_buffer(&mut self, mut buffer: Buffer, n: usize) -> Option<Buffer> {
        if self.chunked || n < buffer.len() || n <= COALESCED {
            self.put(buffer.get(..n).unwrap_or_default());
            buffer.consume(n);
            return (!buffer.is_empty()).then_some(buffer);
        }
        self.held = Held::Buffer(buffer);
        None
    }

    /// Takes the end of the body, and the trailers if it is chunked.
    pub(crate) fn end(&mut self, trailers: Option<&Trailers>) {
        match trailers {
            Some(trailers) if self.chunked => {
                self.out.extend_from_slice(b"0\r\n");
                self.out.extend_from_slice(trailers.lines());
                self.out.extend_from_slice(b"\r\n");
            }
            None if self.chunked => self.out.extend_from_slice(LAST_CHUNK),
            _ => {}
        }
    }

    fn put_size(&mut self, size: usize) {
        let (line, length) = size_line(size);
        self.out
            .extend_from_slice(line.get(..length).unwrap_or_default());
    }

    /// Sends what was put to `io`; ready when all of it is sent.
    pub(crate) fn poll_write<Io: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        io: &mut Io,
    ) -> Poll<io::Result<()>> {
        loop {
            let out = self.out.get(self.out_at..).unwrap_or_default();
            let parts = [out, self.held.as_slice(), self.suffix];
            let mut pending = parts.iter().filter(|part| !part.is_empty());
            let n = match (pending.next(), pending.next()) {
                (None, _) => break,
                (Some(_), Some(_)) if io.is_write_vectored() => {
                    Pin::new(&mut *io).poll_write_vectored(cx, &parts.map(IoSlice::new))
                }
                (Some(part), _) => io.poll_send(cx, part),
            };
            let n = ready!(n)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            turn.timer.touch();
            self.unflushed = true;
            self.sent += n as u64;
            self.written(n);
        }
        self.out.clear();
        self.out_at = 0;
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, n: usize) {
        let of_out = n.min(self.pending());
        self.out_at += of_out;
        let of_held = (n - of_out).min(self.held.as_slice().len());
        self.held.consume(of_held);
        let of_suffix = n - of_out - of_held;
        self.suffix = self.suffix.get(of_suffix..).unwrap_or_default();
    }

    /// Flushes what was sent.
    pub(crate) fn poll_flush<Io: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Io,
    ) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Moves a body from the socket `from` to `io`; `None` when it has to be framed.
    pub(crate) fn poll_transfer<R: Stream, Io: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        turn: Turn<'_>,
        transfer: &mut Transfer,
        from: &mut R,
        io: &mut Io,
    ) -> Option<Poll<Result<(), TransferError>>> {
        if self.chunked {
            return None;
        }
        match self.poll_flush(cx, io) {
            Poll::Pending => return Some(Poll::Pending),
            Poll::Ready(Err(e)) => return Some(Poll::Ready(Err(TransferError::Writer(e)))),
            Poll::Ready(Ok(())) => {}
        }
        let before = transfer.moved();
        let polled = transfer.poll(cx, turn.worker, turn.timer, from, io);
        self.sent += transfer.moved() - before;
        Some(polled)
    }
}
