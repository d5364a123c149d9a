use std::collections::HashSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elbow_balance::{Forward, Forwards, Group, Target};
use elbow_model::{Personality, Protocol, TargetGroup, TargetGroupSpec, TargetState};
use elbow_net::{ConnMeta, ConnectErrorKind, RelayEnd, TcpConnector, TlsMeta, Worker};
use elbow_telemetry::{AccessLog, ListenerCells, LogStream, Sink, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

use super::serve;
use crate::{Context, FlowEnd, FlowRecord, Listener, Side};

mod classic;
mod header;

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

/// Awaits `future`, and panics instead of hanging.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("hangs")
}

fn group(protocol: Protocol, targets: &[(SocketAddr, TargetState)]) -> Arc<Group> {
    let spec = TargetGroupSpec {
        name: Some("g".to_owned()),
        protocol: Some(protocol.as_str().to_owned()),
        port: Some(80),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    let config = TargetGroup::new(&spec).value.unwrap();
    let targets = targets.iter().map(|(address, state)| {
        let registered = elbow_model::Target::at(*address);
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

/// All clients of the tests have IPv4 addresses.
fn to(ipv4: Forward) -> Forwards {
    Forwards {
        ipv4,
        ..Forwards::default()
    }
}

fn listener(groups: Vec<(Arc<Group>, u32)>) -> Arc<Listener> {
    Arc::new(Listener {
        forwards: to(Forward::new(groups, false, None)),
        idle_timeout: Duration::from_secs(350),
        personality: &Personality::NETWORK,
        load_balancer_id: "net/nlb/1".into(),
        id: "00000000000000ff".into(),
        port: 9000,
        surge_queue: None,
        access_log: None,
    })
}

/// A client connection being served.
struct Flow {
    context: Rc<Context<TcpConnector>>,
    client: TcpStream,
    served: JoinHandle<FlowRecord>,
}

impl Flow {
    fn cells(&self) -> &ListenerCells {
        self.context.metrics.worker(0)
    }

    fn bytes(&self) -> (u64, u64) {
        let cells = self.cells();
        (cells.received_bytes.get(), cells.sent_bytes.get())
    }
}

fn context() -> Rc<Context<TcpConnector>> {
    Rc::new(Context {
        worker: Worker::new(0),
        connector: Rc::new(CONNECTOR),
        metrics: Telemetry::new(1).listener("nlb", "network", 9000, "TCP"),
        logs: Rc::default(),
    })
}

async fn flow(listener: &Arc<Listener>) -> Flow {
    flow_in(context(), listener, None).await
}

async fn flow_in(
    context: Rc<Context<TcpConnector>>,
    listener: &Arc<Listener>,
    tls: Option<TlsMeta>,
) -> Flow {
    let (front, address) = target().await;
    let (client, accepted) = tokio::join!(TcpStream::connect(address), front.accept());
    let (stream, peer) = accepted.unwrap();
    let meta = ConnMeta {
        client: peer,
        server: address,
        accepted: Instant::now(),
        tls: tls.map(Arc::new),
    };
    let (of_task, listener) = (Rc::clone(&context), Arc::clone(listener));
    let served = spawn_local(serve(of_task, stream, meta, listener, ()));
    Flow {
        context,
        client: client.unwrap(),
        served,
    }
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    matches!(soon(stream.read_u8()).await, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

#[test]
fn flow_is_relayed_to_its_target_and_counted() {
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
        assert_eq!(flow.bytes(), (4, 5), "while the flow is open");
        drop((flow.client, peer));
        let served = soon(flow.served).await.unwrap();
        assert_eq!((served.received, served.sent), (4, 5));
        assert_eq!(served.end, FlowEnd::Relayed(RelayEnd::Closed));
        assert_eq!(served.target.unwrap().address, address);
        assert!(!served.fail_open);
        assert_eq!(
            (group.targets[0].in_flight(), group.targets[0].requests()),
            (0, 1)
        );
    });
}

// Parity 3.7: a weight of 0 gets no traffic.
#[test]
fn group_with_weight_0_gets_no_flows() {
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

/// `group` with `stickiness.type` source_ip.
fn sticky(group: &Arc<Group>) -> Arc<Group> {
    let mut config = TargetGroup::clone(&group.config);
    config.attributes.stickiness = Some(elbow_model::Stickiness::SourceIp);
    Arc::new(Group::new(Arc::new(config), group.targets.clone(), 1))
}

// Parity 3.4 and 3.7: all flows of one address go to one group and to one target there.
#[test]
fn sticky_flows_of_a_client_go_to_one_target() {
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
        let mut network = Arc::into_inner(listener(Vec::new())).unwrap();
        network.forwards = to(Forward::new(groups, true, None));
        let listener = Arc::new(network);
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

// Parity 3.2: the next flow of a client may go to another target.
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
            // Fails by chance in one of 2^40 runs.
            assert!(
                (6..=58).contains(&target.requests()),
                "{}",
                target.requests()
            );
        }
    });
}

#[test]
fn flow_without_a_target_is_reset() {
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
            assert_eq!(served.end, FlowEnd::NoTarget);
            assert!(served.target.is_none());
        }
    });
}

