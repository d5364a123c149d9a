//! How many descriptors traffic may use, so that health checks, the admin address, logs and reloads find
//! some whatever clients do.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(test)]
mod tests;

/// Descriptors of a process without workers: standard streams, its log, the admin address, DNS, signals, the watch of
/// files, and the runtimes of its other threads. Measured: 25.
const PROCESS: u64 = 32;

/// Descriptors of a worker's runtime: epoll, its copy, and how it is woken.
const WORKER: u64 = 4;

/// Kept for the admin address, files that are read, look-ups of names and new listeners, besides one for each target
/// that is checked.
const RESERVE: u64 = 64;

/// What a process needs descriptors for besides traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Worker threads.
    pub workers: u64,
    /// Listening sockets, those of all workers.
    pub listening: u64,
    /// Targets, each of which may be asked for its health at the same time.
    pub targets: u64,
}

impl Needs {
    /// The descriptors of `limit` that traffic may use; at least half of those that nothing else has for good.
    pub fn left_for_traffic(&self, limit: u64) -> u64 {
        let fixed = PROCESS
            .saturating_add(WORKER.saturating_mul(self.workers))
            .saturating_add(self.listening);
        let free = limit.saturating_sub(fixed);
        free - RESERVE.saturating_add(self.targets).min(free / 2)
    }
}

/// The descriptors that the traffic of a process uses and may use; shared by all workers, and touched when
/// connections come and go alone.
#[derive(Debug)]
pub struct Budget {
    most: AtomicU64,
    used: AtomicU64,
    max_clients: u64,
    clients: AtomicU64,
    per_target: u64,
}

impl Budget {
    /// A budget of [`u64::MAX`] descriptors, until [`Self::set_most`]. At most `max_clients` clients are served at a
    /// time. A connection to a target takes `per_target` descriptors of this process: 2 where targets are in it.
    pub fn new(max_clients: Option<u64>, per_target: u64) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicU64::new(u64::MAX),
            used: AtomicU64::new(0),
            max_clients: max_clients.unwrap_or(u64::MAX),
            clients: AtomicU64::new(0),
            per_target,
        })
    }

    /// No limit.
    pub fn unlimited() -> Arc<Self> {
        Self::new(None, 1)
    }

    /// Traffic may use `most` descriptors from now on. What is open stays open.
    pub fn set_most(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The descriptors that traffic may use.
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// The descriptors that traffic uses, with those that are promised to clients for their targets.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The clients that may be served at a time: as many as were asked for, and as have descriptors.
    pub fn max_clients(&self) -> u64 {
        self.max_clients.min(self.most() / self.claim(1, 0))
    }

    /// What `clients` clients and `targets` connections to targets take: whoever is let in has a connection to a
    /// target for sure.
    fn claim(&self, clients: u64, targets: u64) -> u64 {
        clients.saturating_add(clients.max(targets).saturating_mul(self.per_target))
    }

    fn take(&self, descriptors: u64) -> bool {
        add_up_to(&self.used, descriptors, self.most())
    }

    fn give_back(&self, descriptors: u64) {
        self.used.fetch_sub(descriptors, Ordering::Relaxed);
    }
}

/// Adds `n` to `sum` unless it would be more than `most` then.
fn add_up_to(sum: &AtomicU64, n: u64, most: u64) -> bool {
    let next = |sum: u64| sum.checked_add(n).filter(|sum| *sum <= most);
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        .is_ok()
}

/// Why a client is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There is no descriptor left for it and for its connection to a target.
    OpenFiles,
    /// As many clients are served as may be.
    Clients,
}

/// What one worker has of a [`Budget`].
#[derive(Debug)]
pub struct Slots {
    budget: Arc<Budget>,
    clients: Cell<u64>,
    targets: Cell<u64>,
}

impl Slots {
    /// Nothing yet.
    pub fn new(budget: Arc<Budget>) -> Rc<Self> {
        Rc::new(Self {
            budget,
            clients: Cell::new(0),
            targets: Cell::new(0),
        })
    }

    /// For a client that was accepted, and for its connection to a target.
    ///
    /// # Errors
    /// When the process is full; the client is to be turned away.
    pub fn client(self: &Rc<Self>) -> Result<Slot, Full> {
        let budget = &self.budget;
        if !add_up_to(&budget.clients, 1, budget.max_clients) {
            return Err(Full::Clients);
        }
        let (clients, targets) = (self.clients.get(), self.targets.get());
        if !budget.take(budget.claim(clients + 1, targets) - budget.claim(clients, targets)) {
            budget.clients.fetch_sub(1, Ordering::Relaxed);
            return Err(Full::OpenFiles);
        }
        self.clients.set(clients + 1);
        Ok(self.slot(Use::Client))
    }

    /// For a connection to a target. There is always one for each client of this worker.
    pub fn target(self: &Rc<Self>) -> Option<Slot> {
        let budget = &self.budget;
        let (clients, targets) = (self.clients.get(), self.targets.get());
        let more = budget.claim(clients, targets + 1) - budget.claim(clients, targets);
        (more == 0 || budget.take(more)).then(|| {
            self.targets.set(targets + 1);
            self.slot(Use::Target)
        })
    }

    /// For the two ends of a pipe.
    pub(crate) fn pipe(self: &Rc<Self>) -> Option<Slot> {
        let ends = Use::PIPE_ENDS;
        self.budget.take(ends).then(|| self.slot(Use::Pipe))
    }

    /// Connections to targets beyond one for each client: to close one of those makes room.
    pub fn spare_targets(&self) -> u64 {
        self.targets.get().saturating_sub(self.clients.get())
    }

    /// Whether less than a sixteenth of the budget is left, so that what is idle is better closed.
    pub fn is_short(&self) -> bool {
        let most = self.budget.most();
        most.saturating_sub(self.budget.used()) < (most / 16).max(1)
    }

    fn slot(self: &Rc<Self>, of: Use) -> Slot {
        Slot {
            slots: Rc::clone(self),
            of,
        }
    }

    fn close(&self, of: Use) {
        let budget = &self.budget;
        let (clients, targets) = (self.clients.get(), self.targets.get());
        let before = budget.claim(clients, targets);
        match of {
            Use::Client => {
                self.clients.set(clients.saturating_sub(1));
                budget.clients.fetch_sub(1, Ordering::Relaxed);
            }
            Use::Target => self.targets.set(targets.saturating_sub(1)),
            Use::Pipe => return budget.give_back(Use::PIPE_ENDS),
        }
        let freed = before - budget.claim(self.clients.get(), self.targets.get());
        if freed > 0 {
            budget.give_back(freed);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Client,
    Target,
    Pipe,
}

impl Use {
    const PIPE_ENDS: u64 = 2;
}

/// The right to descriptors, until it is dropped; to be kept beside what they are for.
#[derive(Debug)]
pub struct Slot {
    slots: Rc<Slots>,
    of: Use,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.close(self.of);
    }
}
