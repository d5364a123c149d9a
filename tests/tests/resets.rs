//! Data sent before a reset reaches the other side, as it would without a load balancer.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::{Mutex, mpsc};

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::config::{file, forward, group, listener, nlb};
use elbow_tests::{Ca, Client, Elbow, Scene, Target, TempDir, address, client, wait};
use rustls::version::TLS13;
use serde_json::json;

/// More than the receive buffer of a peer that does not read.
const LEN: usize = 300_000;

/// The row in `/proc/net/tcp` of the socket at `local` connected to `remote`; `None` if it was reset.
fn kernel_row(local: SocketAddr, remote: SocketAddr) -> Option<Vec<String>> {
    let hex = |address: SocketAddr| match address.ip() {
        std::net::IpAddr::V4(ip) => {
            format!(
                "{:08X}:{:04X}",
                u32::from_le_bytes(ip.octets()),
                address.port()
            )
        }
        std::net::IpAddr::V6(_) => panic!("these tests use IPv4"),
    };
    let (local, remote) = (hex(local), hex(remote));
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table
        .lines()
        .map(|line| line.split_whitespace().map(str::to_owned).collect());
    rows.find(|row: &Vec<String>| row[1] == local && row[2] == remote)
}

/// Waits until all data written to `socket` is acknowledged.
fn wait_until_acknowledged(socket: &TcpStream) {
    let (local, remote) = (socket.local_addr().unwrap(), socket.peer_addr().unwrap());
    wait::until("the last byte to be acknowledged", || {
        kernel_row(local, remote)?[4]
            .starts_with("00000000:")
            .then_some(())
    });
}

/// Waits until the reset from `remote` has arrived at the socket at `local`.
fn wait_until_reset(local: SocketAddr, remote: SocketAddr) {
    wait::until("the reset to arrive", || {
        kernel_row(local, remote).is_none().then_some(())
    });
}

/// Reads until the end or an error; returns the number of bytes, and the end.
fn drain(from: &mut impl Read) -> (usize, io::Result<usize>) {
    let mut buffer = [0; 4096];
    let mut read = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(n @ 1..) => read += n,
            end => return (read, end),
        }
    }
}

fn is_reset(end: &io::Result<usize>) -> bool {
    matches!(end, Err(e) if e.kind() == ErrorKind::ConnectionReset)
}