#[test]
fn refused_connect_resets_the_client_without_a_retry() {
    run(async {
        let (gone, address) = target().await;
        drop(gone);
        let group = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(Arc::clone(&group), 1)])).await;
        assert!(is_reset(&mut flow.client).await);
        let served = soon(flow.served).await.unwrap();
        assert_eq!(
            served.end,
            FlowEnd::ConnectFailed(ConnectErrorKind::Refused)
        );
        assert_eq!(
            (group.targets[0].in_flight(), group.targets[0].requests()),
            (0, 1)
        );
    });
}

#[test]
fn tls_group_is_connected_with_tls() {
    run(async {
        let (_at, address) = target().await;
        let group = group(Protocol::Tls, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(group, 1)])).await;
        assert!(is_reset(&mut flow.client).await);
        // This connector does not support TLS and reports that.
        let served = soon(flow.served).await.unwrap();
        assert_eq!(
            served.end,
            FlowEnd::ConnectFailed(ConnectErrorKind::TlsHandshake)
        );
    });
}

// Parity 3.6: fail-open when all targets are unhealthy (metric UnhealthyRoutingFlowCount).
#[test]
fn without_healthy_targets_flows_fail_open() {
    run(async {
        let (at, address) = target().await;
        let group = group(Protocol::Tcp, &[(address, TargetState::Unhealthy)]);
        let flow = flow(&listener(vec![(group, 1)])).await;
        drop(soon(at.accept()).await.unwrap());
        drop(flow.client);
        let served = soon(flow.served).await.unwrap();
        assert!(served.fail_open);
        assert!(matches!(served.end, FlowEnd::Relayed(_)));
    });
}

// Parity 3.6: established connections of a target that becomes unhealthy are terminated.
#[test]
fn terminated_target_connections_reset_their_flows() {
    run(async {
        let (at, address) = target().await;
        let group = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
        let mut flow = flow(&listener(vec![(Arc::clone(&group), 1)])).await;
        let (mut peer, _) = soon(at.accept()).await.unwrap();
        flow.client.write_all(b"x").await.unwrap();
        soon(peer.read_u8()).await.unwrap();
        group.targets[0].terminate_connections();
        flow.context.worker.timers.wake_all();
        assert!(is_reset(&mut flow.client).await);
        assert!(is_reset(&mut peer).await);
        let served = soon(flow.served).await.unwrap();
        assert!(served.end == FlowEnd::Relayed(RelayEnd::Terminated));
    });
}

