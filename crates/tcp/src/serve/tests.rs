use std::cell::RefCell;
use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::{Group, Target};
use elbow_model::{
    HealthCheck, HealthCheckPort, HealthCheckProtocol, Matcher, Protocol, ProtocolVersion,
    TargetGroup, TargetGroupAttributes, TargetId, TargetState, TargetType,
};
use elbow_net::{ConnMeta, ConnectErrorKind, Direction, RelayEnd, Relayed, TcpConnector, Worker};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::{Listener, Manners, Outcome, Served, serve};

mod classic;

const CONNECTOR: TcpConnector = TcpConnector {
    timeout: Duration::from_secs(10),
};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

/// Fails the test instead of hanging.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("hangs")
}

fn group(protocol: Protocol, targets: &[(SocketAddr, TargetState)]) -> Arc<Group> {
    let config = TargetGroup {
        name: "g".into(),
        protocol,
        protocol_version: ProtocolVersion::Http1,
        port: 80,
        target_type: TargetType::Ip,
        health_check: HealthCheck {
            protocol: HealthCheckProtocol::Tcp,
            port: HealthCheckPort::TrafficPort,
            path: "/".into(),
            matcher: Matcher(vec![200..=399]),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        },
        attributes: TargetGroupAttributes::default(),
        targets: Vec::new(),
    };
    let targets = targets.iter().map(|(address, state)| {
        let registered = elbow_model::Target {
            id: TargetId::Ip(address.ip()),
            port: address.port(),
            availability_zone: None,
        };
        let target = Target::new(registered, *address);
        target.set_state(*state);
        Arc::new(target)
    });
    Arc::new(Group::new(Arc::new(config), targets.collect(), 1))
}

async fn target() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn listener(groups: Vec<(Arc<Group>, u32)>) -> Arc<Listener> {
    Arc::new(Listener {
        groups,
        sticky: false,
        idle_timeout: Duration::from_secs(350),
        manners: Manners::Network,
        load_balancer: "nlb".into(),
        port: 9000,
    })
}

/// A client's connection that is being served, and the bytes that were counted.
struct Flow {
    worker: Rc<Worker>,
    client: TcpStream,
    served: JoinHandle<Served>,
    counted: Rc<RefCell<(u64, u64)>>,
}

async fn flow(listener: &Arc<Listener>) -> Flow {
    let (front, address) = target().await;
    let (client, accepted) = tokio::join!(TcpStream::connect(address), front.accept());
    let (stream, peer) = accepted.unwrap();
    let meta = ConnMeta {
        client: peer,
        server: address,
        accepted: Instant::now(),
        tls: None,
    };
    let worker = Worker::new(0);
    let counted = Rc::new(RefCell::new((0, 0)));
    let (of_task, listener, cells) = (
        Rc::clone(&worker),
        Arc::clone(listener),
        Rc::clone(&counted),
    );
    let served = spawn_local(async move {
        let count = |direction, n| {
            let mut cells = cells.borrow_mut();
            match direction {
                Direction::ClientToTarget => cells.0 += n,
                Direction::TargetToClient => cells.1 += n,
            }
        };
        serve(&of_task, stream, &meta, &listener, &CONNECTOR, count).await
    });
    Flow {
        worker,
        client: client.unwrap(),
        served,
        counted,
    }
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read_u8()).await, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn a_flow_is_relayed_to_its_target_and_counted() {
    run(async {
        let (at, address) = target().await;
        let group = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(Arc::clone(&group), 1)])).await;
        let (mut peer, _) = soon(at.accept()).await.unwrap();
        assert_eq!(group.targets[0].in_flight(), 1);
        flow.client.write_all(b"ping").await.unwrap();
        soon(peer.read_exact(&mut [0; 4])).await.unwrap();
        peer.write_all(b"pong!").await.unwrap();
        soon(flow.client.read_exact(&mut [0; 5])).await.unwrap();
        assert_eq!(*flow.counted.borrow(), (4, 5), "while the flow is open");
        drop((flow.client, peer));
        let served = soon(flow.served).await.unwrap();
        let relayed = Relayed {
            client_to_target: 4,
            target_to_client: 5,
            end: RelayEnd::Closed,
        };
        assert_eq!(served.outcome, Outcome::Relayed(relayed));
        assert_eq!(served.target.unwrap().address, address);
        assert!(!served.fail_open);
        assert_eq!(
            (group.targets[0].in_flight(), group.targets[0].requests()),
            (0, 1)
        );
    });
}

// Parity 3.7: weight 0 = nothing.
#[test]
fn a_group_of_weight_0_gets_nothing() {
    run(async {
        let ((at, address), (_other, unused)) = (target().await, target().await);
        let with = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
        let without = group(Protocol::Tcp, &[(unused, TargetState::Healthy)]);
        let listener = listener(vec![(Arc::clone(&without), 0), (with, 7)]);
        for _ in 0..20 {
            let flow = flow(&listener).await;
            drop(soon(at.accept()).await.unwrap());
            drop(flow.client);
            assert_eq!(
                soon(flow.served).await.unwrap().target.unwrap().address,
                address
            );
        }
        assert_eq!(without.targets[0].requests(), 0);
    });
}

// Parity 3.2: the same client may meet another target when it comes again.
/// `group` with `stickiness.type` source_ip.
fn sticky(group: &Arc<Group>) -> Arc<Group> {
    let mut config = TargetGroup::clone(&group.config);
    config.attributes.stickiness = Some(elbow_model::Stickiness::SourceIp);
    Arc::new(Group::new(Arc::new(config), group.targets.clone(), 1))
}

