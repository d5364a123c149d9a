//! Target groups of HTTP/2 and gRPC behind an HTTPS listener (ALB guide: target groups).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use elbow_tests::certificates::{client_that_trusts_all, server_name};
use elbow_tests::config::{alb, file, forward, listener};
use elbow_tests::elbow::log_fields;
use elbow_tests::{Ca, Elbow, TempDir, address, command, need, wait};
use http::{HeaderMap, Request, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A target that speaks gRPC alone: it returns the message of `/echo.Echo/Say`, answers `/grpc.health.v1.Health/Check`
/// with SERVING, and has no other method.
struct Server {
    address: SocketAddr,
    /// Methods and paths of its requests, without those of health checks.
    seen: Arc<Mutex<Vec<String>>>,
    /// Its thread, and what ends it.
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Server {
    fn start(tls: Option<TlsAcceptor>) -> Self {
        Self::start_at((address(), 50_051).into(), tls)
    }

    fn start_at(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let socket = std::net::TcpListener::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let seen = Arc::<Mutex<Vec<_>>>::default();
        let noted = Arc::clone(&seen);
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let serving = async move {
                let socket = TcpListener::from_std(socket).unwrap();
                loop {
                    let (stream, _) = socket.accept().await.unwrap();
                    let (tls, seen) = (tls.clone(), Arc::clone(&noted));
                    tokio::spawn(async move {
                        match tls {
                            None => serve(stream, seen).await,
                            Some(tls) => {
                                if let Ok(stream) = tls.accept(stream).await {
                                    let alpn = stream.get_ref().1.alpn_protocol();
                                    assert_eq!(alpn, Some(b"h2".as_slice()));
                                    serve(stream, seen).await;
                                }
                            }
                        }
                    });
                }
            };
            runtime.block_on(async {
                tokio::select! {
                    () = serving => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            seen,
            running: Some((stop, thread)),
        }
    }

    /// Ends it, and all of its connections, in the midst of what it does.
    fn kill(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.send(()).unwrap();
            thread.join().unwrap();
        }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, seen: Arc<Mutex<Vec<String>>>) {
    let Ok(mut http) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = http.accept().await {
        let agent = request.headers().get("user-agent");
        if agent.is_none_or(|agent| agent != "ELB-HealthChecker/2.0") {
            let (method, path) = (request.method(), request.uri().path());
            seen.lock().unwrap().push(format!("{method} {path}"));
        }
        tokio::spawn(answer(request, respond));
    }
}

async fn answer(
    mut request: Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
) {
    let mut message = Vec::new();
    while let Some(Ok(data)) = request.body_mut().data().await {
        let flow = request.body_mut().flow_control();
        flow.release_capacity(data.len()).unwrap();
        message.extend_from_slice(&data);
    }
    let response = Response::builder().header("content-type", "application/grpc");
    let message = match request.uri().path() {
        "/echo.Echo/Say" => Bytes::from(message),
        "/grpc.health.v1.Health/Check" => Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]),
        _ => {
            // UNIMPLEMENTED, as every server of gRPC answers.
            let response = response.header("grpc-status", "12").body(()).unwrap();
            let _ = respond.send_response(response, true);
            return;
        }
    };
    let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) else {
        return;
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let _ = stream.send_data(message, false);
    let _ = stream.send_trailers(trailers);
}

fn group(protocol: &str, version: &str, target: SocketAddr) -> Value {
    json!({"name": "calls", "protocol": protocol, "protocolVersion": version, "port": target.port(),
        "targetType": "ip", "healthCheckConfig": {"protocol": protocol, "intervalSeconds": 5, "timeoutSeconds": 2},
        "targets": [{"id": target.ip()}]})
}

/// elbow with an HTTPS listener in front of `group`, and its URL.
fn https(group: &Value) -> (Elbow, String) {
    let dir = TempDir::new();
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let ip = address();
    let mut listener = listener(8443, "HTTPS", &forward("calls"));
    listener["certificates"] = json!(["main"]);
    let mut config = file(&[alb("alb", ip, &[listener])], std::slice::from_ref(group));
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    (elbow, format!("https://{ip}:8443"))
}

/// What curl shows of a call with one message: heads, trailers and the message.
fn call(url: &str, more: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args([
        "-sk",
        "-D",
        "-",
        "--data-binary",
        "\u{1}\u{1}\u{1}\u{1}\u{5}hello",
    ])
    .args(["-H", "content-type: application/grpc", "-H", "te: trailers"])
    .args(more)
    .arg(format!("{url}/echo.Echo/Say"));
    command::stdout(&mut curl)
}

#[test]
fn a_grpc_call_passes_in_clear_and_over_tls() {
    need!("curl");
    let leaf = Ca::new().leaf(&["target.example"]);
    let tls = TlsAcceptor::from(leaf.server(&["h2"]));
    for (protocol, tls) in [("HTTP", None), ("HTTPS", Some(tls))] {
        let server = Server::start(tls);
        let (elbow, url) = https(&group(protocol, "GRPC", server.address));
        // The default check calls a method that the server does not have, and 12 passes.
        elbow.wait_for_state("calls", server.address, "healthy");
        let shown = call(&url, &["--http2"]);
        assert!(shown.starts_with("HTTP/2 200"), "{shown}");
        assert!(shown.contains("hello"), "{shown}");
        assert!(shown.contains("grpc-status: 0"), "{shown}");
        assert_eq!(server.seen(), ["POST /echo.Echo/Say"], "{protocol}");
        let fields = log_fields(&elbow.access_log(1)[0]);
        assert_eq!(
            (&*fields[0], &*fields[8], &*fields[9]),
            ("grpcs", "200", "200")
        );
        assert_eq!(fields[12], format!("POST {url}/echo.Echo/Say HTTP/2.0"));
        elbow.wait_for_metric("elbow_grpc_requests_total", &[], 1.0);

        let shown = call(&url, &["--http1.1"]);
        assert!(shown.starts_with("HTTP/1.1 464"), "{shown}");
    }
}

// Parity 1.2 and 1.15: no target is chosen for a request that the group does not take.
#[test]
fn incompatible_protocol_is_464_and_shows_no_target() {
    need!("curl");
    let server = Server::start(None);
    let (elbow, url) = https(&group("HTTP", "GRPC", server.address));
    elbow.wait_for_state("calls", server.address, "healthy");
    let shown = call(&url, &["--http1.1"]);
    assert!(shown.starts_with("HTTP/1.1 464"), "{shown}");
    let fields = log_fields(&elbow.access_log(1)[0]);
    // The target, its times, the statuses, and the lists of targets.
    let logged = [4, 5, 6, 7, 8, 9, 25, 26].map(|n| &*fields[n]);
    assert_eq!(logged, ["-", "-1", "-1", "-1", "464", "-", "-", "-"]);
    assert!(server.seen().is_empty());
    let of_targets = elbow.metric("elbow_target_requests_total", &[]);
    assert_eq!(of_targets.unwrap_or_default(), 0.0);
    let of_elb = ["source=\"elb\"", "code=\"464\""];
    elbow.wait_for_metric("elbow_requests_total", &of_elb, 1.0);
}

#[test]
fn health_checks_call_the_method_of_the_path() {
    let server = Server::start(None);
    let mut serving = group("HTTP", "GRPC", server.address);
    serving["healthCheckConfig"]["path"] = json!("/grpc.health.v1.Health/Check");
    serving["healthCheckConfig"]["matcher"] = json!({"grpcCode": "0"});
    let (elbow, _) = https(&serving);
    elbow.wait_for_state("calls", server.address, "healthy");
    let mut other = serving.clone();
    other["healthCheckConfig"]["matcher"] = json!({"grpcCode": "12"});
    other["healthCheckConfig"]["unhealthyThresholdCount"] = json!(2);
    let (elbow, _) = https(&other);
    let row = elbow.wait_for_state("calls", server.address, "unhealthy");
    assert_eq!(row["reason"], "Target.ResponseCodeMismatch");
    assert_eq!(
        row["description"],
        "Health checks failed with these codes: [0]"
    );
}

#[test]
fn a_target_of_http1_is_502_and_unavailable() {
    need!("curl");
    let target = elbow_tests::Target::ok("hi");
    let (elbow, url) = https(&group("HTTP", "GRPC", target.addr()));
    let shown = call(&url, &["--http2"]);
    assert!(shown.starts_with("HTTP/2 502"), "{shown}");
    assert!(shown.contains("grpc-status: 14"), "{shown}");
    assert!(shown.contains("grpc-message: unavailable"), "{shown}");
    let fields = log_fields(&elbow.access_log(1)[0]);
    assert_eq!(
        (&*fields[0], &*fields[8], &*fields[24]),
        ("grpcs", "502", "ElbowTargetProtocol")
    );
}

// The handshake fails: a client of TLS that offers h2 alone takes nothing else (RFC 7301, 3.2).
#[test]
fn a_tls_target_without_h2_is_502() {
    need!("curl");
    let leaf = Ca::new().leaf(&["target.example"]);
    let server = Server::start(Some(TlsAcceptor::from(leaf.server(&["http/1.1"]))));
    let (elbow, url) = https(&group("HTTPS", "GRPC", server.address));
    let shown = call(&url, &["--http2"]);
    assert!(shown.starts_with("HTTP/2 502"), "{shown}");
    assert!(shown.contains("grpc-status: 14"), "{shown}");
    let fields = log_fields(&elbow.access_log(1)[0]);
    assert_eq!(
        (&*fields[0], &*fields[8], &*fields[9]),
        ("grpcs", "502", "-")
    );
    elbow.wait_for_metric("elbow_target_tls_errors_total", &[], 1.0);
    assert!(server.seen().is_empty());
}

/// How calls ended, and how many of them.
type Outcomes = BTreeMap<String, usize>;

/// Calls over connections of their own, many at a time on each.
fn calls(url: &str, connections: usize, each: usize) -> Outcomes {
    const AT_ONCE: usize = 32;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (url, mut outcomes) = (url.to_owned(), Outcomes::new());
    runtime.block_on(async {
        let mut calling = JoinSet::new();
        for _ in 0..connections {
            let send = connect(&url).await;
            for _ in 0..AT_ONCE {
                let (send, url) = (send.clone(), url.clone());
                calling.spawn(async move {
                    let mut ended = Vec::new();
                    for _ in 0..each / AT_ONCE {
                        let outcome = say(&send, &url).await;
                        ended.push(outcome.unwrap_or_else(|_| "reset".to_owned()));
                    }
                    ended
                });
            }
        }
        while let Some(ended) = calling.join_next().await {
            for outcome in ended.unwrap() {
                *outcomes.entry(outcome).or_default() += 1;
            }
        }
    });
    outcomes
}

async fn connect(url: &str) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(url.trim_start_matches("https://"))
        .await
        .unwrap();
    let tls = TlsConnector::from(client_that_trusts_all(rustls::ALL_VERSIONS, &["h2"]));
    let stream = tls.connect(server_name("a.example"), stream).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send
}

/// One call: the HTTP status and the status of gRPC.
async fn say(send: &h2::client::SendRequest<Bytes>, url: &str) -> Result<String, h2::Error> {
    const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";
    let request = Request::post(format!("{url}/echo.Echo/Say"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let mut send = send.clone().ready().await?;
    let (response, mut body) = send.send_request(request.body(()).unwrap(), false)?;
    body.send_data(Bytes::from_static(MESSAGE), true)?;
    let mut response = response.await?;
    let mut message = Vec::new();
    while let Some(data) = response.body_mut().data().await {
        message.extend_from_slice(&data?);
    }
    let trailers = response.body_mut().trailers().await?;
    let status = response.status().as_u16();
    assert_eq!(message, if status == 200 { MESSAGE } else { b"" });
    let fields = trailers.as_ref().unwrap_or_else(|| response.headers());
    Ok(format!(
        "{status} {}",
        fields["grpc-status"].to_str().unwrap()
    ))
}

#[test]
fn no_call_is_lost_on_a_healthy_target() {
    let server = Server::start(None);
    let (elbow, url) = https(&group("HTTP", "GRPC", server.address));
    elbow.wait_for_state("calls", server.address, "healthy");
    let all = 4 * 2496;
    let expected = Outcomes::from([("200 0".to_owned(), all)]);
    assert_eq!(calls(&url, 4, 2496), expected);
    assert_eq!(server.seen().len(), all);
    elbow.wait_for_metric("elbow_grpc_requests_total", &[], all as f64);
}

#[test]
fn calls_of_a_server_that_dies_are_unavailable_until_it_is_back() {
    let mut server = Server::start(None);
    let (elbow, url) = https(&group("HTTP", "GRPC", server.address));
    elbow.wait_for_state("calls", server.address, "healthy");
    let outcomes = thread::scope(|scope| {
        let calling = scope.spawn(|| calls(&url, 2, 3200));
        wait::until("calls to be in progress", || {
            (server.seen().len() > 500).then_some(())
        });
        server.kill();
        calling.join().unwrap()
    });
    // Every call ends: a response that had begun is cut, others are 502.
    assert_eq!(outcomes.values().sum::<usize>(), 6400, "{outcomes:?}");
    for outcome in outcomes.keys() {
        let known = ["200 0", "502 14", "reset"];
        assert!(known.contains(&&**outcome), "{outcomes:?}");
    }
    assert!(
        outcomes["200 0"] > 400 && outcomes["502 14"] > 0,
        "{outcomes:?}"
    );
    let _server = Server::start_at(server.address, None);
    let expected = Outcomes::from([("200 0".to_owned(), 64)]);
    assert_eq!(calls(&url, 1, 64), expected);
}
