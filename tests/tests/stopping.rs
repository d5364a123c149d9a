//! `elbow run` after SIGTERM: nothing in progress is cut before the drain timeout.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::TcpStream;
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::command::Running;
use elbow_tests::config::{alb, file, forward, group, listener, nlb};
use elbow_tests::elbow::log_fields;
use elbow_tests::target::{Peer, ok};
use elbow_tests::{Ca, Client, Elbow, Scene, Target, TempDir, address, client, need, wait};
use rustix::process::Signal;
use rustls::version::TLS13;
use serde_json::{Value, json};

/// A gate that opens once, for all that wait.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let closed = self.0.0.lock().unwrap();
        drop(
            self.0
                .1
                .wait_timeout_while(closed, wait::TIMEOUT, |open| !*open)
                .unwrap(),
        );
    }
}

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Answers once the gate is open: an HTTP request with a response, a WebSocket handshake with 101 first, and
/// anything else with "late".
fn gated(gate: &Gate) -> Target {
    let gate = gate.clone();
    Target::start(move |peer: &mut Peer| {
        let Some(request) = peer.request()? else {
            return Ok(());
        };
        let is_websocket = request.header("upgrade").is_some();
        if is_websocket {
            peer.send(SWITCH)?;
        }
        gate.pass();
        if is_websocket {
            peer.send("late")
        } else {
            peer.send(ok("late"))
        }
    })
}

/// An ALB and an NLB, each with a plain and a TLS listener.
fn run(target: &Target, args: &[&str]) -> (Elbow, std::net::Ipv4Addr, std::net::Ipv4Addr) {
    let dir = TempDir::new();
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let (alb_ip, nlb_ip) = (address(), address());
    let secure = |mut listener: Value| {
        listener["certificates"] = json!(["main"]);
        listener["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-Res-2021-06");
        listener
    };
    let (web, raw) = (forward("web"), forward("raw"));
    let balancers = [
        alb(
            "alb",
            alb_ip,
            &[
                listener(8080, "HTTP", &web),
                secure(listener(8443, "HTTPS", &web)),
            ],
        ),
        nlb(
            "nlb",
            nlb_ip,
            &[
                listener(8080, "TCP", &raw),
                secure(listener(8443, "TLS", &raw)),
            ],
        ),
    ];
    let targets = [target.addr()];
    let mut config = file(
        &balancers,
        &[
            group("web", "HTTP", &targets),
            group("raw", "TCP", &targets),
        ],
    );
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let elbow = Elbow::run_in(dir, &config, args);
    for group in ["web", "raw"] {
        elbow.wait_for_state(group, target.addr(), "healthy");
    }
    (elbow, alb_ip, nlb_ip)
}

fn checks_passed(elbow: &Elbow) -> f64 {
    let labels = ["result=\"passed\""];
    elbow
        .metric("elbow_health_checks_total", &labels)
        .unwrap_or_default()
}

#[test]
fn work_in_progress_continues_and_readiness_reports_draining() {
    let curl = need!("curl");
    let gate = Gate::default();
    let target = gated(&gate);
    let (mut elbow, alb, nlb) = run(&target, &[]);
    let trusting = client_that_trusts_all(&[&TLS13], &[]);
    let mut plain = Client::plain((nlb, 8080));
    let mut tls = Client::tls((nlb, 8443), "a.example", &trusting).unwrap();
    let mut http = Client::plain((alb, 8080));
    let mut websocket = Client::plain((alb, 8080));
    for client in [&mut plain, &mut tls, &mut http] {
        client.send(client::get("a.example", "/"));
    }
    websocket.send(
        "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert_eq!(websocket.response().status, 101);
    let h2 = Running::start(
        Command::new(curl)
            .args(["-sk", "--http2", "-w", " %{http_code} %{http_version}\n"])
            .arg(format!("https://{alb}:8443/")),
    );
    target.wait_for_requests(5);

    assert_eq!(elbow.page("/ready").status, 200);
    elbow.process().signal(Signal::TERM);
    for listener in [(alb, 8080), (alb, 8443), (nlb, 8080), (nlb, 8443)] {
        wait::until("the listener to close", || {
            TcpStream::connect(listener).is_err().then_some(())
        });
    }
    let ready = elbow.page("/ready");
    assert_eq!((ready.status, ready.text()), (503, "draining\n".to_owned()));
    // Health checks continue every five seconds, while the flows are silent.
    let before = checks_passed(&elbow);
    wait::until("the next health checks", || {
        (checks_passed(&elbow) >= before + 2.0).then_some(())
    });
    elbow.process().assert_running();

    gate.open();
    for client in [&mut plain, &mut tls, &mut http] {
        assert_eq!(client.response().text(), "late");
    }
    assert_eq!(websocket.rest().unwrap(), b"late");
    assert_eq!(h2.line(), "late 200 2");
    drop((plain, tls, websocket));
    assert_eq!(elbow.process().wait().code(), Some(0));
}

#[test]
fn drain_timeout_closes_the_rest_in_order_and_logs_it() {
    let gate = Gate::default();
    let target = gated(&gate);
    let (mut elbow, alb, nlb) = run(&target, &["--drain-timeout", "1s"]);
    let trusting = client_that_trusts_all(&[&TLS13], &[]);
    let mut plain = Client::plain((nlb, 8080));
    let mut tls = Client::tls((nlb, 8443), "a.example", &trusting).unwrap();
    let mut http = Client::plain((alb, 8080));
    for client in [&mut plain, &mut tls, &mut http] {
        client.send(client::get("a.example", "/slow"));
    }
    let mut half = Client::plain((alb, 8080));
    half.send("GET /half HTTP/1.1\r\n");
    target.wait_for_requests(3);
    assert_eq!(elbow.terminate().code(), Some(0));
    // Under TLS, an end in order is a close_notify.
    for client in [&mut plain, &mut tls, &mut half] {
        client.expect_close();
    }
    let response = http.response();
    assert_eq!(
        (response.status, response.header("connection")),
        (503, Some("close"))
    );
    http.expect_close();
    let mut lines = elbow.access_log(2);
    lines.sort();
    let [request, flow] = &lines[..] else {
        panic!("{lines:?}")
    };
    let fields = log_fields(request);
    assert_eq!(fields[8..10], ["503", "-"], "{request}");
    assert!(fields[12].contains("/slow"), "{request}");
    // NLB logs TLS listeners alone (NLB guide: access logs).
    assert!(flow.starts_with("tls 2.0 "), "{flow}");
    gate.open();
}

#[test]
fn idle_flow_lives_until_the_drain_timeout_or_a_second_signal() {
    let target = Target::start(|peer| peer.rest().map(drop));
    let mut scene = Scene::tcp(&[&target]);
    let mut idle = scene.connect();
    wait::until("the flow to reach the target", || {
        (target.connections() > 0).then_some(())
    });
    scene.elbow.process().signal(Signal::TERM);
    wait::until("the listener to close", || {
        TcpStream::connect(scene.lb).is_err().then_some(())
    });
    let before = checks_passed(&scene.elbow);
    wait::until("the next health check", || {
        (checks_passed(&scene.elbow) > before).then_some(())
    });
    scene.elbow.process().assert_running();
    idle.socket()
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    assert!(idle.rest().is_err(), "the flow must be open");
    scene.elbow.process().signal(Signal::TERM);
    // The drain timeout is 30 seconds; this wait is shorter.
    let ended = || scene.elbow.process().ended();
    assert_eq!(
        wait::until_for(wait::TIMEOUT / 3, "the end", ended).code(),
        Some(0)
    );
    idle.socket().set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    idle.expect_close();
}
