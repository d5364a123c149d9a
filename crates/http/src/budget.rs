//! Bounds what HTTP/2 makes one worker hold in memory: responses that clients do not read, uploads that
//! targets do not read, request heads that wait for their targets.
//!
//! A client may announce windows of up to 2 GiB and then read nothing, and a target may never grant one.
//! So each output and each receive window is a share of the bytes that are free, which shrinks as others
//! hold more. A share has a least size, so that nobody is blocked. If all of them together are too much,
//! the client connection that holds most is closed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use slab::Slab;

/// When a worker holds this much, all shares have their least size: enough for about a hundred fast
/// downloads.
const WORKER: usize = 16 * 1024 * 1024;
/// What a worker holds at most.
const WORKER_MAX: usize = 48 * 1024 * 1024;
/// Bytes of request heads of one worker that wait for their targets. HPACK lets a client send a head
/// of 64 KiB with about twenty bytes.
const HEADS: usize = 16 * 1024 * 1024;

/// The output of one connection: what is worth a write, and what keeps a fast peer busy.
const OUTPUT: Share = Share {
    parts: 8,
    least: 16 * 1024,
    most: 128 * 1024,
};
/// The window of the uploads of one client: enough for fast ones over a long distance.
const UPLOADS: Share = Share {
    parts: 16,
    least: 64 * 1024,
    most: 1024 * 1024,
};
/// The window of a response from a target. A slow client makes its own stream wait, and no other one.
const RESPONSE: Share = Share {
    parts: 128,
    least: 16 * 1024,
    most: 128 * 1024,
};

/// A share of the free bytes of a worker.
struct Share {
    parts: usize,
    least: usize,
    most: usize,
}

impl Share {
    const fn of(&self, free: usize) -> usize {
        let part = free / self.parts;
        if part < self.least {
            self.least
        } else if part > self.most {
            self.most
        } else {
            part
        }
    }

    fn window(&self, free: usize) -> u32 {
        u32::try_from(self.of(free)).unwrap_or(u32::MAX)
    }
}

/// The window with which a response from a target begins.
pub(crate) const RESPONSE_WINDOW: usize = RESPONSE.least;

/// The bytes that one worker holds for HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct WorkerBudget {
    held: Cell<usize>,
    heads: Cell<usize>,
    clients: RefCell<Slab<Rc<Account>>>,
}

/// What one client connection holds.
#[derive(Debug, Default)]
struct Account {
    held: Cell<usize>,
    /// It has to end.
    is_exceeded: Cell<bool>,
    driver: RefCell<Option<Waker>>,
}

impl WorkerBudget {
    /// Bytes that are held now.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    /// What is free for one that holds `own` of it.
    fn free(&self, own: usize) -> usize {
        WORKER.saturating_sub(self.held() - own)
    }

    /// The window in bytes that a response from a target has now.
    pub(crate) fn response_window(&self) -> u32 {
        RESPONSE.window(self.free(0))
    }

    /// Bytes that wait for a target, for all clients.
    pub(crate) fn hold(self: &Rc<Self>) -> Charge {
        Charge {
            worker: Rc::clone(self),
            client: None,
            bytes: Cell::new(0),
        }
    }

    /// Ends the connections that hold most, until the others fit.
    fn enforce(&self) {
        let clients = self.clients.borrow();
        loop {
            let ending = clients.iter().filter(|(_, one)| one.is_exceeded.get());
            let ending: usize = ending.map(|(_, one)| one.held.get()).sum();
            if self.held() - ending <= WORKER_MAX {
                return;
            }
            let others = clients.iter().filter(|(_, one)| !one.is_exceeded.get());
            let Some((_, largest)) = others.max_by_key(|(_, one)| one.held.get()) else {
                return;
            };
            largest.is_exceeded.set(true);
            if let Some(driver) = &*largest.driver.borrow() {
                driver.wake_by_ref();
            }
        }
    }
}

/// The bytes that one client connection holds, here and at its targets.
#[derive(Debug)]
pub(crate) struct Budget {
    worker: Rc<WorkerBudget>,
    account: Rc<Account>,
    /// The key of the account.
    key: usize,
}

impl Budget {
    /// The unused budget of a connection on `worker`.
    pub(crate) fn new(worker: Rc<WorkerBudget>) -> Self {
        let account = Rc::<Account>::default();
        let key = worker.clients.borrow_mut().insert(Rc::clone(&account));
        Self {
            worker,
            account,
            key,
        }
    }

    /// The bytes that the output of the connection may have now, while it holds `charge`.
    pub(crate) fn output_max(&self, charge: &Charge) -> usize {
        OUTPUT.of(self.worker.free(charge.bytes.get()))
    }

    /// The window in bytes that the uploads of the connection have now, while it holds `charge`.
    pub(crate) fn upload_window(&self, charge: &Charge) -> u32 {
        UPLOADS.window(self.worker.free(charge.bytes.get()))
    }

