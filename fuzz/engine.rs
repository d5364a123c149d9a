//! The HTTP engine in memory, between a client and targets that follow scripts. The clock is paused
//! and only advances when all tasks are idle, so an hour of silence takes no time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::{Duration, Instant};

use elbow_balance::{Group, Target};
use elbow_http::{Context, Listener, Pools};
use elbow_model::{
    Account, ActionSpec, ListenerSpec, LoadBalancer, LoadBalancerAttributes, LoadBalancerSpec,
    ProtocolVersion, Scope, TargetGroup, TargetGroupSpec, TargetState,
};
use elbow_net::{ConnMeta, Connect, ConnectError, Stream, TlsMeta, Worker};
use elbow_telemetry::Telemetry;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, timeout};

use crate::strict_requests;

/// Longer than any timeout of the engine, in paused time.
const LONG: Duration = Duration::from_secs(3600);
/// The limit of each conversation, in paused time.
const END: Duration = Duration::from_secs(2000);

/// A step of a client or a target.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Stop reading.
    ReadNothing,
    /// Shut down the sending direction.
    Finish,
    /// Close the connection.
    Close,
}

/// The script of a conversation.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) attributes: LoadBalancerAttributes,
    /// Whether ALPN selected HTTP/2.
    pub(crate) is_h2: bool,
    /// What the target speaks.
    pub(crate) version: ProtocolVersion,
    /// Buffer size of a connection.
    pub(crate) room: usize,
    /// Maximum length of one read.
    pub(crate) piece: usize,
    pub(crate) client: Vec<Step>,
    /// One script for each connection to the target. Requests on further connections are answered with 200, over
    /// HTTP/1.1.
    pub(crate) targets: VecDeque<Vec<Step>>,
}

/// The bytes that client and target received.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) by_client: Vec<u8>,
    /// The bytes of each connection to the target.
    pub(crate) by_target: Vec<Vec<u8>>,
}

/// Runs the conversation, and asserts that it ends and leaves nothing behind.
pub(crate) fn converse(script: Script) -> Seen {
    thread_local! {
        static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
    }
    RUNTIME.with(|runtime| LocalSet::new().block_on(runtime, run(script)))
}

async fn run(script: Script) -> Seen {
    let socket = Rc::new(connected().await);
    let at = SocketAddr::from(([10, 0, 0, 1], 9000));
    let target = Arc::new(Target::new(model_target(at), at));
    target.set_state(TargetState::Healthy);
    let mut model = group();
    model.protocol_version = script.version;
    let group = Arc::new(Group::new(Arc::new(model), vec![Arc::clone(&target)], 1));
    let listener = Arc::new(listener(script.attributes, &group));
    let targets = Rc::new(Targets {
        scripts: RefCell::new(script.targets),
        seen: RefCell::default(),
        room: script.room,
        piece: script.piece,
        socket: Rc::clone(&socket),
    });
    let (worker, pools) = (
        Worker::without_splice(0, elbow_net::open_files::Budget::unlimited()),
        Pools::new(),
    );
    let context = Rc::new(Context {
        worker: Rc::clone(&worker),
        connector: Rc::new(Connector(Rc::clone(&targets))),
        pools: Rc::clone(&pools),
        listener: Rc::new(move || Arc::clone(&listener)),
        http09: false,
        metrics: Telemetry::new(1).listener("demo", "application", 80, "HTTP"),
        logs: Rc::default(),
    });
    let ticks = spawn_local(Rc::clone(&worker).run_ticks(|| {}));
    let (near, far) = tokio::io::duplex(script.room);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let client = spawn_local(follow(far, Some(script.client), Rc::clone(&seen)));
    let near = Memory {
        io: near,
        piece: script.piece,
        socket,
    };
    let served = elbow_http::serve(Rc::clone(&context), near, meta(script.is_h2), ());
    assert!(
        timeout(END, served).await.is_ok(),
        "the conversation does not end"
    );
    sleep(Duration::from_millis(50)).await;
    client.abort();
    drop(context);
    // Requests of a client that is gone release their targets, and connections that are shared end.
    sleep(Duration::from_secs(8)).await;
    ticks.abort();
    assert_eq!(pools.multiplexed(), 0, "a connection does not end");
    assert_eq!(pools.waiting(), 0, "leaked charges");
    assert_eq!(worker.buffers.in_use(), 0, "leaked buffers");
    assert_eq!(target.in_flight(), 0, "leaked requests in flight");
    let by_target = targets.seen.borrow().iter().map(|s| s.take()).collect();
    Seen {
        by_client: seen.take(),
        by_target,
    }
}

