use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::{Direction, RelayEnd, Relayed, relay, relay_counted, relay_until_idle};
use crate::sys::segments_in;
use crate::testing::{Opaque, Pattern, pair, settle, soon, tight_pair};
use crate::{Stream, Worker};

/// 300 ms: the first half is over at tick 3, the second three ticks later.
const IDLE: Duration = Duration::from_millis(300);

const DAY: Duration = Duration::from_secs(86400);

/// A relay, and what is at its two outer ends.
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
        let worker = Worker::new(0);
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

    /// One byte there, one byte back.
    async fn ping(&mut self) {
        soon(self.client.write_all(b"?")).await.unwrap();
        assert_eq!(soon(self.target.read_u8()).await.unwrap(), b'?');
        soon(self.target.write_all(b"!")).await.unwrap();
        assert_eq!(soon(self.client.read_u8()).await.unwrap(), b'!');
    }

    /// Moves the clock on, and lets everybody notice.
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
fn the_client_may_close_its_half_first() {
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
fn the_target_may_close_its_half_first() {
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
fn half_close_passes_through_streams_that_buffer() {
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
fn a_reset_of_the_client_reaches_the_target_as_a_reset() {
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
fn a_reset_of_the_target_reaches_the_client_as_a_reset_after_what_it_said() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        flow.target.write_all(b"last words").await.unwrap();
        flow.target.set_zero_linger().unwrap();
        drop(flow.target);
        let mut words = [0; 10];
        soon(flow.client.read_exact(&mut words)).await.unwrap();
        assert_eq!(&words, b"last words");
        assert!(is_reset(&mut flow.client).await);
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::TargetReset);
    });
}

