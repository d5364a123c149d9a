use std::cell::Cell;
use std::time::Duration;

use elbow_model::{HealthCheckSpec, Matcher, Personality, Protocol};
use elbow_net::TcpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::host;

const TIMEOUT: Duration = Duration::from_secs(5);

const TCP: TcpConnector = TcpConnector {
    timeout: Duration::from_secs(10),
};

fn check(protocol: HealthCheckProtocol) -> HealthCheck {
    let spec = HealthCheckSpec::default();
    let mut check = HealthCheck::new(&spec, Protocol::Http).value.unwrap();
    check.protocol = protocol;
    check.path = "/minio/health/live?verbose=1".into();
    check.matcher = Matcher(vec![200..=200, 403..=403]);
    check.timeout = TIMEOUT;
    check
}

/// A prober that lives as long as the test.
fn prober(host: &str) -> &'static Prober {
    Box::leak(Box::new(Prober {
        host: host.to_owned(),
        user_agent: Personality::APPLICATION.health_check_user_agent,
        preface: Vec::new(),
    }))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Reads a whole request head.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// One check of a target that reads the request, sends `answer` and closes; also returns the request.
async fn asked(check: &HealthCheck, answer: &[u8]) -> (Outcome, String) {
    let (listener, address) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        // The probe may close before the end of a long response.
        let _ = stream.write_all(answer).await;
        head
    };
    tokio::join!(probe(&TCP, check, address, prober("10.0.0.7:9000")), serve)
}

/// Parity 1.9: the request, byte for byte.
#[tokio::test]
async fn http_check_sends_the_request_of_aws() {
    let check = check(HealthCheckProtocol::Http);
    let (outcome, seen) = asked(&check, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(outcome, Outcome::Pass { code: Some(200) });
    assert_eq!(
        seen,
        "GET /minio/health/live?verbose=1 HTTP/1.1\r\n\
         Host: 10.0.0.7:9000\r\n\
         Connection: close\r\n\
         User-Agent: ELB-HealthChecker/2.0\r\n\r\n"
    );
}

/// Parity 1.9: the matcher decides; no redirect is followed.
#[tokio::test]
async fn matcher_decides_by_status_code() {
    let check = check(HealthCheckProtocol::Http);
    let table: [(&[u8], Outcome); 7] = [
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\n",
            Outcome::Pass { code: Some(403) },
        ),
        (
            b"HTTP/1.0 200 OK\r\n\r\n",
            Outcome::Pass { code: Some(200) },
        ),
        (
            b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
            Outcome::Mismatch(500),
        ),
        (
            b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n",
            Outcome::Mismatch(301),
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Outcome::Mismatch(204)),
        // The body is not read.
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
            Outcome::Pass { code: Some(200) },
        ),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            Outcome::Pass { code: Some(200) },
        ),
    ];
    for (answer, want) in table {
        assert_eq!(
            asked(&check, answer).await.0,
            want,
            "{}",
            answer.escape_ascii()
        );
    }
}

/// Parity 1.9: malformed responses fail the check.
#[tokio::test]
async fn malformed_response_fails() {
    let check = check(HealthCheckProtocol::Http);
    let long = [
        b"HTTP/1.1 200 OK\r\nX: ",
        &[b'x'; 64 << 10][..],
        b"\r\n\r\n",
    ]
    .concat();
    let many = [
        b"HTTP/1.1 200 OK\r\n",
        "X: y\r\n".repeat(500).as_bytes(),
        b"\r\n",
    ]
    .concat();
    let table: [&[u8]; 6] = [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\x02\x02\x28",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"",
        &long,
        &many,
    ];
    for answer in table {
        let (outcome, _) = asked(&check, answer).await;
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.starts_with("no valid HTTP response")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn closed_or_reset_connection_fails() {
    let check = check(HealthCheckProtocol::Http);
    for reset in [false, true] {
        let (listener, address) = listener().await;
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            if reset {
                stream.set_zero_linger().unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(probe(&TCP, &check, address, prober("h")), serve);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn refused_connection_fails() {
    let (listener, address) = listener().await;
    drop(listener);
    for protocol in [HealthCheckProtocol::Tcp, HealthCheckProtocol::Http] {
        let outcome = probe(&TCP, &check(protocol), address, prober("h")).await;
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.starts_with("connection refused: ")),
            "{outcome:?}"
        );
    }
}

/// Parity 1.9: no response in time. The paused clock advances only when all tasks are idle.
#[tokio::test(start_paused = true)]
async fn silent_target_times_out() {
    let check = check(HealthCheckProtocol::Http);
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nX-Slow: "] {
        let (listener, address) = listener().await;
        let start = tokio::time::Instant::now();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            // The probe closes the connection without sending more.
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        };
        let (outcome, ()) = tokio::join!(probe(&TCP, &check, address, prober("h")), serve);
        assert_eq!(outcome, Outcome::Timeout);
        assert!(
            (TIMEOUT..TIMEOUT * 2).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
    }
}

/// A head that arrives byte by byte is accepted if it arrives in time.
#[tokio::test]
async fn slow_response_passes() {
    let check = check(HealthCheckProtocol::Http);
    let (listener, address) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        head(&mut stream).await;
        for byte in b"HTTP/1.1 403 Forbidden\r\nServer: MinIO\r\n\r\n" {
            stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let (outcome, ()) = tokio::join!(probe(&TCP, &check, address, prober("h")), serve);
    assert_eq!(outcome, Outcome::Pass { code: Some(403) });
}

#[tokio::test]
async fn tcp_check_only_connects() {
    let (listener, address) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 1]).await.unwrap()
    };
    let check = check(HealthCheckProtocol::Tcp);
    let (outcome, read) = tokio::join!(probe(&TCP, &check, address, prober("h")), serve);
    assert_eq!((outcome, read), (Outcome::Pass { code: None }, 0));
}