// Parity 3.4 and 3.7: all flows of one address go to one group and to one target there.
#[test]
fn sticky_flows_of_a_client_meet_one_target() {
    run(async {
        let mut ends = Vec::new();
        for _ in 0..4 {
            let (listener, address) = target().await;
            ends.push((address, TargetState::Healthy));
            spawn_local(async move { while listener.accept().await.is_ok() {} });
        }
        let groups = ends
            .chunks(2)
            .map(|pair| (sticky(&group(Protocol::Tcp, pair)), 1));
        let network = listener(groups.collect());
        let listener = Arc::new(Listener {
            groups: network.groups.clone(),
            sticky: true,
            idle_timeout: network.idle_timeout,
            manners: Manners::Network,
            load_balancer: "nlb".into(),
            port: 9000,
        });
        let mut met = HashSet::new();
        for _ in 0..16 {
            let flow = flow(&listener).await;
            drop(flow.client);
            let served = soon(flow.served).await.unwrap();
            met.insert(served.target.unwrap().address);
        }
        assert_eq!(met.len(), 1);
    });
}

#[test]
fn flows_spread_over_targets() {
    run(async {
        let ((a, first), (b, second)) = (target().await, target().await);
        let healthy = TargetState::Healthy;
        let group = group(Protocol::Tcp, &[(first, healthy), (second, healthy)]);
        let listener = listener(vec![(Arc::clone(&group), 1)]);
        for _ in 0..64 {
            let flow = flow(&listener).await;
            tokio::select! {
                peer = soon(a.accept()) => drop(peer.unwrap()),
                peer = soon(b.accept()) => drop(peer.unwrap()),
            }
            drop(flow.client);
            soon(flow.served).await.unwrap();
        }
        for target in &group.targets {
            // One in 2^40 runs falls outside.
            assert!(
                (6..=58).contains(&target.requests()),
                "{}",
                target.requests()
            );
        }
    });
}

#[test]
fn nobody_to_give_it_to_is_a_reset() {
    run(async {
        let empty = group(Protocol::Tcp, &[]);
        for groups in [
            vec![],
            vec![(Arc::clone(&empty), 0)],
            vec![(Arc::clone(&empty), 1)],
        ] {
            let mut flow = flow(&listener(groups)).await;
            assert!(is_reset(&mut flow.client).await);
            let served = soon(flow.served).await.unwrap();
            assert_eq!(served.outcome, Outcome::NoTarget);
            assert!(served.target.is_none());
        }
    });
}

#[test]
fn a_target_that_refuses_is_a_reset_and_no_other_is_tried() {
    run(async {
        let (gone, address) = target().await;
        drop(gone);
        let group = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(Arc::clone(&group), 1)])).await;
        assert!(is_reset(&mut flow.client).await);
        let served = soon(flow.served).await.unwrap();
        assert_eq!(
            served.outcome,
            Outcome::ConnectFailed(ConnectErrorKind::Refused)
        );
        assert_eq!(
            (group.targets[0].in_flight(), group.targets[0].requests()),
            (0, 1)
        );
    });
}

#[test]
fn a_tls_group_is_reached_under_tls() {
    run(async {
        let (_at, address) = target().await;
        let group = group(Protocol::Tls, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(group, 1)])).await;
        assert!(is_reset(&mut flow.client).await);
        // This connector speaks in clear only, and says so.
        let served = soon(flow.served).await.unwrap();
        assert_eq!(
            served.outcome,
            Outcome::ConnectFailed(ConnectErrorKind::TlsHandshake)
        );
    });
}

// Parity 3.6: fail-open when all targets are unhealthy (metric UnhealthyRoutingFlowCount).
#[test]
fn without_a_healthy_target_flows_go_to_unhealthy_ones_and_say_so() {
    run(async {
        let (at, address) = target().await;
        let group = group(Protocol::Tcp, &[(address, TargetState::Unhealthy)]);
        let flow = flow(&listener(vec![(group, 1)])).await;
        drop(soon(at.accept()).await.unwrap());
        drop(flow.client);
        let served = soon(flow.served).await.unwrap();
        assert!(served.fail_open);
        assert!(matches!(served.outcome, Outcome::Relayed(_)));
    });
}

// Parity 3.6: established connections of a target that becomes unhealthy are terminated.
#[test]
fn a_target_that_is_cut_loses_its_flows() {
    run(async {
        let (at, address) = target().await;
        let group = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(Arc::clone(&group), 1)])).await;
        let (mut peer, _) = soon(at.accept()).await.unwrap();
        flow.client.write_all(b"x").await.unwrap();
        soon(peer.read_u8()).await.unwrap();
        group.targets[0].cut();
        flow.worker.timers.wake_all();
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut peer).await);
        let served = soon(flow.served).await.unwrap();
        assert!(matches!(served.outcome, Outcome::Relayed(r) if r.end == RelayEnd::Cut));
    });
}

#[test]
fn a_flow_is_small() {
    run(async {
        let (front, address) = target().await;
        let (client, accepted) = tokio::join!(TcpStream::connect(address), front.accept());
        let (stream, peer) = accepted.unwrap();
        let meta = ConnMeta {
            client: peer,
            server: address,
            accepted: Instant::now(),
            tls: None,
        };
        let (worker, listener) = (Worker::new(0), listener(Vec::new()));
        let future = serve(&worker, stream, &meta, &listener, &CONNECTOR, |_, _| {});
        let size = size_of_val(&future);
        assert!(size < 1024, "{size} bytes");
        drop(client);
    });
}
