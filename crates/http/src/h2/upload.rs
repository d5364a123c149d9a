//! A request on its way to a target: the head, then the client's body as it comes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use elbow_net::{Stream, Timer};
use hyper::body::{Body, Incoming};

use super::budget::HeldHead;
use crate::h1::Framing;
use crate::h1::chunked::{LAST_CHUNK, size_line};
use crate::pool::Spare;

/// Frames sent in one poll; then other streams get their turn.
const ROUNDS: usize = 16;

/// Why a request did not get across.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The client reset its stream, or broke the framing.
    Client(Box<dyn std::error::Error + Send + Sync>),
    /// The target takes no more.
    Target(io::Error),
}

/// A request; at most one frame of its body is held.
pub(super) struct Upload {
    body: Incoming,
    framing: Framing,
    /// The head, the size line of a chunk, or the last chunk: written first.
    prefix: Spare,
    /// The head's charge; the memory stays as long as the upload.
    _held: HeldHead,
    prefix_at: usize,
    /// Of the body: written second.
    data: Bytes,
    /// The end of a chunk: written last.
    suffix: &'static [u8],
    ended: bool,
    unflushed: bool,
    /// Bytes of the body so far.
    pub(super) received: u64,
}

impl Upload {
    /// `head` with all its lines, which is charged as `held`, and the body that `framing` announced.
    pub(super) fn new(head: Spare, held: HeldHead, body: Incoming, framing: Framing) -> Self {
        Self {
            ended: framing == Framing::Empty,
            body,
            framing,
            prefix: head,
            _held: held,
            prefix_at: 0,
            data: Bytes::new(),
            suffix: b"",
            unflushed: false,
            received: 0,
        }
    }

    /// Whether it is the client that has to go on.
    pub(super) fn awaits_client(&self) -> bool {
        !self.ended && !self.has_pending()
    }

    /// Sends what can be sent now; ready when all of it is written and flushed.
    pub(super) fn poll<Io: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Io,
        timer: &Timer,
    ) -> Poll<Result<(), UploadError>> {
        for _ in 0..ROUNDS {
            // A first frame that is here already leaves with the head.
            if !self.ended && self.data.is_empty() && self.suffix.is_empty() {
                self.poll_body(cx, timer)?;
            }
            if self.has_pending() {
                ready!(self.poll_write(cx, io, timer)).map_err(UploadError::Target)?;
            } else {
                // What was written must not wait for what is yet to come.
                if self.unflushed {
                    ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(UploadError::Target)?;
                    self.unflushed = false;
                }
                return match self.ended {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                };
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn has_pending(&self) -> bool {
        self.prefix_at < self.prefix.len() || !self.data.is_empty() || !self.suffix.is_empty()
    }

    /// Takes the next frame of the body when one is there.
    fn poll_body(&mut self, cx: &mut Context<'_>, timer: &Timer) -> Result<(), UploadError> {
        loop {
            let frame = match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(e))) => return Err(UploadError::Client(e.into())),
                Poll::Ready(None) => return self.end(),
            };
            timer.touch();
            // Trailers are dropped, as those of HTTP/1.1.
            match frame.into_data() {
                Ok(data) if !data.is_empty() => return self.queue(data),
                _ => {}
            }
        }
    }

    fn queue(&mut self, data: Bytes) -> Result<(), UploadError> {
        self.received += data.len() as u64;
        if let Framing::Length(length) = self.framing
            && self.received > length
        {
            return Err(UploadError::Client("body longer than its length".into()));
        }
        // The end may come in a frame of its own, for which the target does not wait.
        self.ended = self.framing == Framing::Length(self.received);
        if self.framing == Framing::Chunked {
            self.make_room();
            let (line, length) = size_line(data.len());
            self.prefix
                .extend_from_slice(line.get(..length).unwrap_or_default());
            self.suffix = b"\r\n";
        }
        self.data = data;
        Ok(())
    }

    fn end(&mut self) -> Result<(), UploadError> {
        self.ended = true;
        match self.framing {
            Framing::Length(length) if self.received < length => {
                Err(UploadError::Client("body shorter than its length".into()))
            }
            Framing::Chunked => {
                self.make_room();
                self.prefix.extend_from_slice(LAST_CHUNK);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Forgets a prefix that is written.
    fn make_room(&mut self) {
        if self.prefix_at == self.prefix.len() {
            self.prefix.clear();
            self.prefix_at = 0;
        }
    }

    /// Writes all that is pending.
    fn poll_write<Io: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut Io,
        timer: &Timer,
    ) -> Poll<io::Result<()>> {
        while self.has_pending() {
            let prefix = self.prefix.get(self.prefix_at..).unwrap_or_default();
            let io = Pin::new(&mut *io);
            let n = if io.is_write_vectored() {
                let slices = [prefix, &self.data, self.suffix].map(IoSlice::new);
                ready!(io.poll_write_vectored(cx, &slices))?
            } else {
                let parts = [prefix, &self.data, self.suffix];
                let next = parts.into_iter().find(|part| !part.is_empty());
                ready!(io.poll_write(cx, next.unwrap_or_default()))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            timer.touch();
            self.unflushed = true;
            self.written(n);
        }
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, n: usize) {
        let of_prefix = n.min(self.prefix.len() - self.prefix_at);
        self.prefix_at += of_prefix;
        let of_data = (n - of_prefix).min(self.data.len());
        self.data.advance(of_data);
        let of_suffix = n - of_prefix - of_data;
        self.suffix = self.suffix.get(of_suffix..).unwrap_or_default();
    }
}