#[test]
fn a_reset_is_passed_on_through_streams_that_buffer() {
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
fn late_data_of_the_client_resets_both() {
    run(async {
        let mut flow = Flow::new(IDLE).await;
        settle().await;
        flow.advance(3).await;
        flow.advance(3).await;
        assert!(!flow.relayed.is_finished(), "forgotten silently");
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
fn late_data_of_the_target_resets_both() {
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
fn data_before_the_timeout_keeps_the_flow() {
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
fn keep_alive_of_a_peer_keeps_the_flow() {
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

#[test]
fn a_forgotten_flow_does_not_hold_its_sockets_for_ever() {
    run(async {
        let mut flow = Flow::new(IDLE).await;
        settle().await;
        flow.advance(3).await;
        flow.advance(3).await;
        flow.advance(36_001).await;
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::IdleReset);
    });
}

// Parity 1.13: ALB closes what is idle, and the idle timeout still applies to a WebSocket (1.1).

#[test]
fn layer_7_closes_what_is_idle() {
    run(async {
        let worker = Worker::new(0);
        let ((mut client, mut accepted), (mut connected, mut target)) =
            (pair().await, pair().await);
        let of_task = Rc::clone(&worker);
        let relayed = spawn_local(async move {
            relay_until_idle(&of_task, &mut accepted, &mut connected, IDLE, || false).await
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
fn a_cut_resets_both() {
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
            end: RelayEnd::Cut,
        };
        assert_eq!(flow.end().await, relayed);
    });
}

#[test]
fn a_draining_worker_ends_flows_with_fin_once_they_are_quiet() {
    run(async {
        let mut flow = Flow::over(pair().await, pair().await, DAY, Opaque::new, |s| s);
        flow.ping().await;
        flow.worker.drain();
        settle().await;
        flow.advance(6).await;
        flow.ping().await;
        flow.advance(6).await;
        assert!(!flow.relayed.is_finished(), "it is still talking");
        flow.advance(6).await;
        assert!(is_ended(&mut flow.client).await);
        assert!(is_ended(&mut flow.target).await);
        assert_eq!(flow.end().await.end, RelayEnd::Drained);
    });
}

#[test]
fn a_draining_worker_waits_for_a_slow_reader() {
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

// The bytes.

/// `len` bytes both ways at once, byte for byte.
async fn exchange(flow: Flow, len: usize) -> Rc<Worker> {
    let (mut client_in, mut client_out) = flow.client.into_split();
    let (mut target_in, mut target_out) = flow.target.into_split();
    let (up, down) = (Pattern::new(1), Pattern::new(2));
    let client = async {
        up.send(&mut client_out, len).await;
        client_out.shutdown().await.unwrap();
    };
    let target = async {
        down.send(&mut target_out, len).await;
        target_out.shutdown().await.unwrap();
    };
    let received = tokio::join!(
        client,
        target,
        up.receive(&mut target_in),
        down.receive(&mut client_in),
    );
    assert_eq!((received.2, received.3), (len, len));
    let relayed = Relayed {
        client_to_target: len as u64,
        target_to_client: len as u64,
        end: RelayEnd::Closed,
    };
    assert_eq!(soon(flow.relayed).await.unwrap(), relayed);
    assert_eq!(flow.worker.buffers.in_use(), 0);
    assert_eq!(flow.worker.pipes.out(), 0);
    flow.worker
}

#[test]
fn bulk_is_spliced_and_arrives_unchanged() {
    run(async {
        let worker = exchange(Flow::new(DAY).await, 64 << 20).await;
        assert!(worker.pipes.kept() >= 1, "it did go through a pipe");
    });
}

#[test]
fn bulk_is_copied_under_tls_and_arrives_unchanged() {
    run(async {
        let flow = Flow::over(pair().await, pair().await, DAY, Opaque::new, |s| s);
        let worker = exchange(flow, 16 << 20).await;
        assert_eq!(worker.pipes.kept(), 0);
    });
}

#[test]
fn bulk_through_tight_sockets_arrives_unchanged() {
    run(async {
        let flow = Flow::over(tight_pair().await, tight_pair().await, DAY, |s| s, |s| s);
        exchange(flow, 4 << 20).await;
        let flow = Flow::over(
            tight_pair().await,
            tight_pair().await,
            DAY,
            Opaque::new,
            Opaque::new,
        );
        exchange(flow, 4 << 20).await;
    });
}

#[test]
fn single_bytes_pass_at_once_and_hold_nothing() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        for _ in 0..1000 {
            flow.ping().await;
            assert_eq!(flow.worker.buffers.in_use(), 0);
        }
        assert_eq!(flow.worker.pipes.kept(), 0);
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        let relayed = Relayed {
            client_to_target: 1000,
            target_to_client: 1000,
            end: RelayEnd::Closed,
        };
        assert_eq!(flow.end().await, relayed);
    });
}

#[test]
fn a_flow_that_turns_quiet_gives_its_pipe_back() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        let len = 8 << 20;
        let (pattern, mut client) = (Pattern::new(3), flow.client);
        let sender = spawn_local(async move {
            Pattern::new(3).send(&mut client, len).await;
            client
        });
        let mut part = (&mut flow.target).take(len as u64);
        assert_eq!(pattern.receive(&mut part).await, len);
        flow.client = soon(sender).await.unwrap();
        assert!(flow.worker.pipes.kept() >= 1);
        for _ in 0..10 {
            flow.ping().await;
            assert_eq!(
                (flow.worker.pipes.out(), flow.worker.buffers.in_use()),
                (0, 0)
            );
        }
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer_and_costs_one_buffer() {
    run(async {
        let mut flow = Flow::over(tight_pair().await, tight_pair().await, DAY, |s| s, |s| s);
        let mut sent = 0;
        // Nothing is taken for as long as it takes every task to come to rest.
        loop {
            settle().await;
            match flow.client.try_write(&[7; 4096]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("{e}"),
            }
            assert!(sent < 4 << 20, "no back-pressure");
        }
        assert!(flow.worker.buffers.in_use() + flow.worker.pipes.out() <= 1);
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        let mut got = Vec::new();
        soon(flow.target.read_to_end(&mut got)).await.unwrap();
        assert_eq!(got.len(), sent, "what was kept arrives before FIN");
        assert!(got.iter().all(|b| *b == 7));
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

#[test]
fn bytes_are_counted_as_they_pass() {
    run(async {
        let worker = Worker::new(0);
        let ((mut client, mut accepted), (mut connected, mut target)) =
            (pair().await, pair().await);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (of_task, seen_by_task) = (Rc::clone(&worker), Rc::clone(&seen));
        let relayed = spawn_local(async move {
            let count = |direction, n| seen_by_task.borrow_mut().push((direction, n));
            relay_counted(
                &of_task,
                &mut accepted,
                &mut connected,
                DAY,
                || false,
                count,
            )
            .await
        });
        client.write_all(b"four").await.unwrap();
        soon(target.read_exact(&mut [0; 4])).await.unwrap();
        assert_eq!(*seen.borrow(), [(Direction::ClientToTarget, 4)]);
        target.write_all(b"seven!!").await.unwrap();
        soon(client.read_exact(&mut [0; 7])).await.unwrap();
        assert_eq!(seen.borrow().get(1), Some(&(Direction::TargetToClient, 7)));
        drop((client, target));
        assert_eq!(soon(relayed).await.unwrap().end, RelayEnd::Closed);
    });
}

#[test]
fn an_idle_flow_is_small() {
    run(async {
        let worker = Worker::new(0);
        let ((_client, mut accepted), (mut connected, _target)) = (pair().await, pair().await);
        let future = relay(&worker, &mut accepted, &mut connected, DAY, || false);
        let size = size_of_val(&future);
        assert!(size < 640, "{size} bytes");
    });
}
