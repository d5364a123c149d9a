//! An ALB that speaks HTTP/2, and its client. The clock moves only when a test moves it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use elbow_balance::{Group, Target};
use elbow_http::{Context, Listener, Pools};
use elbow_model::{
    Account, Action, ActionSpec, Forward, ListenerAttributes, ListenerSpec, LoadBalancer,
    LoadBalancerAttributes, LoadBalancerSpec, Protocol, ProtocolVersion, Scope, Stickiness,
    TargetGroup, TargetGroupAttributes, TargetGroupSpec, TargetState,
};
use elbow_net::{ConnMeta, Stream, TcpConnector, TlsMeta, Worker};
use elbow_telemetry::{AccessLog, ListenerMetrics, LogBuffers, LogStream, Sink, Telemetry};
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request, Response, StatusCode};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};

use crate::kit::soon;

pub(crate) struct Alb {
    pub(crate) worker: Rc<Worker>,
    pub(crate) pools: Rc<Pools<TcpStream>>,
    pub(crate) metrics: Arc<ListenerMetrics>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) group: Arc<Group>,
    context: Rc<Context<TcpConnector>>,
    log: Arc<AccessLog>,
    buffer: Rc<LogBuffers>,
    path: std::path::PathBuf,
}

pub(crate) fn forward() -> Action {
    Action::Forward(Forward::to("pods".into()))
}

impl Alb {
    /// An ALB whose default action forwards to `targets`.
    pub(crate) fn to(targets: &[SocketAddr]) -> Self {
        Self::new(forward(), targets, |_| {})
    }

    pub(crate) fn new(
        action: Action,
        targets: &[SocketAddr],
        change: impl FnOnce(&mut LoadBalancerAttributes),
    ) -> Self {
        let mut attributes = LoadBalancerAttributes::default();
        change(&mut attributes);
        let group = Arc::new(group(targets, TargetGroupAttributes::default()));
        let listener = listener(attributes, ListenerAttributes::default(), action, &group);
        Self::of(listener, group)
    }

    /// An ALB whose group is sticky and whose listener adds fields to responses.
    pub(crate) fn sticky(targets: &[SocketAddr], more: ListenerAttributes) -> Self {
        let sticky = TargetGroupAttributes {
            stickiness: Some(Stickiness::LoadBalancerCookie {
                duration: Duration::from_secs(60),
            }),
            ..TargetGroupAttributes::default()
        };
        let group = Arc::new(group(targets, sticky));
        let attributes = LoadBalancerAttributes::default();
        let listener = listener(attributes, more, forward(), &group);
        Self::of(listener, group)
    }

    /// An ALB whose group has a protocol version.
    pub(crate) fn speaking(version: ProtocolVersion, targets: &[SocketAddr]) -> Self {
        Self::speaking_with(version, targets, TargetGroupAttributes::default())
    }

    /// An ALB whose group has a protocol version and attributes.
    pub(crate) fn speaking_with(
        version: ProtocolVersion,
        targets: &[SocketAddr],
        attributes: TargetGroupAttributes,
    ) -> Self {
        let mut group = group(targets, attributes);
        let mut config = (*group.config).clone();
        config.protocol_version = version;
        group.config = Arc::new(config);
        let group = Arc::new(group);
        let listener = listener(
            LoadBalancerAttributes::default(),
            ListenerAttributes::default(),
            forward(),
            &group,
        );
        Self::of(listener, group)
    }

    fn of(mut listener: Listener, group: Arc<Group>) -> Self {
        let telemetry = Telemetry::new(1);
        let metrics = telemetry.listener("demo", "application", 443, "HTTPS");
        let worker = Worker::new(0);
        let name = format!("elbow-h2-{}-{:x}.log", std::process::id(), worker.random());
        let path = std::env::temp_dir().join(name);
        let log = AccessLog::start(Sink::File(path.clone()), 16).unwrap();
        let buffer = Rc::new(LogBuffers::default());
        listener.access_log = Some(LogStream::new(vec![Arc::clone(&log) as _]));
        let listener = Arc::new(listener);
        let pools = Pools::new();
        let context = Context {
            worker: Rc::clone(&worker),
            connector: Rc::new(TcpConnector {
                timeout: Duration::from_secs(10),
            }),
            pools: Rc::clone(&pools),
            listener: Rc::new(move || Arc::clone(&listener)),
            http09: false,
            metrics: Arc::clone(&metrics),
            logs: Rc::clone(&buffer),
        };
        Self {
            worker,
            pools,
            metrics,
            telemetry,
            group,
            context: Rc::new(context),
            log,
            buffer,
            path,
        }
    }

