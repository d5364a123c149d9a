//! A worker thread: accepts, terminates TLS, and hands each connection to its room.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc as sync_mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use elbow_http::Pools;
use elbow_net::open_files::{Full, Slot};
use elbow_net::{
    ClockUse, ConnMeta, ConnectErrorKind, Direction, RelayEnd, Stream, Worker, listen,
};
use elbow_tcp::{Manners, Outcome};
use elbow_telemetry::{ClassicRecord, ListenerMetrics, LogBuffer, ShedReason};
use rustc_hash::FxHashMap;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinHandle, LocalSet, spawn_local};
use tracing::{debug, error, warn};

use crate::descriptors::Descriptors;
use crate::handshakes::{Handshake, Handshakes};
use crate::plane::{DataPath, Shared};
use crate::snapshot::{Limit, ListenerState, Room};
use crate::stream::Connector;

mod end;

/// Between two lines of a worker's log that say that clients are turned away.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Between two lines in the log about a listener whose accept fails.
const ACCEPT_FAILURES_TOLD: Duration = Duration::from_secs(60);

/// What a worker is told.
pub(crate) enum Command {
    /// Accept on this socket.
    Listen {
        address: SocketAddr,
        listener: std::net::TcpListener,
    },
    /// Accept there for the listener that is in force now.
    HandOver(SocketAddr),
    /// Stop accepting there; connections go on.
    Unlisten(SocketAddr),
    /// Look at every connection once.
    Wake,
    /// Stop accepting, let connections finish, end.
    Drain,
    /// End connections now, and then the worker.
    Stop,
}

/// A worker as the plane holds it.
pub(crate) struct WorkerHandle {
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    running: Mutex<Option<Running>>,
}

/// Its thread.
pub(crate) struct Running {
    ended: sync_mpsc::Receiver<()>,
    thread: thread::JoinHandle<()>,
}

impl WorkerHandle {
    pub(crate) fn send(&self, command: Command) {
        // One that has ended needs no telling.
        let _ = self.commands.send(command);
    }

    /// Its thread, to wait for; `None` when somebody waits already.
    pub(crate) fn running(&self) -> Option<Running> {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Running {
    /// Waits for the end, at most for `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        // A worker that panicked has ended as well.
        let _ = self.ended.recv_timeout(timeout);
    }

    /// Waits for the end.
    pub(crate) fn join(self) {
        if self.thread.join().is_err() {
            error!("a worker panicked");
        }
    }
}

/// Starts worker `id`.
pub(crate) fn spawn(id: usize, shared: Arc<Shared>) -> io::Result<WorkerHandle> {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (end, ended) = sync_mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name(format!("worker-{id}"))
        .spawn(move || {
            LocalSet::new().block_on(&runtime, run(id, shared, receiver));
            // Nobody waits when the process is ending anyway.
            let _ = end.send(());
        })?;
    Ok(WorkerHandle {
        commands,
        running: Mutex::new(Some(Running { ended, thread })),
    })
}

async fn run(id: usize, shared: Arc<Shared>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let context = Rc::new(WorkerContext::new(id, shared));
    let log = context.log.clone();
    spawn_local(Rc::clone(&context.worker).run_ticks(move || {
        if let Some(log) = &log {
            log.flush();
        }
    }));
    spawn_local(Rc::clone(&context.worker).run_trims());
    let mut accepting: FxHashMap<SocketAddr, Socket> = FxHashMap::default();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen { address, listener } => match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let socket = Socket::new(&context, address, Rc::new(listener));
                    accepting.insert(address, socket);
                }
                Err(error) => error!(%address, %error, "cannot watch a listening socket"),
            },
            Command::HandOver(address) => {
                if let Some(socket) = accepting.remove(&address) {
                    socket.task.abort();
                    let socket = Socket::new(&context, address, socket.listener);
                    accepting.insert(address, socket);
                }
            }
            Command::Unlisten(address) => {
                if let Some(socket) = accepting.remove(&address) {
                    socket.task.abort();
                }
            }
            Command::Wake => context.worker.timers.wake_all(),
            Command::Drain => {
                context.worker.drain();
                // Each takes what the kernel has queued, so that no connection is lost, and ends.
                for (_, socket) in accepting.drain() {
                    let _ = socket.task.await;
                }
                end::drain(&context, &mut commands).await;
                break;
            }
            Command::Stop => break,
        }
    }
    end::stop(&context).await;
    if let Some(log) = &context.log {
        log.flush();
    }
}

