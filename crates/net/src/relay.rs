use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;

use crate::sys::segments_in;
use crate::transfer::{Transfer, TransferError};
use crate::{Buffer, Stream, Timer, Worker};

#[cfg(test)]
mod tests;

/// How long a flow is silent before a draining worker ends it: whatever was asked has been
/// answered by then.
const DRAIN_QUIET: Duration = Duration::from_secs(1);

/// How long the sockets of a forgotten flow are kept, waiting for late data. Peers that are gone
/// for good must not hold descriptors for ever.
const FORGOTTEN: Duration = Duration::from_secs(3600);

/// What a relay did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from the client.
    pub client_to_target: u64,
    /// Bytes from the target.
    pub target_to_client: u64,
    /// How it ended.
    pub end: RelayEnd,
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelayEnd {
    /// Both sides sent FIN.
    Closed,
    /// The client's connection failed; the target gets RST.
    ClientReset,
    /// The target's connection failed; the client gets RST.
    TargetReset,
    /// Silence ended it; both get FIN ([`relay_until_idle`]).
    Idle,
    /// Data after the idle timeout; both get RST (NLB guide: load balancers).
    IdleReset,
    /// The target was taken out; both get RST.
    Cut,
    /// The worker is draining; both get FIN.
    Drained,
}

/// A direction of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What the client sends.
    ClientToTarget,
    /// What the target sends.
    TargetToClient,
}

/// Bytes that were read before a relay began; the other side gets them first.
#[derive(Debug, Default)]
pub struct Early {
    /// For the target.
    pub from_client: Option<Buffer>,
    /// For the client.
    pub from_target: Option<Buffer>,
}

/// Passes bytes both ways until the flow ends; the caller then drops both streams, which closes or
/// resets them.
///
/// FIN is passed on as FIN and leaves the other direction alone, RST as RST. After `idle` of silence
/// the flow is forgotten without a word: nothing is forwarded any more, and data from either side
/// is answered with RST to both. TCP keep-alive from a peer is activity. When `cut` says so, and it
/// is asked whenever the task is woken, both sides get RST.
pub async fn relay<A: Stream, B: Stream>(
    worker: &Worker,
    client: &mut A,
    target: &mut B,
    idle: Duration,
    cut: impl Fn() -> bool,
) -> Relayed {
    relay_counted(worker, client, target, idle, cut, |_, _| {}).await
}

/// [`relay`] that calls `count` with the bytes of each direction as they pass, so that flows which
/// live for days show in the counters.
pub async fn relay_counted<A: Stream, B: Stream>(
    worker: &Worker,
    client: &mut A,
    target: &mut B,
    idle: Duration,
    cut: impl Fn() -> bool,
    count: impl Fn(Direction, u64),
) -> Relayed {
    let phase = Phase::Live(Silence::FirstHalf);
    let mut flow = Flow::new(worker, idle, phase, Early::default());
    flow.run(client, target, cut, count).await
}

/// [`relay`] as layer 7 does it: after `idle` without a byte both sides are closed, keep-alive or
/// not (ALB guide: edit attributes; CLB guide: idle timeout). What is `early` is subject to `idle`,
/// `cut` and draining like all that follows.
pub async fn relay_until_idle<A: Stream, B: Stream>(
    worker: &Worker,
    client: &mut A,
    target: &mut B,
    early: Early,
    idle: Duration,
    cut: impl Fn() -> bool,
    count: impl Fn(Direction, u64),
) -> Relayed {
    let mut flow = Flow::new(worker, idle, Phase::UntilIdle, early);
    flow.run(client, target, cut, count).await
}

struct Flow<'w> {
    worker: &'w Worker,
    /// Expires after half of `idle` while live, see [`Silence`].
    timer: Timer,
    idle: Duration,
    up: Half,
    down: Half,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live(Silence),
    /// The flow is closed when it is idle.
    UntilIdle,
    /// The worker drains; the flow ends when it is quiet for [`DRAIN_QUIET`].
    Draining,
    /// Idle for too long.
    Forgotten,
}