    /// Whether the connection has to end, because it holds most and the worker too much.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.account.is_exceeded.get()
    }

    /// Makes the task of `cx` the one that drives the connection.
    pub(crate) fn set_driver(&self, cx: &Context<'_>) {
        match &mut *self.account.driver.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Wakes the task that drives the connection.
    pub(crate) fn wake_driver(&self) {
        if let Some(driver) = &*self.account.driver.borrow() {
            driver.wake_by_ref();
        }
    }

    /// A charge that is empty so far.
    pub(crate) fn hold(&self) -> Charge {
        Charge {
            worker: Rc::clone(&self.worker),
            client: Some(Rc::clone(&self.account)),
            bytes: Cell::new(0),
        }
    }

    /// Charges a request head of `bytes`; `None` when there is no room for it.
    pub(crate) fn hold_head(&self, bytes: usize) -> Option<HeldHead> {
        let heads = self.worker.heads.get() + bytes;
        (heads <= HEADS).then(|| {
            self.worker.heads.set(heads);
            let charge = self.hold();
            charge.set(bytes);
            HeldHead(charge)
        })
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.worker.clients.borrow_mut().try_remove(self.key);
    }
}

/// Bytes that are held until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    worker: Rc<WorkerBudget>,
    client: Option<Rc<Account>>,
    bytes: Cell<usize>,
}

impl Charge {
    /// One more for the same client, empty so far.
    pub(crate) fn another(&self) -> Self {
        Self {
            worker: Rc::clone(&self.worker),
            client: self.client.clone(),
            bytes: Cell::new(0),
        }
    }

    /// Sets the bytes that are held.
    pub(crate) fn set(&self, bytes: usize) {
        let before = self.bytes.replace(bytes);
        let change = |held: &Cell<usize>| held.set(held.get() - before + bytes);
        change(&self.worker.held);
        if let Some(client) = &self.client {
            change(&client.held);
        }
        if bytes > before && self.worker.held() > WORKER_MAX {
            self.worker.enforce();
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// A request head that is charged until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldHead(Charge);

impl Drop for HeldHead {
    fn drop(&mut self) {
        let heads = &self.0.worker.heads;
        heads.set(heads.get() - self.0.bytes.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_shrink_when_the_worker_holds_much() {
        let worker = Rc::<WorkerBudget>::default();
        let one = Budget::new(Rc::clone(&worker));
        let charge = one.hold();
        let shares = |budget: &Budget, charge: &Charge| {
            let upload = budget.upload_window(charge) as usize;
            let response = worker.response_window() as usize;
            (budget.output_max(charge), upload, response)
        };
        let most = (OUTPUT.most, UPLOADS.most, RESPONSE.most);
        let least = (OUTPUT.least, UPLOADS.least, RESPONSE.least);
        assert_eq!(shares(&one, &charge), most);
        let mut stuck = Vec::new();
        for _ in 0..1_000 {
            let charge = one.hold();
            charge.set(one.output_max(&charge));
            stuck.push(charge);
        }
        assert_eq!(shares(&one, &charge), least);
        assert!(worker.held() <= WORKER + 1_000 * OUTPUT.least);
        // What a connection holds itself is not taken from it.
        charge.set(WORKER);
        assert!(one.output_max(&charge) >= OUTPUT.least);
        drop((stuck, charge));
        assert_eq!(worker.held(), 0);
    }

    #[test]
    fn connections_that_hold_most_end_when_all_hold_too_much() {
        let worker = Rc::<WorkerBudget>::default();
        let budgets: Vec<_> = (0..4).map(|_| Budget::new(Rc::clone(&worker))).collect();
        let exceeded = || -> Vec<_> { budgets.iter().map(Budget::is_exceeded).collect() };
        let charges: Vec<_> = budgets.iter().map(Budget::hold).collect();
        let quarter = WORKER_MAX / 4;
        for charge in &charges {
            charge.set(quarter);
        }
        assert_eq!(exceeded(), [false; 4]);
        let at_target = budgets[2].hold();
        at_target.set(1);
        assert_eq!(exceeded(), [false, false, true, false]);
        // What that one holds is as good as gone.
        charges[0].set(2 * quarter);
        assert_eq!(exceeded(), [false, false, true, false]);
        let of_targets = worker.hold();
        of_targets.set(1);
        assert_eq!(exceeded(), [true, false, true, false]);
        drop((charges, at_target, of_targets, budgets));
        assert_eq!((worker.held(), worker.clients.borrow().len()), (0, 0));
    }

    #[test]
    fn heads_that_wait_have_a_bound() {
        let worker = Rc::<WorkerBudget>::default();
        let client = Budget::new(Rc::clone(&worker));
        let head = 64 * 1024;
        let held: Vec<_> = (0..HEADS / head).map(|_| client.hold_head(head)).collect();
        assert!(held.iter().all(Option::is_some));
        assert_eq!(worker.held(), HEADS);
        assert!(client.hold_head(1).is_none());
        drop(held);
        assert!(client.hold_head(HEADS).is_some());
        assert_eq!((worker.heads.get(), worker.held()), (0, 0));
    }
}
