//! When targets get the PROXY protocol header (`proxy_protocol_v2.client_to_server.header_placement`).

use std::cell::RefCell;

use elbow_model::{ProxyHeaderPlacement, ProxyProtocol, TargetType};
use elbow_net::{Connect, ConnectError, proxy};

use super::*;

/// Connects without TLS, and notes what is sent before the relay starts.
#[derive(Default)]
struct Recorder(RefCell<Vec<u8>>);

impl Connect for Recorder {
    type Io = TcpStream;

    async fn connect_with(
        &self,
        target: SocketAddr,
        _tls: bool,
        preface: &[u8],
    ) -> Result<TcpStream, ConnectError> {
        self.0.borrow_mut().extend(preface);
        CONNECTOR.connect_with(target, false, preface).await
    }
}

/// A group whose targets get headers of version 2.
fn informed(
    address: SocketAddr,
    protocol: Protocol,
    target_type: TargetType,
    placement: ProxyHeaderPlacement,
) -> Arc<Group> {
    let like = group(protocol, &[(address, TargetState::Healthy)]);
    let mut config = TargetGroup::clone(&like.config);
    config.target_type = target_type;
    config.attributes.proxy_protocol = Some(ProxyProtocol::V2);
    config.attributes.proxy_header_placement = placement;
    Arc::new(Group::new(Arc::new(config), like.targets.clone(), 1))
}

/// The header of a client that sends `x`, and how much of it is sent at the connect; then what the target gets.
async fn sent(group: impl FnOnce(SocketAddr) -> Arc<Group>) -> [Vec<u8>; 3] {
    let (at, address) = target().await;
    let (front, server) = target().await;
    let (client, accepted) = tokio::join!(TcpStream::connect(server), front.accept());
    let ((stream, peer), mut client) = (accepted.unwrap(), client.unwrap());
    let meta = ConnMeta {
        client: peer,
        server,
        accepted: Instant::now(),
        tls: None,
    };
    let connector = Rc::new(Recorder::default());
    let context = Rc::new(Context {
        worker: Worker::new(0),
        connector: Rc::clone(&connector),
        metrics: Telemetry::new(1).listener("nlb", "network", 9000, "TCP"),
        logs: Rc::default(),
    });
    let listener = listener(vec![(group(address), 1)]);
    let served = spawn_local(serve(context, stream, meta, listener, ()));
    client.write_all(b"x").await.unwrap();
    client.shutdown().await.unwrap();
    let (mut target, _) = soon(at.accept()).await.unwrap();
    let mut bytes = Vec::new();
    soon(target.read_to_end(&mut bytes)).await.unwrap();
    drop(target);
    let record = soon(served).await.unwrap();
    assert_eq!(record.received, 1, "the header is not counted");
    let at_connect = connector.0.borrow().clone();
    [proxy::v2(peer, server, None), at_connect, bytes]
}

#[test]
fn header_comes_at_once_or_with_the_first_data() {
    use ProxyHeaderPlacement::{OnFirstAck, OnFirstAckWithPayload};
    run(async {
        let tcp = |placement| move |at| informed(at, Protocol::Tcp, TargetType::Ip, placement);
        let [header, at_connect, bytes] = sent(tcp(OnFirstAck)).await;
        assert_eq!(at_connect, header);
        assert_eq!(bytes, [&*header, b"x"].concat());
        let [header, at_connect, bytes] = sent(tcp(OnFirstAckWithPayload)).await;
        assert_eq!(at_connect, []);
        assert_eq!(bytes, [&*header, b"x"].concat());
    });
}

#[test]
fn header_precedes_the_tls_handshake_with_the_target() {
    run(async {
        let placement = ProxyHeaderPlacement::OnFirstAckWithPayload;
        let tls = |at| informed(at, Protocol::Tls, TargetType::Ip, placement);
        let [header, at_connect, bytes] = sent(tls).await;
        assert_eq!(at_connect, header);
        assert_eq!(bytes, [&*header, b"x"].concat());
    });
}

#[test]
fn application_load_balancer_gets_no_header() {
    run(async {
        let placement = ProxyHeaderPlacement::OnFirstAckWithPayload;
        let alb = |at| informed(at, Protocol::Tcp, TargetType::Alb, placement);
        let [_, at_connect, bytes] = sent(alb).await;
        assert_eq!((&*at_connect, &*bytes), (&b""[..], &b"x"[..]));
    });
}
