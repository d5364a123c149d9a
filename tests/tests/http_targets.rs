//! Responses for targets that behave well, badly or not at all (ALB guide: troubleshooting).

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use elbow_tests::target::{ok, serve};
use elbow_tests::{Response, Scene, Target, client, wait};

/// Asserts the ALB's own error page: its body byte for byte, and its headers.
fn assert_page(response: &Response, status: u16, text: &str) {
    assert_eq!(response.status, status, "{}", response.head);
    let title = format!("{status} {text}");
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    assert_eq!(response.text(), body);
    assert_eq!(response.header("server"), Some("awselb/2.0"));
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert_eq!(
        response.header("content-length"),
        Some(&*body.len().to_string())
    );
    assert!(response.header("date").is_some());
}

#[test]
fn empty_group_is_503() {
    let scene = Scene::http(&[]);
    let response = scene.get("/");
    assert_page(&response, 503, "Service Temporarily Unavailable");
    assert_eq!(response.header("content-length"), Some("162"));
}

#[test]
fn refusing_target_is_502_and_logged_without_times() {
    let target = Target::refusing();
    // Its health port refuses too, so the group fails open.
    let scene = Scene::http_with(&[], &[], |group| {
        group["targets"] = serde_json::json!([{"id": target.addr().ip(), "port": 9000}]);
    });
    let response = scene.get("/");
    assert_page(&response, 502, "Bad Gateway");
    assert_eq!(response.header("content-length"), Some("122"));
    let log = scene.elbow.access_log(1);
    let fields: Vec<&str> = log[0].split(' ').collect();
    assert_eq!(fields[5..10], ["-1", "-1", "-1", "502", "-"], "{}", log[0]);
}

#[test]
fn silent_target_is_504_after_the_idle_timeout() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.rest().map(drop)
    });
    let scene = Scene::http_with(&[&target], &[("idle_timeout.timeout_seconds", "1")], |_| {});
    assert_page(&scene.get("/"), 504, "Gateway Time-out");
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn target_that_closes_without_a_response_is_502_without_retry() {
    let target = Target::start(|peer| peer.request().map(drop));
    let scene = Scene::http(&[&target]);
    assert_page(&scene.get("/"), 502, "Bad Gateway");
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn target_that_resets_without_a_response_is_502() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.reset();
        Ok(())
    });
    let scene = Scene::http(&[&target]);
    assert_page(&scene.get("/"), 502, "Bad Gateway");
}

#[test]
fn malformed_responses_are_502() {
    let garbage: [&[u8]; 8] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\0\r\n\r\n",
    ];
    let next = AtomicUsize::new(0);
    let target = Target::start(move |peer| {
        peer.request()?;
        peer.send(garbage[next.fetch_add(1, Ordering::SeqCst) % garbage.len()])
    });
    let scene = Scene::http(&[&target]);
    for answer in garbage {
        let response = scene.get("/");
        assert_eq!(
            response.status,
            502,
            "{:?}",
            String::from_utf8_lossy(answer)
        );
    }
}

#[test]
fn response_head_beyond_32_kib_is_502() {
    let target = Target::http(|request| {
        let n = if request.line().contains("/big") {
            33 * 1024
        } else {
            15 * 1024
        };
        format!(
            "HTTP/1.1 200 OK\r\nA: {}\r\nB: {}\r\nContent-Length: 2\r\n\r\nhi",
            "x".repeat(n / 2),
            "x".repeat(n / 2)
        )
        .into_bytes()
    });
    let scene = Scene::http(&[&target]);
    assert_eq!(scene.get("/big").status, 502);
    assert_eq!(scene.get("/").text(), "hi");
}

#[test]
fn truncated_body_is_truncated_for_the_client() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    let response = client
        .send(client::get("a.example", "/"))
        .try_response("GET");
    assert!(
        response.is_err(),
        "a truncated body looked complete: {response:?}"
    );
}

#[test]
fn unterminated_chunked_body_is_truncated_for_the_client() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    let response = client
        .send(client::get("a.example", "/"))
        .try_response("GET");
    assert!(
        response.is_err(),
        "a truncated body looked complete: {response:?}"
    );
}

