use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::Target;
use elbow_model::TargetState;
use elbow_net::Worker;
use elbow_net::datagram::{Envelope, Outbox, bind};
use elbow_net::listen::Locality;
use elbow_telemetry::ListenerMetrics;
use tokio::net::UdpSocket as AsyncSocket;
use tokio::task::{LocalSet, spawn_local};

use super::Engine;
use crate::{Gate, Listener, Passed, Refusal};
use gate::{Counts, TestGate};

mod gate;

/// An engine with one listener and one target.
struct Scene {
    engine: Rc<Engine<TestGate>>,
    worker: Rc<Worker>,
    front: u32,
    lb: SocketAddr,
    server: AsyncSocket,
    target: Arc<Target>,
    metrics: Arc<ListenerMetrics>,
    counts: Rc<Counts>,
}

impl Scene {
    async fn start(most: usize) -> Self {
        let server = AsyncSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = server.local_addr().unwrap();
        let worker = Worker::new(0);
        let engine = Engine::new(Rc::clone(&worker)).unwrap();
        let socket = bind((Ipv4Addr::LOCALHOST, 0).into(), Locality::Assigned).unwrap();
        let lb = socket.local_addr().unwrap();
        let gate = TestGate::new(&worker, address, most);
        let (target, metrics) = (Arc::clone(&gate.target), Arc::clone(&gate.metrics));
        let counts = Rc::clone(&gate.counts);
        let front = engine.listen(socket, gate).unwrap();
        spawn_local(Rc::clone(&engine).run());
        Self {
            engine,
            worker,
            front,
            lb,
            server,
            target,
            metrics,
            counts,
        }
    }

    async fn client(&self) -> AsyncSocket {
        let client = AsyncSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        client.connect(self.lb).await.unwrap();
        client
    }

    /// Sends a datagram, receives it at the target, answers, and returns the source that the target saw.
    async fn echo(&self, client: &AsyncSocket, text: &str) -> SocketAddr {
        client.send(text.as_bytes()).await.unwrap();
        let from = self.receive(text).await;
        self.server.send_to(b"yes", from).await.unwrap();
        let mut answer = [0; 9];
        let n = soon(client.recv(&mut answer)).await.unwrap();
        assert_eq!(&answer[..n], b"yes");
        from
    }

