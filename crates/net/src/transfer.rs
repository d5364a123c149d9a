use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::buffer::{Buffer, LARGE};
use crate::pipe::{PIPE, Pipe};
use crate::{Stream, Timer, Worker};

#[cfg(test)]
mod tests;

/// Minimum size in bytes of a read that counts as bulk.
const BULK: usize = 32 * 1024;

/// Consecutive bulk reads that switch a direction to splice(2), and short reads that switch it back.
const SWITCH_AFTER: u8 = 4;

/// Reads in one poll, after which other connections of the worker get their turn.
const ROUNDS: usize = 4;

/// Moves bytes in one direction, from one stream to another.
///
/// Data is written as soon as it is read, from a buffer that all connections of the worker share. Only
/// data that the writer does not accept is kept, and nothing more is read meanwhile. Between plain
/// sockets, bulk data does not pass through the memory of this process (splice(2)).
#[derive(Debug)]
pub struct Transfer {
    /// Bytes still to read; `None` until the end of the stream.
    left: Option<u64>,
    moved: u64,
    kept: Kept,
    splicing: Splicing,
    /// Consecutive bulk reads.
    streak: u8,
    ended: bool,
    /// Whether the writer buffers and has not been flushed since the last write.
    unflushed: bool,
    /// Error of the reader, returned once everything read before it is written and flushed.
    failed: Option<io::Error>,
}

/// Data that was not written yet.
#[derive(Debug)]
enum Kept {
    Nothing,
    /// Bytes that go ahead of the first bytes read, in the same write.
    Preface(Vec<u8>),
    Bytes(Buffer),
    Spliced(Pipe),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Splicing {
    /// Starts once the data turns to bulk, if both streams are plain.
    Later,
    Now,
    /// Not supported here.
    Never,
}

/// Which side ended a transfer early.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The reader failed, or ended before the last byte ([`io::ErrorKind::UnexpectedEof`]).
    #[error("cannot read: {0}")]
    Reader(#[source] io::Error),
    /// The writer failed.
    #[error("cannot write: {0}")]
    Writer(#[source] io::Error),
}

impl Transfer {
    /// A transfer until the reader ends.
    pub fn until_end() -> Self {
        Self::new(None)
    }

    /// A transfer of exactly `len` bytes; no byte beyond them is read.
    pub fn exact(len: u64) -> Self {
        let mut this = Self::new(Some(len));
        if len >= BULK as u64 * 2 {
            this.splicing = Splicing::Now;
            this.streak = SWITCH_AFTER;
        }
        this
    }

    /// A transfer until the reader ends, which first writes `bytes` that were read earlier.
    pub(crate) fn until_end_after(bytes: Option<Buffer>) -> Self {
        let mut this = Self::new(None);
        if let Some(bytes) = bytes {
            this.moved = bytes.len() as u64;
            this.unflushed = true;
            this.kept = Kept::Bytes(bytes);
        }
        this
    }

    /// A transfer until the reader ends. The writer gets `preface` together with the first bytes, or before FIN if there are
    /// none. [`Self::moved`] does not count it.
    pub(crate) fn until_end_with(preface: Vec<u8>) -> Self {
        let mut this = Self::new(None);
        this.kept = Kept::Preface(preface);
        this
    }

    fn new(left: Option<u64>) -> Self {
        Self {
            left,
            moved: 0,
            kept: Kept::Nothing,
            splicing: Splicing::Later,
            streak: 0,
            ended: false,
            unflushed: false,
            failed: None,
        }
    }

    /// Bytes read so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether data is kept because the writer does not accept it yet.
    pub fn is_blocked(&self) -> bool {
        matches!(self.kept, Kept::Bytes(_) | Kept::Spliced(_))
    }

    /// The error of the reader while data from before it is still to be written.
    pub(crate) fn failure(&self) -> Option<&io::Error> {
        self.failed.as_ref()
    }

    #[cfg(test)]
    fn is_bulk(&self) -> bool {
        self.splicing == Splicing::Now
    }

    /// Moves as many bytes as possible now. Ready when everything is written and flushed.
    ///
    /// Touches `timer` when bytes move; the caller checks its expiry. The transfer ends with the first
    /// error. An error of the reader is returned after the data read before it is written.
    pub fn poll<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
    ) -> Poll<Result<(), TransferError>> {
        for _ in 0..ROUNDS {
            ready!(self.poll_kept(cx, timer, to))?;
            if self.failed.is_some() {
                ready!(self.poll_flush(cx, to))?;
            }
            if let Some(e) = self.failed.take() {
                return Poll::Ready(Err(TransferError::Reader(e)));
            }
            if self.ended || self.left == Some(0) {
                return self.poll_flush(cx, to);
            }
            match self.poll_more(cx, worker, timer, from, to) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(TransferError::Reader(e))) => self.failed = Some(e),
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    // No further write will push out the data that the writer has buffered.
                    let _ = self.poll_flush(cx, to)?;
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Drops the kept data.
    pub(crate) fn discard(&mut self) {
        self.kept = Kept::Nothing;
    }

    /// Writes the kept data.
    fn poll_kept<W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        timer: &Timer,
        to: &mut W,
    ) -> Poll<Result<(), TransferError>> {
        match &mut self.kept {
            Kept::Nothing | Kept::Preface(_) => return Poll::Ready(Ok(())),
            Kept::Bytes(buffer) => {
                ready!(poll_write(cx, timer, to, buffer)).map_err(TransferError::Writer)?;
            }
            Kept::Spliced(pipe) => {
                // Only plain sockets are spliced.
                if let Some(to) = to.plain() {
                    ready!(poll_drain(cx, timer, to, pipe)).map_err(TransferError::Writer)?;
                }
            }
        }
        self.kept = Kept::Nothing;
        Poll::Ready(Ok(()))
    }

    /// Reads once and writes the data. Pending only when there is nothing to read, never because of the
    /// writer.
    fn poll_more<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
    ) -> Poll<Result<(), TransferError>> {
        if self.splicing == Splicing::Now {
            if let (Some(from), Some(to)) = (from.plain(), to.plain()) {
                if let Some(done) = self.poll_splice(cx, worker, timer, from, to) {
                    return done;
                }
            } else {
                self.splicing = Splicing::Never;
            }
        }
        self.poll_copy(cx, worker, timer, from, to)
    }