/// A listening socket and who accepts from it.
struct Socket {
    listener: Rc<TcpListener>,
    task: JoinHandle<()>,
}

impl Socket {
    fn new(context: &Rc<WorkerContext>, address: SocketAddr, listener: Rc<TcpListener>) -> Self {
        let accept = accept(Rc::clone(context), address, Rc::clone(&listener));
        Self {
            listener,
            task: spawn_local(accept),
        }
    }
}

/// What the connections of a worker share.
struct WorkerContext {
    shared: Arc<Shared>,
    worker: Rc<Worker>,
    pools: Rc<Pools<crate::stream::TargetStream>>,
    descriptors: Rc<Descriptors>,
    handshakes: Rc<Handshakes>,
    /// When the log last said that clients are turned away.
    warned: Cell<Option<Instant>>,
    log: Option<Rc<LogBuffer>>,
    /// Open client connections.
    open: Cell<usize>,
    /// Told at the end of each.
    closed: Notify,
}

impl WorkerContext {
    fn new(id: usize, shared: Arc<Shared>) -> Self {
        let worker = match shared.options.data_path {
            DataPath::Auto => Worker::within(id, Arc::clone(&shared.budget)),
            DataPath::Portable => Worker::portable(id, Arc::clone(&shared.budget)),
        };
        let pools = Pools::new();
        worker.set_delivery_timeout(shared.options.drain_timeout);
        Self {
            descriptors: Rc::new(Descriptors::new(Rc::clone(&worker), Rc::clone(&pools))),
            handshakes: Handshakes::new(),
            warned: Cell::new(None),
            worker,
            pools,
            log: shared.log.as_ref().map(|log| Rc::new(log.buffer())),
            open: Cell::new(0),
            closed: Notify::new(),
            shared,
        }
    }
}

/// One listening socket on one worker.
struct Accepting {
    context: Rc<WorkerContext>,
    address: SocketAddr,
    metrics: Arc<ListenerMetrics>,
    connector: Rc<Connector>,
    /// What its connections share; set on layer 7.
    http: Option<Rc<elbow_http::Context<Connector>>>,
}

/// Accepts until it is dropped.
async fn accept(context: Rc<WorkerContext>, address: SocketAddr, listener: Rc<TcpListener>) {
    let state = context
        .shared
        .snapshot
        .load()
        .listeners
        .get(&address)
        .cloned();
    // It may have left the configuration again.
    let Some(state) = state else { return };
    let accepting = Rc::new(Accepting::new(Rc::clone(&context), address, &state));
    let mut told = None;
    let failed = |error: &io::Error| {
        // Clients can bring it about as often as they like; each is counted.
        if told.is_none_or(|at: Instant| at.elapsed() >= ACCEPT_FAILURES_TOLD) {
            warn!(%address, %error, "accept failed");
            told = Some(Instant::now());
        }
        context.shared.telemetry.accept_errors.increment();
    };
    let on = |stream, client| accepting.start(stream, client);
    listen::accept(&listener, &context.worker, on, failed).await;
}

impl Accepting {
    fn new(context: Rc<WorkerContext>, address: SocketAddr, state: &ListenerState) -> Self {
        let originators = &context.shared.originators;
        let originator = match &state.termination {
            Some(termination) if !termination.tls13 => &originators.tls12,
            _ => &originators.tls13,
        };
        let connector = Rc::new(Connector::new(
            originator.clone(),
            Rc::clone(&context.descriptors),
            Arc::clone(&state.metrics),
        ));
        let http = match &state.room {
            Room::Http(listener) => Some(Rc::new(elbow_http::Context {
                worker: Rc::clone(&context.worker),
                connector: Rc::clone(&connector),
                pools: Rc::clone(&context.pools),
                listener: latest(Arc::clone(&context.shared), address, Arc::clone(listener)),
                metrics: Arc::clone(&state.metrics),
                log: context.log.clone(),
            })),
            Room::Tcp(_) => None,
        };
        Self {
            address,
            metrics: Arc::clone(&state.metrics),
            connector,
            http,
            context,
        }
    }

