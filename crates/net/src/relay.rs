use std::future::poll_fn;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::ReadBuf;

use half::{Half, HalfState};

use crate::delivery::Delivery;
use crate::probes::send_probes;
use crate::sys::segments_in;
use crate::transfer::{Transfer, TransferError};
use crate::{Buffer, Stream, Timer, Worker};

mod half;

#[cfg(test)]
mod tests;

/// How long the sockets of an expired flow stay open for late data, so that vanished peers do not hold descriptors: later
/// data gets its RST from the kernel.
const EXPIRED_LINGER: Duration = Duration::from_secs(300);

/// When a flow without activity expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// After this time.
    pub timeout: Duration,
    /// Whether both peers get TCP keep-alive probes every 20 s as soon as one of them was seen to send some.
    pub answers_probes: bool,
}

/// The result of a relay.
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
    /// The idle timeout passed; both get FIN ([`relay_until_idle`]).
    Idle,
    /// Data arrived after the idle timeout; both get RST (NLB guide: load balancers).
    IdleReset,
    /// The connections to the target were terminated; both get RST.
    Terminated,
    /// The worker stopped; both get FIN.
    Stopped,
}

/// The direction of relayed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the target.
    ClientToTarget,
    /// From the target to the client.
    TargetToClient,
}

/// Bytes that were read before the relay began. The other side gets them first.
#[derive(Debug, Default)]
pub struct Early {
    /// For the target.
    pub from_client: Option<Buffer>,
    /// For the client.
    pub from_target: Option<Buffer>,
}

/// Relays bytes in both directions until the flow ends. The caller then drops both streams, which closes
/// or resets them.
///
/// FIN is passed on as FIN and leaves the other direction open. RST is passed on as RST once the other
/// side has acknowledged the data before it ([`Worker::set_delivery_timeout`]). After `idle` without activity
/// the flow expires silently: nothing is forwarded any more, and data from either side is answered with
/// RST to both. TCP keep-alive from a peer is activity. Once `is_terminated` returns true, which is
/// checked whenever the task is woken, both sides get RST. A flow outlives the drain of its worker until
/// [`Worker::stop`], because an idle flow cannot be told from a finished one.
pub fn relay<A: Stream, B: Stream>(
    worker: &Worker,
    client: &mut A,
    target: &mut B,
    idle: Duration,
    is_terminated: impl Fn() -> bool,
) -> impl Future<Output = Relayed> {
    let idle = Idle {
        timeout: idle,
        answers_probes: false,
    };
    let preface = Vec::new();
    relay_counted(
        worker,
        client,
        target,
        preface,
        idle,
        is_terminated,
        |_, _| {},
    )
}

/// Like [`relay`], but calls `count` with the bytes of each direction as they pass, so that the counters
/// include long-lived flows. The target gets `preface`, which is not counted, together with the client's first bytes, or
/// before FIN if there are none.
pub fn relay_counted<A: Stream, B: Stream>(
    worker: &Worker,
    client: &mut A,
    target: &mut B,
    preface: Vec<u8>,
    idle: Idle,
    is_terminated: impl Fn() -> bool,
    count: impl Fn(Direction, u64),
) -> impl Future<Output = Relayed> {
    let phase = Phase::Live(Silence::FirstHalf);
    let mut flow = Flow::new(worker, idle.timeout, phase, Early::default());
    if !preface.is_empty() {
        flow.up.transfer = Transfer::until_end_with(preface);
    }
    flow.answers_probes = idle.answers_probes;
    flow.run(client, target, is_terminated, count)
}

/// Like [`relay_counted`], but closes both sides after `idle` without data, regardless of TCP keep-alive
/// (ALB guide: edit attributes; CLB guide: idle timeout). `early` is relayed first, under the same rules.
pub fn relay_until_idle<A: Stream, B: Stream>(
    worker: &Worker,
    client: &mut A,
    target: &mut B,
    early: Early,
    idle: Duration,
    is_terminated: impl Fn() -> bool,
    count: impl Fn(Direction, u64),
) -> impl Future<Output = Relayed> {
    let flow = Flow::new(worker, idle, Phase::UntilIdle, early);
    flow.run(client, target, is_terminated, count)
}

struct Flow<'w> {
    worker: &'w Worker,
    /// Expires after half of `idle` while the flow is live, see [`Silence`].
    timer: Timer,
    idle: Duration,
    up: Half,
    down: Half,
    phase: Phase,
    /// See [`Idle`]; false once probes are sent.
    answers_probes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Live(Silence),
    /// Closed when idle.
    UntilIdle,
    /// The idle timeout has passed.
    Expired,
    /// One side has failed, and the other still gets the data sent before.
    Delivering(Failed, Delivery),
}

/// The side whose connection failed, by a reset or otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    Client,
    Target,
}

