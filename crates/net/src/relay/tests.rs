use std::cell::Cell;
use std::future::Future;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::{Early, Idle, RelayEnd, Relayed, relay, relay_counted, relay_until_idle};
use crate::sys::segments_in;
use crate::testing::{Opaque, Pattern, pair, settle, soon, tight_pair};
use crate::{Stream, Worker};

mod bytes;
mod delivery;
mod early;
mod preface;

/// 300 ms: the first half ends at tick 3, the second three ticks later.
const IDLE: Duration = Duration::from_millis(300);

const DAY: Duration = Duration::from_secs(86400);

/// A running relay, and the peers at both ends.
struct Flow {
    worker: Rc<Worker>,
    client: TcpStream,
    target: TcpStream,
    cut: Rc<Cell<bool>>,
    relayed: JoinHandle<Relayed>,
}

impl Flow {
    async fn new(idle: Duration) -> Self {
        Self::over(pair().await, pair().await, idle, |s| s, |s| s)
    }

    fn over<A: Stream, B: Stream>(
        (client, accepted): (TcpStream, TcpStream),
        (connected, target): (TcpStream, TcpStream),
        idle: Duration,
        front: impl FnOnce(TcpStream) -> A,
        back: impl FnOnce(TcpStream) -> B,
    ) -> Self {
        Self::on(
            Worker::new(0),
            (client, accepted),
            (connected, target),
            idle,
            front,
            back,
        )
    }

    fn on<A: Stream, B: Stream>(
        worker: Rc<Worker>,
        (client, accepted): (TcpStream, TcpStream),
        (connected, target): (TcpStream, TcpStream),
        idle: Duration,
        front: impl FnOnce(TcpStream) -> A,
        back: impl FnOnce(TcpStream) -> B,
    ) -> Self {
        let cut = Rc::new(Cell::new(false));
        let (mut front, mut back) = (front(accepted), back(connected));
        let (of_task, cut_of_task) = (Rc::clone(&worker), Rc::clone(&cut));
        let relayed = spawn_local(async move {
            relay(&of_task, &mut front, &mut back, idle, || cut_of_task.get()).await
        });
        Self {
            worker,
            client,
            target,
            cut,
            relayed,
        }
    }

    /// Sends one byte in each direction.
    async fn ping(&mut self) {
        soon(self.client.write_all(b"?")).await.unwrap();
        assert_eq!(soon(self.target.read_u8()).await.unwrap(), b'?');
        soon(self.target.write_all(b"!")).await.unwrap();
        assert_eq!(soon(self.client.read_u8()).await.unwrap(), b'!');
    }

    /// Advances the clock and lets all tasks react.
    async fn advance(&self, ticks: u64) {
        self.worker.timers.advance(self.worker.timers.now() + ticks);
        settle().await;
    }

    async fn end(self) -> Relayed {
        let relayed = soon(self.relayed).await.unwrap();
        assert_eq!(self.worker.buffers.in_use(), 0);
        assert_eq!(self.worker.pipes.out(), 0);
        relayed
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read_u8()).await, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

async fn is_ended(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read_u8()).await, Err(e) if e.kind() == ErrorKind::UnexpectedEof)
}

// Parity 3.10: half-close is passed through, and does not end the other direction.

#[test]
fn client_half_close_keeps_the_other_direction_open() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.client.write_all(b"request").await.unwrap();
        flow.client.shutdown().await.unwrap();
        let mut request = Vec::new();
        soon(flow.target.read_to_end(&mut request)).await.unwrap();
        assert_eq!(request, b"request");
        flow.target.write_all(b"first").await.unwrap();
        let mut answer = [0; 5];
        soon(flow.client.read_exact(&mut answer)).await.unwrap();
        flow.target.write_all(b", then last").await.unwrap();
        flow.target.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(flow.client.read_to_end(&mut rest)).await.unwrap();
        assert_eq!((&answer, &*rest), (b"first", &b", then last"[..]));
        let relayed = Relayed {
            client_to_target: 7,
            target_to_client: 16,
            end: RelayEnd::Closed,
        };
        assert_eq!(flow.end().await, relayed);
    });
}

