//! Parity section 4: what a Classic load balancer does otherwise than an NLB.

use elbow_model::ProxyProtocol;

use super::*;

/// A group of instances, all in service, with the header that they get.
fn instances(addresses: &[SocketAddr], proxy_protocol: Option<ProxyProtocol>) -> Arc<Group> {
    let healthy: Vec<_> = addresses
        .iter()
        .map(|address| (*address, TargetState::Healthy))
        .collect();
    let like = group(Protocol::Tcp, &healthy);
    let mut config = TargetGroup::clone(&like.config);
    config.attributes.of_classic = true;
    config.attributes.proxy_protocol = proxy_protocol;
    Arc::new(Group::new(Arc::new(config), like.targets.clone(), 1))
}

fn classic(group: &Arc<Group>) -> Arc<Listener> {
    let network = listener(vec![(Arc::clone(group), 1)]);
    Arc::new(Listener {
        groups: network.groups.clone(),
        sticky: false,
        idle_timeout: Duration::from_secs(60),
        manners: Manners::Classic,
        load_balancer: "clb".into(),
        port: 9000,
    })
}

#[test]
fn instances_take_turns() {
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

// CLB guide, metrics: connections to instances are tried again after an error.
#[test]
fn an_instance_that_refuses_is_passed_over() {
    run(async {
        let ((gone, refusing), (at, address)) = (target().await, target().await);
        drop(gone);
        let group = instances(&[refusing, address], None);
        let flow = flow(&classic(&group)).await;
        drop(soon(at.accept()).await.unwrap());
        drop(flow.client);
        let served = soon(flow.served).await.unwrap();
        assert!(matches!(served.outcome, Outcome::Relayed(_)));
        assert_eq!(served.target.unwrap().address, address);
        let tried: Vec<_> = group.targets.iter().map(|t| t.requests()).collect();
        assert_eq!(tried, [1, 1]);
        assert!(group.targets.iter().all(|t| t.in_flight() == 0));
    });
}

#[test]
fn each_instance_that_refuses_is_asked_once() {
    run(async {
        let ((gone, first), (gone_too, second)) = (target().await, target().await);
        drop((gone, gone_too));
        let group = instances(&[first, second], None);
        let mut flow = flow(&classic(&group)).await;
        assert!(is_reset(&mut flow.client).await);
        let served = soon(flow.served).await.unwrap();
        let refused = Outcome::ConnectFailed(ConnectErrorKind::Refused);
        assert_eq!(served.outcome, refused);
        let tried: Vec<_> = group.targets.iter().map(|t| t.requests()).collect();
        assert_eq!(tried, [1, 1]);
    });
}

// CLB guide, HTTP errors (503) and metrics: no fail-open.
#[test]
fn without_an_instance_in_service_connections_are_reset() {
    run(async {
        let (_at, address) = target().await;
        let group = instances(&[address], None);
        group.targets[0].set_state(TargetState::Unhealthy);
        let mut flow = flow(&classic(&group)).await;
        assert!(is_reset(&mut flow.client).await);
        assert_eq!(soon(flow.served).await.unwrap().outcome, Outcome::NoTarget);
        assert_eq!(group.targets[0].requests(), 0);
    });
}

// CLB guide, idle connection timeout: both sides are closed.
#[test]
fn what_is_idle_is_closed() {
    run(async {
        let (at, address) = target().await;
        let mut flow = flow(&classic(&instances(&[address], None))).await;
        let (mut peer, _) = soon(at.accept()).await.unwrap();
        flow.client.write_all(b"x").await.unwrap();
        soon(peer.read_u8()).await.unwrap();
        flow.worker.timers.advance(flow.worker.timers.now() + 601);
        assert_eq!(soon(flow.client.read(&mut [0])).await.unwrap(), 0);
        assert_eq!(soon(peer.read(&mut [0])).await.unwrap(), 0);
        let served = soon(flow.served).await.unwrap();
        assert!(matches!(served.outcome, Outcome::Relayed(r) if r.end == RelayEnd::Idle));
    });
}

/// What an instance reads of a connection whose client sends `hello`, and the client's address.
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
    soon(flow.served).await.unwrap();
    // The header is not the client's.
    assert_eq!(*flow.counted.borrow(), (5, 0));
    (bytes, ends.0.unwrap(), ends.1.unwrap())
}

// CLB guide, proxy protocol: `PROXY TCP4 <client> <proxy> <cport> <pport>\r\n`.
#[test]
fn the_header_comes_before_the_first_byte() {
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
fn the_header_of_version_2_comes_before_the_first_byte() {
    run(async {
        let (bytes, client, proxy) = seen(ProxyProtocol::V2).await;
        assert_eq!(bytes[..100], elbow_net::proxy::v2(client, proxy));
        assert_eq!(&bytes[100..], b"hello");
    });
}