/// How much of the idle timeout has passed. Keep-alive probes can only be seen in a count of
/// segments, which is too dear to read at every event: it is read after half of the timeout, and
/// compared after the other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    FirstHalf,
    SecondHalf { segments: (u32, u32), moved: u64 },
}

/// One direction.
struct Half {
    transfer: Transfer,
    state: HalfState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HalfState {
    Open,
    /// The reader has ended, and everything is written: FIN is next.
    Ending,
    /// FIN is out.
    Closed,
}

impl<'w> Flow<'w> {
    fn new(worker: &'w Worker, idle: Duration, phase: Phase, early: Early) -> Self {
        let first = if phase == Phase::UntilIdle {
            idle
        } else {
            idle / 2
        };
        Self {
            worker,
            timer: worker.timers.timer(first),
            idle,
            up: Half::new(early.from_client),
            down: Half::new(early.from_target),
            phase,
        }
    }

    async fn run<A: Stream, B: Stream>(
        &mut self,
        client: &mut A,
        target: &mut B,
        cut: impl Fn() -> bool,
        count: impl Fn(Direction, u64),
    ) -> Relayed {
        let end = poll_fn(|cx| self.poll(cx, client, target, &cut, &count)).await;
        match end {
            RelayEnd::Closed | RelayEnd::Idle | RelayEnd::Drained => {}
            RelayEnd::ClientReset => target.reset_on_close(),
            RelayEnd::TargetReset => client.reset_on_close(),
            RelayEnd::IdleReset | RelayEnd::Cut => {
                client.reset_on_close();
                target.reset_on_close();
            }
        }
        Relayed {
            client_to_target: self.up.transfer.moved(),
            target_to_client: self.down.transfer.moved(),
            end,
        }
    }

    fn poll<A: Stream, B: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut A,
        target: &mut B,
        cut: &impl Fn() -> bool,
        count: &impl Fn(Direction, u64),
    ) -> Poll<RelayEnd> {
        if cut() {
            return Poll::Ready(RelayEnd::Cut);
        }
        if self.worker.draining() && self.phase != Phase::Draining {
            if self.phase == Phase::Forgotten {
                return Poll::Ready(RelayEnd::IdleReset);
            }
            self.phase = Phase::Draining;
            self.timer.reset(DRAIN_QUIET);
        }
        if self.phase == Phase::Forgotten {
            return self.poll_forgotten(cx, client, target);
        }
        if let Poll::Ready(end) = self.poll_halves(cx, client, target, count) {
            return Poll::Ready(end);
        }
        while self.timer.poll_expired(cx).is_ready() {
            match self.phase {
                Phase::Draining if self.is_blocked() => self.timer.reset(DRAIN_QUIET),
                Phase::Draining => {
                    finish(cx, client, target);
                    return Poll::Ready(RelayEnd::Drained);
                }
                Phase::UntilIdle => {
                    finish(cx, client, target);
                    return Poll::Ready(RelayEnd::Idle);
                }
                Phase::Live(_) | Phase::Forgotten => {
                    if self.hush(client, target) {
                        self.forget();
                        return self.poll_forgotten(cx, client, target);
                    }
                }
            }
        }
        Poll::Pending
    }