    /// A connection on which ALPN chose HTTP/2, and no byte was sent.
    pub(crate) async fn raw(&self) -> (TcpStream, JoinHandle<()>) {
        self.raw_through(|stream| stream).await
    }

    /// As [`Alb::raw`], with the ALB's side of it in the stream that `wrap` returns.
    pub(crate) async fn raw_through<S: Stream>(
        &self,
        wrap: impl FnOnce(TcpStream) -> S,
    ) -> (TcpStream, JoinHandle<()>) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let (server, client) = socket.accept().await.unwrap();
        let meta = ConnMeta {
            client,
            server: address,
            accepted: Instant::now(),
            tls: Some(Arc::new(TlsMeta {
                alpn: Some(b"h2".as_slice().into()),
                version: "TLSv1.3",
                cipher: "TLS_AES_128_GCM_SHA256",
                ..TlsMeta::default()
            })),
        };
        let served = elbow_http::serve(Rc::clone(&self.context), wrap(server), meta, ());
        (stream, spawn_local(served))
    }

    pub(crate) async fn client(&self) -> Client {
        let (stream, served) = self.raw().await;
        let (send, mut connection) = h2::client::handshake(stream).await.unwrap();
        let ping = connection.ping_pong().unwrap();
        let connection = spawn_local(connection);
        Client {
            send,
            ping,
            connection,
            served,
        }
    }

    /// Lets `time` pass on the worker's clock.
    pub(crate) fn pass(&self, time: Duration) {
        let ticks = time.as_millis() / elbow_net::TICK.as_millis();
        let now = self.worker.timers.now() + u64::try_from(ticks).unwrap();
        self.worker.timers.advance(now);
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

/// A client's connection.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) ping: h2::PingPong,
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
    /// The ALB's side of it.
    pub(crate) served: JoinHandle<()>,
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) fields: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// `name: value` lines in the order of names.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            let value = match name.as_str() {
                "date" => "DATE",
                _ => value.to_str().unwrap(),
            };
            format!("{name}: {value}")
        };
        let mut lines: Vec<_> = self.fields.iter().map(line).collect();
        lines.sort();
        lines
    }
}

impl Client {
    /// Starts a request; `body` says whether frames follow.
    pub(crate) async fn start(
        &mut self,
        request: Request<()>,
        body: bool,
    ) -> (h2::client::ResponseFuture, SendStream<Bytes>) {
        let mut ready = soon(self.send.clone().ready()).await.unwrap();
        ready.send_request(request, !body).unwrap()
    }

    /// Sends a request without a body, and waits for all of its response.
    pub(crate) async fn ask(&mut self, request: Request<()>) -> Result<Answer, h2::Error> {
        let (response, _) = self.start(request, false).await;
        whole(soon(response).await?).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(get(path)).await.unwrap()
    }
}

pub(crate) fn get(path: &str) -> Request<()> {
    method("GET", path)
}

pub(crate) fn method(method: &str, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .uri(format!("https://h.example{path}"))
        .body(())
        .unwrap()
}

pub(crate) async fn whole(response: Response<RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = soon(stream.data()).await {
        let data = data?;
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    Ok(Answer {
        status: parts.status,
        fields: parts.headers,
        body,
    })
}

/// Polls everything else until `done`.
pub(crate) async fn until(what: &str, done: impl Fn() -> bool) {
    soon(async {
        while !done() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(done(), "{what}");
}

/// A flag that a script sets.
pub(crate) fn flag() -> (Rc<RefCell<bool>>, impl Fn() -> bool) {
    let flag = Rc::new(RefCell::new(false));
    let seen = Rc::clone(&flag);
    (flag, move || *seen.borrow())
}

fn listener(
    attributes: LoadBalancerAttributes,
    of_listener: ListenerAttributes,
    action: Action,
    group: &Arc<Group>,
) -> Listener {
    let spec = ListenerSpec {
        port: Some(443),
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
    (model.protocol, model.attributes) = (Protocol::Https, of_listener);
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

fn group(targets: &[SocketAddr], attributes: TargetGroupAttributes) -> Group {
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
    config.attributes = attributes;
    let live = targets.iter().map(|address| {
        let target = Target::new(registered(*address), *address);
        target.set_state(TargetState::Healthy);
        Arc::new(target)
    });
    Group::new(Arc::new(config), live.collect(), 1)
}
