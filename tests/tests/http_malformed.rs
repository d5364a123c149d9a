//! Malformed and ambiguous requests: what the client gets, and that they do not harm
//! targets (ALB guide: troubleshooting, desync mitigation).

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::Write;
use std::thread;

use elbow_tests::memory::resident;
use elbow_tests::{Request, Scene, Target};

/// Name, bytes, status. None of these may reach a target.
const REFUSED: &[(&str, &str, u16)] = &[
    ("no method", " / HTTP/1.1\r\nHost: a.example\r\n\r\n", 400),
    (
        "method with a control byte",
        "G\x01T / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        400,
    ),
    ("noise", "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
    ("trace", "TRACE / HTTP/1.1\r\nHost: a.example\r\n\r\n", 405),
    (
        "connect",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        400,
    ),
    ("h2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    (
        "nul in the target",
        "GET /\0 HTTP/1.1\r\nHost: a.example\r\n\r\n",
        400,
    ),
    (
        "nul in a value",
        "GET / HTTP/1.1\r\nHost: a.example\r\nA: b\0c\r\n\r\n",
        400,
    ),
    (
        "bare CR in a value",
        "GET / HTTP/1.1\r\nHost: a.example\r\nA: b\rC: d\r\n\r\n",
        400,
    ),
    (
        "folded header",
        "GET / HTTP/1.1\r\nHost: a.example\r\nA: b\r\n c\r\n\r\n",
        400,
    ),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        400,
    ),
    (
        "length list",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3,3\r\n\r\nabc",
        400,
    ),
    (
        "length with sign",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +3\r\n\r\nabc",
        400,
    ),
    (
        "length below zero",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: -3\r\n\r\nabc",
        400,
    ),
    (
        "length in hex",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0x3\r\n\r\nabc",
        400,
    ),
    (
        "length past 64 bit",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 18446744073709551617\r\n\r\na",
        400,
    ),
    (
        "unknown coding",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "damaged coding",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\x11\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunked twice",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "chunked in two headers",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    (
        "gzip as transfer coding",
        "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
    ),
];

#[test]
fn malformed_requests_are_answered_and_reach_no_target() {
    let target = Target::ok("reached");
    let scene = Scene::http(&[&target]);
    for (name, bytes, status) in REFUSED {
        let mut client = scene.connect();
        let response = client.send(bytes).try_response("POST");
        let response = response.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(response.status, *status, "{name}: {}", response.head);
        assert_eq!(response.header("server"), Some("awselb/2.0"), "{name}");
        assert!(
            response.text().contains(&format!("<h1>{status} ")),
            "{name}: {}",
            response.text()
        );
        if *status == 400 {
            assert_eq!(response.header("connection"), Some("close"), "{name}");
            client.expect_end();
        }
    }
    assert_eq!(target.requests().len(), 0, "{:#?}", target.requests());
    assert_eq!(scene.get("/").status, 200);
}

/// Invalid chunk framing after a valid head: the head may be forwarded, but never a whole request.
const BAD_CHUNKS: &[(&str, &str)] = &[
    ("no size", "\r\nabc\r\n0\r\n\r\n"),
    ("no hex", "zz\r\nabc\r\n0\r\n\r\n"),
    ("hex prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
    ("sign", "+3\r\nabc\r\n0\r\n\r\n"),
    ("too large", "fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    ("bare LF after the size", "3\nabc\r\n0\r\n\r\n"),
    ("no CRLF after the data", "3\r\nabcX\r\n0\r\n\r\n"),
    ("bare LF after the data", "3\r\nabc\n0\r\n\r\n"),
    ("bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"),
];

#[test]
fn broken_chunks_never_reach_a_target_as_a_whole_request() {
    let target = Target::ok("reached");
    let scene = Scene::http(&[&target]);
    for (name, chunks) in BAD_CHUNKS {
        let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut client = scene.connect();
        let response = client.send(format!("{head}{chunks}")).try_response("POST");
        assert_eq!(response.map(|r| r.status).ok(), Some(400), "{name}");
        client.expect_end();
        assert_eq!(
            target.requests().len(),
            0,
            "{name}: {:#?}",
            target.requests()
        );
    }
    assert_eq!(scene.get("/").status, 200);
}

/// Requests that different parsers read differently.
const AMBIGUOUS: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length : 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer_Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a.example\r\n\x01Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\nHost: a.example\n\n",
    "GET / HTTP/1.1\r\nHost: a.example\nA: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nA : b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\n: b\r\n\r\n",
    "GET /a\tb HTTP/1.1\r\nHost: a.example\r\n\r\n",
];

/// Asserts that `request` has only one possible reading.
fn assert_one_reading(request: &Request, sent: &str) {
    let head = &request.head;
    let bare = head.replace("\r\n", "");
    assert!(
        !bare.contains(['\r', '\n', '\0']),
        "{sent:?} became {head:?}"
    );
    let names: Vec<&str> = head
        .trim_end()
        .lines()
        .skip(1)
        .map(|line| {
            line.split_once(':')
                .unwrap_or_else(|| panic!("{line:?} of {head:?}"))
                .0
        })
        .collect();
    for name in &names {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        assert!(
            !name.is_empty() && name.bytes().all(token),
            "{sent:?} became {head:?}"
        );
    }
    let count = |wanted: &str| {
        names
            .iter()
            .filter(|n| n.eq_ignore_ascii_case(wanted))
            .count()
    };
    assert!(count("host") == 1, "{sent:?} became {head:?}");
    assert!(
        count("content-length") + count("transfer-encoding") <= 1,
        "{sent:?} became {head:?}"
    );
}

#[test]
fn target_sees_one_reading_of_an_ambiguous_request() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    for sent in AMBIGUOUS {
        let before = target.requests().len();
        let mut client = scene.connect();
        let response = client.send(sent).try_response("POST");
        let status = response.unwrap_or_else(|e| panic!("{sent:?}: {e}")).status;
        let seen = &target.requests()[before..];
        match status {
            400 => assert_eq!(
                seen.len(),
                0,
                "{sent:?} was refused but reached the target: {seen:#?}"
            ),
            200 => {
                assert_eq!(seen.len(), 1, "{sent:?} became {seen:#?}");
                assert_one_reading(&seen[0], sent);
            }
            other => panic!("{sent:?} was answered with {other}"),
        }
    }
}

