//! An ALB over loopback sockets with scripted targets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]
#![allow(dead_code, reason = "each test binary uses its part of the kit")]

use std::cell::RefCell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::{Group, Target};
use elbow_http::{Context, Listener, Pools};
use elbow_model::{
    Account, Action, ActionSpec, ContentType, FixedResponse, Forward, ListenerSpec, LoadBalancer,
    LoadBalancerAttributes, LoadBalancerSpec, Scope, TargetGroup, TargetGroupSpec, TargetState,
};
use elbow_net::{ConnMeta, Connect, Stream, TcpConnector, Worker};
use elbow_telemetry::{AccessLog, ListenerMetrics, LogBuffers, LogStream, Sink, Telemetry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

pub(crate) mod stalled;

/// A test that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a test on one thread, as a worker runs its connections.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test)
            .await
            .expect("the test hangs")
    })
}

/// Fails instead of hanging.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE / 2, future)
        .await
        .expect("nothing happens")
}

pub(crate) struct Alb {
    pub(crate) address: SocketAddr,
    pub(crate) worker: Rc<Worker>,
    pub(crate) pools: Rc<Pools<TcpStream>>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) group: Arc<Group>,
    pub(crate) listener: Arc<Listener>,
    context: Rc<Context<TcpConnector>>,
    log: Arc<AccessLog>,
    buffer: Rc<LogBuffers>,
    path: std::path::PathBuf,
}

impl Alb {
    /// An ALB whose default action forwards to `targets`.
    pub(crate) async fn new(targets: &[SocketAddr], attributes: LoadBalancerAttributes) -> Self {
        let forward = Action::Forward(Forward::to("pods".into()));
        Self::with_action(targets, attributes, forward).await
    }

    pub(crate) async fn with_defaults(target: SocketAddr) -> Self {
        Self::new(&[target], LoadBalancerAttributes::default()).await
    }

    pub(crate) async fn fixed() -> Self {
        let action = Action::FixedResponse(FixedResponse {
            status: 200,
            content_type: ContentType::TextPlain,
            body: "ok".into(),
        });
        Self::with_action(&[], LoadBalancerAttributes::default(), action).await
    }

    async fn with_action(
        targets: &[SocketAddr],
        attributes: LoadBalancerAttributes,
        action: Action,
    ) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let group = Arc::new(group(targets));
        let telemetry = Telemetry::new(1);
        let metrics = telemetry.listener("demo", "application", 80, "HTTP");
        let path = std::env::temp_dir().join(format!(
            "elbow-http-{}-{}.log",
            std::process::id(),
            address.port()
        ));
        let log = AccessLog::start(Sink::File(path.clone()), 16).unwrap();
        let buffer = Rc::new(LogBuffers::default());
        let worker = Worker::new(0);
        let pools = Pools::new();
        let mut listener = listener(attributes, action, &group);
        listener.access_log = Some(LogStream::new(vec![Arc::clone(&log) as _]));
        let listener = Arc::new(listener);
        let current = Arc::clone(&listener);
        let context = Rc::new(Context {
            worker: Rc::clone(&worker),
            connector: Rc::new(TcpConnector {
                timeout: Duration::from_secs(10),
            }),
            pools: Rc::clone(&pools),
            listener: Rc::new(move || Arc::clone(&current)),
            http09: false,
            metrics: Arc::clone(&metrics),
            logs: Rc::clone(&buffer),
        });
        let shared = Rc::clone(&context);
        spawn_local(Rc::clone(&worker).run_ticks(|| {}));
        spawn_local(async move {
            loop {
                let (stream, client) = socket.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let meta = ConnMeta {
                    client,
                    server: address,
                    accepted: Instant::now(),
                    tls: None,
                };
                spawn_local(elbow_http::serve(Rc::clone(&context), stream, meta, ()));
            }
        });
        Self {
            address,
            worker,
            pools,
            telemetry,
            metrics,
            group,
            listener,
            context: shared,
            log,
            buffer,
            path,
        }
    }

    /// This ALB's worker, pools and metrics with another connector and other listeners.
    pub(crate) fn context_with<C: Connect<Io = TcpStream>>(
        &self,
        connector: &Rc<C>,
        listener: impl Fn() -> Arc<Listener> + 'static,
    ) -> Rc<Context<C>> {
        Rc::new(Context {
            worker: Rc::clone(&self.worker),
            connector: Rc::clone(connector),
            pools: Rc::clone(&self.pools),
            listener: Rc::new(listener),
            http09: false,
            metrics: Arc::clone(&self.metrics),
            logs: Rc::default(),
        })
    }

    /// Serves `stream` as if it were a client's connection from 127.0.0.1.
    pub(crate) async fn serve<S: Stream>(&self, stream: S) {
        let meta = ConnMeta {
            client: SocketAddr::from(([127, 0, 0, 1], 1)),
            server: self.address,
            accepted: Instant::now(),
            tls: None,
        };
        elbow_http::serve(Rc::clone(&self.context), stream, meta, ()).await;
    }

    /// Bytes of the future that serves a connection.
    pub(crate) async fn task_size(&self) -> usize {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let meta = ConnMeta {
            client: address,
            server: address,
            accepted: Instant::now(),
            tls: None,
        };
        let served = elbow_http::serve(Rc::clone(&self.context), stream, meta, ());
        size_of_val(&served)
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends `bytes`, and reads until the end of the connection.
    pub(crate) async fn talk(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        read_to_end(&mut stream).await
    }

    /// The access log so far; nothing is logged after it.
    pub(crate) fn lines(self) -> Vec<String> {
        self.buffer.flush();
        self.log.close();
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let _ = std::fs::remove_file(&self.path);
        text.lines().map(str::to_owned).collect()
    }
}