/// An NLB with a TCP and a TLS listener in front of `target`.
fn run(target: &Target, args: &[&str]) -> (Elbow, Ipv4Addr) {
    let dir = TempDir::new();
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let ip = address();
    let mut tls = listener(8443, "TLS", &forward("web"));
    tls["certificates"] = json!(["main"]);
    tls["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
    let tcp = listener(8080, "TCP", &forward("web"));
    let groups = [group("web", "TCP", &[target.addr()])];
    let mut config = file(&[nlb("nlb", ip, &[tcp, tls])], &groups);
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let elbow = Elbow::run_in(dir, &config, args);
    elbow.wait_for_state("web", target.addr(), "healthy");
    (elbow, ip)
}

/// A connection to the TCP or the TLS listener.
fn connect(ip: Ipv4Addr, port: u16) -> Client {
    match port {
        8080 => Client::plain((ip, port)),
        _ => Client::tls(
            (ip, port),
            "a.example",
            &client_that_trusts_all(&[&TLS13], &[]),
        )
        .unwrap(),
    }
}

/// The number of read bytes, and the result of the last read.
type Drained = (usize, io::Result<usize>);

/// A target that reads only after a signal.
fn late_reader() -> (Target, mpsc::Sender<()>, mpsc::Receiver<Drained>) {
    let (received, all) = mpsc::channel();
    let (go, gone) = mpsc::channel::<()>();
    let gone = Mutex::new(gone);
    let target = Target::start(move |peer| {
        let _ = gone.lock().map(|gone| gone.recv_timeout(wait::TIMEOUT));
        let _ = received.send(drain(peer));
        Ok(())
    });
    (target, go, all)
}

/// Sends [`LEN`] bytes, waits until elbow has acknowledged them, and resets.
fn send_and_reset(mut client: Client) {
    client.send(vec![b'x'; LEN]);
    wait_until_acknowledged(client.socket());
    let (client_end, elbow_end) = (client.local_addr(), client.socket().peer_addr().unwrap());
    client.reset();
    wait_until_reset(elbow_end, client_end);
}

#[test]
fn target_gets_data_sent_before_a_clients_reset() {
    let (target, go, all) = late_reader();
    let (_elbow, ip) = run(&target, &[]);
    for port in [8080, 8443] {
        send_and_reset(connect(ip, port));
        go.send(()).unwrap();
        let (read, end) = all.recv_timeout(wait::TIMEOUT).unwrap();
        assert_eq!(read, LEN, "port {port}");
        assert!(is_reset(&end), "port {port}: {end:?}");
    }
}

#[test]
fn target_that_does_not_read_is_reset_after_the_drain_timeout() {
    let (target, go, all) = late_reader();
    let (elbow, ip) = run(&target, &["--drain-timeout", "1s"]);
    send_and_reset(connect(ip, 8080));
    wait::until("the target to be reset", || {
        (elbow.metric("elbow_resets_total", &["by=\"client\""])? >= 1.0).then_some(())
    });
    go.send(()).unwrap();
    let (read, end) = all.recv_timeout(wait::TIMEOUT).unwrap();
    assert!(read < LEN, "{read}");
    assert!(is_reset(&end), "{end:?}");
}

/// A target that sends `bytes` on request and resets once they are acknowledged. It reports the two ends of its
/// connection.
fn resetting(bytes: Vec<u8>) -> (Target, mpsc::Receiver<(SocketAddr, SocketAddr)>) {
    let (done, reset) = mpsc::channel();
    let target = Target::start(move |peer| {
        peer.read_exact(&mut [0])?;
        peer.send(&bytes)?;
        wait_until_acknowledged(peer.socket());
        peer.reset();
        let _ = done.send((peer.socket().local_addr()?, peer.socket().peer_addr()?));
        Ok(())
    });
    (target, reset)
}

#[test]
fn client_gets_data_sent_before_a_targets_reset() {
    let (target, reset) = resetting(vec![b'x'; LEN]);
    let (_elbow, ip) = run(&target, &[]);
    for port in [8080, 8443] {
        let mut client = connect(ip, port);
        client.send("?");
        let (target_end, elbow_end) = reset.recv_timeout(wait::TIMEOUT).unwrap();
        wait_until_reset(elbow_end, target_end);
        let (read, end) = drain(&mut client);
        assert_eq!(read, LEN, "port {port}");
        assert!(is_reset(&end), "port {port}: {end:?}");
    }
}

#[test]
fn alb_client_gets_the_body_sent_before_a_targets_reset() {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LEN}\r\n\r\n");
    let (target, reset) = resetting([head.into_bytes(), vec![b'x'; LEN]].concat());
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send(client::get("a.example", "/"));
    let (target_end, elbow_end) = reset.recv_timeout(wait::TIMEOUT).unwrap();
    wait_until_reset(elbow_end, target_end);
    assert_eq!(client.response().body.len(), LEN);
}

// If the end of the connection ends the body, a reset means that the body is incomplete.
#[test]
fn http_1_0_client_gets_data_and_then_a_reset() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let (target, reset) = resetting([head.as_bytes(), &[b'x'; LEN]].concat());
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send("GET / HTTP/1.0\r\nHost: a.example\r\n\r\n");
    let (target_end, elbow_end) = reset.recv_timeout(wait::TIMEOUT).unwrap();
    wait_until_reset(elbow_end, target_end);
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    let end = loop {
        match client.read(&mut buffer) {
            Ok(n @ 1..) => received.extend_from_slice(&buffer[..n]),
            end => break end,
        }
    };
    let body = received
        .iter()
        .rev()
        .take_while(|byte| **byte == b'x')
        .count();
    assert_eq!(body, LEN);
    assert!(is_reset(&end), "{end:?}");
}
