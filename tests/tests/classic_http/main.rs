//! HTTP and HTTPS listeners of classic load balancers (parity section 4).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use elbow_tests::certificates::{client_that_trusts_all, self_signed_expired};
use elbow_tests::config::{classic, file, to_instances};
use elbow_tests::target::{Peer, ok, serve};
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, elbow, wait};
use serde_json::{Value, json};

mod http_0_9;
mod instance_authentication;
mod stickiness;

const GROUP: &str = "clb/HTTP:9000";

/// A load balancer with one HTTP listener and `targets` in service.
struct Web {
    elbow: Elbow,
    ip: Ipv4Addr,
}

fn one(ip: Ipv4Addr, targets: &[&Target], attributes: &[(&str, &str)]) -> Value {
    let addrs: Vec<_> = targets.iter().map(|t| t.addr()).collect();
    let mut lb = classic("clb", ip, &[to_instances(8080, "HTTP", "HTTP")], &addrs);
    for (key, value) in attributes {
        lb["attributes"][key] = json!(value);
    }
    file(&[lb], &[])
}

impl Web {
    fn new(targets: &[&Target], attributes: &[(&str, &str)]) -> Self {
        let ip = address();
        let elbow = Elbow::run(&one(ip, targets, attributes));
        for target in targets {
            elbow.wait_for_state(GROUP, target.addr(), "InService");
        }
        Self { elbow, ip }
    }

    /// Its file, with other targets.
    fn file(&self, targets: &[&Target], attributes: &[(&str, &str)]) -> Value {
        one(self.ip, targets, attributes)
    }

    fn connect(&self) -> Client {
        Client::plain((self.ip, 8080))
    }

    /// The response to `bytes`, until the load balancer closes.
    fn raw(&self, bytes: &str) -> String {
        let mut client = self.connect();
        client.send(bytes);
        String::from_utf8(client.rest().unwrap()).unwrap()
    }
}

// CLB guide, x-forwarded headers; no X-Amzn-Trace-Id, Host unchanged.
#[test]
fn instance_gets_x_forwarded_headers() {
    let target = Target::ok("hello");
    let web = Web::new(&[&target], &[]);
    let mut client = web.connect();
    let from = client.local_addr().ip();
    let answer = client.ask(
        "GET /a?b HTTP/1.1\r\nHost: Example.com\r\nx-forwarded-for: 10.0.0.9\r\nX-Forwarded-Proto: https\r\n\r\n",
    );
    assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
    assert_eq!(
        target.request().head,
        format!(
            "GET /a?b HTTP/1.1\r\nHost: Example.com\r\nX-Forwarded-For: 10.0.0.9, {from}\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n\r\n"
        )
    );
}

