//! The PROXY protocol of network load balancers (NLB guide: proxy protocol; parity 3.5, check 38). The tests of
//! Classic load balancers cover theirs.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::command::{output, texts};
use elbow_tests::config::{file, forward, group, listener, nlb, with_attribute};
use elbow_tests::elbow::command;
use elbow_tests::target::Peer;
use elbow_tests::wait::TIMEOUT;
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, wait};
use serde_json::{Value, json};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The length of the header of a connection over IPv4.
const HEADER: usize = 100;
const PLACEMENT: &str = "proxy_protocol_v2.client_to_server.header_placement";

/// The first 28 bytes of the header for a connection from `client`: up to the addresses and ports.
fn header_start(client: SocketAddr, server: (Ipv4Addr, u16)) -> Vec<u8> {
    let IpAddr::V4(source) = client.ip() else {
        panic!("{client}")
    };
    let mut bytes = [SIGNATURE, &[0x21, 0x11, 0, 84]].concat();
    bytes.extend(source.octets());
    bytes.extend(server.0.octets());
    bytes.extend(client.port().to_be_bytes());
    bytes.extend(server.1.to_be_bytes());
    bytes
}

#[test]
fn version_2_header_precedes_connections_and_health_checks() {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let log = Arc::clone(&seen);
    let target = Target::start(move |peer: &mut Peer| {
        let bytes = peer.rest()?;
        log.lock().unwrap().push(bytes);
        Ok(())
    });
    let ip = address();
    let mut group = group("pods", "TCP", &[target.addr()]);
    group["healthCheckConfig"] =
        json!({"protocol": "TCP", "intervalSeconds": 5, "timeoutSeconds": 2});
    let group = with_attribute(group, "proxy_protocol_v2.enabled", "true");
    let endpoint = "vpce-0123456789abcdef0";
    let group = with_attribute(group, "elbow.proxy_protocol_v2.vpc_endpoint_id", endpoint);
    let listener = listener(8000, "TCP", &forward("pods"));
    let elbow = Elbow::run(&file(&[nlb("nlb", ip, &[listener])], &[group]));
    elbow.wait_for_state("pods", target.addr(), "healthy");
    let find = |command: u8| {
        wait::until("a header", || {
            let seen = seen.lock().unwrap();
            let found = seen.iter().find(|bytes| bytes.get(12) == Some(&command));
            found.cloned()
        })
    };
    let check = find(0x20);
    assert_eq!(check[..12], *SIGNATURE);
    assert_eq!(
        check.len(),
        16 + usize::from(check[15]),
        "expected no data after the header"
    );

    let mut client = Client::plain((ip, 8000));
    client.send("hello").finish();
    let bytes = find(0x21);
    assert_eq!(bytes[..28], header_start(client.local_addr(), (ip, 8000)));
    assert_eq!(&bytes[39..61], endpoint.as_bytes());
    assert_eq!(&bytes[HEADER..], b"hello");
}

const GREETING: &[u8] = b"220 ready\r\n";

/// A target that greets its clients as a mail server does, and hands the connections over.
fn mail_server() -> (Target, Receiver<TcpStream>) {
    let (sender, connections) = mpsc::channel();
    let target = Target::start(move |peer: &mut Peer| {
        peer.send(GREETING)?;
        peer.socket().set_read_timeout(Some(TIMEOUT))?;
        drop(sender.send(peer.socket().try_clone()?));
        Ok(())
    });
    (target, connections)
}

/// A target group whose targets get headers, with these other attributes.
fn informed(target: &Target, attributes: &[(&str, &str)]) -> Value {
    let pods = group("pods", "TCP", &[target.addr()]);
    let pods = with_attribute(pods, "proxy_protocol_v2.enabled", "true");
    attributes
        .iter()
        .fold(pods, |pods, (key, text)| with_attribute(pods, key, text))
}

/// Waits for the greeting, by which time a header that is sent at once has arrived at the target.
fn greeted(mut client: Client, connections: &Receiver<TcpStream>) -> (Client, TcpStream) {
    assert_eq!(client.exactly(GREETING.len()), GREETING);
    (client, connections.recv_timeout(TIMEOUT).unwrap())
}

/// The next `n` bytes at the target. They may arrive in several pieces.
fn read(target: &mut TcpStream, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    target.read_exact(&mut bytes).unwrap();
    bytes
}

#[track_caller]
fn assert_silent(target: &TcpStream) {
    target.set_nonblocking(true).unwrap();
    let peeked = target.peek(&mut [0]);
    assert_eq!(peeked.unwrap_err().kind(), ErrorKind::WouldBlock);
    target.set_nonblocking(false).unwrap();
}