/// A connection that `context` serves.
pub(crate) async fn connect<C: Connect<Io = TcpStream>>(context: &Rc<Context<C>>) -> TcpStream {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    let client = TcpStream::connect(server).await.unwrap();
    let (stream, peer) = socket.accept().await.unwrap();
    let meta = ConnMeta {
        client: peer,
        server,
        accepted: Instant::now(),
        tls: None,
    };
    spawn_local(elbow_http::serve(Rc::clone(context), stream, meta, ()));
    client
}

/// Sends one request on a connection of its own that `context` serves, and returns the response.
pub(crate) async fn ask<C: Connect<Io = TcpStream>>(context: &Rc<Context<C>>) -> String {
    let mut client = connect(context).await;
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    client.write_all(head).await.unwrap();
    read_to_end(&mut client).await
}

pub(crate) fn listener(
    attributes: LoadBalancerAttributes,
    action: Action,
    group: &Arc<Group>,
) -> Listener {
    let spec = ListenerSpec {
        port: Some(80),
        protocol: Some("HTTP".to_owned()),
        default_actions: Some(vec![ActionSpec::fixed_response(404)]),
        ..ListenerSpec::default()
    };
    let lb = LoadBalancerSpec {
        name: Some("demo".to_owned()),
        kind: Some("application".to_owned()),
        listeners: vec![spec],
        ..LoadBalancerSpec::default()
    };
    let mut lb = LoadBalancer::new(&lb, &Scope::default()).value.unwrap();
    lb.attributes = attributes;
    let mut model = lb.listeners[0].clone();
    model.default_actions = vec![action];
    Listener::new(
        &lb,
        &model,
        "lb.localhost".into(),
        &Account::default(),
        &elbow_http::Providers::default(),
        &Telemetry::new(1),
        |_| Some(Arc::clone(group)),
    )
}