// Parity 3.6: the flows to a group whose weight is set to 0 end; those to other groups go on.
#[test]
fn flows_to_a_group_end_when_its_weight_is_set_to_0() {
    run(async {
        let (at, address) = target().await;
        let named = |name: &str| {
            let like = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
            let mut config = TargetGroup::clone(&like.config);
            config.name = name.into();
            Arc::new(Group::new(Arc::new(config), like.targets.clone(), 1))
        };
        let (one, two) = (named("one"), named("two"));
        let version = |weights: [u32; 2]| {
            let [first, second] = weights;
            let groups = vec![(Arc::clone(&one), first), (Arc::clone(&two), second)];
            listener(groups)
        };
        let before = version([1, 0]);
        let mut flow = flow(&before).await;
        let (mut peer, _) = soon(at.accept()).await.unwrap();
        let next = version([0, 1]);
        let mut cut = before.forwards.cut_by(&next.forwards);
        let cutoff = cut.next().unwrap();
        flow.client.write_all(b"x").await.unwrap();
        soon(peer.read_u8()).await.unwrap();
        cutoff.cut();
        flow.context.worker.timers.wake_all();
        assert!(is_reset(&mut flow.client).await);
        let served = soon(flow.served).await.unwrap();
        assert!(served.end == FlowEnd::Relayed(RelayEnd::Terminated));
    });
}

#[test]
fn flow_is_small() {
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
        let (context, listener) = (context(), listener(Vec::new()));
        let future = serve(context, stream, meta, listener, ());
        let size = size_of_val(&future);
        assert!(size < 704, "{size} bytes");
        drop(client);
    });
}

/// How the flow of a client ends after `script`, and the resulting counters.
async fn ended(
    state: TargetState,
    script: impl AsyncFnOnce(&mut TcpStream, TcpStream),
) -> (FlowRecord, Rc<Context<TcpConnector>>) {
    let (at, address) = target().await;
    let group = group(Protocol::Tcp, &[(address, state)]);
    let mut flow = flow(&listener(vec![(group, 1)])).await;
    let (mut peer, _) = soon(at.accept()).await.unwrap();
    // The relay has started.
    flow.client.write_all(b"x").await.unwrap();
    soon(peer.read_u8()).await.unwrap();
    script(&mut flow.client, peer).await;
    drop(flow.client);
    (soon(flow.served).await.unwrap(), flow.context)
}

fn resets(cells: &ListenerCells) -> [u64; 3] {
    let by = [
        &cells.resets_by_client,
        &cells.resets_by_target,
        &cells.resets_by_elb,
    ];
    by.map(|counter| counter.get())
}

// NLB guide, metrics: TCP_Client_Reset_Count, TCP_Target_Reset_Count, UnhealthyRoutingFlowCount.
#[test]
fn resets_are_counted_by_side() {
    run(async {
        let (record, context) = ended(TargetState::Unhealthy, async |client, peer| {
            client.set_zero_linger().unwrap();
            drop(peer);
        })
        .await;
        let cells = context.metrics.worker(0);
        assert_eq!(record.end.reset_by(), Some(Side::Client), "{record:?}");
        assert_eq!((resets(cells), cells.fail_open.get()), ([1, 0, 0], 1));

        let (record, context) = ended(TargetState::Healthy, async |client, peer| {
            peer.set_zero_linger().unwrap();
            drop(peer);
            assert!(is_reset(client).await);
        })
        .await;
        let cells = context.metrics.worker(0);
        assert_eq!(record.end.reset_by(), Some(Side::Target));
        assert_eq!((resets(cells), cells.fail_open.get()), ([0, 1, 0], 0));

        let (record, context) = ended(TargetState::Healthy, async |_, peer| drop(peer)).await;
        assert_eq!(record.end.reset_by(), None);
        assert_eq!(resets(context.metrics.worker(0)), [0; 3]);
    });
}

