//! Parity section 4: where a Classic load balancer differs from an NLB.

use elbow_model::ProxyProtocol;

use super::*;

/// A group of healthy instances, with the given PROXY protocol version.
fn instances(addresses: &[SocketAddr], proxy_protocol: Option<ProxyProtocol>) -> Arc<Group> {
    let healthy: Vec<_> = addresses
        .iter()
        .map(|address| (*address, TargetState::Healthy))
        .collect();
    let like = group(Protocol::Tcp, &healthy);
    let mut config = TargetGroup::clone(&like.config);
    config.attributes.proxy_protocol = proxy_protocol;
    let group = Group::new(Arc::new(config), like.targets.clone(), 1);
    Arc::new(group.with_personality(&Personality::CLASSIC))
}

fn classic(group: &Arc<Group>) -> Arc<Listener> {
    let network = listener(vec![(Arc::clone(group), 1)]);
    Arc::new(Listener {
        forwards: network.forwards.clone(),
        idle_timeout: Duration::from_secs(60),
        personality: &Personality::CLASSIC,
        load_balancer_id: "clb".into(),
        id: "00000000000000ff".into(),
        port: 9000,
        surge_queue: None,
        access_log: None,
    })
}

#[test]
fn instances_are_used_in_turn() {
    run(async {
        let ((a, first), (b, second)) = (target().await, target().await);
        let listener = classic(&instances(&[first, second], None));
        let mut order = Vec::new();
        for _ in 0..4 {
            let flow = flow(&listener).await;
            tokio::select! {
                peer = soon(a.accept()) => { drop(peer.unwrap()); order.push('a'); }
                peer = soon(b.accept()) => { drop(peer.unwrap()); order.push('b'); }
            }
            drop(flow.client);
            soon(flow.served).await.unwrap();
        }
        assert_eq!(order, ['a', 'b', 'a', 'b']);
    });
}

// CLB guide, metrics: connections to instances are retried after an error.
#[test]
fn retry_goes_to_another_instance_when_connect_is_refused() {
    run(async {
        let ((gone, refusing), (at, address)) = (target().await, target().await);
        drop(gone);
        let group = instances(&[refusing, address], None);
        let flow = flow(&classic(&group)).await;
        drop(soon(at.accept()).await.unwrap());
        drop(flow.client);
        let served = soon(flow.served).await.unwrap();
        assert!(matches!(served.end, FlowEnd::Relayed(_)));
        assert_eq!(served.target.unwrap().address, address);
        let tried: Vec<_> = group.targets.iter().map(|t| t.requests()).collect();
        assert_eq!(tried, [1, 1]);
        assert!(group.targets.iter().all(|t| t.in_flight() == 0));
    });
}

#[test]
fn each_refusing_instance_is_tried_once() {
    run(async {
        let ((gone, first), (gone_too, second)) = (target().await, target().await);
        drop((gone, gone_too));
        let group = instances(&[first, second], None);
        let mut flow = flow(&classic(&group)).await;
        assert!(is_reset(&mut flow.client).await);
        let served = soon(flow.served).await.unwrap();
        let refused = FlowEnd::ConnectFailed(ConnectErrorKind::Refused);
        assert_eq!(served.end, refused);
        let tried: Vec<_> = group.targets.iter().map(|t| t.requests()).collect();
        assert_eq!(tried, [1, 1]);
    });
}

// CLB guide, HTTP errors (503) and metrics: no fail-open.
#[test]
fn connection_is_reset_without_an_instance_in_service() {
    run(async {
        let (_at, address) = target().await;
        let group = instances(&[address], None);
        group.targets[0].set_state(TargetState::Unhealthy);
        let mut flow = flow(&classic(&group)).await;
        assert!(is_reset(&mut flow.client).await);
        assert_eq!(soon(flow.served).await.unwrap().end, FlowEnd::NoTarget);
        assert_eq!(group.targets[0].requests(), 0);
    });
}

// CLB guide, idle connection timeout: both sides are closed.
#[test]
fn idle_connection_is_closed() {
    run(async {
        let (at, address) = target().await;
        let mut flow = flow(&classic(&instances(&[address], None))).await;
        let (mut peer, _) = soon(at.accept()).await.unwrap();
        flow.client.write_all(b"x").await.unwrap();
        soon(peer.read_u8()).await.unwrap();
        let timers = &flow.context.worker.timers;
        timers.advance(timers.now() + 601);
        assert_eq!(soon(flow.client.read(&mut [0])).await.unwrap(), 0);
        assert_eq!(soon(peer.read(&mut [0])).await.unwrap(), 0);
        let served = soon(flow.served).await.unwrap();
        assert!(served.end == FlowEnd::Relayed(RelayEnd::Idle));
    });
}

/// What an instance reads when the client sends `hello`, and the addresses of the connection.
async fn seen(proxy_protocol: ProxyProtocol) -> (Vec<u8>, SocketAddr, SocketAddr) {
    let (at, address) = target().await;
    let mut flow = flow(&classic(&instances(&[address], Some(proxy_protocol)))).await;
    let (mut peer, _) = soon(at.accept()).await.unwrap();
    flow.client.write_all(b"hello").await.unwrap();
    flow.client.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    soon(peer.read_to_end(&mut bytes)).await.unwrap();
    drop(peer);
    let ends = (flow.client.local_addr(), flow.client.peer_addr());
    // The header does not count as bytes of the client.
    assert_eq!(flow.bytes(), (5, 0));
    soon(flow.served).await.unwrap();
    (bytes, ends.0.unwrap(), ends.1.unwrap())
}

// CLB guide, proxy protocol: `PROXY TCP4 <client> <proxy> <cport> <pport>\r\n`.
#[test]
fn proxy_header_precedes_the_first_byte() {
    run(async {
        let (bytes, client, proxy) = seen(ProxyProtocol::V1).await;
        let expected = format!(
            "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\nhello",
            client.port(),
            proxy.port()
        );
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    });
}

// NLB guide, proxy protocol; parity check 38.
#[test]
fn proxy_header_of_version_2_precedes_the_first_byte() {
    run(async {
        let (bytes, client, proxy) = seen(ProxyProtocol::V2).await;
        assert_eq!(bytes[..100], elbow_net::proxy::v2(client, proxy, None));
        assert_eq!(&bytes[100..], b"hello");
    });
}