fn group(targets: &[SocketAddr]) -> Group {
    let registered = elbow_model::Target::at;
    let spec = TargetGroupSpec {
        name: Some("pods".to_owned()),
        protocol: Some("HTTP".to_owned()),
        port: Some(80),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    let mut config = TargetGroup::new(&spec).value.unwrap();
    config.targets = targets.iter().map(|address| registered(*address)).collect();
    let live = targets.iter().map(|address| {
        let target = Target::new(registered(*address), *address);
        target.set_state(TargetState::Healthy);
        Arc::new(target)
    });
    Group::new(Arc::new(config), live.collect(), 1)
}

/// A target that runs a script for each connection.
pub(crate) struct Pod {
    pub(crate) address: SocketAddr,
    /// The requests received, with trace ids masked.
    pub(crate) seen: Rc<RefCell<Vec<String>>>,
    /// The number of connections accepted.
    pub(crate) connections: Rc<RefCell<usize>>,
}

impl Pod {
    /// Answers every request with `response`, and keeps the connection.
    pub(crate) async fn answering(response: &'static [u8]) -> Self {
        Self::scripted(move |mut peer| async move {
            while peer.request().await.is_some() {
                peer.send(response).await;
            }
        })
        .await
    }

    /// Runs `script` for every connection; the connection ends with it.
    pub(crate) async fn scripted<F, S>(script: S) -> Self
    where
        F: Future<Output = ()> + 'static,
        S: Fn(Peer) -> F + 'static,
    {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let connections = Rc::new(RefCell::new(0));
        let (log, count) = (Rc::clone(&seen), Rc::clone(&connections));
        spawn_local(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                *count.borrow_mut() += 1;
                spawn_local(script(Peer {
                    stream,
                    input: Vec::new(),
                    seen: Rc::clone(&log),
                }));
            }
        });
        Self {
            address,
            seen,
            connections,
        }
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.borrow().clone()
    }
}

/// The target's end of a connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    seen: Rc<RefCell<Vec<String>>>,
}

impl Peer {
    /// Reads and records one whole request; `None` at the end of the connection.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let lower = head.to_lowercase();
        let mut text = head;
        if let Some(length) = field(&lower, "content-length") {
            let length: usize = length.parse().unwrap();
            while self.input.len() < length {
                self.more().await?;
            }
            text += &String::from_utf8_lossy(&self.input.drain(..length).collect::<Vec<_>>());
        } else if field(&lower, "transfer-encoding").is_some() {
            let end = loop {
                if let Some(at) = find(&self.input, b"0\r\n\r\n") {
                    break at + 5;
                }
                self.more().await?;
            };
            text += &String::from_utf8_lossy(&self.input.drain(..end).collect::<Vec<_>>());
        }
        self.seen.borrow_mut().push(text.clone());
        Some(text)
    }

    /// Records `text` as received.
    pub(crate) fn note(&self, text: String) {
        self.seen.borrow_mut().push(text);
    }

    /// Reads a head.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = find(&self.input, b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.input.drain(..end).collect()).unwrap();
        Some(masked(&head))
    }

    pub(crate) async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                self.input.extend_from_slice(&buffer[..n]);
                Some(())
            }
        }
    }

    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.input)
    }

    pub(crate) fn unread(&self) -> usize {
        self.input.len()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // A peer that closed shows at the next read.
        let _ = self.stream.write_all(bytes).await;
    }
}

/// `head` with the values that differ between runs masked.
pub(crate) fn masked(head: &str) -> String {
    let lines = head
        .split_inclusive("\r\n")
        .map(|line| match line.split_once(": ") {
            Some(("X-Amzn-Trace-Id", _)) => "X-Amzn-Trace-Id: TRACE\r\n".to_owned(),
            Some(("Date", _)) => "Date: DATE\r\n".to_owned(),
            _ => line.to_owned(),
        });
    lines.collect()
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

/// Reads to the end of the connection, a reset included.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = soon(stream.read_to_end(&mut bytes)).await;
    masked(&String::from_utf8_lossy(&bytes))
}

/// Reads exactly as many bytes as `expected` has, and compares.
pub(crate) async fn expect(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    let read = soon(stream.read_exact(&mut bytes)).await;
    let text = String::from_utf8_lossy(&bytes);
    assert!(read.is_ok(), "ended after {text:?}, expected {expected:?}");
    assert_eq!(text, expected);
}

/// The lines that are added to a request from 127.0.0.1 with `Host: h`.
pub(crate) const FORWARDED: &str = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\
                             X-Forwarded-Port: 80\r\nX-Amzn-Trace-Id: TRACE\r\n";

/// The error page of `status` as ALB writes it.
pub(crate) fn error_page(status: u16, text: &str, close: bool) -> String {
    let body = format!(
        "<html>\r\n<head><title>{status} {text}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {text}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let connection = if close { "close" } else { "keep-alive" };
    format!(
        "HTTP/1.1 {status} {text}\r\nServer: awselb/2.0\r\nDate: DATE\r\n\
         Content-Type: text/html\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n{body}",
        body.len()
    )
}
