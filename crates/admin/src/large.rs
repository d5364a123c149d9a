//! Large answers: produced on a separate thread, piece by piece, as fast as the client reads. They do not delay probes,
//! and a slow client costs a few pieces of memory, not the whole answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use elbow_telemetry::{ShedReason, Telemetry};
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

/// A piece is sent once it has this many bytes.
const PIECE: usize = 64 * 1024;
/// The most pieces that wait for the client.
const PIECES: usize = 2;
/// The most answers at a time: a scrape, and a few people.
const MAX_ANSWERS: usize = 4;
/// How long a request waits for one of the others to finish.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take to read a whole answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A response body, complete or streamed.
pub(crate) type Content = Either<Full<Bytes>, Pieces>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerError {
    /// Too many answers are being read.
    Busy,
    /// The answer could not be produced.
    Failed,
}

/// Produces large answers.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    permits: Arc<Semaphore>,
    telemetry: Arc<Telemetry>,
}

/// The client is gone, or reads too slowly.
#[derive(Debug)]
pub(crate) struct Gone;

impl From<fmt::Error> for Gone {
    fn from(_: fmt::Error) -> Self {
        Self
    }
}

impl From<serde_json::Error> for Gone {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

impl Large {
    pub(crate) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MAX_ANSWERS)),
            telemetry,
        }
    }

    /// The answer that `write` produces. A short answer has a content length. The end of the connection shows
    /// whether a longer one is complete.
    pub(crate) async fn answer(
        &self,
        write: impl FnOnce(&mut Sink) -> Result<(), Gone> + Send + 'static,
    ) -> Result<Content, AnswerError> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(QUEUE_TIMEOUT, permit).await else {
            self.telemetry.shed.increment(ShedReason::AdminAnswers);
            return Err(AnswerError::Busy);
        };
        let (pieces, mut made) = mpsc::channel(PIECES);
        let mut sink = Sink {
            piece: Vec::new(),
            pieces,
            runtime: Handle::current(),
            until: Instant::now() + ANSWER_TIMEOUT,
        };
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if write(&mut sink).is_ok() {
                sink.finish();
            }
        });
        match made.recv().await {
            Some(Piece::Last(bytes)) => Ok(Either::Left(Full::new(bytes))),
            Some(Piece::More(bytes)) => Ok(Either::Right(Pieces {
                first: Some(bytes),
                rest: made,
                is_whole: false,
            })),
            None => Err(AnswerError::Failed),
        }
    }
}

enum Piece {
    More(Bytes),
    Last(Bytes),
}

/// Takes an answer as it is produced; used on a thread that may block.
pub(crate) struct Sink {
    piece: Vec<u8>,
    pieces: mpsc::Sender<Piece>,
    runtime: Handle,
    until: Instant,
}

impl Sink {
    fn push(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() < PIECE {
            return Ok(());
        }
        let piece = Piece::More(std::mem::take(&mut self.piece).into());
        self.send(piece)
    }

    fn send(&self, piece: Piece) -> Result<(), Gone> {
        let left = self.until.saturating_duration_since(Instant::now());
        let sent = self.pieces.send_timeout(piece, left);
        self.runtime.block_on(sent).map_err(|_| Gone)
    }

    fn finish(mut self) {
        let last = Piece::Last(std::mem::take(&mut self.piece).into());
        // If the client is gone, there is nothing to end.
        let _ = self.send(last);
    }
}

impl fmt::Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|Gone| fmt::Error)
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let pushed = self.push(bytes);
        pushed.map_err(|Gone| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A streamed answer.
pub(crate) struct Pieces {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Piece>,
    is_whole: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.is_whole {
            return Poll::Ready(None);
        }
        self.rest.poll_recv(cx).map(|piece| match piece {
            Some(Piece::More(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Piece::Last(bytes)) => {
                self.is_whole = true;
                (!bytes.is_empty()).then(|| Ok(Frame::data(bytes)))
            }
            // The error closes the connection, so that the client does not take a part for the whole.
            None => {
                self.is_whole = true;
                Some(Err(io::ErrorKind::TimedOut.into()))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.is_whole
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::new()
    }
}

/// The body for a HEAD response, of unknown length.
pub(crate) fn unknown_length() -> Content {
    let (_, rest) = mpsc::channel(1);
    Either::Right(Pieces {
        first: None,
        rest,
        is_whole: false,
    })
}

/// A complete body.
pub(crate) fn complete(bytes: impl Into<Bytes>) -> Content {
    Either::Left(Full::new(bytes.into()))
}

#[cfg(test)]
mod tests;