/// Records requested connections; connects without TLS or fails.
struct Asked {
    tls: Cell<Option<bool>>,
    fail: Option<ConnectErrorKind>,
}

impl Connect for Asked {
    type Io = TcpStream;

    async fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        _preface: &[u8],
    ) -> Result<TcpStream, ConnectError> {
        self.tls.set(Some(tls));
        match self.fail {
            Some(kind) => Err(ConnectError { kind, source: None }),
            None => TCP.connect(target, false).await,
        }
    }
}

/// HTTPS and SSL checks use TLS without verification (parity 1.9).
#[tokio::test]
async fn https_and_ssl_checks_use_tls() {
    for (protocol, tls) in [
        (HealthCheckProtocol::Tcp, false),
        (HealthCheckProtocol::Http, false),
        (HealthCheckProtocol::Https, true),
        (HealthCheckProtocol::Ssl, true),
    ] {
        let (listener, address) = listener().await;
        let connector = Asked {
            tls: Cell::new(None),
            fail: None,
        };
        let http = matches!(
            protocol,
            HealthCheckProtocol::Http | HealthCheckProtocol::Https
        );
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            if http {
                head(&mut stream).await;
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            }
        };
        let check = check(protocol);
        let (outcome, ()) = tokio::join!(probe(&connector, &check, address, prober("h")), serve);
        assert_eq!(connector.tls.get(), Some(tls), "{protocol:?}");
        let code = http.then_some(200);
        assert_eq!(outcome, Outcome::Pass { code }, "{protocol:?}");
    }
}

/// Parity 1.9: timeouts lead to Timeout, other errors to FailedHealthChecks.
#[tokio::test]
async fn connect_errors_become_outcomes() {
    for (kind, timeout) in [
        (ConnectErrorKind::Timeout, true),
        (ConnectErrorKind::TlsTimeout, true),
        (ConnectErrorKind::Refused, false),
        (ConnectErrorKind::Unreachable, false),
        (ConnectErrorKind::TlsHandshake, false),
    ] {
        let connector = Asked {
            tls: Cell::new(None),
            fail: Some(kind),
        };
        let address = ([127, 0, 0, 1], 1).into();
        let want = if timeout {
            Outcome::Timeout
        } else {
            Outcome::Failed(kind.to_string())
        };
        let outcome = probe(
            &connector,
            &check(HealthCheckProtocol::Ssl),
            address,
            prober("h"),
        )
        .await;
        assert_eq!(outcome, want);
    }
}

#[tokio::test]
async fn check_without_a_descriptor_is_skipped() {
    let connector = Asked {
        tls: Cell::new(None),
        fail: Some(ConnectErrorKind::Exhausted(Resource::OpenFiles)),
    };
    let check = check(HealthCheckProtocol::Http);
    let outcome = probe(&connector, &check, ([127, 0, 0, 1], 1).into(), prober("h")).await;
    assert_eq!(outcome, Outcome::Skipped(Resource::OpenFiles));
}

#[tokio::test]
async fn invalid_path_or_host_fails() {
    let (listener, address) = listener().await;
    let mut check = check(HealthCheckProtocol::Http);
    let outcome = probe(&TCP, &check, address, prober("a\nb")).await;
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.contains("Host")),
        "{outcome:?}"
    );
    check.path = "/ a".into();
    let outcome = probe(&TCP, &check, address, prober("h")).await;
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.contains("path")),
        "{outcome:?}"
    );
    drop(listener);
}

/// Parity 1.9: the default port of the protocol is omitted.
#[test]
fn host_header_omits_default_ports() {
    use HealthCheckProtocol::{Http, Https};
    for (protocol, ip, port, want) in [
        (Http, "10.0.0.7", 80, "10.0.0.7"),
        (Http, "10.0.0.7", 443, "10.0.0.7:443"),
        (Http, "10.0.0.7", 9000, "10.0.0.7:9000"),
        (Https, "10.0.0.7", 443, "10.0.0.7"),
        (Https, "10.0.0.7", 80, "10.0.0.7:80"),
        (Http, "fd00::7", 80, "[fd00::7]"),
        (Https, "fd00::7", 9000, "[fd00::7]:9000"),
    ] {
        assert_eq!(host(protocol, ip.parse().unwrap(), port), want);
    }
}

