//! An ALB that speaks HTTP/2, and its client. Its clock stands still until a test moves it.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use elbow_balance::{Group, Target};
use elbow_http::{Context, Listener, Pools};
use elbow_model::{
    Action, AlpnPolicy, Forward, HealthCheck, HealthCheckPort, HealthCheckProtocol, IpAddressType,
    ListenerAttributes, LoadBalancer, LoadBalancerAttributes, LoadBalancerType, Matcher, Protocol,
    ProtocolVersion, Scheme, Stickiness, TargetGroup, TargetGroupAttributes, TargetId, TargetState,
    TargetType,
};
use elbow_net::{ConnMeta, TcpConnector, TlsMeta, Worker};
use elbow_telemetry::{AccessLog, ListenerMetrics, LogBuffer, Sink, Telemetry};
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
    buffer: Rc<LogBuffer>,
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
        Self::of(Arc::new(listener), group)
    }

    /// An ALB whose group is sticky and whose listener adds to responses.
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
        Self::of(Arc::new(listener), group)
    }

    fn of(listener: Arc<Listener>, group: Arc<Group>) -> Self {
        let telemetry = Telemetry::new(1);
        let metrics = telemetry.listener("demo", "application", 443, "HTTPS");
        let worker = Worker::new(0);
        let name = format!("elbow-h2-{}-{:x}.log", std::process::id(), worker.random());
        let path = std::env::temp_dir().join(name);
        let log = AccessLog::start(Sink::File(path.clone()), 16).unwrap();
        let buffer = Rc::new(log.buffer());
        let pools = Pools::new();
        let context = Context {
            worker: Rc::clone(&worker),
            connector: Rc::new(TcpConnector {
                timeout: Duration::from_secs(10),
            }),
            pools: Rc::clone(&pools),
            listener: Rc::new(move || Arc::clone(&listener)),
            metrics: Arc::clone(&metrics),
            log: Some(Rc::clone(&buffer)),
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

    /// A connection on which ALPN settled on HTTP/2, and nothing was said yet.
    pub(crate) async fn raw(&self) -> (TcpStream, JoinHandle<()>) {
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
        let context = Rc::clone(&self.context);
        (
            stream,
            spawn_local(elbow_http::serve(context, server, meta)),
        )
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
    let model = elbow_model::Listener {
        port: 443,
        protocol: Protocol::Https,
        ssl_policy: None,
        alpn_policy: AlpnPolicy::None,
        attributes: of_listener,
        certificates: Vec::new(),
        rules: Vec::new(),
        default_actions: vec![action],
        instance: None,
    };
    let lb = LoadBalancer {
        name: "demo".into(),
        kind: LoadBalancerType::Application,
        scheme: Scheme::InternetFacing,
        ip_address_type: IpAddressType::Ipv4,
        addresses: Vec::new(),
        security_groups: Vec::new(),
        attributes,
        listeners: Vec::new(),
        classic: None,
    };
    Listener::new(&lb, &model, "lb.localhost".into(), |_| {
        Some(Arc::clone(group))
    })
}

fn group(targets: &[SocketAddr], attributes: TargetGroupAttributes) -> Group {
    let registered = |address: &SocketAddr| elbow_model::Target {
        id: TargetId::Ip(address.ip()),
        port: address.port(),
        availability_zone: None,
    };
    let config = TargetGroup {
        name: "pods".into(),
        protocol: Protocol::Http,
        protocol_version: ProtocolVersion::Http1,
        port: 80,
        target_type: TargetType::Ip,
        health_check: HealthCheck {
            protocol: HealthCheckProtocol::Http,
            port: HealthCheckPort::TrafficPort,
            path: "/".into(),
            matcher: Matcher(vec![200..=200]),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
        },
        attributes,
        targets: targets.iter().map(registered).collect(),
    };
    let live = targets.iter().map(|address| {
        let target = Target::new(registered(address), *address);
        target.set_state(TargetState::Healthy);
        Arc::new(target)
    });
    Group::new(Arc::new(config), live.collect(), 1)
}
