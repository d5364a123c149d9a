//! What the HTTP connections of one worker share: idle connections to targets, and memory.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use elbow_net::{Stream, Timers, Transport, Worker};
use rustc_hash::FxHashMap;
use tokio::io::ReadBuf;
use tokio::task::spawn_local;

use crate::budget::WorkerBudget;
use crate::header::date::DateCache;
use crate::multiplex::Connections;
use crate::spare::Spares;

/// Idle connections kept for one target.
const IDLE_MAX: usize = 1024;
/// Time between two sweeps for connections that have ended.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The idle connections to targets of one worker, and what else its HTTP connections share.
pub struct Pools<Io> {
    idle: RefCell<FxHashMap<Key, Vec<Idle<Io>>>>,
    /// Whether the sweep task runs.
    sweeping: Cell<bool>,
    pub(crate) spares: Rc<Spares>,
    pub(crate) date: DateCache,
    /// Bounds the response bytes that wait for clients of HTTP/2.
    pub(crate) h2: Rc<WorkerBudget>,
    /// Connections of HTTP/2 to targets.
    pub(crate) multiplexed: Connections<Key, Io>,
}

/// Connections with the same key are interchangeable. The target alone would not do: it outlives a
/// change of its group's protocol, and listeners with different TLS policies share it. None of the
/// connections began with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// [`elbow_balance::Target::serial`].
    pub(crate) target: u64,
    pub(crate) transport: Transport,
}

struct Idle<Io> {
    io: Io,
    /// The tick at which it expires.
    expires: u64,
}

impl<Io: Stream> Pools<Io> {
    /// Empty pools.
    pub fn new() -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::new(FxHashMap::default()),
            sweeping: Cell::new(false),
            spares: Rc::default(),
            date: DateCache::default(),
            h2: Rc::default(),
            multiplexed: Connections::default(),
        })
    }

    /// The number of idle connections.
    pub fn idle(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }

    /// The number of connections of HTTP/2 to targets.
    pub fn multiplexed(&self) -> usize {
        self.multiplexed.len()
    }

    /// Bytes of responses that wait until clients of HTTP/2 take them.
    pub fn waiting(&self) -> usize {
        self.h2.held()
    }

    /// Takes the most recently used open connection of `key`.
    pub(crate) fn take(&self, key: Key, timers: &Timers) -> Option<Io> {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.get_mut(&key)?;
        while let Some(mut idle) = connections.pop() {
            if idle.expires > timers.now() && is_open(&mut idle.io) {
                return Some(idle.io);
            }
        }
        None
    }

    /// Keeps a connection until tick `expires`, or until its target closes it.
    pub(crate) fn put(self: &Rc<Self>, key: Key, io: Io, expires: u64, worker: &Rc<Worker>) {
        let mut idle = self.idle.borrow_mut();
        let connections = idle.entry(key).or_default();
        if connections.len() < IDLE_MAX {
            connections.push(Idle { io, expires });
        }
        if !self.sweeping.replace(true) {
            spawn_local(sweep(Rc::downgrade(self), Rc::clone(worker)));
        }
    }

    /// Closes one idle connection, the oldest of some target, to free its descriptor; false when
    /// none is idle.
    pub fn close_one(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        let mut used = idle
            .values_mut()
            .filter(|connections| !connections.is_empty());
        let closed = used.next().map(|connections| connections.remove(0));
        closed.is_some() || self.multiplexed.close_one()
    }

    /// Drops connections that have expired or that their targets closed.
    fn sweep(&self, now: u64) {
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain_mut(|idle| idle.expires > now && is_open(&mut idle.io));
            !connections.is_empty()
        });
    }
}

/// Sweeps until no connection is idle; the next idle one starts a new task.
async fn sweep<Io: Stream>(pools: Weak<Pools<Io>>, worker: Rc<Worker>) {
    let timer = worker.timers.timer(SWEEP_INTERVAL);
    loop {
        poll_fn(|cx| {
            if worker.draining() {
                return Poll::Ready(());
            }
            timer.poll_expired(cx)
        })
        .await;
        timer.touch();
        let Some(pools) = pools.upgrade() else {
            return;
        };
        if worker.draining() {
            pools.idle.borrow_mut().clear();
        }
        pools.sweep(worker.timers.now());
        // Other workers may need the descriptors.
        while worker.slots.is_short() && worker.slots.spare_targets() > 0 && pools.close_one() {}
        if pools.idle() == 0 {
            return pools.sweeping.set(false);
        }
    }
}

impl<Io> fmt::Debug for Pools<Io> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pools")
            .field("keys", &self.idle.borrow().len())
            .finish_non_exhaustive()
    }
}

/// Whether an idle connection can be used: neither data nor a close has arrived. Costs no system
/// call when nothing has. Under TLS, what arrived may be a record without data.
fn is_open<Io: Stream>(io: &mut Io) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    if io.socket().poll_read_ready(&mut cx).is_pending() {
        return true;
    }
    let mut byte = [0];
    let mut into = ReadBuf::new(&mut byte);
    matches!(Pin::new(io).poll_read(&mut cx, &mut into), Poll::Pending)
}
