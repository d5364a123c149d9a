//! The client side of HTTP/2: each stream carries one request.
//!
//! One task drives the connection: it reads, and it writes what all streams have said once at the end
//! of a turn. Each request has a task of its own, which puts its response into the connection's output.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_h2::{Config, Connection as Protocol};
use elbow_net::{ConnMeta, Connect, Stream, Timer};

use crate::budget::Budget;
use crate::context::Context;
use crate::listener::Listener;
use driver::Driver;
use link::Link;

mod driver;
mod guard;
mod link;
mod local;
mod request;
mod side;
mod task;

/// Streams that a client may have open (ALB guide: listeners).
const STREAMS_MAX: u32 = 128;
/// Requests on one connection before GOAWAY (ALB guide: troubleshooting).
const REQUESTS_MAX: u32 = 10_000;
/// Above this a head is not read any more. ALB's own limit is lower; both get ALB's answer.
const HEADER_LIST_MAX: u32 = 128 * 1024;
/// Receive window of a stream in bytes: enough for a fast upload over a long distance.
const STREAM_WINDOW: u32 = 256 * 1024;
/// How long an idle client may take to close after GOAWAY.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one client connection of HTTP/2 until it is over.
pub(crate) async fn serve<S: Stream, C: Connect>(
    context: Rc<Context<C>>,
    io: S,
    meta: ConnMeta,
    id: u64,
) {
    Driver::new(Connection::new(context, meta, id), io)
        .run()
        .await;
}

/// What the streams of one connection share.
struct Connection<C: Connect> {
    context: Rc<Context<C>>,
    meta: ConnMeta,
    link: Rc<Link>,
    /// The connection's id in the access log.
    id: u64,
    /// The idle timeout; PING does not touch it (parity 1.13).
    timer: Timer,
    /// The number of touches, to tell an idle connection from a busy one.
    touches: Cell<u64>,
    idle_timeout: Duration,
    /// The client keep-alive duration, counted from accept; fixed at accept.
    keep_alive: Duration,
    /// Streams in progress.
    active: Cell<usize>,
    /// Requests so far.
    requests: Cell<u32>,
    /// Whether the connection takes no more requests.
    last: Cell<bool>,
}

impl<C: Connect> Connection<C> {
    fn new(context: Rc<Context<C>>, meta: ConnMeta, id: u64) -> Rc<Self> {
        let listener: Arc<Listener> = (context.listener)();
        let idle_timeout = listener.attributes.idle_timeout;
        let budget = Budget::new(Rc::clone(&context.pools.h2));
        let spares = Rc::clone(&context.pools.spares);
        let unused = budget.hold();
        let config = Config {
            streams_max: STREAMS_MAX,
            stream_window: STREAM_WINDOW,
            connection_window: budget.upload_window(&unused),
            header_list_max: HEADER_LIST_MAX,
            output_max: budget.output_max(&unused),
        };
        Rc::new(Self {
            id,
            timer: context.worker.timers.timer(idle_timeout),
            touches: Cell::new(0),
            idle_timeout,
            keep_alive: listener.attributes.client_keep_alive,
            active: Cell::new(0),
            requests: Cell::new(0),
            last: Cell::new(false),
            link: Link::new(Protocol::server(config), budget, spares),
            context,
            meta,
        })
    }

    /// Counts bytes of a request or response as activity.
    fn touch(&self) {
        self.timer.touch();
        self.touches.set(self.touches.get().wrapping_add(1));
    }

    /// Counts a request that arrives at `now`. The one after the client keep-alive duration and the
    /// 10,000th are the last ones (parity 1.1, 1.13).
    fn count(&self, now: Instant) {
        self.touch();
        self.requests.set(self.requests.get().saturating_add(1));
        let age = now.saturating_duration_since(self.meta.accepted);
        if self.requests.get() >= REQUESTS_MAX || age >= self.keep_alive {
            self.last.set(true);
        }
    }
}
