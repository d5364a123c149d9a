//! Answers that may be large: made on a thread of their own, piece by piece, as fast as the client reads them. What answers
//! probes is not held up, and a client that reads slowly costs a few pieces, not the whole answer.

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

/// The bytes of a piece, from which on it goes to the client.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for the client.
const PIECES: usize = 2;
/// Answers that are made at a time: a scrape, and people who look.
const AT_A_TIME: usize = 4;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(5);
/// For a whole answer to be read.
const WHOLE: Duration = Duration::from_secs(60);

/// What is sent: at once, or as it comes.
pub(crate) type Content = Either<Full<Bytes>, Pieces>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Too many are being made.
    Busy,
    /// It could not be made.
    Failed,
}

/// Where large answers are made.
#[derive(Clone, Debug)]
pub(crate) struct Large {
    turns: Arc<Semaphore>,
    telemetry: Arc<Telemetry>,
}

/// The client has gone, or reads too slowly.
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
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
            telemetry,
        }
    }

    /// What `write` writes. An answer of one piece has its length told; of a larger one the end of the connection tells
    /// whether it is whole.
    pub(crate) async fn answer(
        &self,
        write: impl FnOnce(&mut Sink) -> Result<(), Gone> + Send + 'static,
    ) -> Result<Content, Trouble> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout(TURN, turn).await else {
            self.telemetry.shed.increment(ShedReason::AdminAnswers);
            return Err(Trouble::Busy);
        };
        let (pieces, mut made) = mpsc::channel(PIECES);
        let mut sink = Sink {
            piece: Vec::new(),
            pieces,
            runtime: Handle::current(),
            until: Instant::now() + WHOLE,
        };
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
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
            None => Err(Trouble::Failed),
        }
    }
}

enum Piece {
    More(Bytes),
    Last(Bytes),
}

/// Takes an answer as it is made, on a thread that may wait.
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
        // Who has gone needs no end.
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

/// An answer that comes piece by piece.
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
            // It closes the connection, so that nobody takes a part for the whole.
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

/// What stands for an answer of which the head alone is wanted: its length is not known.
pub(crate) fn unmade() -> Content {
    let (_, rest) = mpsc::channel(1);
    Either::Right(Pieces {
        first: None,
        rest,
        is_whole: false,
    })
}

/// An answer that is at hand.
pub(crate) fn at_hand(bytes: impl Into<Bytes>) -> Content {
    Either::Left(Full::new(bytes.into()))
}

#[cfg(test)]
mod tests;