/// Follows `steps`, or answers each complete request when there are none, and records the received bytes.
async fn follow(io: DuplexStream, steps: Option<Vec<Step>>, seen: Rc<RefCell<Vec<u8>>>) {
    let (mut from, mut to) = tokio::io::split(io);
    let (is_reading, received) = (
        Rc::new(Cell::new(true)),
        Rc::new(tokio::sync::Notify::new()),
    );
    let reading = async {
        let mut buffer = [0; 4096];
        while is_reading.get() {
            match from.read(&mut buffer).await {
                Ok(n) if n > 0 => seen.borrow_mut().extend_from_slice(&buffer[..n]),
                _ => return,
            }
            received.notify_one();
        }
        sleep(LONG).await;
    };
    let writing = async {
        let answers = steps.is_none();
        for step in steps.unwrap_or_default() {
            match step {
                Step::Send(bytes) => {
                    if to.write_all(&bytes).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                Step::Pause(time) => sleep(time).await,
                Step::ReadNothing => is_reading.set(false),
                Step::Finish => drop(to.shutdown().await),
                Step::Close => return,
            }
        }
        if !answers {
            // The load balancer must end the connection.
            return sleep(LONG).await;
        }
        let mut answered = 0;
        loop {
            let whole = strict_requests::read(&seen.borrow()).map_or(0, |r| r.whole);
            while answered < whole {
                answered += 1;
                let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if to.write_all(ok).await.is_err() {
                    return;
                }
            }
            received.notified().await;
        }
    };
    tokio::select! {
        () = reading => {}
        () = writing => {}
    }
}

struct Targets {
    scripts: RefCell<VecDeque<Vec<Step>>>,
    seen: RefCell<Vec<Rc<RefCell<Vec<u8>>>>>,
    room: usize,
    piece: usize,
    socket: Rc<TcpStream>,
}

struct Connector(Rc<Targets>);

impl Connect for Connector {
    type Io = Memory;

    async fn connect_with(&self, _: SocketAddr, _: bool, _: &[u8]) -> Result<Memory, ConnectError> {
        let targets = &self.0;
        let (near, far) = tokio::io::duplex(targets.room);
        let steps = targets.scripts.borrow_mut().pop_front();
        let seen = Rc::<RefCell<Vec<u8>>>::default();
        targets.seen.borrow_mut().push(Rc::clone(&seen));
        spawn_local(follow(far, steps, seen));
        Ok(Memory {
            io: near,
            piece: targets.piece,
            socket: Rc::clone(&targets.socket),
        })
    }
}

/// A connection in memory. `socket` stands in for its TCP socket.
struct Memory {
    io: DuplexStream,
    piece: usize,
    socket: Rc<TcpStream>,
}

impl Stream for Memory {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let piece = self.piece.min(into.remaining());
        let read = {
            let mut part = ReadBuf::new(into.initialize_unfilled_to(piece));
            let read = Pin::new(&mut self.io).poll_read(cx, &mut part);
            read.map_ok(|()| part.filled().len())
        };
        read.map_ok(|n| into.advance(n))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Returns a connected socket without a user at the other end.
async fn connected() -> TcpStream {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap()
}

fn meta(is_h2: bool) -> ConnMeta {
    ConnMeta {
        client: SocketAddr::from(([192, 0, 2, 1], 5000)),
        server: SocketAddr::from(([127, 0, 0, 1], 80)),
        accepted: Instant::now(),
        tls: is_h2.then(|| {
            Arc::new(TlsMeta {
                alpn: Some(b"h2".as_slice().into()),
                version: "TLSv1.3",
                cipher: "TLS_AES_128_GCM_SHA256",
                ..TlsMeta::default()
            })
        }),
    }
}

fn model_target(at: SocketAddr) -> elbow_model::Target {
    elbow_model::Target::at(at)
}

fn group() -> TargetGroup {
    let spec = TargetGroupSpec {
        name: Some("pods".to_owned()),
        protocol: Some("HTTP".to_owned()),
        port: Some(80),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    TargetGroup::new(&spec).value.unwrap()
}

fn listener(attributes: LoadBalancerAttributes, group: &Arc<Group>) -> Listener {
    let spec = ListenerSpec {
        port: Some(80),
        protocol: Some("HTTP".to_owned()),
        default_actions: Some(vec![ActionSpec::forward("pods")]),
        ..ListenerSpec::default()
    };
    let lb = LoadBalancerSpec {
        name: Some("demo".to_owned()),
        kind: Some("application".to_owned()),
        listeners: vec![spec],
        ..LoadBalancerSpec::default()
    };
    let mut scope = Scope::default();
    scope.add_target_group(&Arc::new(self::group()));
    let mut lb = LoadBalancer::new(&lb, &scope).value.unwrap();
    lb.attributes = attributes;
    let model = lb.listeners[0].clone();
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