#[test]
fn target_half_close_keeps_the_other_direction_open() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.target.write_all(b"banner").await.unwrap();
        flow.target.shutdown().await.unwrap();
        let mut banner = Vec::new();
        soon(flow.client.read_to_end(&mut banner)).await.unwrap();
        assert_eq!(banner, b"banner");
        flow.client.write_all(b"still here").await.unwrap();
        let mut late = [0; 10];
        soon(flow.target.read_exact(&mut late)).await.unwrap();
        flow.client.shutdown().await.unwrap();
        assert!(is_ended(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

#[test]
fn half_close_is_passed_on_by_buffering_streams() {
    run(async {
        let mut flow = Flow::over(pair().await, pair().await, DAY, Opaque::new, Opaque::new);
        flow.ping().await;
        flow.client.shutdown().await.unwrap();
        assert!(is_ended(&mut flow.target).await);
        flow.target.write_all(b"bye").await.unwrap();
        flow.target.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon(flow.client.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest, b"bye");
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

// A reset is passed on as a reset.

#[test]
fn client_reset_is_passed_on_as_a_reset() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        flow.client.set_zero_linger().unwrap();
        drop(flow.client);
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::ClientReset);
    });
}

#[test]
fn target_reset_is_passed_on_after_its_data() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        let ticks = spawn_local(flow.worker.clone().run_ticks(|| {}));
        flow.target.write_all(b"last words").await.unwrap();
        flow.target.set_zero_linger().unwrap();
        drop(flow.target);
        let mut words = [0; 10];
        soon(flow.client.read_exact(&mut words)).await.unwrap();
        assert_eq!(&words, b"last words");
        assert!(is_reset(&mut flow.client).await);
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::TargetReset);
        ticks.abort();
    });
}

#[test]
fn reset_is_passed_on_by_buffering_streams() {
    run(async {
        let mut flow = Flow::over(pair().await, pair().await, DAY, Opaque::new, Opaque::new);
        flow.ping().await;
        flow.client.set_zero_linger().unwrap();
        drop(flow.client);
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::ClientReset);
    });
}

// Parity 3.3: idle timeout.

#[test]
fn late_client_data_resets_both_sides() {
    run(async {
        let mut flow = Flow::new(IDLE).await;
        settle().await;
        flow.advance(3).await;
        flow.advance(3).await;
        assert!(!flow.relayed.is_finished(), "expired silently");
        assert_eq!(
            flow.client.try_read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(
            flow.target.try_read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        flow.client.write_all(b"late").await.unwrap();
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut flow.target).await);
        let relayed = flow.end().await;
        assert_eq!(
            (relayed.end, relayed.client_to_target),
            (RelayEnd::IdleReset, 0)
        );
    });
}

#[test]
fn late_target_data_resets_both_sides() {
    run(async {
        let mut flow = Flow::over(pair().await, pair().await, IDLE, Opaque::new, Opaque::new);
        settle().await;
        flow.advance(3).await;
        flow.advance(3).await;
        assert!(!flow.relayed.is_finished());
        flow.target.write_all(b"late").await.unwrap();
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::IdleReset);
    });
}