#[test]
fn length_with_chunked_is_served_and_ends_both_connections() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    let mut client = scene.connect();
    let response = client.ask(AMBIGUOUS[0]);
    assert_eq!(response.status, 200);
    client.expect_end();
    assert_eq!(target.request().body, b"abc");
    assert_eq!(scene.get("/").status, 200);
    assert_eq!(
        target.connections(),
        2,
        "the connection to the target must not be reused"
    );
    // Lines of different workers may come in any order.
    let log = scene.elbow.access_log(2);
    let line = log.iter().find(|line| line.contains("\"POST ")).unwrap();
    assert!(line.contains(r#""Ambiguous" "BothTeClPresent""#), "{line}");
}

#[test]
fn get_with_length_zero_is_blocked_only_in_mode_strictest() {
    let request = "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
    let target = Target::ok("hi");
    assert_eq!(Scene::http(&[&target]).ask(request).status, 200);
    let strictest = [("routing.http.desync_mitigation_mode", "strictest")];
    let scene = Scene::http_with(&[&target], &strictest, |_| {});
    assert_eq!(scene.ask(request).status, 400);
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn different_lengths_are_logged_as_severe() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    let request =
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    assert_eq!(scene.ask(request).status, 400);
    let line = &scene.elbow.access_log(1)[0];
    assert!(
        line.contains(r#""Severe" "MultipleContentLength""#),
        "{line}"
    );
}

#[test]
fn requests_beyond_the_size_limits_are_refused() {
    let target = Target::ok("hi");
    let scene = Scene::http(&[&target]);
    let long = |n: usize| "x".repeat(n);
    let line = |n| format!("GET /{} HTTP/1.1\r\nHost: a.example\r\n\r\n", long(n));
    let header = |n| {
        format!(
            "GET / HTTP/1.1\r\nHost: a.example\r\nA: {}\r\n\r\n",
            long(n)
        )
    };
    let headers = |n: usize| {
        let many: String = (0..n)
            .map(|i| format!("A{i}: {}\r\n", long(8000)))
            .collect();
        format!("GET / HTTP/1.1\r\nHost: a.example\r\n{many}\r\n")
    };
    assert_eq!(scene.ask(line(15_000)).status, 200);
    assert_eq!(scene.ask(line(17_000)).status, 414);
    assert_eq!(scene.ask(header(15_000)).status, 200);
    assert_eq!(scene.ask(header(17_000)).status, 400);
    assert_eq!(scene.ask(headers(7)).status, 200);
    assert_eq!(scene.ask(headers(9)).status, 400);
    assert_eq!(target.requests().len(), 3);
}

#[test]
fn gigabyte_of_headers_is_refused_without_memory_growth() {
    let target = Target::ok("hi");
    let mut scene = Scene::http(&[&target]);
    assert_eq!(scene.get("/").status, 200);
    let before = resident(scene.elbow.process().id());
    let mut client = scene.connect();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n");
    let megabyte: String = (0..1024)
        .map(|i| format!("A{i:04}: {}\r\n", "x".repeat(1015)))
        .collect();
    let mut socket = client.socket().try_clone().unwrap();
    let sending = thread::spawn(move || {
        for _ in 0..1024 {
            // elbow may close the connection at any point.
            if socket.write_all(megabyte.as_bytes()).is_err() {
                return;
            }
        }
    });
    assert_eq!(client.response().status, 400);
    for _ in 0..100 {
        assert_eq!(scene.get("/").status, 200);
    }
    client.expect_end();
    sending.join().unwrap();
    let grown = resident(scene.elbow.process().id()).saturating_sub(before);
    assert!(grown < 16 << 20, "elbow grew by {grown} bytes");
    assert_eq!(target.requests().len(), 101);
}
