//! Moves one message, head and body, from one side to the other and frames it anew.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use elbow_net::{Buffer, Stream, Timer, Transfer, TransferError, Worker};

use crate::h1::Framing;
use crate::h1::chunked::{ChunkError, Decoder, LAST_CHUNK, size_line};
use crate::pool::Spare;

/// Body bytes that came with a head are sent with it in one piece up to this many; copying them
/// costs less than a second system call.
const COALESCED: usize = 16 * 1024;
/// Reads of one poll; then other connections get their turn.
const ROUNDS: usize = 8;

/// Why a message did not get across.
#[derive(Debug)]
pub(crate) enum PumpError {
    /// Its sender failed, or closed before its end.
    Reader(io::Error),
    /// Its sender broke the framing.
    Framing(ChunkError),
    /// Its receiver failed.
    Writer(io::Error),
}

/// One message on its way.
pub(crate) struct Pump {
    source: Source,
    /// Whether what leaves is chunked.
    chunk: bool,
    /// Framed, to be written before anything else.
    out: Spare,
    /// How much of `out` is written.
    out_at: usize,
    /// Not framed, to be written as it is after `out`.
    held: Option<Buffer>,
    /// Bytes of the body that were read, with their framing.
    read: u64,
    /// Bytes that were written, without those that a transfer moved.
    written: u64,
    unflushed: bool,
    /// Of the sender; told once everything before it is written, and flushed.
    failed: Option<io::Error>,
}

/// Where the body comes from.
enum Source {
    Ended,
    /// Passes as it is.
    Plain(Transfer, Option<u64>),
    Chunked(Decoder),
    /// To be chunked.
    UntilClose,
}

impl Pump {
    /// A message that begins with what is in `out`; `framing` says how its body comes, `chunk`
    /// whether it leaves chunked.
    pub(crate) fn new(out: Spare, framing: Framing, chunk: bool) -> Self {
        let source = match framing {
            Framing::Empty => Source::Ended,
            Framing::Length(length) => Source::Plain(Transfer::exact(length), Some(length)),
            Framing::Chunked => Source::Chunked(Decoder::default()),
            Framing::UntilClose if chunk => Source::UntilClose,
            Framing::UntilClose => Source::Plain(Transfer::until_end(), None),
        };
        Self {
            source,
            chunk,
            out,
            out_at: 0,
            held: None,
            read: 0,
            written: 0,
            unflushed: false,
            failed: None,
        }
    }

    /// Body bytes read so far, with their framing.
    pub(crate) fn read(&self) -> u64 {
        match &self.source {
            Source::Plain(transfer, _) => self.read + transfer.moved(),
            _ => self.read,
        }
    }

    /// Bytes written so far, head and framing included.
    pub(crate) fn written(&self) -> u64 {
        match &self.source {
            Source::Plain(transfer, _) => self.written + transfer.moved(),
            _ => self.written,
        }
    }

    /// Whether it is the sender that has to go on.
    pub(crate) fn awaits_reader(&self) -> bool {
        let blocked = match &self.source {
            Source::Ended => true,
            Source::Plain(transfer, _) => transfer.is_blocked(),
            Source::Chunked(_) | Source::UntilClose => false,
        };
        !blocked && self.out_at == self.out.len() && self.held.is_none()
    }

    /// Takes what has come already. What is behind the end of the body stays in `rest`.
    pub(crate) fn feed(&mut self, rest: &mut Option<Buffer>) -> Result<(), PumpError> {
        let Some(mut buffer) = rest.take() else {
            return Ok(());
        };
        let length = buffer.len();
        match &mut self.source {
            Source::Ended => {
                *rest = Some(buffer);
                return Ok(());
            }
            Source::Plain(transfer, left) => {
                let known = left.and_then(|left| usize::try_from(left).ok());
                let take = known.map_or(length, |left| left.min(length));
                self.read += take as u64;
                match left {
                    Some(left) => {
                        *left -= take as u64;
                        *transfer = Transfer::exact(*left);
                    }
                    None => *transfer = Transfer::until_end(),
                }
                if *left == Some(0) {
                    self.source = Source::Ended;
                }
                self.append(buffer, take, rest);
            }
            Source::Chunked(decoder) => {
                let step = decoder
                    .compact(buffer.filled_mut())
                    .map_err(PumpError::Framing)?;
                self.read += step.used as u64;
                let done = decoder.is_done();
                let data = buffer.get(..step.data).unwrap_or_default();
                frame(&mut self.out, data, self.chunk);
                if done {
                    self.end();
                }
                buffer.consume(step.used);
                if !buffer.is_empty() {
                    *rest = Some(buffer);
                }
            }
            Source::UntilClose => {
                self.read += length as u64;
                frame(&mut self.out, &buffer, self.chunk);
            }
        }
        Ok(())
    }