    /// Starts the life of a connection.
    fn start(self: &Rc<Self>, stream: TcpStream, client: SocketAddr) {
        let snapshot = self.context.shared.snapshot.load();
        // It left the configuration between the kernel's accept and ours.
        let Some(state) = snapshot.listeners.get(&self.address) else {
            return;
        };
        if let Some(sources) = &state.sources
            && !sources.contains(client.ip())
        {
            return self.turn_away(&stream);
        }
        let slot = match self.admit(state) {
            Ok(slot) => slot,
            Err(reason) => return self.shed(&stream, reason),
        };
        let open = Open::new(Rc::clone(self), slot);
        let meta = ConnMeta {
            client,
            // A listener on every address of the machine learns here which one it was.
            server: match self.address.ip().is_unspecified() {
                true => stream.local_addr().unwrap_or(self.address),
                false => self.address,
            },
            accepted: Instant::now(),
            tls: None,
        };
        match (&state.termination, &state.room) {
            (Some(_), _) => {
                let handshakes = &self.context.handshakes;
                let handshake = handshakes.begin();
                let number = handshake.number;
                let served =
                    Rc::clone(self).terminate(stream, meta, Arc::clone(state), open, handshake);
                if handshakes.started(number, spawn_local(served).abort_handle()) {
                    self.metrics.shed(ShedReason::Handshakes);
                }
            }
            (None, Room::Tcp(listener)) => {
                spawn_local(Rc::clone(self).layer_4(stream, meta, Arc::clone(listener), open));
            }
            (None, Room::Http(_)) => {
                spawn_local(Rc::clone(self).layer_7(stream, meta, open));
            }
        }
    }

    /// Lets a client in while the limits of its load balancer and of the process allow it.
    fn admit(&self, state: &ListenerState) -> Result<Slot, ShedReason> {
        if state.limit.as_ref().is_some_and(Limit::is_reached) {
            return Err(ShedReason::LoadBalancerConnections);
        }
        self.context
            .descriptors
            .client()
            .map_err(|full| match full {
                Full::OpenFiles => ShedReason::OpenFiles,
                Full::Clients => ShedReason::MaxConnections,
            })
    }

    /// Turns away a client that is one too many. Even HTTP gets no answer: to wait until it has asked would take
    /// the descriptor that there is not.
    fn shed(&self, stream: &TcpStream, reason: ShedReason) {
        self.turn_away(stream);
        self.metrics.shed(reason);
        let now = Instant::now();
        let warned = self.context.warned.get();
        if warned.is_none_or(|at| now.duration_since(at) >= WARN_INTERVAL) {
            self.context.warned.set(Some(now));
            let reason = reason.label();
            warn!(address = %self.address, reason, "clients are turned away; docs/limits.md says what to do");
        }
    }

    /// A security group drops the packets of those it keeps out; a connection that the kernel has taken can but
    /// be reset.
    fn turn_away(&self, stream: &TcpStream) {
        stream.reset_on_close();
        let cells = self.metrics.worker(self.context.worker.id);
        cells.rejected.increment();
    }

    /// The TLS handshake; what follows is a task of its own, so that its memory ends with it.
    async fn terminate(
        self: Rc<Self>,
        stream: TcpStream,
        mut meta: ConnMeta,
        state: Arc<ListenerState>,
        open: Open,
        in_progress: Handshake,
    ) {
        let Some(termination) = &state.termination else {
            return;
        };
        let handshake = termination
            .acceptor
            .accept(stream, state.handshake_timeout, meta.accepted);
        let ended = handshake.await;
        drop(in_progress);
        let stream = match ended {
            Ok((stream, tls)) => {
                meta.tls = Some(Arc::new(tls));
                stream
            }
            Err(error) => {
                debug!(client = %meta.client, address = %self.address, %error, "TLS handshake failed");
                self.metrics
                    .worker(self.context.worker.id)
                    .tls_handshake_errors
                    .increment();
                return;
            }
        };
        match &state.room {
            Room::Tcp(listener) => {
                spawn_local(Rc::clone(&self).layer_4(stream, meta, Arc::clone(listener), open));
            }
            Room::Http(_) => {
                spawn_local(Rc::clone(&self).layer_7(stream, meta, open));
            }
        }
    }