#[test]
fn data_before_the_timeout_keeps_the_flow_open() {
    run(async {
        let mut flow = Flow::new(IDLE).await;
        settle().await;
        for _ in 0..10 {
            flow.advance(3).await;
            flow.advance(2).await;
            flow.ping().await;
        }
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

#[test]
fn peer_keep_alive_keeps_the_flow_open() {
    run(async {
        let (client, accepted) = pair().await;
        let keep_alive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(1));
        socket2::SockRef::from(&client)
            .set_tcp_keepalive(&keep_alive)
            .unwrap();
        let watched = socket2::SockRef::from(&accepted).try_clone().unwrap();
        let mut flow = Flow::over((client, accepted), pair().await, IDLE, |s| s, |s| s);
        settle().await;
        let before = segments_in(&watched).unwrap();
        flow.advance(3).await;
        let probed = async {
            while segments_in(&watched).unwrap() == before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        soon(probed).await;
        flow.advance(3).await;
        flow.ping().await;
        drop(watched);
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

// NLB guide, listeners: after a keep-alive in a flow of TLS, both sides get some every 20 s.
#[test]
fn probes_of_a_peer_are_answered_with_own_ones_if_asked() {
    for answers_probes in [true, false] {
        run(async {
            let worker = Worker::new(0);
            let (client, mut accepted) = pair().await;
            let (mut connected, _target) = pair().await;
            let probes = socket2::TcpKeepalive::new().with_time(Duration::from_secs(1));
            socket2::SockRef::from(&client)
                .set_tcp_keepalive(&probes)
                .unwrap();
            let watched = [&accepted, &connected]
                .map(|socket| socket2::SockRef::from(socket).try_clone().unwrap());
            let of_task = Rc::clone(&worker);
            let relayed = spawn_local(async move {
                let idle = Idle {
                    timeout: IDLE,
                    answers_probes,
                };
                let (front, back) = (&mut accepted, &mut connected);
                relay_counted(&of_task, front, back, Vec::new(), idle, || false, |_, _| {}).await
            });
            let advance = async || {
                worker.timers.advance(worker.timers.now() + 3);
                settle().await;
            };
            settle().await;
            let before = segments_in(&watched[0]).unwrap();
            advance().await;
            let probed = async {
                while segments_in(&watched[0]).unwrap() == before {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            soon(probed).await;
            assert!(watched.iter().all(|socket| !socket.keepalive().unwrap()));
            advance().await;
            for socket in &watched {
                assert_eq!(socket.keepalive().unwrap(), answers_probes);
                if answers_probes {
                    let twenty = Duration::from_secs(20);
                    assert_eq!(socket.tcp_keepalive_time().unwrap(), twenty);
                    assert_eq!(socket.tcp_keepalive_interval().unwrap(), twenty);
                }
            }
            relayed.abort();
        });
    }
}

#[test]
fn expired_flow_closes_its_sockets_eventually() {
    run(async {
        let mut flow = Flow::new(IDLE).await;
        settle().await;
        flow.advance(3).await;
        flow.advance(3).await;
        flow.advance(2_990).await;
        assert!(!flow.relayed.is_finished(), "for five minutes");
        flow.advance(11).await;
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::IdleReset);
    });
}

// Parity 1.13: an ALB closes idle connections; the idle timeout also applies to a WebSocket (1.1).

#[test]
fn relay_until_idle_closes_an_idle_flow() {
    run(async {
        let worker = Worker::new(0);
        let ((mut client, mut accepted), (mut connected, mut target)) =
            (pair().await, pair().await);
        let of_task = Rc::clone(&worker);
        let relayed = spawn_local(async move {
            relay_until_idle(
                &of_task,
                &mut accepted,
                &mut connected,
                Early::default(),
                IDLE,
                || false,
                |_, _| {},
            )
            .await
        });
        settle().await;
        for _ in 0..5 {
            worker.timers.advance(worker.timers.now() + 3);
            settle().await;
            client.write_all(b"x").await.unwrap();
            assert_eq!(soon(target.read_u8()).await.unwrap(), b'x');
        }
        worker.timers.advance(worker.timers.now() + 4);
        assert!(is_ended(&mut client).await);
        assert!(is_ended(&mut target).await);
        assert_eq!(soon(relayed).await.unwrap().end, RelayEnd::Idle);
    });
}

// Parity 3.6: established connections of an unhealthy target are terminated.

#[test]
fn terminated_flow_resets_both_sides() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        flow.cut.set(true);
        flow.worker.timers.wake_all();
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut flow.target).await);
        let relayed = Relayed {
            client_to_target: 1,
            target_to_client: 1,
            end: RelayEnd::Terminated,
        };
        assert_eq!(flow.end().await, relayed);
    });
}

#[test]
fn flow_survives_drain_until_the_worker_stops() {
    run(async {
        let mut flow = Flow::over(pair().await, pair().await, DAY, Opaque::new, |s| s);
        flow.ping().await;
        flow.worker.drain();
        settle().await;
        flow.advance(6000).await;
        flow.ping().await;
        flow.worker.stop();
        assert!(is_ended(&mut flow.client).await);
        assert!(is_ended(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::Stopped);
    });
}

#[test]
fn drain_resets_expired_flows() {
    run(async {
        let mut flow = Flow::new(IDLE).await;
        settle().await;
        flow.advance(3).await;
        flow.advance(3).await;
        flow.worker.drain();
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::IdleReset);
    });
}

#[test]
fn drain_waits_for_a_slow_reader() {
    run(async {
        let pattern = Pattern::new(5);
        let mut flow = Flow::over(tight_pair().await, tight_pair().await, DAY, |s| s, |s| s);
        let mut target = flow.target;
        let len = 1 << 20;
        let sender = spawn_local(async move {
            Pattern::new(5).send(&mut target, len).await;
            target.shutdown().await.unwrap();
            target
        });
        settle().await;
        flow.worker.drain();
        for _ in 0..5 {
            settle().await;
            flow.worker.timers.advance(flow.worker.timers.now() + 20);
        }
        assert_eq!(pattern.receive(&mut flow.client).await, len);
        drop(soon(sender).await.unwrap());
        flow.client.shutdown().await.unwrap();
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::Closed);
    });
}
