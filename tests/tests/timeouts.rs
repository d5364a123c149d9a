//! Timers that cannot be shortened on AWS, each tested once (ALB guide: edit attributes,
//! troubleshooting).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use elbow_tests::config::{alb, file, forward, group, listener, nlb, with_attribute};
use elbow_tests::{Client, Elbow, Scene, Target, address, client, wait};
use rustix::net::{AddressFamily, SocketType};

#[test]
fn unanswered_connect_is_504_after_ten_seconds() {
    // A listener with a full queue drops further SYNs.
    let target = Target::refusing();
    let full = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::sockopt::set_socket_reuseaddr(&full, true).unwrap();
    rustix::net::bind(&full, &target.addr()).unwrap();
    rustix::net::listen(&full, 0).unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&target.addr(), Duration::from_millis(500)) {
        queue.push(stream);
        assert!(queue.len() < 10, "the queue has no end");
    }
    let scene = Scene::http_with(&[&target], &[], |_| {});
    // The idle timeout is 60 seconds, so this is the connect timeout.
    let response = scene.get("/");
    assert_eq!(response.status, 504);
    assert_eq!(response.header("content-length"), Some("132"));
    let log = &scene.elbow.access_log(1)[0];
    let fields: Vec<&str> = log.split(' ').collect();
    assert_eq!(fields[5..10], ["-1", "-1", "-1", "504", "-"], "{log}");
}

#[test]
fn connection_past_its_keep_alive_serves_one_more_request_with_close() {
    let target = Target::ok("hi");
    let scene = Scene::http_with(&[&target], &[("client_keep_alive.seconds", "60")], |_| {});
    let mut client = scene.connect();
    let mut served = 0;
    let last = wait::until_for(
        wait::TIMEOUT * 4,
        "a response with Connection: close",
        || {
            let response = client.ask(client::get("a.example", "/"));
            assert_eq!(response.text(), "hi");
            served += 1;
            let close = response
                .header("connection")
                .is_some_and(|c| c.eq_ignore_ascii_case("close"));
            close.then_some(response)
        },
    );
    assert_eq!(last.status, 200);
    assert!(served > 10, "closed after {served} requests");
    client.expect_close();
}

#[test]
fn idle_client_is_closed_silently() {
    let target = Target::ok("hi");
    let ip = address();
    let lb = alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))]);
    let lb = with_attribute(lb, "idle_timeout.timeout_seconds", "1");
    let elbow = Elbow::run(&file(&[lb], &[group("web", "HTTP", &[target.addr()])]));
    elbow.wait_for_state("web", target.addr(), "healthy");
    let mut used = Client::plain((ip, 8080));
    assert_eq!(used.ask(client::get("a.example", "/")).text(), "hi");
    used.expect_close();
}

#[test]
fn client_that_stalls_in_its_head_is_408() {
    let target = Target::ok("hi");
    let scene = Scene::http_with(&[&target], &[("idle_timeout.timeout_seconds", "1")], |_| {});
    let mut client = scene.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.exa");
    assert_eq!(client.response().status, 408);
    client.expect_end();
    assert_eq!(target.requests().len(), 0);
}

// Parity check 37: a flow that reaches its idle timeout is forgotten without a FIN, and later data
// is answered with RST. The test uses one of many idle flows each second, until one is reset.
#[test]
fn idle_timeout_resets_late_data() {
    let target = Target::start(|peer| {
        let mut byte = [0];
        while peer.read(&mut byte)? > 0 {
            peer.send(byte)?;
        }
        Ok(())
    });
    let ip = address();
    let tcp = with_attribute(
        listener(9000, "TCP", &forward("tcp")),
        "tcp.idle_timeout.seconds",
        "60",
    );
    let config = file(
        &[nlb("nlb", ip, &[tcp])],
        &[group("tcp", "TCP", &[target.addr()])],
    );
    let elbow = Elbow::run(&config);
    elbow.wait_for_state("tcp", target.addr(), "healthy");
    let mut flows: Vec<Client> = (0..100).map(|_| Client::plain((ip, 9000))).collect();
    for flow in &mut flows {
        flow.send("a");
        assert_eq!(flow.exactly(1), b"a");
    }
    let mut lived = 0;
    wait::until_for(wait::TIMEOUT * 4, "a forgotten flow", || {
        std::thread::sleep(Duration::from_secs(1));
        let mut flow = flows
            .pop()
            .expect("a flow must be forgotten before all have been used");
        flow.send("b");
        match flow.socket().peek(&mut [0]) {
            Ok(1) => {
                lived += 1;
                None
            }
            Err(e) if e.kind() == ErrorKind::ConnectionReset => Some(()),
            other => panic!("expected an echo or a reset, got {other:?}"),
        }
    });
    assert!(lived > 10, "forgotten after {lived} seconds");
    // The reset is counted when the flow ends, which the client may see first.
    wait::until("the reset to be counted", || {
        let resets = elbow.metric("elbow_resets_total", &[r#"by="elb""#]);
        (resets == Some(1.0)).then_some(())
    });
}