// ELB guide, how it works: HTTP/1.0 without Host gets the node's address. CLB guide, HTTP errors: any
// method of up to 127 characters is valid, TRACE too; there is no limit of 30 forwarded addresses.
#[test]
fn requests_that_an_alb_refuses_or_changes_pass() {
    let target = Target::ok("hello");
    let web = Web::new(&[&target], &[]);
    let long = "M".repeat(127);
    let forwarded = vec!["10.0.0.1"; 40].join(", ");
    for request in [
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("{long} / HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {forwarded}\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: h\r\nX-Amzn-Trace-Id: Root=1\r\n\r\n".to_owned(),
        // No WebSocket: it is an ordinary request.
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
    ] {
        assert_eq!(web.connect().ask(&request).status, 200, "{request}");
    }
    let seen = target.requests();
    assert_eq!(seen[0].header("host"), Some(&*format!("{}:8080", web.ip)));
    assert_eq!(seen[1].line(), "TRACE / HTTP/1.1");
    assert_eq!(seen[2].line(), format!("{long} / HTTP/1.1"));
    assert_eq!(seen[4].header("x-amzn-trace-id"), Some("Root=1"));
    assert_eq!(seen[5].header("upgrade"), None);
}

// CLB guide, HTTP errors: status lines without a body.
#[test]
fn invalid_requests_get_a_status_line() {
    let target = Target::ok("hello");
    let web = Web::new(&[&target], &[]);
    let long = "M".repeat(128);
    for (request, line) in [
        (
            format!("{long} / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
            "405 METHOD_NOT_ALLOWED",
        ),
        (
            "CONNECT a:1 HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            "400 BAD_REQUEST",
        ),
        (
            "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
            "400 BAD_REQUEST",
        ),
        (
            "GET / HTTP/9.9\r\nHost: h\r\n\r\n".to_owned(),
            "400 BAD_REQUEST",
        ),
        ("nonsense\r\n\r\n".to_owned(), "400 BAD_REQUEST"),
        (
            format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(20_000)),
            "400 BAD_REQUEST",
        ),
    ] {
        assert_eq!(
            web.raw(&request),
            format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            "{request}"
        );
    }
    assert!(target.requests().is_empty());
}

// Parity check 40: 503 if all instances are out of service, without fail-open.
#[test]
fn no_instance_in_service_is_503() {
    let empty = Web::new(&[], &[]);
    let line = "HTTP/1.1 503 Service Unavailable: Back-end server is at capacity\r\nContent-Length: 0\r\n\
                Connection: keep-alive\r\n\r\n";
    let get = client::get("a.example", "/");
    assert_eq!(empty.connect().send(&get).response().head, line);
    // In service by its health checks, but it refuses connections.
    let refusing = Target::refusing();
    let web = Web::new(&[&refusing], &[]);
    assert_eq!(web.connect().send(&get).response().head, line);
    refusing.set_health(500);
    web.elbow
        .wait_for_state(GROUP, refusing.addr(), "OutOfService");
    let mut client = web.connect();
    assert_eq!(client.send(&get).response().head, line);
    // The connection stays open.
    assert_eq!(client.send(&get).response().status, 503);
}

// CLB guide, HTTP errors: 502, 504 for an instance that closes or is silent, 408 for an incomplete
// request.
#[test]
fn upstream_errors_have_the_status_of_the_guide() {
    let target = Target::start(|peer: &mut Peer| {
        while let Some(request) = peer.request()? {
            match request.line().split(' ').nth(1) {
                Some("/garbage") => peer.send("hello there\r\n\r\n")?,
                Some("/close") => return Ok(()),
                Some("/silent") => drop(peer.rest()?),
                _ => peer.send(ok("fine"))?,
            }
        }
        Ok(())
    });
    let web = Web::new(&[&target], &[("idle_timeout.timeout_seconds", "1")]);
    for (path, line) in [
        ("/", "HTTP/1.1 200 OK"),
        ("/garbage", "HTTP/1.1 502 BAD_GATEWAY"),
        ("/close", "HTTP/1.1 504 GATEWAY_TIMEOUT"),
        ("/silent", "HTTP/1.1 504 GATEWAY_TIMEOUT"),
    ] {
        let answer = web.connect().ask(client::get("a.example", path));
        assert_eq!(answer.head.lines().next(), Some(line), "{path}");
    }
    assert_eq!(
        web.raw("GET / HTTP/1.1\r\nHost: half"),
        "HTTP/1.1 408 REQUEST_TIMEOUT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn request_skips_an_instance_that_refuses() {
    let (target, refusing) = (Target::ok("hello"), Target::refusing());
    let web = Web::new(&[&refusing, &target], &[]);
    for _ in 0..6 {
        let answer = web.connect().ask(client::get("a.example", "/"));
        assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
    }
}

// ELB guide, how it works: least outstanding requests.
#[test]
fn least_outstanding_requests_avoid_a_busy_instance() {
    let slow = Target::start(|peer: &mut Peer| {
        drop(peer.request()?);
        drop(peer.rest()?);
        Ok(())
    });
    let quick = Target::ok("quick");
    let web = Web::new(&[&slow, &quick], &[]);
    // A finished request may count as in progress for a moment.
    let is_quick_idle = || {
        let row = elbow::target_row(&web.elbow.json("/targets"), GROUP, quick.addr())?;
        (row["inFlight"] == 0).then_some(())
    };
    let mut waiting = web.connect();
    while slow.requests().is_empty() {
        let before = quick.requests().len();
        waiting = web.connect();
        waiting.send(client::get("a.example", "/"));
        wait::until("an instance to have it", || {
            (!slow.requests().is_empty() || quick.requests().len() > before).then_some(())
        });
        wait::until("the quick one to be idle", is_quick_idle);
    }
    for _ in 0..6 {
        wait::until("the quick one to be idle", is_quick_idle);
        let answer = web.connect().ask(client::get("a.example", "/"));
        assert_eq!(answer.text(), "quick");
    }
    assert_eq!(slow.requests().len(), 1);
    drop(waiting);
}

// CLB guide, connection draining: if off, a request in progress is cut at once with 503; if on,
// it may finish.
#[test]
fn removed_instance_is_cut_or_drained() {
    let other = Target::ok("other");
    for draining in ["false", "true"] {
        let go = Arc::new(AtomicBool::new(false));
        let allowed = Arc::clone(&go);
        let slow = Target::http(move |_| {
            while !allowed.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            ok("slow")
        });
        let attributes = [("connection_draining.enabled", draining)];
        let web = Web::new(&[&slow], &attributes);
        let mut client = web.connect();
        client.send(client::get("a.example", "/"));
        slow.wait_for_requests(1);
        web.elbow.reload(&web.file(&[&other], &attributes));
        if draining == "false" {
            assert_eq!(client.response().status, 503);
            go.store(true, Ordering::SeqCst);
            continue;
        }
        web.elbow.wait_for_state(GROUP, other.addr(), "InService");
        go.store(true, Ordering::SeqCst);
        let answer = client.response();
        assert_eq!((answer.status, answer.text()), (200, "slow".to_owned()));
        // The old connection uses the new instance.
        let answer = client.ask(client::get("a.example", "/"));
        assert_eq!(answer.text(), "other");
    }
}

#[test]
fn https_is_terminated_and_reoriginated() {
    let ip = address();
    let tls = self_signed_expired(&["x.example"]).server(&[]);
    let target = Target::start_tls(tls, serve(|_| ok("hello")));
    let mut listener = to_instances(8443, "HTTPS", "HTTPS");
    listener["certificates"] = json!(["main"]);
    listener["sslPolicy"] = json!("ELBSecurityPolicy-TLS-1-2-2017-01");
    let mut config = file(&[classic("clb", ip, &[listener], &[target.addr()])], &[]);
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let dir = TempDir::new();
    Ca::new().leaf(&["clb.example"]).write(&dir, "main");
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("clb/HTTPS:9000", target.addr(), "InService");
    let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &["h2", "http/1.1"]);
    let mut client = Client::tls((ip, 8443), "clb.example", &trusting).unwrap();
    // No HTTP/2 for clients.
    assert_eq!(client.tls_state().unwrap().alpn_protocol(), None);
    assert_eq!(client.ask(client::get("a.example", "/")).text(), "hello");
    let seen = target.request();
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-forwarded-port"), Some("8443"));
    assert_eq!(seen.header("x-amzn-tls-version"), None);
}

// CLB guide, access logs: fifteen fields, times with six decimals, bytes without headers.
#[test]
fn access_log_has_the_classic_format() {
    let target = Target::http(|_| ok("hello"));
    let web = Web::new(&[&target], &[]);
    let mut client = web.connect();
    let from = client.local_addr();
    client.ask(
        "POST /a?b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/7.38.0\r\nContent-Length: 3\r\n\r\nabc",
    );
    let bad = web.raw("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(bad.starts_with("HTTP/1.1 400 "));
    target.set_health(500);
    web.elbow
        .wait_for_state(GROUP, target.addr(), "OutOfService");
    let refused = client.ask(client::get("a.example", "/"));
    assert_eq!(refused.status, 503);

    let lines = web.elbow.access_log(3);
    let find = |text: &str| {
        let line = lines.iter().find(|line| line.contains(text));
        line.unwrap_or_else(|| panic!("{text} in {lines:#?}"))
            .clone()
    };
    let line = find("\"POST ");
    assert_eq!(
        elbow::classic_log_tail(&line, "clb", from, target.addr()),
        "200 200 3 5 \"POST http://www.example.com:8080/a?b HTTP/1.1\" \"curl/7.38.0\" - -"
    );
    let tail = |line: String| line.split_once(" clb ").unwrap().1.to_owned();
    assert_eq!(
        tail(find(" 503 ")),
        format!("{from} - -1 -1 -1 503 0 0 0 \"GET http://a.example:8080/ HTTP/1.1\" \"-\" - -")
    );
    assert!(
        find(" 400 ")
            .ends_with(" - -1 -1 -1 400 0 0 0 \"GET http://h:8080/a b HTTP/1.1\" \"-\" - -"),
        "{lines:#?}"
    );
}

// Parity check 40; CLB guide, CloudWatch metrics: 1,024 requests wait for an instance, the others spill over.
#[test]
fn requests_beyond_the_surge_queue_get_503() {
    let target = Target::refusing();
    // It accepts nothing: once its backlog is full, connections to it stay in progress.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .unwrap();
    let _full = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(target.addr()).unwrap();
        socket.listen(1).unwrap()
    });
    let web = Web::new(&[&target], &[]);
    let spilled = || web.elbow.metric("elbow_spillover_total", &["\"clb\""]);
    assert_eq!(spilled(), Some(0.0));
    let mut clients = Vec::new();
    wait::until("the queue to be full", || {
        for _ in 0..64 {
            let mut client = web.connect();
            client.send(client::get("a.example", "/"));
            clients.push(client);
        }
        spilled().filter(|count| *count > 0.0)
    });
    let length = web.elbow.metric("elbow_surge_queue_length", &["\"clb\""]);
    assert_eq!(length, Some(1_024.0));
    let answer = web.connect().ask(client::get("a.example", "/"));
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .head
            .starts_with("HTTP/1.1 503 Service Unavailable: Back-end server is at capacity\r\n")
    );
}