    async fn receive(&self, text: &str) -> SocketAddr {
        let mut buffer = [0; 2048];
        let (n, from) = soon(self.server.recv_from(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..n], text.as_bytes());
        from
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Awaits `future`, and panics instead of hanging.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("hangs")
}

/// Waits until `done`.
async fn until(done: impl Fn() -> bool) {
    soon(async {
        while !done() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

// Parity 3.3: 120 s.
#[test]
fn flow_ends_after_two_minutes_without_a_datagram() {
    run(async {
        let scene = Scene::start(9).await;
        let client = scene.client().await;
        let first = scene.echo(&client, "one").await;
        scene.worker.timers.advance(1_150);
        assert_eq!(scene.echo(&client, "two").await, first);
        scene.worker.timers.advance(1_150 + 1_200);
        assert_eq!(scene.echo(&client, "three").await, first, "not yet");
        scene.worker.timers.advance(1_150 + 1_200 + 1_203);
        until(|| scene.counts.open.get() == 0).await;
        assert_ne!(scene.echo(&client, "four").await, first, "a new flow");
        assert_eq!(scene.target.in_flight(), 1);
    });
}

#[test]
fn answers_of_the_target_keep_a_flow() {
    run(async {
        let scene = Scene::start(9).await;
        let client = scene.client().await;
        let from = scene.echo(&client, "one").await;
        scene.worker.timers.advance(1_000);
        scene.server.send_to(b"news", from).await.unwrap();
        let mut buffer = [0; 9];
        soon(client.recv(&mut buffer)).await.unwrap();
        scene.worker.timers.advance(2_000);
        assert_eq!(scene.echo(&client, "two").await, from);
    });
}

#[test]
fn draining_worker_ends_flows_after_two_seconds() {
    run(async {
        let scene = Scene::start(9).await;
        let client = scene.client().await;
        let from = scene.echo(&client, "one").await;
        scene.worker.drain();
        scene.worker.timers.advance(15);
        assert_eq!(scene.echo(&client, "two").await, from);
        scene.worker.timers.advance(40);
        until(|| scene.counts.open.get() == 0).await;
    });
}

#[test]
fn stopping_worker_ends_flows_at_once() {
    run(async {
        let scene = Scene::start(9).await;
        scene.echo(&scene.client().await, "one").await;
        scene.worker.stop();
        until(|| scene.counts.open.get() == 0).await;
        assert_eq!(scene.target.in_flight(), 0);
    });
}

#[test]
fn new_flow_takes_the_place_of_the_quietest_one() {
    run(async {
        let scene = Scene::start(2).await;
        let clients = [
            scene.client().await,
            scene.client().await,
            scene.client().await,
        ];
        let first = scene.echo(&clients[0], "a").await;
        let second = scene.echo(&clients[1], "b").await;
        scene.worker.timers.advance(1);
        scene.echo(&clients[0], "a again").await;
        scene.echo(&clients[2], "c").await;
        assert_eq!((scene.counts.open.get(), scene.counts.shed.get()), (2, 1));
        assert_eq!(scene.echo(&clients[0], "still a").await, first);
        assert_ne!(scene.echo(&clients[1], "b anew").await, second);
    });
}

/// All clients are in one batch, and there is room for fewer flows than that.
#[test]
fn datagrams_reach_their_own_flow_although_flows_end_meanwhile() {
    run(async {
        let scene = Scene::start(3).await;
        let mut clients = Vec::new();
        for number in 0..20_u8 {
            // Sends without giving the engine a turn.
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            client.send_to(&[number, number], scene.lb).unwrap();
            client.set_nonblocking(true).unwrap();
            clients.push(AsyncSocket::from_std(client).unwrap());
        }
        until(|| scene.counts.shed.get() == 17).await;
        for _ in 0..20 {
            let mut buffer = [0; 9];
            let (n, from) = soon(scene.server.recv_from(&mut buffer)).await.unwrap();
            scene.server.send_to(&buffer[..n], from).await.unwrap();
        }
        // The answers to flows that have ended are lost.
        for (number, client) in (0_u8..).zip(&clients).skip(17) {
            let mut buffer = [0; 9];
            let n = soon(client.recv(&mut buffer)).await.unwrap();
            assert_eq!(buffer[..n], [number, number]);
        }
        for client in &clients[..17] {
            let lost = client.try_recv(&mut [0; 9]);
            assert!(lost.is_err(), "{lost:?}");
        }
    });
}

#[test]
fn terminated_flow_ends_and_the_next_datagram_begins_another() {
    run(async {
        let scene = Scene::start(9).await;
        let client = scene.client().await;
        let first = scene.echo(&client, "one").await;
        scene.engine.end_terminated();
        assert_eq!(scene.echo(&client, "two").await, first);
        scene.target.terminate_connections();
        scene.engine.end_terminated();
        assert_eq!(scene.counts.open.get(), 0);
        assert_ne!(scene.echo(&client, "three").await, first);
    });
}

#[test]
fn closed_socket_ends_its_flows() {
    run(async {
        let scene = Scene::start(9).await;
        scene.echo(&scene.client().await, "one").await;
        scene.engine.close(scene.front);
        assert_eq!(scene.counts.open.get(), 0);
        bind(scene.lb, Locality::Assigned).unwrap();
    });
}

#[test]
fn flow_that_is_taken_out_and_back_keeps_its_socket_and_loses_nothing() {
    run(async {
        let scene = Scene::start(9).await;
        let clients = [scene.client().await, scene.client().await];
        let first = scene.echo(&clients[0], "one").await;
        scene.worker.timers.advance(1);
        let second = scene.echo(&clients[1], "two").await;
        scene.engine.stop_receiving();
        let taken = scene.engine.take_flows();
        assert_eq!((scene.counts.open.get(), scene.target.in_flight()), (0, 0));
        let ports = |(_, flow): &(u32, Passed)| flow.client;
        let expected = clients.each_ref().map(|c| c.local_addr().unwrap());
        assert_eq!(taken.iter().map(ports).collect::<Vec<_>>(), expected);
        // They wait in the sockets.
        clients[0].send(b"three").await.unwrap();
        scene.server.send_to(b"yes", second).await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(scene.counts.open.get(), 0, "no other flow begins");
        for (front, flow) in taken {
            assert!(scene.engine.adopt(front, flow));
        }
        assert_eq!((scene.counts.open.get(), scene.target.in_flight()), (2, 2));
        scene.engine.receive_again();
        assert_eq!(scene.receive("three").await, first);
        let mut answer = [0; 9];
        assert_eq!(soon(clients[1].recv(&mut answer)).await.unwrap(), 3);
        assert_eq!(scene.echo(&clients[1], "four").await, second);
        scene.worker.timers.advance(1_300);
        until(|| scene.counts.open.get() == 0).await;
    });
}

#[test]
fn flow_is_not_adopted_without_its_target_or_at_a_limit() {
    run(async {
        let scene = Scene::start(1).await;
        let adopt = |flow| scene.engine.adopt(scene.front, flow);
        scene.target.set_state(TargetState::Unused);
        assert!(!adopt(passed(&scene)));
        scene.target.set_state(TargetState::Healthy);
        let (mut other_group, mut other_target) = (passed(&scene), passed(&scene));
        other_group.target_group = "another".into();
        other_target.target.set_port(1);
        assert!(!adopt(other_group) && !adopt(other_target));
        assert!(!scene.engine.adopt(scene.front + 1, passed(&scene)));
        assert_eq!((scene.counts.open.get(), scene.target.in_flight()), (0, 0));
        assert!(adopt(passed(&scene)));
        let mut another = passed(&scene);
        another.client.set_port(10);
        assert!(!adopt(another));
        assert_eq!((scene.counts.open.get(), scene.target.in_flight()), (1, 1));
    });
}

/// A flow of another process.
fn passed(scene: &Scene) -> Passed {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect(scene.target.address).unwrap();
    Passed {
        client: (Ipv4Addr::LOCALHOST, 9).into(),
        local: None,
        server: None,
        target_group: "g".into(),
        target: scene.target.address,
        socket,
    }
}

#[test]
fn segments_pass_both_ways_as_single_datagrams() {
    run(async {
        let scene = Scene::start(9).await;
        let client = scene.client().await;
        let from = scene.echo(&client, "first").await;
        let parts = [&[b'a'; 1200][..], &[b'b'; 1200], &[b'c'; 700]];
        let sockets: [(&AsyncSocket, Option<SocketAddr>, &AsyncSocket); 2] = [
            (&client, None, &scene.server),
            (&scene.server, Some(from), &client),
        ];
        for (sender, to, receiver) in sockets {
            let envelope = Envelope {
                to,
                segment: Some(1200),
                ..Envelope::default()
            };
            let mut outbox = Outbox::new(4);
            let mut queue = outbox.queue();
            assert!(queue.push(&envelope, parts.into_iter()));
            assert_eq!(queue.send(sender).unwrap(), 1);
            for part in parts {
                let mut buffer = [0; 4096];
                let (n, _) = soon(receiver.recv_from(&mut buffer)).await.unwrap();
                assert_eq!(&buffer[..n], part);
            }
        }
        let cells = scene.metrics.worker(0);
        let counts = [&cells.received_datagrams, &cells.sent_datagrams].map(|c| c.get());
        assert_eq!(counts, [4, 4]);
        assert_eq!(cells.received_bytes.get(), 3100 + 5);
        assert_eq!(cells.sent_bytes.get(), 3100 + 3);
    });
}

#[test]
fn bursts_of_several_clients_keep_their_order() {
    run(async {
        let scene = Scene::start(9).await;
        let clients = [scene.client().await, scene.client().await];
        for number in 0..100_u8 {
            for (index, client) in (0..).zip(&clients) {
                // Several sizes, so that not all of them leave together.
                let len = 2 + usize::from(number / 7 % 3);
                client.send(&[index, number, 0, 0][..len]).await.unwrap();
            }
        }
        let mut next = [0_u8; 2];
        for _ in 0..200 {
            let mut buffer = [0; 9];
            let (n, _) = soon(scene.server.recv_from(&mut buffer)).await.unwrap();
            let client = usize::from(buffer[0]);
            assert_eq!(buffer[1], next[client]);
            assert_eq!(n, 2 + usize::from(next[client] / 7 % 3));
            next[client] += 1;
        }
        assert_eq!(next, [100, 100]);
    });
}

#[test]
fn client_without_a_target_is_counted_and_dropped() {
    run(async {
        let scene = Scene::start(9).await;
        scene.target.set_state(TargetState::Unused);
        let client = scene.client().await;
        client.send(b"lost").await.unwrap();
        let cells = scene.metrics.worker(0);
        until(|| cells.dropped_datagrams.get() == 1).await;
        assert_eq!(
            (cells.rejected_without_target.get(), scene.counts.open.get()),
            (1, 0)
        );
        scene.target.set_state(TargetState::Healthy);
        scene.echo(&client, "found").await;
    });
}

#[test]
fn refused_datagram_is_counted_and_the_next_one_is_not_lost() {
    run(async {
        let mut scene = Scene::start(9).await;
        let client = scene.client().await;
        let from = scene.echo(&client, "one").await;
        let address = scene.target.address;
        let elsewhere = AsyncSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        drop(std::mem::replace(&mut scene.server, elsewhere));
        let metrics = Arc::clone(&scene.metrics);
        let cells = metrics.worker(0);
        client.send(b"lost").await.unwrap();
        until(|| cells.connect_errors.get() == 1).await;
        scene.server = AsyncSocket::bind(address).await.unwrap();
        assert_eq!(scene.echo(&client, "two").await, from);
    });
}
