use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;

use crate::delivery::Delivery;
use crate::sys::segments_in;
use crate::transfer::{Transfer, TransferError};
use crate::{Buffer, Stream, Timer, Worker};

#[cfg(test)]
mod tests;

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
    /// The worker stops; both get FIN.
    Stopped,
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
/// FIN is passed on as FIN and leaves the other direction alone, RST as RST, once the other side has
/// acknowledged what came before it ([`Worker::delivery_timeout`]). After `idle` of silence
/// the flow is forgotten without a word: nothing is forwarded any more, and data from either side
/// is answered with RST to both. TCP keep-alive from a peer is activity. When `cut` says so, and it
/// is asked whenever the task is woken, both sides get RST. A flow outlives the drain of its worker
/// until [`Worker::stop`], since nobody can tell a flow that is over from one that is silent.
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
    /// Idle for too long.
    Forgotten,
    /// One side has failed, and the other is still to get what it sent before.
    Delivering(Failed, Delivery),
}

/// The side that ended a flow by a reset or another failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    Client,
    Target,
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
            RelayEnd::Closed | RelayEnd::Idle | RelayEnd::Stopped => {}
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
        if self.worker.stopping() {
            finish(cx, client, target);
            return Poll::Ready(RelayEnd::Stopped);
        }
        match self.phase {
            Phase::Delivering(failed, delivery) => {
                return self.poll_delivery(cx, client, target, count, failed, delivery);
            }
            // Nothing is lost with it.
            Phase::Forgotten if self.worker.draining() => {
                return Poll::Ready(RelayEnd::IdleReset);
            }
            Phase::Forgotten => return self.poll_forgotten(cx, client, target),
            Phase::Live(_) | Phase::UntilIdle => {}
        }
        match self.poll_halves(cx, client, target, count) {
            Poll::Ready(Ok(())) => return Poll::Ready(RelayEnd::Closed),
            Poll::Ready(Err(failed)) => {
                let delivery = Delivery::new(self.worker, &self.timer);
                self.phase = Phase::Delivering(failed, delivery);
                return self.poll_delivery(cx, client, target, count, failed, delivery);
            }
            Poll::Pending => {}
        }
        while self.timer.poll_expired(cx).is_ready() {
            if self.phase == Phase::UntilIdle {
                finish(cx, client, target);
                return Poll::Ready(RelayEnd::Idle);
            }
            if self.hush(client, target) {
                self.forget();
                return self.poll_forgotten(cx, client, target);
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
    ) -> Poll<Result<(), Failed>> {
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
            up.map_err(|e| e.side(Failed::Client, Failed::Target)),
            down.map_err(|e| e.side(Failed::Target, Failed::Client)),
        );
        match ends {
            (Poll::Ready(Err(failed)), _) | (_, Poll::Ready(Err(failed))) => {
                Poll::Ready(Err(failed))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ok(())),
            _ if self.up.has_failed_reader() => Poll::Ready(Err(Failed::Client)),
            _ if self.down.has_failed_reader() => Poll::Ready(Err(Failed::Target)),
            _ => Poll::Pending,
        }
    }

    /// Gives the side that is left what `failed` sent before it failed; what is on its way to
    /// `failed` has nowhere to go. Ready once it is there, or `delivery` has taken too long.
    fn poll_delivery<A: Stream, B: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut A,
        target: &mut B,
        count: &impl Fn(Direction, u64),
        failed: Failed,
        delivery: Delivery,
    ) -> Poll<RelayEnd> {
        let (worker, timer) = (self.worker, &self.timer);
        match failed {
            Failed::Client => {
                self.down.transfer.discard();
                let count = |n| count(Direction::ClientToTarget, n);
                let up = &mut self.up;
                ready!(up.poll_last(cx, worker, timer, client, target, delivery, count));
                Poll::Ready(RelayEnd::ClientReset)
            }
            Failed::Target => {
                self.up.transfer.discard();
                let count = |n| count(Direction::TargetToClient, n);
                let down = &mut self.down;
                ready!(down.poll_last(cx, worker, timer, target, client, delivery, count));
                Poll::Ready(RelayEnd::TargetReset)
            }
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
            match self.poll_transfer(cx, worker, timer, from, to, count) {
                Poll::Ready(Ok(())) => self.state = HalfState::Ending,
                Poll::Ready(Err(TransferError::Reader(e))) => {
                    self.state = HalfState::Ending;
                    if !is_end(&e) {
                        return Poll::Ready(Err(TransferError::Reader(e)));
                    }
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

    /// After a failure of `from`: moves what it sent before, without a FIN behind it. Ready once
    /// `to` has acknowledged that, or will not.
    #[allow(clippy::too_many_arguments)] // One call in two directions.
    fn poll_last<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        delivery: Delivery,
        count: impl Fn(u64),
    ) -> Poll<()> {
        if self.state == HalfState::Open {
            match self.poll_transfer(cx, worker, timer, from, to, count) {
                // The failure was told already, so that the end looks like an end.
                Poll::Ready(Ok(()) | Err(TransferError::Reader(_))) => {
                    self.state = HalfState::Ending;
                }
                Poll::Ready(Err(TransferError::Writer(_))) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        let written = self.state != HalfState::Open;
        delivery.poll(cx, worker, timer, to.socket(), written)
    }

    fn poll_transfer<R: Stream, W: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
        from: &mut R,
        to: &mut W,
        count: impl Fn(u64),
    ) -> Poll<Result<(), TransferError>> {
        let before = self.transfer.moved();
        let polled = self.transfer.poll(cx, worker, timer, from, to);
        if self.transfer.moved() > before {
            count(self.transfer.moved() - before);
        }
        polled
    }

    fn has_failed_reader(&self) -> bool {
        self.transfer.failure().is_some_and(|e| !is_end(e))
    }
}

/// Whether a failed read is an end all the same: TLS without close_notify.
fn is_end(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::UnexpectedEof
}

impl TransferError {
    fn side(&self, reader: Failed, writer: Failed) -> Failed {
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
