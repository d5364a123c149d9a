//! Accepts client connections, applies limits, terminates TLS and passes them to `tcp` or `http`.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use elbow_net::open_files::{Full, Slot};
use elbow_net::proxy::Header;
use elbow_net::{ConnMeta, Stream, listen};
use elbow_tcp::FlowRecord;
use elbow_telemetry::{Counter, Kind, ListenerCells, ListenerMetrics, ShedReason};
use elbow_tls::{AcceptError, HandshakeFailure};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tracing::{debug, warn};

use super::context::WorkerContext;
use super::open::Open;
use super::proxy_header::{self, HeaderError};
use crate::connector::{Connector, Origin, Update};
use crate::handshakes::Handshake;
use crate::listener_key::ListenerKey;
use crate::shared::Shared;
use crate::snapshot::{Handler, Limit, ListenerState};

/// The reasons of failed handshakes.
static FAILURES: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let all = HandshakeFailure::ALL.iter();
    all.map(|failure| Kind {
        kind: failure.label(),
        side: "client",
    })
    .collect()
});

/// Minimum time between two log lines about failed accepts of a listener.
const ACCEPT_FAILURE_INTERVAL: Duration = Duration::from_secs(60);

/// A listening socket and the task that accepts from it.
pub(super) struct Socket {
    listener: Rc<TcpListener>,
    task: JoinHandle<()>,
}

impl Socket {
    /// Accepts from `listener` for the active listener at `key`.
    pub(super) fn new(
        context: &Rc<WorkerContext>,
        key: ListenerKey,
        listener: Rc<TcpListener>,
    ) -> Self {
        let accept = accept(Rc::clone(context), key, Rc::clone(&listener));
        Self {
            listener,
            task: spawn_local(accept),
        }
    }

    /// Stops accepting; open connections continue.
    pub(super) fn stop(self) -> Rc<TcpListener> {
        self.task.abort();
        self.listener
    }

    /// A copy of the listening socket, for another process.
    pub(super) fn copy(&self) -> io::Result<OwnedFd> {
        self.listener.as_fd().try_clone_to_owned()
    }

    /// Waits until the task has accepted the queued connections, so that none is lost.
    pub(super) async fn drain(self) {
        // A task that panicked has ended as well.
        let _ = self.task.await;
    }
}

/// One listening socket on one worker.
struct Accepting {
    context: Rc<WorkerContext>,
    key: ListenerKey,
    metrics: Arc<ListenerMetrics>,
    connections: Connections,
}

/// The state that the connections of a listener share on one worker.
enum Connections {
    Tcp(Rc<elbow_tcp::Context<Connector>>),
    Http(Rc<elbow_http::Context<Connector>>),
}

/// Accepts until it is dropped.
async fn accept(context: Rc<WorkerContext>, key: ListenerKey, listener: Rc<TcpListener>) {
    let snapshot = context.shared.snapshot.load();
    // The configuration may no longer have the listener.
    let Some(state) = snapshot.listeners.get(&key).cloned() else {
        return;
    };
    drop(snapshot);
    let Some(accepting) = Accepting::new(Rc::clone(&context), key, &state) else {
        return;
    };
    let accepting = Rc::new(accepting);
    drop(state);
    let mut logged: Option<Instant> = None;
    let failed = |error: &io::Error| {
        // All are counted, but few are logged, because clients can cause them at will.
        if logged.is_none_or(|at| at.elapsed() >= ACCEPT_FAILURE_INTERVAL) {
            warn!(address = %key, %error, "accept failed");
            logged = Some(Instant::now());
        }
        context.shared.telemetry.accept_errors.increment();
    };
    let on = |stream, client| accepting.start(stream, client);
    listen::accept(&listener, &context.worker, on, failed).await;
}