/// How much of the idle timeout has passed. Keep-alive probes only show in the segment counters of the
/// sockets, which are too expensive to read at every event. They are read after half of the timeout, and
/// compared after the other half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    FirstHalf,
    SecondHalf { segments: (u32, u32), moved: u64 },
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
            answers_probes: false,
        }
    }

    #[expect(clippy::manual_async_fn)] // An `async fn` would hold its arguments twice, for as long as the flow lives.
    fn run<A: Stream, B: Stream>(
        mut self,
        client: &mut A,
        target: &mut B,
        is_terminated: impl Fn() -> bool,
        count: impl Fn(Direction, u64),
    ) -> impl Future<Output = Relayed> {
        async move {
            let end = poll_fn(|cx| self.poll(cx, client, target, &is_terminated, &count)).await;
            match end {
                RelayEnd::Closed | RelayEnd::Idle | RelayEnd::Stopped => {}
                RelayEnd::ClientReset => target.reset_on_close(),
                RelayEnd::TargetReset => client.reset_on_close(),
                RelayEnd::IdleReset | RelayEnd::Terminated => {
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
    }

    fn poll<A: Stream, B: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut A,
        target: &mut B,
        is_terminated: &impl Fn() -> bool,
        count: &impl Fn(Direction, u64),
    ) -> Poll<RelayEnd> {
        if is_terminated() {
            return Poll::Ready(RelayEnd::Terminated);
        }
        if self.worker.stopping() {
            finish(cx, client, target);
            return Poll::Ready(RelayEnd::Stopped);
        }
        match self.phase {
            Phase::Delivering(failed, delivery) => {
                return self.poll_delivery(cx, client, target, count, failed, delivery);
            }
            // No data is lost.
            Phase::Expired if self.worker.draining() => {
                return Poll::Ready(RelayEnd::IdleReset);
            }
            Phase::Expired => return self.poll_expired_flow(cx, client, target),
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
            if self.check_silence(client, target) {
                self.expire();
                return self.poll_expired_flow(cx, client, target);
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
        // Polled even if the other direction has failed: data that the peer sent before still arrives.
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

    /// Delivers the data that `failed` sent before it failed to the other side, and discards the data
    /// meant for `failed`. Ready once it is delivered or `delivery` has timed out.
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

    /// Called when the timer has expired; returns whether the whole idle timeout passed without activity.
    fn check_silence<A: Stream, B: Stream>(&mut self, client: &A, target: &B) -> bool {
        let segments = (
            segments_in(client.socket()).unwrap_or_default(),
            segments_in(target.socket()).unwrap_or_default(),
        );
        let moved = self.up.transfer.moved() + self.down.transfer.moved();
        let now = Silence::SecondHalf { segments, moved };
        if self.phase == Phase::Live(now) {
            return true;
        }
        let has_probes = matches!(self.phase, Phase::Live(Silence::SecondHalf { moved: before, .. }) if before == moved);
        if has_probes && mem::take(&mut self.answers_probes) {
            send_probes(client.socket());
            send_probes(target.socket());
        }
        self.phase = Phase::Live(now);
        self.timer.reset(self.idle / 2);
        false
    }

    fn expire(&mut self) {
        self.phase = Phase::Expired;
        self.up.transfer.discard();
        self.down.transfer.discard();
        self.timer.reset(EXPIRED_LINGER);
    }

    /// Waits for data, FIN or RST from a side that has not sent FIN yet.
    fn poll_expired_flow<A: Stream, B: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        client: &A,
        target: &B,
    ) -> Poll<RelayEnd> {
        let is_active = self.up.state == HalfState::Open && poll_activity(cx, client).is_ready()
            || self.down.state == HalfState::Open && poll_activity(cx, target).is_ready();
        if is_active || self.timer.poll_expired(cx).is_ready() {
            return Poll::Ready(RelayEnd::IdleReset);
        }
        Poll::Pending
    }
}

impl TransferError {
    fn side(&self, reader: Failed, writer: Failed) -> Failed {
        match self {
            Self::Reader(_) => reader,
            Self::Writer(_) => writer,
        }
    }
}

/// Sends close_notify with TLS; closing the socket afterwards sends FIN.
fn finish<A: Stream, B: Stream>(cx: &mut Context<'_>, client: &mut A, target: &mut B) {
    // Best effort: if it cannot be sent at once, it is not sent.
    let _ = Pin::new(client).poll_shutdown(cx);
    let _ = Pin::new(target).poll_shutdown(cx);
}

/// Ready when the peer has sent data, FIN or RST that was not read yet.
fn poll_activity<S: Stream>(cx: &mut Context<'_>, stream: &S) -> Poll<()> {
    let mut byte = [0];
    stream
        .socket()
        .poll_peek(cx, &mut ReadBuf::new(&mut byte))
        .map(|_| ())
}
