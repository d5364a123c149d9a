//! Bounds what waits in memory for clients of HTTP/2.
//!
//! A client may announce windows of up to 2 GiB and then read nothing, so windows bound nothing. A
//! stream reads from its target only what both windows and the output of its connection take, and this
//! module bounds the outputs of all connections together. A stream that is blocked holds nothing beyond
//! what came with the head of its response, so it cannot block another one.

use std::cell::Cell;
use std::rc::Rc;

/// Response bytes of one worker: enough for about a hundred fast downloads.
const WORKER: usize = 16 * 1024 * 1024;
/// Bytes of request heads of one worker that wait for their targets. HPACK lets a client send a head
/// of 64 KiB with about twenty bytes.
const HEADS: usize = 16 * 1024 * 1024;
/// Bounds of the output of one connection: what is worth a write, and what keeps a fast client busy.
const OUTPUT_MIN: usize = 16 * 1024;
const OUTPUT_MAX: usize = 128 * 1024;
/// A connection takes at most this fraction of the free bytes of its worker.
const PARTS: usize = 8;

/// The bytes that one worker holds for all its clients of HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct WorkerBudget {
    held: Cell<usize>,
    heads: Cell<usize>,
}

impl WorkerBudget {
    /// Bytes that are held now.
    pub(crate) fn held(&self) -> usize {
        self.held.get()
    }

    /// Charges a request head of `bytes`; `None` when there is no room for it.
    pub(crate) fn hold_head(self: &Rc<Self>, bytes: usize) -> Option<HeldHead> {
        let heads = self.heads.get() + bytes;
        (heads <= HEADS).then(|| {
            self.heads.set(heads);
            HeldHead {
                worker: Rc::clone(self),
                bytes,
            }
        })
    }
}

/// A request head that is charged until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldHead {
    worker: Rc<WorkerBudget>,
    bytes: usize,
}

impl Drop for HeldHead {
    fn drop(&mut self) {
        let heads = &self.worker.heads;
        heads.set(heads.get() - self.bytes);
    }
}

/// The bytes that one connection holds.
#[derive(Debug)]
pub(crate) struct Budget {
    worker: Rc<WorkerBudget>,
    held: Cell<usize>,
}

impl Budget {
    /// The unused budget of a connection on `worker`.
    pub(crate) fn new(worker: Rc<WorkerBudget>) -> Self {
        Self {
            worker,
            held: Cell::new(0),
        }
    }

    /// The bytes that the output of the connection may have now.
    pub(crate) fn output_max(&self) -> usize {
        let of_others = self.worker.held() - self.held.get();
        let free = WORKER.saturating_sub(of_others);
        (free / PARTS).clamp(OUTPUT_MIN, OUTPUT_MAX)
    }

    /// Sets the bytes that the connection holds.
    pub(crate) fn set(&self, bytes: usize) {
        let before = self.held.replace(bytes);
        let worker = &self.worker.held;
        worker.set(worker.get() - before + bytes);
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_shrink_when_the_worker_holds_much() {
        let worker = Rc::<WorkerBudget>::default();
        let one = Budget::new(Rc::clone(&worker));
        assert_eq!(one.output_max(), OUTPUT_MAX);
        let mut stuck = Vec::new();
        for _ in 0..10_000 {
            let budget = Budget::new(Rc::clone(&worker));
            budget.set(budget.output_max());
            stuck.push(budget);
        }
        assert_eq!(one.output_max(), OUTPUT_MIN);
        assert!(worker.held() <= WORKER + 10_000 * OUTPUT_MIN);
        // What a connection holds itself is not taken from it.
        let stuck_max = stuck.first().map(Budget::output_max);
        assert!(stuck_max >= Some(OUTPUT_MIN));
        drop(stuck);
        assert_eq!((worker.held(), one.output_max()), (0, OUTPUT_MAX));
    }

    #[test]
    fn heads_that_wait_have_a_bound() {
        let worker = Rc::<WorkerBudget>::default();
        let head = 64 * 1024;
        let held: Vec<_> = (0..HEADS / head).map(|_| worker.hold_head(head)).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(worker.hold_head(1).is_none());
        drop(held);
        assert!(worker.hold_head(HEADS).is_some());
        assert_eq!(worker.heads.get(), 0);
    }
}