// NLB guide, metrics: TCP_ELB_Reset_Count, RejectedFlowCount.
#[test]
fn flows_without_a_target_are_counted_by_reason() {
    run(async {
        let flow_to_none = flow(&listener(Vec::new())).await;
        soon(flow_to_none.served).await.unwrap();
        let cells = flow_to_none.context.metrics.worker(0);
        assert_eq!(resets(cells), [0, 0, 1]);
        assert_eq!(
            (
                cells.rejected_without_target.get(),
                cells.connect_errors.get()
            ),
            (1, 0)
        );

        for (protocol, tls_errors) in [(Protocol::Tcp, 0), (Protocol::Tls, 1)] {
            let (gone, address) = target().await;
            drop(gone);
            let group = group(protocol, &[(address, TargetState::Healthy)]);
            let flow = flow(&listener(vec![(group, 1)])).await;
            soon(flow.served).await.unwrap();
            let cells = flow.context.metrics.worker(0);
            assert_eq!(resets(cells), [0, 0, 1]);
            assert_eq!(
                (
                    cells.rejected_without_target.get(),
                    cells.connect_errors.get()
                ),
                (0, 1)
            );
            assert_eq!(cells.target_tls_errors.get(), tls_errors);
        }
    });
}

/// The access log of one flow through `listener`.
async fn logged(mut listener: Listener, tls: Option<TlsMeta>) -> String {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let name = format!("elbow-tcp-{}-{number}.log", std::process::id());
    let file = std::env::temp_dir().join(name);
    let log = AccessLog::start(Sink::File(file.clone()), 4).unwrap();
    listener.access_log = Some(LogStream::new(vec![Arc::clone(&log) as _]));
    let context = context();
    let flow = flow_in(Rc::clone(&context), &Arc::new(listener), tls).await;
    let mut client = flow.client;
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    // Wait until the target has closed as well.
    let _ = soon(client.read_to_end(&mut Vec::new())).await;
    soon(flow.served).await.unwrap();
    drop(context);
    drop(flow.context);
    log.close();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    text
}

/// A listener whose target answers `pong!` to everything.
async fn answering(personality: &'static Personality) -> Listener {
    let (at, address) = target().await;
    spawn_local(async move {
        let (mut peer, _) = at.accept().await.unwrap();
        let _ = peer.read_to_end(&mut Vec::new()).await;
        peer.write_all(b"pong!").await.unwrap();
    });
    let group = group(Protocol::Tcp, &[(address, TargetState::Healthy)]);
    Listener {
        forwards: to(Forward::new([(group, 1)], false, None)),
        idle_timeout: Duration::from_secs(350),
        personality,
        load_balancer_id: "net/nlb/1".into(),
        id: "00000000000000ff".into(),
        port: 9000,
        surge_queue: None,
        access_log: None,
    }
}

// NLB guide, access logs: TLS listeners only; 22 fields.
#[test]
fn nlb_logs_only_tls_connections() {
    run(async {
        let listener = answering(&Personality::NETWORK).await;
        assert_eq!(logged(listener, None).await, "");
        let tls = TlsMeta {
            sni: Some("a.example".into()),
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            handshake: Duration::from_millis(7),
            ..TlsMeta::default()
        };
        let line = logged(answering(&Personality::NETWORK).await, Some(tls)).await;
        let fields: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(fields.len(), 22, "{line}");
        assert_eq!(fields[3..5], ["net/nlb/1", "00000000000000ff"]);
        assert_eq!(fields[8..12], ["7", "4", "5", "-"]);
        assert_eq!(
            fields[14..18],
            ["TLS_AES_128_GCM_SHA256", "tlsv13", "-", "a.example"]
        );
    });
}

// CLB guide, access logs: a TCP connection has no status, request or user agent.
#[test]
fn classic_load_balancer_logs_every_connection() {
    run(async {
        let line = logged(answering(&Personality::CLASSIC).await, None).await;
        assert!(line.ends_with(" - - 4 5 \"- - - \" \"-\" - -\n"), "{line}");
    });
}