impl Accepting {
    /// `None` if the listener has no connections.
    fn new(context: Rc<WorkerContext>, key: ListenerKey, state: &ListenerState) -> Option<Self> {
        let originator = context.shared.originators.of(state).clone();
        let update = update_originator(Arc::clone(&context.shared), key);
        let connector = Rc::new(Connector::new(
            (originator, update),
            Rc::clone(&context.descriptors),
            Arc::clone(&context.shared.clients),
            Arc::clone(&state.metrics),
            Origin {
                address: Some(key.address.ip()),
                networks: Arc::clone(&context.shared.networks),
            },
        ));
        let connections = match &state.handler {
            Handler::Udp(_) => return None,
            Handler::Tcp(_) | Handler::TcpUdp(..) => {
                Connections::Tcp(Rc::new(elbow_tcp::Context {
                    worker: Rc::clone(&context.worker),
                    connector,
                    metrics: Arc::clone(&state.metrics),
                    logs: Rc::clone(&context.logs),
                }))
            }
            Handler::Http(listener) => Connections::Http(Rc::new(elbow_http::Context {
                worker: Rc::clone(&context.worker),
                connector,
                pools: Rc::clone(&context.pools),
                listener: latest(Arc::clone(&context.shared), key, Arc::clone(listener)),
                http09: listener.personality.http.http09,
                metrics: Arc::clone(&state.metrics),
                logs: Rc::clone(&context.logs),
            })),
        };
        Some(Self {
            key,
            metrics: Arc::clone(&state.metrics),
            connections,
            context,
        })
    }

    /// Starts to serve a connection.
    fn start(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let behind = self.context.shared.clients.behind(peer);
        let client = behind.unwrap_or(peer);
        let snapshot = self.context.shared.snapshot.load();
        // The listener may have been removed since the kernel accepted the connection.
        let Some(state) = snapshot.listeners.get(&self.key) else {
            return;
        };
        if let Some(sources) = &state.sources
            && !sources.contains(client.ip())
        {
            return self.reset(&stream, |cells| &cells.rejected_by_security_group);
        }
        // A load balancer of this process tells the client without a header.
        let trusted = state.trusted_proxies.as_ref().filter(|_| behind.is_none());
        if trusted.is_some_and(|trusted| !trusted.contains(peer.ip())) {
            return self.refuse(&stream, peer, &HeaderError::Untrusted);
        }
        let slot = match self.admit(state) {
            Ok(slot) => slot,
            Err(reason) => return self.shed(&stream, reason),
        };
        let open = Open::new(&self.context, &self.metrics, slot);
        let address = self.key.address;
        let meta = ConnMeta {
            client,
            server: if address.ip().is_unspecified() {
                // The address that the client connected to.
                stream.local_addr().unwrap_or(address)
            } else {
                address
            },
            accepted: Instant::now(),
            tls: None,
        };
        if state.termination.is_none() && trusted.is_none() {
            return self.serve(stream, meta, state, open);
        }
        let (is_proxied, state) = (trusted.is_some(), Arc::clone(state));
        let handshakes = &self.context.handshakes;
        let handshake = handshakes.begin();
        let number = handshake.number;
        let accepting = Rc::clone(self);
        let served = async move {
            let mut meta = meta;
            if is_proxied && !accepting.take_header(&stream, &mut meta, &state).await {
                return;
            }
            accepting
                .terminate(stream, meta, state, open, handshake)
                .await;
        };
        if handshakes.started(number, spawn_local(served).abort_handle()) {
            self.metrics.shed(ShedReason::Handshakes);
        }
    }

    /// Admits a client while the limits of its load balancer and of the process allow it.
    fn admit(&self, state: &ListenerState) -> Result<Slot, ShedReason> {
        if state.limit.as_ref().is_some_and(Limit::is_reached) {
            return Err(ShedReason::LoadBalancerConnections);
        }
        self.context
            .descriptors
            .client()
            .map_err(|full| match full {
                Full::OpenFiles | Full::Flows => ShedReason::OpenFiles,
                Full::Clients => ShedReason::MaxConnections,
            })
    }

    /// Refuses a client because of a limit. An HTTP client gets no response: waiting for its request would hold the
    /// descriptor that is missing.
    fn shed(&self, stream: &TcpStream, reason: ShedReason) {
        self.reset(stream, |cells| &cells.rejected_by_limit);
        self.metrics.shed(reason);
        self.context.warn_of_limit(self.key, reason);
    }

    /// Resets a connection. A security group would drop the client's packets, but the kernel has already accepted the
    /// connection.
    fn reset(&self, stream: &TcpStream, counter: impl FnOnce(&ListenerCells) -> &Counter) {
        stream.reset_on_close();
        let cells = self.metrics.worker(self.context.worker.id);
        counter(cells).increment();
    }

    /// Receives the PROXY protocol header, whose client becomes that of the connection. Returns whether the connection goes on.
    async fn take_header(
        &self,
        stream: &TcpStream,
        meta: &mut ConnMeta,
        state: &ListenerState,
    ) -> bool {
        match proxy_header::receive(stream, state.handshake_timeout).await {
            Ok(Some(Header::Proxied { client, .. })) => {
                meta.client = client;
                true
            }
            Ok(Some(Header::Local)) => true,
            Ok(None) => false,
            Err(error) => {
                self.refuse(stream, meta.client, &error);
                false
            }
        }
    }

