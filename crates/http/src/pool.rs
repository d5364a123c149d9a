//! What the HTTP connections of one worker share: open connections to targets and spare memory.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use elbow_net::{Stream, Timers, Transport, Worker};
use rustc_hash::FxHashMap;
use tokio::io::ReadBuf;
use tokio::task::spawn_local;

use crate::date::DateCache;
use crate::h2::WorkerBudget;

/// Idle connections kept for one target.
const IDLE_MAX: usize = 1024;
/// Between two looks for connections that are over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Spare vectors kept, and what one may hold to be kept.
const SPARES_MAX: usize = 64;
const SPARE_CAPACITY: usize = 64 * 1024;

/// The idle connections to targets of one worker, and what else its HTTP connections share.
pub struct Pools<Io> {
    idle: RefCell<FxHashMap<Key, Vec<Idle<Io>>>>,
    /// A task looks for connections that are over.
    sweeping: Cell<bool>,
    pub(crate) spares: Rc<Spares>,
    pub(crate) date: DateCache,
    /// What waits for clients of HTTP/2.
    pub(crate) h2: Rc<WorkerBudget>,
}

/// Connections with the same key can stand for one another: a target outlives changes of its group's
/// protocol, and listeners with other TLS policies share it. None of them began with a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// [`elbow_balance::Target::serial`].
    pub(crate) target: u64,
    pub(crate) transport: Transport,
}

struct Idle<Io> {
    io: Io,
    /// The tick from which it is too old.
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
        })
    }

    /// How many connections are idle.
    pub fn idle(&self) -> usize {
        self.idle.borrow().values().map(Vec::len).sum()
    }

    /// Bytes of responses that wait until clients of HTTP/2 take them.
    pub fn waiting(&self) -> usize {
        self.h2.held()
    }

    /// The connection of `key` that was used last, if one is open.
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

    /// Closes one idle connection, the oldest of some target, for its descriptor; false when none is idle.
    pub fn close_one(&self) -> bool {
        let mut idle = self.idle.borrow_mut();
        let mut used = idle
            .values_mut()
            .filter(|connections| !connections.is_empty());
        used.next()
            .map(|connections| connections.remove(0))
            .is_some()
    }

    /// Closes connections that were idle for too long or that their targets closed.
    fn sweep(&self, now: u64) {
        self.idle.borrow_mut().retain(|_, connections| {
            connections.retain_mut(|idle| idle.expires > now && is_open(&mut idle.io));
            !connections.is_empty()
        });
    }
}

/// Sweeps until no connection is idle any more; then the next one that is starts it again.
async fn sweep<Io: Stream>(pools: Weak<Pools<Io>>, worker: Rc<Worker>) {
    let timer = worker.timers.timer(SWEEP_INTERVAL);
    loop {
        poll_fn(|cx| match worker.draining() {
            true => Poll::Ready(()),
            false => timer.poll_expired(cx),
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

/// Whether an idle connection has nothing to say: data or an end is not what we asked for. Costs no
/// system call when nothing came. Under TLS something may have come that is no data.
fn is_open<Io: Stream>(io: &mut Io) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    if io.socket().poll_read_ready(&mut cx).is_pending() {
        return true;
    }
    let mut byte = [0];
    let mut into = ReadBuf::new(&mut byte);
    matches!(Pin::new(io).poll_read(&mut cx, &mut into), Poll::Pending)
}

/// Vectors that were used and will be again.
#[derive(Default)]
pub(crate) struct Spares(RefCell<Vec<Vec<u8>>>);

impl Spares {
    /// An empty vector with the capacity that an earlier use left it.
    pub(crate) fn take(self: &Rc<Self>) -> Spare {
        Spare {
            bytes: self.0.borrow_mut().pop().unwrap_or_default(),
            home: Rc::clone(self),
        }
    }
}

/// A vector that goes back when dropped.
pub(crate) struct Spare {
    bytes: Vec<u8>,
    home: Rc<Spares>,
}

impl Deref for Spare {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Spare {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut kept = self.home.0.borrow_mut();
        if kept.len() < SPARES_MAX && bytes.capacity() <= SPARE_CAPACITY {
            bytes.clear();
            kept.push(bytes);
        }
    }
}
