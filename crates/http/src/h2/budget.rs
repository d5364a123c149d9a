//! How many bytes of responses wait in memory until clients of HTTP/2 take them.
//!
//! A client announces windows of up to 2 GiB and then reads nothing, so windows bound nothing. Here
//! each byte that was read from a target is charged to its connection and its worker until it is
//! written to the client, and a stream reads no more than its share of what is left. A stream that
//! holds nothing may always read [`STREAM_MIN`], so it never waits for another stream: what it waits
//! for is its own data, and a stream that is stuck cannot stop one that is not.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};

/// Bytes that the streams of one worker share: some hundred fast downloads.
const WORKER: usize = 16 * 1024 * 1024;
/// Bytes of request heads of one worker that wait for their targets. Compressed, a head of 64 KiB
/// costs its client some twenty bytes.
const HEADS: usize = 16 * 1024 * 1024;
/// Bytes that the streams of one connection share.
const CONNECTION: usize = 1024 * 1024;
/// The share of one stream that is alone.
const STREAM_MAX: usize = 128 * 1024;
/// What a stream may hold in any case, and the least that is worth a read.
const STREAM_MIN: usize = 4 * 1024;
/// A stream takes one part in so many of what is free, so that later ones find something, too.
const PARTS: usize = 4;
/// And a connection one part in so many of what its worker has free.
const CONNECTION_PARTS: usize = 8;

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
    pub(super) fn hold_head(self: &Rc<Self>, bytes: usize) -> Option<HeldHead> {
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
pub(super) struct HeldHead {
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
pub(super) struct Budget {
    worker: Rc<WorkerBudget>,
    held: Cell<usize>,
}

impl Budget {
    /// An untouched budget of a connection on `worker`.
    pub(super) fn new(worker: Rc<WorkerBudget>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            held: Cell::new(0),
        })
    }

    /// How many bytes a stream may hold now.
    fn allowance(&self) -> usize {
        let of_worker = WORKER.saturating_sub(self.worker.held()) / CONNECTION_PARTS;
        let of_connection = CONNECTION.saturating_sub(self.held.get());
        (of_worker.min(of_connection) / PARTS).clamp(STREAM_MIN, STREAM_MAX)
    }

    fn charge(&self, bytes: usize) {
        self.held.set(self.held.get() + bytes);
        self.worker.held.set(self.worker.held.get() + bytes);
    }

    fn release(&self, bytes: usize) {
        self.held.set(self.held.get() - bytes);
        self.worker.held.set(self.worker.held.get() - bytes);
    }
}

/// What one stream holds: bytes that were read, and those that wait for the client.
pub(super) struct Share {
    budget: Rc<Budget>,
    /// Read from the target, not yet handed out.
    unread: usize,
    /// Made when a response is more than one piece.
    waiting: Option<Rc<Waiting>>,
}

/// Bytes that were handed out and are not yet with the client.
#[derive(Default)]
struct Waiting {
    bytes: Cell<usize>,
    waker: Cell<Option<Waker>>,
}

impl Share {
    /// Nothing yet.
    pub(super) fn new(budget: Rc<Budget>) -> Self {
        Self {
            budget,
            unread: 0,
            waiting: None,
        }
    }

    /// How many bytes of a head may be read now: part of one may be here already.
    pub(super) fn room_for_head(&self) -> usize {
        self.room().max(STREAM_MIN)
    }

    /// How many bytes of a body may be read; waits until the client has taken some when there is
    /// no room.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<usize> {
        let room = self.room();
        match &self.waiting {
            Some(waiting) if room < STREAM_MIN && waiting.bytes.get() > 0 => {
                waiting.waker.set(Some(cx.waker().clone()));
                Poll::Pending
            }
            _ => Poll::Ready(room.max(STREAM_MIN)),
        }
    }

    fn room(&self) -> usize {
        let waiting = self.waiting.as_ref().map_or(0, |w| w.bytes.get());
        let held = self.unread + waiting;
        self.budget.allowance().saturating_sub(held)
    }

    /// Charges bytes that were read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.unread += bytes;
        self.budget.charge(bytes);
    }

    /// Gives back `bytes` of what was read: they were used and are gone.
    pub(super) fn used(&mut self, bytes: usize) {
        self.unread -= bytes;
        self.budget.release(bytes);
    }

    /// Hands out `bytes` of what was read; `last` when nothing comes after them.
    pub(super) fn hand_out(&mut self, bytes: Bytes, last: bool) -> Piece {
        self.unread -= bytes.len();
        // A response in one piece needs nobody to tell that the piece is gone.
        let waiting = (!last || self.waiting.is_some()).then(|| {
            let waiting = self.waiting.get_or_insert_default();
            waiting.bytes.set(waiting.bytes.get() + bytes.len());
            Rc::clone(waiting)
        });
        Piece {
            _charge: Some(Charge {
                bytes: bytes.len(),
                budget: Rc::clone(&self.budget),
                waiting,
            }),
            bytes,
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.release(self.unread);
    }
}

/// Part of a body on its way to the client.
pub(super) struct Piece {
    bytes: Bytes,
    _charge: Option<Charge>,
}

impl From<Bytes> for Piece {
    /// Bytes that are shared and cost this connection nothing, such as those of a page.
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            _charge: None,
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, n: usize) {
        self.bytes.advance(n);
    }
}

/// Bytes that are charged until this is dropped.
struct Charge {
    bytes: usize,
    budget: Rc<Budget>,
    waiting: Option<Rc<Waiting>>,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
        let Some(waiting) = &self.waiting else {
            return;
        };
        waiting.bytes.set(waiting.bytes.get() - self.bytes);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