/// Asserts that `bytes` are a header for `client` and `data`.
#[track_caller]
fn assert_header(bytes: &[u8], client: &Client, server: (Ipv4Addr, u16), data: &[u8]) {
    let start = header_start(client.local_addr(), server);
    assert_eq!(bytes.get(..28), Some(&*start), "{bytes:?}");
    assert_eq!(&bytes[HEADER..], data);
}

#[test]
fn header_comes_at_once_or_with_the_first_data_of_the_client() {
    let (target, connections) = mail_server();
    let ip = address();
    let at = (ip, 8000);
    let config = |attributes: &[(&str, &str)]| {
        let listener = listener(8000, "TCP", &forward("pods"));
        file(
            &[nlb("nlb", ip, &[listener])],
            &[informed(&target, attributes)],
        )
    };
    let connect = || greeted(Client::plain(at), &connections);
    let elbow = Elbow::run(&config(&[]));
    elbow.wait_for_state("pods", target.addr(), "healthy");

    let at_once = || {
        let (mut client, mut target) = connect();
        assert_header(&read(&mut target, HEADER), &client, at, b"");
        client.send("HELO");
        assert_eq!(read(&mut target, 4), b"HELO");
        (client, target)
    };
    let (mut open, mut target_of_open) = at_once();

    elbow.reload(&config(&[(PLACEMENT, "on_first_ack_with_payload")]));
    let (mut client, mut of_client) = connect();
    assert_silent(&of_client);
    client.send("HELO");
    assert_header(&read(&mut of_client, HEADER + 4), &client, at, b"HELO");
    client.send("QUIT");
    assert_eq!(read(&mut of_client, 4), b"QUIT");

    // A client that closes its direction without data.
    let (mut client, mut of_client) = connect();
    client.finish();
    let mut bytes = Vec::new();
    of_client.read_to_end(&mut bytes).unwrap();
    assert_header(&bytes, &client, at, b"");
    drop(of_client);
    client.expect_close();

    // A client that gives up.
    let (client, mut of_client) = connect();
    client.reset();
    let end = of_client.read(&mut [0]).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);

    elbow.reload(&config(&[(PLACEMENT, "on_first_ack")]));
    at_once();
    open.send("NOOP");
    assert_eq!(read(&mut target_of_open, 4), b"NOOP");
}

#[test]
fn header_comes_with_the_first_data_within_tls() {
    let (target, connections) = mail_server();
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["a.example"]).write(&dir, "web");
    let ip = address();
    let mut tls = listener(8443, "TLS", &forward("pods"));
    tls["certificates"] = json!(["web"]);
    let pods = informed(&target, &[(PLACEMENT, "on_first_ack_with_payload")]);
    let mut config = file(&[nlb("nlb", ip, &[tls])], &[pods]);
    config["certificates"] =
        json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "web.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("pods", target.addr(), "healthy");
    let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let connect = || {
        let client = Client::tls((ip, 8443), "a.example", &trusting).unwrap();
        greeted(client, &connections)
    };
    let (mut client, mut of_client) = connect();
    assert_silent(&of_client);
    client.send("HELO");
    let bytes = read(&mut of_client, HEADER + 4);
    assert_header(&bytes, &client, (ip, 8443), b"HELO");

    // Without close_notify.
    let (mut client, mut of_client) = connect();
    client.finish();
    let mut bytes = Vec::new();
    of_client.read_to_end(&mut bytes).unwrap();
    assert_header(&bytes, &client, (ip, 8443), b"");
}

#[test]
fn header_of_health_checks_does_not_wait() {
    let (sender, headers) = mpsc::channel();
    let target = Target::start(move |peer: &mut Peer| {
        drop(sender.send(peer.rest()?));
        Ok(())
    });
    let mut pods = informed(&target, &[(PLACEMENT, "on_first_ack_with_payload")]);
    pods["healthCheckConfig"] = json!({"protocol": "TCP", "intervalSeconds": 5});
    let listener = listener(8000, "TCP", &forward("pods"));
    let _elbow = Elbow::run(&file(&[nlb("nlb", address(), &[listener])], &[pods]));
    let bytes = headers.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(bytes[..13], [SIGNATURE, &[0x20]].concat());
}

#[test]
fn unknown_header_placement_is_refused_at_its_line() {
    let text = "loadBalancers: []
targetGroups:
- name: pods
  protocol: TCP
  port: 80
  attributes:
    proxy_protocol_v2.client_to_server.header_placement: on_syn
";
    let dir = TempDir::new();
    let config = dir.write("elbow.yaml", text);
    let checked = output(&mut command(&[
        "check",
        "--config",
        config.to_str().unwrap(),
    ]));
    let (_, errors) = texts(&checked);
    assert_eq!(checked.status.code(), Some(1), "{errors}");
    let expected =
        "elbow.yaml:7:58: \"on_syn\" is not one of on_first_ack, on_first_ack_with_payload";
    assert!(errors.contains(expected), "{errors}");
}
