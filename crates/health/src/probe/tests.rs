use std::cell::Cell;
use std::time::Duration;

use elbow_model::{HealthCheckPort, Matcher};
use elbow_net::TcpConnector;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);

const TCP: TcpConnector = TcpConnector {
    timeout: Duration::from_secs(10),
};

fn check(protocol: HealthCheckProtocol) -> HealthCheck {
    HealthCheck {
        protocol,
        port: HealthCheckPort::TrafficPort,
        path: "/minio/health/live?verbose=1".into(),
        matcher: Matcher(vec![200..=200, 403..=403]),
        interval: Duration::from_secs(30),
        timeout: TIMEOUT,
        healthy_threshold: 5,
        unhealthy_threshold: 2,
    }
}

/// Lives as long as the test.
fn asker(host: &str) -> &'static Asker {
    Box::leak(Box::new(Asker {
        host: host.to_owned(),
        user_agent: USER_AGENT,
        preface: Vec::new(),
    }))
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A request head, read to its end.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// One check of a target that reads the request, answers with `answer` and closes; what it saw.
async fn asked(check: &HealthCheck, answer: &[u8]) -> (Outcome, String) {
    let (listener, address) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        // The probe may be gone before the end of a long answer.
        let _ = stream.write_all(answer).await;
        head
    };
    tokio::join!(probe(&TCP, check, address, asker("10.0.0.7:9000")), serve)
}

/// Parity 1.9: the request, byte for byte.
#[tokio::test]
async fn a_check_asks_as_aws_does() {
    let check = check(HealthCheckProtocol::Http);
    let (outcome, seen) = asked(&check, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(outcome, Outcome::Pass { code: Some(200) });
    assert!(outcome.passed());
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
async fn the_code_decides() {
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
        // The body is not waited for.
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

/// Parity 1.9: malformed answers fail the check.
#[tokio::test]
async fn garbage_fails() {
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
async fn a_target_that_closes_or_resets_fails() {
    let check = check(HealthCheckProtocol::Http);
    for reset in [false, true] {
        let (listener, address) = listener().await;
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            if reset {
                stream.set_zero_linger().unwrap();
            }
        };
        let (outcome, ()) = tokio::join!(probe(&TCP, &check, address, asker("h")), serve);
        assert!(matches!(outcome, Outcome::Failed(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_target_that_refuses_fails() {
    let (listener, address) = listener().await;
    drop(listener);
    for protocol in [HealthCheckProtocol::Tcp, HealthCheckProtocol::Http] {
        let outcome = probe(&TCP, &check(protocol), address, asker("h")).await;
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.starts_with("connection refused: ")),
            "{outcome:?}"
        );
    }
}

/// Parity 1.9: no answer in time. The clock is paused: it moves only when nothing else can happen.
#[tokio::test(start_paused = true)]
async fn silence_times_out() {
    let check = check(HealthCheckProtocol::Http);
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nX-Slow: "] {
        let (listener, address) = listener().await;
        let start = tokio::time::Instant::now();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(answer).await.unwrap();
            // The probe ends the connection, without another byte.
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
        };
        let (outcome, ()) = tokio::join!(probe(&TCP, &check, address, asker("h")), serve);
        assert_eq!(outcome, Outcome::Timeout);
        assert!(
            (TIMEOUT..TIMEOUT * 2).contains(&start.elapsed()),
            "{:?}",
            start.elapsed()
        );
    }
}

/// A head that comes byte by byte is one, as long as it comes in time.
#[tokio::test]
async fn a_slow_answer_passes() {
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
    let (outcome, ()) = tokio::join!(probe(&TCP, &check, address, asker("h")), serve);
    assert_eq!(outcome, Outcome::Pass { code: Some(403) });
}

#[tokio::test]
async fn a_tcp_check_only_connects() {
    let (listener, address) = listener().await;
    let serve = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read(&mut [0; 1]).await.unwrap()
    };
    let check = check(HealthCheckProtocol::Tcp);
    let (outcome, read) = tokio::join!(probe(&TCP, &check, address, asker("h")), serve);
    assert_eq!((outcome, read), (Outcome::Pass { code: None }, 0));
}

/// Remembers what it was asked for, and connects in clear or fails.
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

/// HTTPS and SSL are asked for under TLS; whoever connects does not verify (parity 1.9).
#[tokio::test]
async fn https_and_ssl_are_under_tls() {
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
        let (outcome, ()) = tokio::join!(probe(&connector, &check, address, asker("h")), serve);
        assert_eq!(connector.tls.get(), Some(tls), "{protocol:?}");
        let code = http.then_some(200);
        assert_eq!(outcome, Outcome::Pass { code }, "{protocol:?}");
    }
}

/// Parity 1.9: in time or not decides between Timeout and FailedHealthChecks.
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
        let want = match timeout {
            true => Outcome::Timeout,
            false => Outcome::Failed(kind.to_string()),
        };
        let outcome = probe(
            &connector,
            &check(HealthCheckProtocol::Ssl),
            address,
            asker("h"),
        )
        .await;
        assert_eq!(outcome, want);
    }
}

#[tokio::test]
async fn without_a_descriptor_a_check_is_skipped() {
    let connector = Asked {
        tls: Cell::new(None),
        fail: Some(ConnectErrorKind::Exhausted(Lack::OpenFiles)),
    };
    let check = check(HealthCheckProtocol::Http);
    let outcome = probe(&connector, &check, ([127, 0, 0, 1], 1).into(), asker("h")).await;
    assert_eq!(outcome, Outcome::Skipped(Lack::OpenFiles));
    assert!(!outcome.passed());
}

#[tokio::test]
async fn a_path_or_host_that_cannot_be_sent_fails() {
    let (listener, address) = listener().await;
    let mut check = check(HealthCheckProtocol::Http);
    let outcome = probe(&TCP, &check, address, asker("a\nb")).await;
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.contains("Host")),
        "{outcome:?}"
    );
    check.path = "/ a".into();
    let outcome = probe(&TCP, &check, address, asker("h")).await;
    assert!(
        matches!(&outcome, Outcome::Failed(why) if why.contains("path")),
        "{outcome:?}"
    );
    drop(listener);
}

/// Parity 1.9: the port is left out when it is the protocol's own.
#[test]
fn the_host_header_leaves_default_ports_out() {
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