    async fn layer_4<S: Stream>(
        self: Rc<Self>,
        stream: S,
        meta: ConnMeta,
        listener: Arc<elbow_tcp::Listener>,
        open: Open,
    ) {
        let worker = &self.context.worker;
        let cells = self.metrics.worker(worker.id);
        let count = |direction, bytes| match direction {
            Direction::ClientToTarget => cells.received_bytes.add(bytes),
            Direction::TargetToClient => cells.sent_bytes.add(bytes),
        };
        let served =
            elbow_tcp::serve(worker, stream, &meta, &listener, &*self.connector, count).await;
        if served.fail_open {
            cells.fail_open.increment();
        }
        match served.outcome {
            Outcome::NoTarget => {
                cells.rejected.increment();
                cells.resets_by_elb.increment();
            }
            Outcome::ConnectFailed(kind) => {
                cells.resets_by_elb.increment();
                if !kind.is_own() {
                    cells.connect_errors.increment();
                }
                if matches!(
                    kind,
                    ConnectErrorKind::TlsHandshake | ConnectErrorKind::TlsTimeout
                ) {
                    cells.target_tls_errors.increment();
                }
            }
            Outcome::Relayed(relayed) => match relayed.end {
                RelayEnd::Closed | RelayEnd::Idle | RelayEnd::Stopped => {}
                RelayEnd::ClientReset => cells.resets_by_client.increment(),
                RelayEnd::TargetReset => cells.resets_by_target.increment(),
                RelayEnd::IdleReset | RelayEnd::Cut => cells.resets_by_elb.increment(),
            },
        }
        if let Some(log) = self.context.log.as_ref()
            && listener.manners == Manners::Classic
        {
            log_connection(log, &listener, &meta, &served);
        }
        drop(open);
    }

    /// In a box, since a future that is awaited by value is there twice.
    fn layer_7<S: Stream>(
        self: Rc<Self>,
        stream: S,
        meta: ConnMeta,
        open: Open,
    ) -> impl Future<Output = ()> {
        let context = self.http.as_ref().map(Rc::clone);
        let serving = context.map(|c| Box::pin(elbow_http::serve(c, stream, meta)));
        async move {
            if let Some(serving) = serving {
                serving.await;
            }
            drop(open);
        }
    }
}

/// The line of a connection in the access log of a Classic load balancer. What passes between the
/// first byte of the instance and its way to the client is not measured.
fn log_connection(
    log: &LogBuffer,
    listener: &elbow_tcp::Listener,
    meta: &ConnMeta,
    served: &elbow_tcp::Served,
) {
    let relayed = match served.outcome {
        Outcome::Relayed(relayed) => Some(relayed),
        Outcome::NoTarget | Outcome::ConnectFailed(_) => None,
    };
    let connect = served.connect.filter(|_| relayed.is_some());
    let now = SystemTime::now();
    let tls = meta.tls.as_deref();
    log.classic(&ClassicRecord {
        time: now.checked_sub(meta.accepted.elapsed()).unwrap_or(now),
        elb: &listener.load_balancer,
        client: meta.client,
        backend: served.target.as_ref().map(|target| target.address),
        request_processing_time: connect.map(|(_, end)| end.duration_since(meta.accepted)),
        backend_processing_time: connect.map(|(begin, end)| end.duration_since(begin)),
        response_processing_time: connect.map(|_| Duration::ZERO),
        status_codes: None,
        received_bytes: relayed.map_or(0, |r| r.client_to_target),
        sent_bytes: relayed.map_or(0, |r| r.target_to_client),
        request: None,
        user_agent: None,
        ssl_cipher: tls.map(|tls| tls.cipher),
        ssl_protocol: tls.map(|tls| tls.version),
    });
}

/// The listener in force at `address`; one that left the configuration keeps its last value for the
/// connections it has.
fn latest(
    shared: Arc<Shared>,
    address: SocketAddr,
    first: Arc<elbow_http::Listener>,
) -> Rc<dyn Fn() -> Arc<elbow_http::Listener>> {
    let last = RefCell::new(first);
    Rc::new(move || {
        let snapshot = shared.snapshot.load();
        let mut last = last.borrow_mut();
        if let Some(Room::Http(listener)) = snapshot.listeners.get(&address).map(|l| &l.room)
            && !Arc::ptr_eq(&last, listener)
        {
            *last = Arc::clone(listener);
        }
        Arc::clone(&last)
    })
}

/// Counts an open client connection until it is dropped, holds its right to descriptors, and keeps the clock going for
/// it.
struct Open {
    accepting: Rc<Accepting>,
    _slot: Slot,
    _clock: ClockUse,
}

impl Open {
    fn new(accepting: Rc<Accepting>, slot: Slot) -> Self {
        let context = &accepting.context;
        context.open.set(context.open.get() + 1);
        accepting
            .metrics
            .worker(context.worker.id)
            .connections
            .increment();
        Self {
            _clock: context.worker.timers.use_clock(),
            accepting,
            _slot: slot,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let context = &self.accepting.context;
        context.open.set(context.open.get() - 1);
        self.accepting
            .metrics
            .worker(context.worker.id)
            .connections_closed
            .increment();
        context.closed.notify_one();
        context.worker.connection_ended();
    }
}