    /// Refuses a connection without an acceptable PROXY protocol header.
    fn refuse(&self, stream: &TcpStream, peer: SocketAddr, error: &HeaderError) {
        stream.reset_on_close();
        let cells = self.metrics.worker(self.context.worker.id);
        error.count(cells);
        self.context.warn_of_header(self.key, peer, error);
    }

    /// Performs the TLS handshake, if the listener terminates TLS. The connection is then served in a new task, so that the memory
    /// of the handshake is freed.
    async fn terminate(
        self: Rc<Self>,
        stream: TcpStream,
        mut meta: ConnMeta,
        state: Arc<ListenerState>,
        open: Open,
        in_progress: Handshake,
    ) {
        let Some(termination) = &state.termination else {
            drop(in_progress);
            return self.serve(stream, meta, &state, open);
        };
        let handshake = termination
            .acceptor
            .accept(stream, state.handshake_timeout, meta.accepted);
        let ended = handshake.await;
        drop(in_progress);
        match ended {
            Ok((stream, tls)) => {
                meta.tls = Some(Arc::new(tls));
                self.serve(stream, meta, &state, open);
            }
            Err(error) => self.fail(error, meta, &state, open),
        }
    }

    /// Counts and logs a failed handshake. A client that speaks plain HTTP is told so in its own words.
    fn fail(&self, error: AcceptError, mut meta: ConnMeta, state: &ListenerState, open: Open) {
        debug!(client = %meta.client, address = %self.key, %error, "TLS handshake failed");
        let cells = self.metrics.worker(self.context.worker.id);
        let at = error.kind as usize;
        cells.tls_handshake_errors.increment(&FAILURES, at);
        match (&self.connections, &state.handler) {
            (Connections::Tcp(context), handler) => {
                if let Some(listener) = handler.tcp() {
                    FlowRecord::handshake_failed(context, listener, &meta);
                }
            }
            (Connections::Http(context), Handler::Http(listener)) => {
                let code = error.log_code();
                if let Some(plain) = error.plain
                    && listener.personality.http.answers_plain_http
                {
                    return self.serve(*plain, meta, state, open);
                }
                meta.tls = error.tls.map(Arc::from);
                elbow_http::failed(context, listener, &meta, code);
            }
            // The listener has just changed between TCP and HTTP.
            (Connections::Http(_), _) => {}
        }
    }

    /// Starts the task that serves a connection to its end.
    fn serve<S: Stream>(&self, stream: S, meta: ConnMeta, state: &ListenerState, open: Open) {
        match (&self.connections, &state.handler) {
            (Connections::Tcp(context), handler) => {
                // The listener may have just changed, and another accept loop is about to take over the socket.
                let Some(listener) = handler.tcp() else {
                    return;
                };
                let (context, listener) = (Rc::clone(context), Arc::clone(listener));
                spawn_local(elbow_tcp::serve(context, stream, meta, listener, open));
            }
            (Connections::Http(context), Handler::Http(_)) => {
                // Boxed: a task of tokio is a multiple of 128 bytes, and the connection would fill it badly.
                spawn_local(Box::pin(elbow_http::serve(
                    Rc::clone(context),
                    stream,
                    meta,
                    open,
                )));
            }
            (Connections::Http(_), _) => {}
        }
    }
}

/// Gives an originator the value for the active listener at `key`. After its removal, open connections keep the last value.
fn update_originator(shared: Arc<Shared>, key: ListenerKey) -> Update {
    Box::new(move |last| {
        let snapshot = shared.snapshot.load();
        if let Some(listener) = snapshot.listeners.get(&key) {
            let now = shared.originators.of(listener);
            if now.transport() != last.transport() {
                *last = now.clone();
            }
        }
    })
}

/// The active HTTP listener at `key`. After its removal, open connections keep its last value.
fn latest(
    shared: Arc<Shared>,
    key: ListenerKey,
    first: Arc<elbow_http::Listener>,
) -> Rc<dyn Fn() -> Arc<elbow_http::Listener>> {
    let last = RefCell::new(first);
    Rc::new(move || {
        let snapshot = shared.snapshot.load();
        let mut last = last.borrow_mut();
        if let Some(Handler::Http(listener)) = snapshot.listeners.get(&key).map(|l| &l.handler)
            && !Arc::ptr_eq(&last, listener)
        {
            *last = Arc::clone(listener);
        }
        Arc::clone(&last)
    })
}
