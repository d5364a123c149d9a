//! HTTP/2 with clients, by hyper: every stream is a request that goes on in HTTP/1.1.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use elbow_net::{ConnMeta, Connect, Stream, Timer};
use elbow_telemetry::ShedReason;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::context::Context;
use crate::listener::Listener;
use budget::Budget;

mod answer;
mod budget;
mod conversation;
mod request;
mod story;
mod upload;

pub(crate) use budget::WorkerBudget;

/// Streams that a client may have open (ALB guide: listeners).
const STREAMS_MAX: u32 = 128;
/// Requests on one connection before GOAWAY (ALB guide: troubleshooting).
const REQUESTS_MAX: u32 = 10_000;
/// Above this hyper answers 431, which ALB does not use: a request head that is larger than ALB
/// takes, and not absurd, is to reach us, and get ALB's answer.
const HEADER_LIST_MAX: u32 = 128 * 1024;
/// What a client may send ahead of us on one stream, and on all of them: enough for a fast upload
/// over a long way, and all that one connection can make us hold.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What of one response the protocol's machine takes at once; [`budget`] bounds what all of them
/// hold together.
const SEND_BUFFER: usize = 128 * 1024;
/// Streams that a client may reset before they are looked at, and streams reset by us for breaking
/// the protocol: beyond, the connection ends (CVE-2023-44487, CVE-2025-8671).
const RESETS_MAX: usize = 20;
const ERRORS_MAX: usize = 1024;
/// What a client has to answer GOAWAY with nothing in progress.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one client connection of HTTP/2 until it is over.
pub(crate) async fn serve<S: Stream, C: Connect>(context: Rc<Context<C>>, io: S, meta: ConnMeta) {
    let connection = Connection::new(context, meta);
    let shared = Rc::clone(&connection);
    let service = service_fn(move |request: Request<Incoming>| {
        let connection = Rc::clone(&shared);
        async move { Ok::<_, Infallible>(answer::answer(connection, request).await) }
    });
    let http = builder().serve_connection(TokioIo::new(io), service);
    if let Err(error) = connection.drive(pin!(http)).await {
        tracing::debug!(client = %connection.meta.client, %error, "HTTP/2 connection failed");
        if is_flood(&error) {
            connection.context.metrics.shed(ShedReason::Http2Flood);
        }
    }
}

/// Whether we ended the connection since its frames cost us more than they asked for: streams that
/// are reset at once, CONTINUATION without end, DATA of a few bytes.
fn is_flood(error: &hyper::Error) -> bool {
    let source = error.source().and_then(|e| e.downcast_ref::<h2::Error>());
    source.is_some_and(|e| e.is_library() && e.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM))
}

fn builder() -> http2::Builder<LocalExecutor> {
    let mut builder = http2::Builder::new(LocalExecutor);
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_LIST_MAX)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(ERRORS_MAX)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        // The target's own Date goes through (parity 1.11).
        .auto_date_header(false);
    builder
}

/// Runs streams on the worker's own thread.
#[derive(Clone, Copy, Debug)]
struct LocalExecutor;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, stream: F) {
        tokio::task::spawn_local(stream);
    }
}

/// What the streams of one connection share.
struct Connection<C: Connect> {
    context: Rc<Context<C>>,
    meta: ConnMeta,
    /// Bytes of responses that wait for the client.
    budget: Rc<Budget>,
    /// For the log.
    id: u64,
    /// The idle timeout; PING does not touch it (parity 1.13).
    timer: Timer,
    /// How often it was touched, to tell silence from work.
    touches: Cell<u64>,
    idle_timeout: Duration,
    /// From accept on; fixed then.
    keep_alive: Duration,
    /// Streams in progress.
    active: Cell<usize>,
    /// Requests so far.
    requests: Cell<u32>,
    /// No more requests are wanted.
    last: Cell<bool>,
}

impl<C: Connect> Connection<C> {
    fn new(context: Rc<Context<C>>, meta: ConnMeta) -> Rc<Self> {
        let listener: Arc<Listener> = (context.listener)();
        let idle_timeout = listener.attributes.idle_timeout;
        Rc::new(Self {
            id: context.worker.random(),
            timer: context.worker.timers.timer(idle_timeout),
            touches: Cell::new(0),
            idle_timeout,
            keep_alive: listener.attributes.client_keep_alive,
            active: Cell::new(0),
            requests: Cell::new(0),
            last: Cell::new(false),
            budget: Budget::new(Rc::clone(&context.pools.h2)),
            context,
            meta,
        })
    }

    /// Notes bytes of a request or response.
    fn touch(&self) {
        self.timer.touch();
        self.touches.set(self.touches.get().wrapping_add(1));
    }

    /// Notes a request that came at `now`. The one after the client keep-alive duration and the
    /// 10,000th are the last ones (parity 1.1, 1.13).
    fn count(&self, now: Instant) {
        self.touch();
        self.requests.set(self.requests.get().saturating_add(1));
        let age = now.saturating_duration_since(self.meta.accepted);
        if self.requests.get() >= REQUESTS_MAX || age >= self.keep_alive {
            self.last.set(true);
        }
    }

    /// Polls `http` until it is over, or until nothing has come for too long.
    async fn drive<H>(&self, mut http: Pin<&mut H>) -> hyper::Result<()>
    where
        H: Future<Output = hyper::Result<()>> + Graceful,
    {
        let mut closing = false;
        let mut silent_since = None;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(end) = http.as_mut().poll(cx) {
                    return Poll::Ready(end);
                }
                let (worker, is_idle) = (&self.context.worker, self.active.get() == 0);
                if !closing && (self.last.get() || worker.draining()) {
                    closing = true;
                    if is_idle {
                        self.timer.reset(FAREWELL);
                    }
                    http.as_mut().graceful_shutdown();
                    continue;
                }
                if is_idle && worker.stopping() {
                    return Poll::Ready(Ok(()));
                }
                if self.timer.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
                let idle = self.active.get() == 0;
                if (idle && closing) || silent_since == Some(self.touches.get()) {
                    return Poll::Ready(Ok(()));
                }
                // Streams in progress have the idle timeout of their own, which ends just now:
                // their answers are worth another turn.
                silent_since = Some(self.touches.get());
                self.last.set(self.last.get() || idle);
                self.timer
                    .reset(if idle { FAREWELL } else { self.idle_timeout });
            }
        })
        .await
    }
}

/// A connection of hyper, without its many types.
trait Graceful {
    /// Sends GOAWAY, and ends once the streams in progress have.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

impl<I, B, S, E> Graceful for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: hyper::body::Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