    /// Moves what can be moved now; ready when all of it is written and flushed.
    pub(crate) fn poll<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        rest: &mut Option<Buffer>,
    ) -> Poll<Result<(), PumpError>> {
        for _ in 0..ROUNDS {
            if rest.is_some() && self.held.is_none() {
                self.feed(rest)?;
            }
            ready!(self.poll_write(cx, timer, to)).map_err(PumpError::Writer)?;
            if self.failed.is_some() {
                ready!(self.poll_flush(cx, to)).map_err(PumpError::Writer)?;
            }
            if let Some(e) = self.failed.take() {
                return Poll::Ready(Err(PumpError::Reader(e)));
            }
            match &mut self.source {
                Source::Ended => {
                    return self.poll_flush(cx, to).map_err(PumpError::Writer);
                }
                Source::Plain(transfer, _) => {
                    if self.unflushed {
                        ready!(Pin::new(&mut *to).poll_flush(cx)).map_err(PumpError::Writer)?;
                        self.unflushed = false;
                    }
                    ready!(transfer.poll(cx, worker, timer, from, to))?;
                    self.read += transfer.moved();
                    self.written += transfer.moved();
                    self.source = Source::Ended;
                    return Poll::Ready(Ok(()));
                }
                Source::Chunked(_) | Source::UntilClose => {
                    let mut buffer = worker.buffers.take();
                    let Poll::Ready(n) = buffer.poll_read(cx, from, usize::MAX) else {
                        // What was written must not wait for what is yet to come.
                        let _ = self.poll_flush(cx, to).map_err(PumpError::Writer)?;
                        return Poll::Pending;
                    };
                    match n {
                        Ok(0) if matches!(self.source, Source::UntilClose) => self.end(),
                        Ok(0) => self.failed = Some(io::ErrorKind::UnexpectedEof.into()),
                        Ok(_) => {
                            timer.touch();
                            *rest = Some(buffer);
                        }
                        Err(e) => self.failed = Some(e),
                    }
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The body is complete.
    fn end(&mut self) {
        if self.chunk {
            self.out.extend_from_slice(LAST_CHUNK);
        }
        self.source = Source::Ended;
    }

    /// Queues the first `take` bytes of `buffer` as they are; the rest goes to `rest`.
    fn append(&mut self, mut buffer: Buffer, take: usize, rest: &mut Option<Buffer>) {
        if take < buffer.len() || take <= COALESCED {
            self.out
                .extend_from_slice(buffer.get(..take).unwrap_or_default());
            buffer.consume(take);
            *rest = Some(buffer).filter(|buffer| !buffer.is_empty());
        } else {
            self.held = Some(buffer);
        }
    }

    fn poll_write<W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        timer: &Timer,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        loop {
            let out = self.out.get(self.out_at..).unwrap_or_default();
            let n = match (out, &self.held) {
                ([], None) => break,
                (out, Some(held)) if !out.is_empty() && to.is_write_vectored() => {
                    let both = [IoSlice::new(out), IoSlice::new(held)];
                    Pin::new(&mut *to).poll_write_vectored(cx, &both)
                }
                ([], Some(held)) => to.poll_send(cx, held),
                (out, _) => to.poll_send(cx, out),
            };
            let n = ready!(n)?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            timer.touch();
            self.unflushed = true;
            self.written += n as u64;
            let of_out = n.min(out.len());
            self.out_at += of_out;
            if let Some(held) = &mut self.held {
                held.consume(n - of_out);
                if held.is_empty() {
                    self.held = None;
                }
            }
        }
        self.out.clear();
        self.out_at = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_flush<W: Stream>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

/// Appends `data`, as one chunk when `chunk`.
fn frame(out: &mut Vec<u8>, data: &[u8], chunk: bool) {
    if data.is_empty() {
        return;
    }
    if chunk {
        let (line, length) = size_line(data.len());
        out.extend_from_slice(line.get(..length).unwrap_or_default());
    }
    out.extend_from_slice(data);
    if chunk {
        out.extend_from_slice(b"\r\n");
    }
}

impl From<TransferError> for PumpError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Reader(e) => Self::Reader(e),
            TransferError::Writer(e) => Self::Writer(e),
        }
    }
}
