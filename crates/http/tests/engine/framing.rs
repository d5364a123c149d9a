//! Ambiguous framing: a target gets a request with one reading, or none (parity 1.14, checks 17 to
//! 22).

use elbow_model::{DesyncMitigationMode, LoadBalancerAttributes};

use crate::forwarding::{OK, OK_CLOSED, OK_KEPT};
use crate::kit::{Alb, FORWARDED, Pod, error_page, run};

use DesyncMitigationMode::{Defensive, Monitor, Strictest};

enum Expected {
    /// Served: the target gets this, and the connection stays or not.
    Seen(&'static str, bool),
    /// Refused with this status: the target gets nothing.
    Refused(u16, &'static str),
}
use Expected::{Refused, Seen};

const BAD: Expected = Refused(400, "Bad Request");

/// The lines behind `Host: h` in a request, and its outcome. FORWARDED stands for the fields that
/// the load balancer adds.
const TABLE: &[(DesyncMitigationMode, &str, Expected)] = &[
    // Lengths.
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDContent-Length: 2\r\n\r\nab",
            true,
        ),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDContent-Length: 2\r\n\r\nab",
            false,
        ),
    ),
    (
        Monitor,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDContent-Length: 2\r\n\r\nab",
            true,
        ),
    ),
    (
        Strictest,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        BAD,
    ),
    (
        Monitor,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2, 2\r\n\r\nab",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x2\r\n\r\nab",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551616\r\n\r\n",
        BAD,
    ),
    // Codings.
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
            false,
        ),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nab",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDContent-Length: 2\r\n\r\nab",
            false,
        ),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Refused(501, "Not Implemented"),
    ),
    (
        Monitor,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: deflate\r\n\r\n",
        Refused(501, "Not Implemented"),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n",
        BAD,
    ),
    (
        Monitor,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n",
        Refused(501, "Not Implemented"),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    (
        Monitor,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            true,
        ),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\x0b\r\n\r\n",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            false,
        ),
    ),
    // Look-alikes are not passed on.
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer_Encoding: chunked\r\n\r\n",
        Seen(
            "POST / HTTP/1.1\r\nHost: h\r\nFORWARDEDContent-Length: 0\r\n\r\n",
            false,
        ),
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", false),
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\n\x01Content-Length: 5\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", false),
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\nContent-Length: 2\r\n\r\nab",
        BAD,
    ),
    (
        Defensive,
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nTransfer_Encoding: chunked\r\n\r\nab",
        BAD,
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\n Transfer-Encoding: chunked\r\n\r\n",
        BAD,
    ),
    // GET with a body.
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (
        Strictest,
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
        BAD,
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
        Seen(
            "GET / HTTP/1.1\r\nHost: h\r\nFORWARDEDContent-Length: 2\r\n\r\nab",
            false,
        ),
    ),
    // Lines.
    (Monitor, "GET / HTTP/1.1\nHost: h\r\n\r\n", BAD),
    (Monitor, "GET / HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", BAD),
    (Monitor, "GET / HTTP/1.1\r\nHost: h\r\n\n", BAD),
    (Monitor, "GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", BAD),
    (Monitor, "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", BAD),
    (
        Monitor,
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
        BAD,
    ),
    (
        Monitor,
        "GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        BAD,
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\n: y\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", false),
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01b\r\n\r\n",
        Seen(
            "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01b\r\nFORWARDED\r\n",
            true,
        ),
    ),
    (
        Strictest,
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\x01b\r\n\r\n",
        BAD,
    ),
    (
        Defensive,
        "GET / HTTP/1.1\r\nHost: h\r\nmy_header: 1\r\n\r\n",
        Seen(
            "GET / HTTP/1.1\r\nHost: h\r\nmy_header: 1\r\nFORWARDED\r\n",
            true,
        ),
    ),
    // Request lines.
    (
        Defensive,
        "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        Seen("GET /a%20b HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (Strictest, "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    (
        Defensive,
        "GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n",
        Seen("GET /a%09b HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", false),
    ),
    (
        Defensive,
        "GET /%0D%0A%20 HTTP/1.1\r\nHost: h\r\n\r\n",
        Seen("GET /%0D%0A%20 HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (Defensive, "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    (
        Defensive,
        "GET / HTTP/1.3\r\nHost: h\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (Strictest, "GET / HTTP/1.3\r\nHost: h\r\n\r\n", BAD),
    (
        Defensive,
        "GET  /  HTTP/1.1\r\nHost: h\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (Defensive, "GET / HTTP/1.11\r\nHost: h\r\n\r\n", BAD),
    (Defensive, "GET /\r\n\r\n", BAD),
    (Defensive, "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    (Defensive, "GET x HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    (Defensive, "GET http://h/ HTTP/1.1\r\n\r\n", BAD),
    (Defensive, "GET / HTTP/1.1\r\n\r\n", BAD),
    (
        Defensive,
        "PURGE / HTTP/1.1\r\nHost: h\r\n\r\n",
        Seen("PURGE / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (
        Defensive,
        "\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n",
        Seen("GET / HTTP/1.1\r\nHost: h\r\nFORWARDED\r\n", true),
    ),
    (
        Monitor,
        "TRACE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        Refused(405, "Not Allowed"),
    ),
    (Monitor, "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", BAD),
    (
        Monitor,
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Refused(505, "HTTP Version Not Supported"),
    ),
    // Chunks.
    (
        Monitor,
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
        BAD,
    ),
    (
        Monitor,
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nab\r\n0\r\n\r\n",
        BAD,
    ),
    (
        Monitor,
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
        BAD,
    ),
    (
        Monitor,
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n",
        BAD,
    ),
];

#[test]
fn forwarded_requests_have_one_reading() {
    run(async {
        for (mode, request, expected) in TABLE {
            let pod = Pod::answering(OK).await;
            let attributes = LoadBalancerAttributes {
                desync_mitigation_mode: *mode,
                ..LoadBalancerAttributes::default()
            };
            let alb = Alb::new(&[pod.address], attributes).await;
            let case = format!("{mode:?} {request:?}");
            // A second request shows whether the connection stays.
            let last = "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            let response = alb.talk(format!("{request}{last}").as_bytes()).await;
            let mut seen = pod.seen();
            match expected {
                Seen(head, stays) => {
                    assert_eq!(
                        seen.remove(0),
                        head.replace("FORWARDED", FORWARDED),
                        "{case}"
                    );
                    let responses = if *stays {
                        OK_KEPT.to_owned() + OK_CLOSED
                    } else {
                        OK_CLOSED.to_owned()
                    };
                    assert_eq!(response, responses, "{case}");
                    assert_eq!(seen.len(), usize::from(*stays), "{case}");
                    if !stays {
                        // The target's connection is not used again either.
                        assert_eq!(alb.pools.idle(), 0, "{case}");
                    }
                }
                Refused(status, text) => {
                    assert_eq!(response, error_page(*status, text, true), "{case}");
                    assert!(seen.is_empty(), "{case}: {seen:?}");
                }
            }
        }
    });
}

// Parity 1.1: request line 16 K, one header 16 K, whole head 64 K.
#[test]
fn heads_have_the_limits_of_aws() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let uri = |n: usize| {
            format!(
                "GET /{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
                "u".repeat(n)
            )
        };
        let line = |n: usize| {
            format!(
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: {}\r\n\r\n",
                "v".repeat(n)
            )
        };
        let lines = |n: usize| {
            let field = format!("X: {}\r\n", "v".repeat(8000 - 5));
            format!(
                "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}\r\n",
                field.repeat(n)
            )
        };
        let whole = |n: usize| {
            let mut head = lines(8);
            let missing = n - head.len() - "Y: \r\n".len();
            head.truncate(head.len() - "\r\n".len());
            format!("{head}Y: {}\r\n\r\n", "v".repeat(missing))
        };
        let bad = error_page(400, "Bad Request", true);
        let long = error_page(414, "Request-URI Too Large", true);
        let k16 = 16 * 1024;
        let table = [
            (uri(k16 - "GET / HTTP/1.1\r\n".len()), OK_CLOSED),
            (uri(k16 - "GET / HTTP/1.1\r\n".len() + 1), &long),
            (line(k16 - "X: \r\n".len()), OK_CLOSED),
            (line(k16 - "X: \r\n".len() + 1), &bad),
            (lines(8), OK_CLOSED),
            (lines(9), &bad),
            (whole(4 * k16), OK_CLOSED),
            (whole(4 * k16 + 1), &bad),
            (
                "GET / HTTP/1.1\r\n".to_owned() + &"a: b\r\n".repeat(600) + "\r\n",
                &bad,
            ),
        ];
        for (i, (request, expected)) in table.iter().enumerate() {
            assert_eq!(alb.talk(request.as_bytes()).await, *expected, "row {i}");
        }
    });
}

// Parity 1.1 and 1.10: a response head over 32 K or a malformed one is 502.
#[test]
fn bad_responses_are_502() {
    let large: &'static [u8] = {
        let field = "X: ".to_owned() + &"v".repeat(8000) + "\r\n";
        let head = "HTTP/1.1 200 OK\r\n".to_owned() + &field.repeat(5) + "\r\n";
        head.into_bytes().leak()
    };
    let table: &[&[u8]] = &[
        large,
        b"garbage\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX y: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ];
    run(async {
        for response in table {
            let pod = Pod::answering(response).await;
            let alb = Alb::with_defaults(pod.address).await;
            let request = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
            let case = String::from_utf8_lossy(response);
            assert_eq!(
                alb.talk(request).await,
                error_page(502, "Bad Gateway", true),
                "{case:.100}"
            );
            assert_eq!(alb.pools.idle(), 0, "{case:.100}");
        }
    });
}