    fn poll_halves<A: Stream, B: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut A,
        target: &mut B,
        count: &impl Fn(Direction, u64),
    ) -> Poll<RelayEnd> {
        let last = self.down.state == HalfState::Closed;
        let up = self
            .up
            .poll(cx, self.worker, &self.timer, client, target, last, |n| {
                count(Direction::ClientToTarget, n);
            });
        let last = self.up.state == HalfState::Closed;
        // Polled even when the other has failed: what the peer said before still arrives.
        let down = self
            .down
            .poll(cx, self.worker, &self.timer, target, client, last, |n| {
                count(Direction::TargetToClient, n);
            });
        let ends = (
            up.map_err(|e| e.side(RelayEnd::ClientReset, RelayEnd::TargetReset)),
            down.map_err(|e| e.side(RelayEnd::TargetReset, RelayEnd::ClientReset)),
        );
        match ends {
            (Poll::Ready(Err(end)), _) | (_, Poll::Ready(Err(end))) => Poll::Ready(end),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(RelayEnd::Closed),
            _ => Poll::Pending,
        }
    }

    /// The timer has expired. Whether the whole idle timeout has passed in silence.
    fn hush<A: Stream, B: Stream>(&mut self, client: &A, target: &B) -> bool {
        let segments = (
            segments_in(client.socket()).unwrap_or_default(),
            segments_in(target.socket()).unwrap_or_default(),
        );
        let moved = self.up.transfer.moved() + self.down.transfer.moved();
        let now = Silence::SecondHalf { segments, moved };
        if self.phase == Phase::Live(now) {
            return true;
        }
        self.phase = Phase::Live(now);
        self.timer.reset(self.idle / 2);
        false
    }

    /// A slow reader is still to get bytes: FIN would tell it that it has them all.
    fn is_blocked(&self) -> bool {
        self.up.transfer.is_blocked() || self.down.transfer.is_blocked()
    }

    fn forget(&mut self) {
        self.phase = Phase::Forgotten;
        self.up.transfer.discard();
        self.down.transfer.discard();
        self.timer.reset(FORGOTTEN);
    }

    /// Waits for anything from a side that has not ended yet.
    fn poll_forgotten<A: Stream, B: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        client: &A,
        target: &B,
    ) -> Poll<RelayEnd> {
        let spoken = self.up.state == HalfState::Open && poll_spoken(cx, client).is_ready()
            || self.down.state == HalfState::Open && poll_spoken(cx, target).is_ready();
        if spoken || self.timer.poll_expired(cx).is_ready() {
            return Poll::Ready(RelayEnd::IdleReset);
        }
        Poll::Pending
    }
}

impl Half {
    fn new(early: Option<Buffer>) -> Self {
        Self {
            transfer: Transfer::until_end_after(early),
            state: HalfState::Open,
        }
    }

    /// Moves bytes, then FIN. `last`: the other direction is closed already, so that plain sockets
    /// are closed in a moment anyway, which sends FIN.
    #[allow(clippy::too_many_arguments)] // One call in two directions.
    fn poll<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        last: bool,
        count: impl Fn(u64),
    ) -> Poll<Result<(), TransferError>> {
        if self.state == HalfState::Open {
            let before = self.transfer.moved();
            let polled = self.transfer.poll(cx, worker, timer, from, to);
            if self.transfer.moved() > before {
                count(self.transfer.moved() - before);
            }
            match polled {
                Poll::Ready(Ok(())) => self.state = HalfState::Ending,
                Poll::Ready(Err(TransferError::Reader(e)))
                    if e.kind() == io::ErrorKind::UnexpectedEof =>
                {
                    // TLS that ends without close_notify: FIN all the same.
                    self.state = HalfState::Ending;
                }
                other => return other,
            }
        }
        if self.state == HalfState::Ending {
            if !(last && to.plain().is_some()) {
                match Pin::new(to).poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(TransferError::Writer(e))),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.state = HalfState::Closed;
        }
        Poll::Ready(Ok(()))
    }
}

impl TransferError {
    fn side(&self, reader: RelayEnd, writer: RelayEnd) -> RelayEnd {
        match self {
            Self::Reader(_) => reader,
            Self::Writer(_) => writer,
        }
    }
}

/// Says goodbye under TLS (close_notify); the close that follows sends FIN.
fn finish<A: Stream, B: Stream>(cx: &mut Context<'_>, client: &mut A, target: &mut B) {
    // What cannot be said at once is left unsaid.
    let _ = Pin::new(client).poll_shutdown(cx);
    let _ = Pin::new(target).poll_shutdown(cx);
}

/// Ready when the peer has sent data, FIN or RST that nobody has read.
fn poll_spoken<S: Stream>(cx: &mut Context<'_>, stream: &S) -> Poll<()> {
    let mut byte = [0];
    stream
        .socket()
        .poll_peek(cx, &mut ReadBuf::new(&mut byte))
        .map(|_| ())
}
