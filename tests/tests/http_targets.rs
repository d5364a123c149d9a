//! What a client gets when a target behaves well, badly or not at all (ALB guide: troubleshooting).

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use elbow_tests::target::{ok, serve};
use elbow_tests::{Response, Scene, Target, client, wait};

/// The page that ALB makes: body byte for byte, and the headers around it.
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
fn an_empty_group_answers_503() {
    let scene = Scene::http(&[]);
    let response = scene.get("/");
    assert_page(&response, 503, "Service Temporarily Unavailable");
    assert_eq!(response.header("content-length"), Some("162"));
}

#[test]
fn a_target_that_refuses_is_502_at_once_and_logged_without_times() {
    let target = Target::refusing();
    // Its health port answers no more than its traffic port: the group fails open.
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
fn a_silent_target_is_504_after_the_idle_timeout() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.rest().map(drop)
    });
    let scene = Scene::http_with(&[&target], &[("idle_timeout.timeout_seconds", "1")], |_| {});
    assert_page(&scene.get("/"), 504, "Gateway Time-out");
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn a_target_that_closes_under_a_request_is_502_and_is_asked_once() {
    let target = Target::start(|peer| peer.request().map(drop));
    let scene = Scene::http(&[&target]);
    assert_page(&scene.get("/"), 502, "Bad Gateway");
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn a_target_that_resets_under_a_request_is_502() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.reset();
        Ok(())
    });
    let scene = Scene::http(&[&target]);
    assert_page(&scene.get("/"), 502, "Bad Gateway");
}

#[test]
fn answers_that_are_no_http_are_502() {
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
fn a_response_head_beyond_32_k_is_502() {
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
fn a_body_that_ends_early_is_cut_for_the_client_too() {
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
        "a truncated body looked whole: {response:?}"
    );
}

#[test]
fn a_chunked_body_without_its_end_is_cut_for_the_client_too() {
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
        "a truncated body looked whole: {response:?}"
    );
}

#[test]
fn a_response_that_is_its_target_s_own_passes_untouched() {
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
fn a_body_until_close_arrives_whole() {
    let target = Target::start(|peer| {
        peer.request()?;
        peer.send("HTTP/1.0 200 OK\r\n\r\n")?;
        peer.send(vec![b'x'; 300_000])
    });
    assert_eq!(Scene::http(&[&target]).get("/").body.len(), 300_000);
}

#[test]
fn head_and_204_and_304_have_no_body_and_the_connection_goes_on() {
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
fn requests_of_many_clients_share_connections_to_the_target() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    for _ in 0..20 {
        assert_eq!(scene.get("/").status, 200);
    }
    // One pool per worker, two workers; a client may be back before its connection is.
    let connections = target.connections();
    assert!(
        connections < 10,
        "{connections} connections for 20 requests"
    );
}

#[test]
fn a_hundred_pipelined_requests_are_answered_in_order() {
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
fn peers_that_send_one_byte_at_a_time_are_understood() {
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
fn a_client_that_reads_slowly_gets_every_byte() {
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
    // Until the target has written all it can, nothing is read.
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
fn a_client_that_ends_its_side_while_it_waits_has_gone() {
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
fn a_client_that_resets_is_logged_as_460_and_harms_nobody() {
    let (asked, is_asked) = mpsc::channel();
    let target = Target::start(move |peer| {
        if let Some(request) = peer.request()? {
            if request.line().contains("/slow") {
                let _ = asked.send(());
                return peer.rest().map(drop);
            }
            peer.send(ok("hi"))?;
        }
        Ok(())
    });
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    client.send(client::get("a.example", "/slow"));
    is_asked.recv_timeout(wait::PATIENCE).unwrap();
    client.reset();
    let line = &scene.elbow.access_log(1)[0];
    assert_eq!(line.split(' ').nth(8), Some("460"), "{line}");
    assert_eq!(scene.get("/").text(), "hi");
}

#[test]
fn expect_100_continue_is_answered_before_the_target_is_asked() {
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
fn an_early_403_to_an_upload_reaches_the_client() {
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
    // The answer comes while most of the body is still to be sent.
    client.send(vec![b'x'; 1000]);
    let response = client.response();
    assert_eq!((response.status, response.text()), (403, "denied".into()));
}

#[test]
fn a_websocket_passes_both_ways_after_its_handshake() {
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
fn an_expired_certificate_nobody_vouches_for_is_fine_at_a_target() {
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
fn least_outstanding_requests_avoids_a_target_that_is_stuck() {
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
        wait::until("a target to be asked", || {
            (seen(&stuck) + seen(&quick) >= before).then_some(())
        });
        waiting.push(client);
    }
    let before = quick.requests().len();
    for _ in 0..20 {
        // A client has its answer a little before elbow has counted it as done.
        wait::until("the last request to be done", || {
            let rows = elbow_tests::elbow::rows(&scene.elbow.json("/targets"));
            rows.iter().any(|row| row["inFlight"] == 0).then_some(())
        });
        assert_eq!(scene.get("/").text(), "quick");
    }
    assert_eq!(quick.requests().len(), before + 20);
    assert_eq!(stuck.requests().len(), 1);
}

#[test]
fn round_robin_takes_targets_in_turn() {
    let targets = [Target::ok("a"), Target::ok("b"), Target::ok("c")];
    let scene = Scene::http(&targets.each_ref());
    // One connection stays on one worker, and each worker goes round on its own.
    let mut client = scene.connect();
    for _ in 0..30 {
        assert_eq!(client.ask(client::get("a.example", "/")).status, 200);
    }
    for target in &targets {
        assert_eq!(target.requests().len(), 10);
    }
}

#[test]
fn a_deregistered_target_finishes_what_it_has_and_gets_nothing_new() {
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
fn a_request_that_outlives_the_deregistration_delay_is_502() {
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
fn a_thousand_keep_alive_requests_survive_a_target_that_stops_and_returns() {
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
                resume.recv_timeout(wait::PATIENCE * 2).unwrap();
            }
            let response = client.ask(client::get("a.example", "/"));
            failed += usize::from(response.status != 200);
        }
        failed
    });
    assert_eq!(passed.recv_timeout(wait::PATIENCE).unwrap(), 300);
    let gone = targets[1].addr();
    targets[1].stop();
    scene.elbow.wait_for_state("web", gone, "unhealthy");
    go_on.send(()).unwrap();
    assert_eq!(passed.recv_timeout(wait::PATIENCE).unwrap(), 600);
    targets[1].start_again();
    scene.elbow.wait_for_state("web", gone, "healthy");
    go_on.send(()).unwrap();
    assert_eq!(asking.join().unwrap(), 0);
    assert!(targets[1].requests().len() > 150, "it is used again");
}