#[test]
fn targets_own_error_response_passes_unchanged() {
    let target = Target::http(|_| {
        b"HTTP/1.1 403 Nope\r\nServer: MinIO\r\nDate: Sun, 01 Nov 2026 00:00:00 GMT\r\nETag: \"x\"\r\nContent-Length: 2\r\n\r\nno".to_vec()
    });
    let response = Scene::http(&[&target]).get("/");
    assert_eq!((response.status, response.text()), (403, "no".into()));
    assert_eq!(response.header("server"), Some("MinIO"));
    assert_eq!(
        response.header("date"),
        Some("Sun, 01 Nov 2026 00:00:00 GMT")
    );
    assert_eq!(response.header("etag"), Some("\"x\""));
}

#[test]
fn body_until_close_arrives_complete() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.0 200 OK\r\n\r\n")?;
        peer.send(vec![b'x'; 300_000])
    });
    assert_eq!(Scene::http(&[&target]).get("/").body.len(), 300_000);
}

#[test]
fn bodiless_responses_keep_the_connection() {
    let target = Target::http(|request| match request.line().split(' ').nth(1) {
        Some("/204") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        Some("/304") => b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n".to_vec(),
        _ if request.line().starts_with("HEAD") => {
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec()
        }
        _ => ok("after"),
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send("HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let head = client.try_response("HEAD").unwrap();
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("5"))
    );
    assert_eq!(client.ask(client::get("a.example", "/204")).status, 204);
    assert_eq!(client.ask(client::get("a.example", "/304")).status, 304);
    assert_eq!(client.ask(client::get("a.example", "/")).text(), "after");
}

#[test]
fn clients_share_connections_to_the_target() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    for _ in 0..20 {
        assert_eq!(scene.get("/").status, 200);
    }
    // One pool per worker, two workers; a client may return before its connection does.
    let connections = target.connections();
    assert!(
        connections < 10,
        "{connections} connections for 20 requests"
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let target = Target::http(|request| ok(request.line().split(' ').nth(1).unwrap_or("")));
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    let requests: String = (0..100)
        .map(|i| client::get("a.example", &format!("/{i}")))
        .collect();
    client.send(requests);
    for i in 0..100 {
        assert_eq!(client.response().text(), format!("/{i}"));
    }
}

#[test]
fn messages_may_arrive_byte_by_byte() {
    let target = Target::start(|peer| {
        while peer.request()?.is_some() {
            for byte in
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
            {
                peer.send([*byte])?;
            }
        }
        Ok(())
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send_one_by_one("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(client.response().text(), "abc");
    assert_eq!(target.request().body, b"hi");
}

#[test]
fn slow_reader_gets_every_byte() {
    const SIZE: usize = 8 << 20;
    let target = Target::http(|_| {
        let mut response =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").into_bytes();
        response.extend((0..SIZE).map(|i| u8::try_from(i % 251).unwrap_or(0)));
        response
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send(client::get("a.example", "/"));
    // Read nothing until the target has written all it can.
    target.wait_for_requests(1);
    let response = client.response();
    assert_eq!(response.body.len(), SIZE);
    assert!(
        response
            .body
            .iter()
            .enumerate()
            .all(|(i, b)| usize::from(*b) == i % 251)
    );
}

#[test]
fn half_closed_client_counts_as_gone() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.rest().map(drop)
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send(client::get("a.example", "/")).finish();
    client.expect_close();
    let line = &scene.elbow.access_log(1)[0];
    assert_eq!(line.split(' ').nth(8), Some("460"), "{line}");
}

#[test]
fn client_reset_is_logged_as_460() {
    let (reached, is_reached) = mpsc::channel();
    let target = Target::start(move |peer| {
        if let Some(request) = peer.request()? {
            if request.line().contains("/slow") {
                let _ = reached.send(());
                return peer.rest().map(drop);
            }
            peer.send(ok("hi"))?;
        }
        Ok(())
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send(client::get("a.example", "/slow"));
    is_reached.recv_timeout(wait::TIMEOUT).unwrap();
    client.reset();
    let line = &scene.elbow.access_log(1)[0];
    assert_eq!(line.split(' ').nth(8), Some("460"), "{line}");
    assert_eq!(scene.get("/").text(), "hi");
}

#[test]
fn expect_100_continue_is_answered_by_the_load_balancer() {
    let target = Target::ok("stored");
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send(
        "PUT /o HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n",
    );
    assert_eq!(client.response().status, 100);
    assert_eq!(target.requests().len(), 0);
    client.send("body");
    assert_eq!(client.response().text(), "stored");
    let request = target.request();
    assert_eq!(request.body, b"body");
    assert_eq!(request.header("expect"), None);
}

#[test]
fn early_403_to_an_upload_reaches_the_client() {
    let target = Target::start(|peer| {
        peer.request_with(|out, _| {
            out.write_all(
                b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nConnection: close\r\n\r\ndenied",
            )
        })
        .map(drop)
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send("PUT /o HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 1000000\r\n\r\n");
    assert_eq!(client.response().status, 100);
    // The response comes while most of the body is still to be sent.
    client.send(vec![b'x'; 1000]);
    let response = client.response();
    assert_eq!((response.status, response.text()), (403, "denied".into()));
}

#[test]
fn websocket_passes_both_ways() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nfirst")?;
        let mut buffer = [0; 64];
        while let Ok(n @ 1..) = peer.read(&mut buffer) {
            peer.send(&buffer[..n])?;
        }
        Ok(())
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send("GET /ws HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
    let response = client.response();
    assert_eq!(response.status, 101);
    assert_eq!(
        response.header("sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(client.exactly(5), b"first");
    client.send([0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2]);
    assert_eq!(
        client.exactly(8),
        [0x81, 0x85, 1, 2, 3, 4, b'h' ^ 1, b'e' ^ 2]
    );
    let request = target.request();
    assert_eq!(
        request.header("upgrade").map(str::to_lowercase).as_deref(),
        Some("websocket")
    );
    assert_eq!(
        request
            .header("connection")
            .map(str::to_lowercase)
            .as_deref(),
        Some("upgrade")
    );
}

#[test]
fn expired_self_signed_target_certificate_is_accepted() {
    let leaf = elbow_tests::certificates::self_signed_expired(&["pod"]);
    let target = Target::start_tls(leaf.server(&[]), serve(|_| ok("over tls")));
    let scene = Scene::http_with(&[&target], &[], |group| {
        group["protocol"] = "HTTPS".into();
        group["healthCheckConfig"]["protocol"] = "HTTPS".into();
        group["healthCheckConfig"]["port"] = "traffic-port".into();
    });
    assert_eq!(scene.get("/").text(), "over tls");
}

#[test]
fn least_outstanding_requests_avoid_a_stuck_target() {
    let stuck = Target::start(|peer| {
        peer.request()?;
        peer.rest().map(drop)
    });
    let quick = Target::ok("quick");
    let scene = Scene::http_with(&[&stuck, &quick], &[], |group| {
        group["attributes"]["load_balancing.algorithm.type"] = "least_outstanding_requests".into();
    });
    let mut waiting = Vec::new();
    while stuck.requests().is_empty() {
        let mut client = scene.connect();
        client.send(client::get("a.example", "/"));
        let seen = |t: &Target| t.requests().len();
        let before = waiting.len() + 1;
        wait::until("a target to get the request", || {
            (seen(&stuck) + seen(&quick) >= before).then_some(())
        });
        waiting.push(client);
    }
    let before = quick.requests().len();
    for _ in 0..20 {
        // A client may have its response just before elbow counts the request as done.
        wait::until("the last request to be counted as done", || {
            let rows = elbow_tests::elbow::rows(&scene.elbow.json("/targets"));
            rows.iter().any(|row| row["inFlight"] == 0).then_some(())
        });
        assert_eq!(scene.get("/").text(), "quick");
    }
    assert_eq!(quick.requests().len(), before + 20);
    assert_eq!(stuck.requests().len(), 1);
}

#[test]
fn round_robin_uses_targets_in_turn() {
    let targets = [Target::ok("a"), Target::ok("b"), Target::ok("c")];
    let scene = Scene::http(&targets.each_ref());
    // One connection stays on one worker, and each worker has its own round robin.
    let mut client = scene.connect();
    for _ in 0..30 {
        assert_eq!(client.ask(client::get("a.example", "/")).status, 200);
    }
    for target in &targets {
        assert_eq!(target.requests().len(), 10);
    }
}

#[test]
fn deregistered_target_finishes_requests_and_gets_no_new_ones() {
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(std::sync::Mutex::new(released));
    let slow = Target::http(move |_| {
        let released = released
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = released.recv_timeout(Duration::from_secs(60));
        ok("slow")
    });
    let other = Target::ok("other");
    let scene = Scene::http(&[&slow]);
    let mut open = scene.connect();
    open.send(client::get("a.example", "/"));
    slow.wait_for_requests(1);
    let ip = scene.lb.ip();
    let config = |target: &Target| {
        use elbow_tests::config::{alb, file, forward, group, listener};
        file(
            &[alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))])],
            &[group("web", "HTTP", &[target.addr()])],
        )
    };
    scene.elbow.reload(&config(&other));
    scene.wait_until_healthy(&[&other]);
    scene.elbow.wait_for_state("web", slow.addr(), "draining");
    assert_eq!(scene.get("/").text(), "other");
    release.send(()).unwrap();
    assert_eq!(open.response().text(), "slow");
    assert_eq!(slow.requests().len(), 1);
}

#[test]
fn request_beyond_the_deregistration_delay_is_502() {
    let slow = Target::start(|peer| {
        peer.request()?;
        peer.rest().map(drop)
    });
    let scene = Scene::http_with(&[&slow], &[], |group| {
        group["attributes"]["deregistration_delay.timeout_seconds"] = "1".into();
    });
    let mut open = scene.connect();
    open.send(client::get("a.example", "/"));
    slow.wait_for_requests(1);
    let config = elbow_tests::config::file(
        &[elbow_tests::config::alb(
            "alb",
            scene.lb.ip(),
            &[elbow_tests::config::listener(
                8080,
                "HTTP",
                &elbow_tests::config::forward("web"),
            )],
        )],
        &[
            serde_json::json!({"name": "web", "protocol": "HTTP", "port": 9000, "targetType": "ip",
            "attributes": {"deregistration_delay.timeout_seconds": "1"}, "targets": []}),
        ],
    );
    scene.elbow.reload(&config);
    assert_eq!(open.response().status, 502);
}

#[test]
fn keep_alive_requests_survive_a_target_restart() {
    let mut targets = [Target::ok("hi"), Target::ok("hi"), Target::ok("hi")];
    let scene = Scene::http(&targets.each_ref());
    let lb = scene.lb;
    let (at, passed) = mpsc::channel();
    let (go_on, resume) = mpsc::channel::<()>();
    let asking = thread::spawn(move || {
        let mut client = elbow_tests::Client::plain(lb);
        let mut failed = 0;
        for i in 0..1000 {
            if i == 300 || i == 600 {
                at.send(i).unwrap();
                resume.recv_timeout(wait::TIMEOUT * 2).unwrap();
            }
            let response = client.ask(client::get("a.example", "/"));
            failed += usize::from(response.status != 200);
        }
        failed
    });
    assert_eq!(passed.recv_timeout(wait::TIMEOUT).unwrap(), 300);
    let gone = targets[1].addr();
    targets[1].stop();
    scene.elbow.wait_for_state("web", gone, "unhealthy");
    go_on.send(()).unwrap();
    assert_eq!(passed.recv_timeout(wait::TIMEOUT).unwrap(), 600);
    targets[1].restart();
    scene.elbow.wait_for_state("web", gone, "healthy");
    go_on.send(()).unwrap();
    assert_eq!(asking.join().unwrap(), 0);
    assert!(
        targets[1].requests().len() > 150,
        "the target must be used again"
    );
}