    fn poll_copy<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
    ) -> Poll<Result<(), TransferError>> {
        let mut buffer = worker.buffers.take_large();
        let preface = match &self.kept {
            Kept::Preface(bytes) => buffer.extend(bytes),
            _ => 0,
        };
        let limit = self.limit(LARGE);
        let read = ready!(buffer.poll_read(cx, from, limit));
        if preface > 0 {
            self.kept = Kept::Nothing;
            if has_ended(&read) {
                self.unflushed = to.plain().is_none();
                self.kept = Kept::Bytes(buffer.shrink());
                return Poll::Ready(read.map_err(TransferError::Reader).and_then(|_| self.end()));
            }
        }
        if read.map_err(TransferError::Reader)? == 0 {
            return Poll::Ready(self.end());
        }
        if from.plain().is_none() {
            self.gather(cx, from, &mut buffer, limit);
        }
        timer.touch();
        self.count(buffer.len() - preface);
        self.unflushed = to.plain().is_none();
        match poll_write(cx, timer, to, &mut buffer) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(TransferError::Writer(e))),
            Poll::Pending => self.kept = Kept::Bytes(buffer.shrink()),
        }
        Poll::Ready(Ok(()))
    }

    /// Reads more TLS records into `buffer`, so that they are written in one system call: a TLS stream
    /// returns one record per read.
    fn gather<R: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        buffer: &mut Buffer,
        limit: usize,
    ) {
        while buffer.len() < limit.min(buffer.capacity()) {
            match buffer.poll_read(cx, from, limit - buffer.len()) {
                Poll::Ready(Ok(0)) => {
                    self.failed = self.end().err().map(TransferError::into_io);
                    return;
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(e)) => {
                    self.failed = Some(e);
                    return;
                }
                Poll::Pending => return,
            }
        }
    }

    /// Splices once; `None` if the data has to be copied instead.
    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &TcpStream,
        to: &TcpStream,
    ) -> Option<Poll<Result<(), TransferError>>> {
        let mut pipe = worker.pipes.take()?;
        let most = self.limit(PIPE);
        let n = loop {
            match from.poll_read_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Some(Poll::Ready(Err(TransferError::Reader(e)))),
                Poll::Pending => return Some(Poll::Pending),
            }
            match from.try_io(Interest::READABLE, || pipe.fill(from, most)) {
                Ok(0) => return Some(Poll::Ready(self.end())),
                Ok(n) => break n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if is_unsupported(&e) => {
                    self.splicing = Splicing::Never;
                    return None;
                }
                Err(e) => return Some(Poll::Ready(Err(TransferError::Reader(e)))),
            }
        };
        timer.touch();
        self.count(n);
        Some(Poll::Ready(match poll_drain(cx, timer, to, &mut pipe) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(e)) => Err(TransferError::Writer(e)),
            Poll::Pending => {
                self.kept = Kept::Spliced(pipe);
                Ok(())
            }
        }))
    }

    fn poll_flush<W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<Result<(), TransferError>> {
        if self.unflushed {
            ready!(Pin::new(to).poll_flush(cx)).map_err(TransferError::Writer)?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The number of bytes that may be read now, at most `most`.
    fn limit(&self, most: usize) -> usize {
        self.left
            .and_then(|left| usize::try_from(left).ok())
            .map_or(most, |left| left.min(most))
    }

    /// Handles the end of the reader.
    fn end(&mut self) -> Result<(), TransferError> {
        self.ended = true;
        match self.left {
            None | Some(0) => Ok(()),
            Some(_) => Err(TransferError::Reader(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Counts `n` bytes of one read, and decides between copying and splicing.
    fn count(&mut self, n: usize) {
        self.moved += n as u64;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(n as u64);
        }
        match self.splicing {
            Splicing::Later if n < BULK => self.streak = 0,
            Splicing::Later => {
                self.streak += 1;
                if self.streak == SWITCH_AFTER {
                    self.splicing = Splicing::Now;
                }
            }
            Splicing::Now if n >= BULK => self.streak = SWITCH_AFTER,
            Splicing::Now => {
                self.streak -= 1;
                if self.streak == 0 {
                    self.splicing = Splicing::Later;
                }
            }
            Splicing::Never => {}
        }
    }
}

impl TransferError {
    fn into_io(self) -> io::Error {
        match self {
            Self::Reader(e) | Self::Writer(e) => e,
        }
    }
}

/// Whether the failure of a read counts as the end of the stream: TLS closed without close_notify.
pub(crate) fn is_end(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::UnexpectedEof
}

fn has_ended(read: &io::Result<usize>) -> bool {
    read.as_ref().map_or_else(is_end, |n| *n == 0)
}

/// Writes the whole buffer.
fn poll_write<W: Stream>(
    cx: &mut Context<'_>,
    timer: &Timer,
    to: &mut W,
    buffer: &mut Buffer,
) -> Poll<io::Result<()>> {
    while !buffer.is_empty() {
        match ready!(to.poll_send(cx, buffer))? {
            0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            n => buffer.consume(n),
        }
        timer.touch();
    }
    Poll::Ready(Ok(()))
}

/// Writes the whole content of the pipe.
fn poll_drain(
    cx: &mut Context<'_>,
    timer: &Timer,
    to: &TcpStream,
    pipe: &mut Pipe,
) -> Poll<io::Result<()>> {
    while pipe.len() > 0 {
        ready!(to.poll_write_ready(cx))?;
        match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
            Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Ok(_) => timer.touch(),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(e) => return Poll::Ready(Err(e)),
        }
    }
    Poll::Ready(Ok(()))
}

/// Whether the kernel or a sandbox does not support splice(2) here.
fn is_unsupported(e: &io::Error) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::PERM, Errno::OPNOTSUPP]
        .iter()
        .any(|errno| e.raw_os_error() == Some(errno.raw_os_error()))
}