/// A target of HTTP/2 that answers one request with `status` and these fields, and maybe trailers; returns the
/// outcome of a check and what the target saw.
async fn asked_h2(
    check: &HealthCheck,
    status: u16,
    field: Option<&'static str>,
    trailer: Option<&'static str>,
) -> (Outcome, String) {
    let (listener, address) = listener().await;
    let serve = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut http = h2::server::handshake(stream).await.unwrap();
        let (request, mut respond) = http.accept().await.unwrap().unwrap();
        let (head, mut body) = request.into_parts();
        let mut answer = async || {
            let mut seen = format!("{} {}", head.method, head.uri);
            let mut fields: Vec<_> = head
                .headers
                .iter()
                .map(|(name, value)| format!("{name}={}", value.to_str().unwrap()))
                .collect();
            fields.sort();
            for field in fields {
                seen = format!("{seen} {field}");
            }
            let mut length = 0;
            while let Some(data) = body.data().await {
                length += data.unwrap().len();
            }
            let response = ::http::Response::builder().status(status);
            let response = match field {
                Some(code) => response.header("grpc-status", code),
                None => response,
            };
            let mut stream = respond
                .send_response(response.body(()).unwrap(), trailer.is_none())
                .unwrap();
            if let Some(code) = trailer {
                let mut trailers = ::http::HeaderMap::new();
                trailers.insert("grpc-status", code.parse().unwrap());
                stream
                    .send_data(bytes::Bytes::from_static(&[0; 5]), false)
                    .unwrap();
                stream.send_trailers(trailers).unwrap();
            }
            format!("{seen}, {length} bytes")
        };
        // The probe closes the connection when it has its answer.
        let mut seen = Box::pin(answer());
        let mut noted = None;
        loop {
            tokio::select! {
                text = &mut seen, if noted.is_none() => noted = Some(text),
                next = http.accept() => if next.is_none_or(|next| next.is_err()) { break },
            }
        }
        noted.unwrap_or_default()
    };
    tokio::join!(probe(&TCP, check, address, prober("10.0.0.7:9000")), serve)
}

fn check_of(
    version: ProtocolVersion,
    path: &str,
    codes: std::ops::RangeInclusive<u16>,
) -> HealthCheck {
    let mut check = check(HealthCheckProtocol::Http);
    check.version = version;
    check.path = path.into();
    check.matcher = Matcher(vec![codes]);
    check
}

/// Parity 1.9: checks use the protocol version of the group.
#[tokio::test]
async fn http2_check_asks_over_http2() {
    let check = check_of(ProtocolVersion::Http2, "/up?x", 200..=299);
    let (outcome, seen) = asked_h2(&check, 204, None, None).await;
    assert_eq!(outcome, Outcome::Pass { code: Some(204) });
    assert_eq!(
        seen,
        "GET http://10.0.0.7:9000/up?x user-agent=ELB-HealthChecker/2.0, 0 bytes"
    );
    let (outcome, _) = asked_h2(&check, 500, None, None).await;
    assert_eq!(outcome, Outcome::Mismatch(500));
}

/// Parity 1.9: the call of a method, and its code.
#[tokio::test]
async fn grpc_check_calls_a_method_and_takes_its_code() {
    let check = check_of(ProtocolVersion::Grpc, "/AWS.ALB/healthcheck", 12..=12);
    let (outcome, seen) = asked_h2(&check, 200, Some("12"), None).await;
    assert_eq!(outcome, Outcome::Pass { code: Some(12) });
    assert_eq!(
        seen,
        "POST http://10.0.0.7:9000/AWS.ALB/healthcheck content-type=application/grpc \
         te=trailers user-agent=ELB-HealthChecker/2.0, 5 bytes"
    );
    let (outcome, _) = asked_h2(&check, 200, None, Some("0")).await;
    assert_eq!(outcome, Outcome::Mismatch(0));
    let health = check_of(ProtocolVersion::Grpc, "/grpc.health.v1.Health/Check", 0..=0);
    let (outcome, _) = asked_h2(&health, 200, None, Some("0")).await;
    assert_eq!(outcome, Outcome::Pass { code: Some(0) });
    let (outcome, _) = asked_h2(&health, 404, None, None).await;
    assert_eq!(
        outcome,
        Outcome::Failed("status 404 without a gRPC status".to_owned())
    );
}

/// A target of HTTP/1.1 in a group of HTTP/2 fails its checks.
#[tokio::test]
async fn http2_check_fails_at_a_target_of_http1() {
    let check = check_of(ProtocolVersion::Http2, "/", 200..=499);
    let (listener, address) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        stream
    };
    let (outcome, _) = tokio::join!(probe(&TCP, &check, address, prober("h")), serve);
    assert!(matches!(&outcome, Outcome::Failed(_)), "{outcome:?}");
}
