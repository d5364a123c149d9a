//! The number of descriptors that traffic may use, so that health checks, the admin address, logs and
//! reloads always have some left.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(test)]
mod tests;

/// Descriptors of a process without workers: standard streams, its log, the admin address, DNS, signals, the file
/// watch, and the runtimes of its other threads. Measured: 25.
const PROCESS: u64 = 32;

/// Descriptors of a worker's runtime: epoll, its duplicate, and the waker.
const WORKER: u64 = 4;

/// Reserved for the admin address, file reads, DNS lookups and new listeners, in addition to one for each target that
/// is health-checked.
const RESERVE: u64 = 64;

/// What a process needs descriptors for apart from traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Worker threads.
    pub workers: u64,
    /// Listening sockets of all workers.
    pub listening: u64,
    /// Targets; all of them may be health-checked at the same time.
    pub targets: u64,
}

impl Needs {
    /// The descriptors out of `limit` that traffic may use: at least half of those not permanently used otherwise.
    pub fn left_for_traffic(&self, limit: u64) -> u64 {
        let fixed = PROCESS
            .saturating_add(WORKER.saturating_mul(self.workers))
            .saturating_add(self.listening);
        let free = limit.saturating_sub(fixed);
        free - RESERVE.saturating_add(self.targets).min(free / 2)
    }
}

/// The descriptors that traffic uses and may use. All workers share it and access it only when a connection opens or
/// closes.
#[derive(Debug)]
pub struct Budget {
    most: AtomicU64,
    used: AtomicU64,
    max_clients: u64,
    clients: AtomicU64,
    /// The clients that are UDP flows.
    flows: AtomicU64,
    per_target: u64,
}

impl Budget {
    /// A budget of [`u64::MAX`] descriptors until [`Self::set_most`] is called, for at most `max_clients` clients at a
    /// time. A connection to a target uses `per_target` descriptors of this process: 2 if the target runs in it.
    pub fn new(max_clients: Option<u64>, per_target: u64) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicU64::new(u64::MAX),
            used: AtomicU64::new(0),
            max_clients: max_clients.unwrap_or(u64::MAX),
            clients: AtomicU64::new(0),
            flows: AtomicU64::new(0),
            per_target,
        })
    }

    /// A budget without limits.
    pub fn unlimited() -> Arc<Self> {
        Self::new(None, 1)
    }

    /// Sets the number of descriptors that traffic may use. Open connections stay open.
    pub fn set_most(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// The number of descriptors that traffic may use.
    pub fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// The number of descriptors that traffic uses, including those reserved for the target connections of clients.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The number of clients that can be served at a time: the configured limit, or fewer if descriptors run out first.
    pub fn max_clients(&self) -> u64 {
        self.max_clients.min(self.most() / self.claim(1, 0))
    }

    /// The descriptors for `clients` clients and `targets` connections to targets. Every admitted client has one
    /// connection to a target reserved.
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

/// Adds `n` to `sum` unless the result would exceed `most`.
fn add_up_to(sum: &AtomicU64, n: u64, most: u64) -> bool {
    let next = |sum: u64| sum.checked_add(n).filter(|sum| *sum <= most);
    sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        .is_ok()
}

/// Why a client is not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// No descriptors are left for the client and its connection to a target.
    OpenFiles,
    /// The limit of concurrent clients is reached.
    Clients,
    /// UDP flows use their share of the descriptors.
    Flows,
}

/// The share of a [`Budget`] that one worker uses.
#[derive(Debug)]
pub struct Slots {
    budget: Arc<Budget>,
    clients: Cell<u64>,
    targets: Cell<u64>,
}

impl Slots {
    /// A share of `budget`, with nothing in use yet.
    pub fn new(budget: Arc<Budget>) -> Rc<Self> {
        Rc::new(Self {
            budget,
            clients: Cell::new(0),
            targets: Cell::new(0),
        })
    }

    /// Takes the descriptors for an accepted client and its connection to a target.
    ///
    /// # Errors
    /// If a limit is reached; close the connection of the client.
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

    /// Takes the descriptors for a connection to a target. One per client of this worker is always available.
    pub fn target(self: &Rc<Self>) -> Option<Slot> {
        let budget = &self.budget;
        let (clients, targets) = (self.clients.get(), self.targets.get());
        let more = budget.claim(clients, targets + 1) - budget.claim(clients, targets);
        (more == 0 || budget.take(more)).then(|| {
            self.targets.set(targets + 1);
            self.slot(Use::Target)
        })
    }

    /// Takes the descriptor for a UDP flow, a client whose only socket is that to its target. Anybody can begin flows in
    /// the name of others, so all flows together get at most half of the descriptors.
    ///
    /// # Errors
    /// If a limit is reached.
    pub fn flow(self: &Rc<Self>) -> Result<Slot, Full> {
        let budget = &self.budget;
        if !add_up_to(&budget.clients, 1, budget.max_clients) {
            return Err(Full::Clients);
        }
        let full = if !add_up_to(&budget.flows, 1, budget.most() / 2) {
            Full::Flows
        } else if budget.take(1) {
            return Ok(self.slot(Use::Flow));
        } else {
            budget.flows.fetch_sub(1, Ordering::Relaxed);
            Full::OpenFiles
        };
        budget.clients.fetch_sub(1, Ordering::Relaxed);
        Err(full)
    }

    /// Takes the descriptors for the two ends of a pipe.
    pub(crate) fn pipe(self: &Rc<Self>) -> Option<Slot> {
        let ends = Use::PIPE_ENDS;
        self.budget.take(ends).then(|| self.slot(Use::Pipe))
    }

    /// Connections to targets in excess of one per client; closing one of these frees descriptors.
    pub fn spare_targets(&self) -> u64 {
        self.targets.get().saturating_sub(self.clients.get())
    }

    /// Whether less than a sixteenth of the budget is left, so that idle connections should be closed.
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
            Use::Flow => {
                budget.clients.fetch_sub(1, Ordering::Relaxed);
                budget.flows.fetch_sub(1, Ordering::Relaxed);
                return budget.give_back(1);
            }
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
    Flow,
    Pipe,
}

impl Use {
    const PIPE_ENDS: u64 = 2;
}

/// Holds descriptors of the budget until dropped. Keep it with the connection or pipe that uses them.
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
