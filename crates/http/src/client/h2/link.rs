//! What the driver of a connection and the tasks of its streams share: the protocol, and what arrived
//! for each stream. All of them run on one thread.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::task::{Context, Waker};

use elbow_h2::{Connection as Protocol, ErrorCode, StreamKey};

use crate::budget::{Budget, Charge, HeldHead};
use crate::header::trailers::Trailers;
use crate::spare::Spares;

use super::STREAM_WINDOW;

/// Memory of a received body that a stream keeps for the next part.
const RECEIVED_KEPT: usize = 16 * 1024;

/// One connection, as its streams see it.
pub(super) struct Link {
    pub(super) protocol: RefCell<Protocol>,
    /// By [`StreamKey::index`].
    slots: RefCell<Vec<Slot>>,
    /// The driver runs, or will once the tasks that are ready now have run.
    is_driver_awake: Cell<bool>,
    /// Bytes that wait outside of the output.
    stored: Cell<usize>,
    /// Its driver is woken when the connection has something to write.
    budget: Budget,
    /// The output, and what is stored.
    charge: Charge,
    /// Where the memory of the output comes from.
    spares: Rc<Spares>,
}

/// What arrived for a stream, and who is told.
#[derive(Default)]
struct Slot {
    /// The stream's task.
    waker: Option<Waker>,
    /// Part of the request's body.
    received: Vec<u8>,
    trailers: Option<Trailers>,
    /// The request's body is complete.
    is_ended: bool,
    /// The stream is gone.
    is_reset: bool,
    /// Nobody reads the request's body.
    is_unread: bool,
}

/// What arrived of a request's body.
pub(super) enum Arrived {
    /// Nothing yet.
    Nothing,
    Data(Vec<u8>),
    End(Option<Trailers>),
    /// The stream is gone.
    Reset,
}

impl Link {
    pub(super) fn new(protocol: Protocol, budget: Budget, spares: Rc<Spares>) -> Rc<Self> {
        Rc::new(Self {
            protocol: RefCell::new(protocol),
            slots: RefCell::default(),
            is_driver_awake: Cell::new(true),
            stored: Cell::new(0),
            charge: budget.hold(),
            budget,
            spares,
        })
    }

    /// Lets other connections use the memory of the output while nothing waits in it.
    pub(super) fn reclaim_output(&self) {
        if let Some(memory) = self.protocol.borrow_mut().reclaim_memory() {
            *self.spares.later() = memory;
        }
    }

    /// The driver runs: what is put into the output now is written at the end of its turn.
    pub(super) fn driver_runs(&self) {
        self.is_driver_awake.set(true);
    }

    /// The driver waits: whatever is put into the output from now on wakes the task of `cx`.
    pub(super) fn driver_waits(&self, cx: &Context<'_>) {
        self.is_driver_awake.set(false);
        self.budget.set_driver(cx);
    }

    /// Lets the driver run once all tasks that are ready now have run.
    pub(super) fn wake_driver(&self) {
        if !self.is_driver_awake.replace(true) {
            self.budget.wake_driver();
        }
    }

    /// Charges what is held to the budget, and bounds the output and the uploads by it.
    pub(super) fn settle(&self) {
        let mut protocol = self.protocol.borrow_mut();
        self.charge.set(protocol.output().len() + self.stored.get());
        protocol.set_output_max(self.budget.output_max(&self.charge));
        protocol.set_windows(STREAM_WINDOW, self.budget.upload_window(&self.charge));
    }

    /// Whether the connection has to end, because it holds most and the worker too much.
    pub(super) fn is_exceeded(&self) -> bool {
        self.budget.is_exceeded()
    }

    /// A charge for what a target holds for this client.
    pub(super) fn hold(&self) -> Charge {
        self.budget.hold()
    }

    /// Charges a request head of `bytes`; `None` when there is no room for it.
    pub(super) fn hold_head(&self, bytes: usize) -> Option<HeldHead> {
        self.budget.hold_head(bytes)
    }

    /// Counts `added` and `removed` bytes that wait outside of the output.
    fn store(&self, added: usize, removed: usize) {
        self.stored.set(self.stored.get() + added - removed);
    }

    /// Prepares the slot of a new stream.
    pub(super) fn open(&self, key: StreamKey, is_ended: bool) {
        let mut slots = self.slots.borrow_mut();
        while slots.len() <= key.index() {
            slots.push(Slot::default());
        }
        if let Some(slot) = slots.get_mut(key.index()) {
            slot.is_ended = is_ended;
        }
    }

    fn with<R: Default>(&self, key: StreamKey, act: impl FnOnce(&mut Slot) -> R) -> R {
        let mut slots = self.slots.borrow_mut();
        slots.get_mut(key.index()).map(act).unwrap_or_default()
    }

    /// Keeps a part of a request's body; false when nobody reads it.
    pub(super) fn receive(&self, key: StreamKey, data: &[u8], is_ended: bool) -> bool {
        self.with(key, |slot| {
            slot.is_ended |= is_ended;
            if !slot.is_unread {
                slot.keep(data);
                self.store(data.len(), 0);
            }
            slot.wake();
            !slot.is_unread
        })
    }

    /// Keeps the end of a request's body.
    pub(super) fn receive_trailers(&self, key: StreamKey, trailers: Trailers) {
        self.with(key, |slot| {
            slot.is_ended = true;
            slot.trailers = Some(trailers);
            slot.wake();
        });
    }

    /// Notes that a stream is gone.
    pub(super) fn reset(&self, key: StreamKey) {
        self.with(key, |slot| {
            slot.is_reset = true;
            slot.wake();
        });
    }

    /// Ends all streams: the connection is over.
    pub(super) fn reset_all(&self) {
        let keys: Vec<_> = self.protocol.borrow().streams().collect();
        keys.into_iter().for_each(|key| self.reset(key));
    }

    /// Wakes the streams that can send now.
    pub(super) fn wake_ready(&self) {
        let mut protocol = self.protocol.borrow_mut();
        protocol.take_ready(|key| self.with(key, Slot::wake));
    }
}

impl Slot {
    /// Appends to `received`. It grows by a quarter, since all of the window may have to be held.
    fn keep(&mut self, data: &[u8]) {
        let received = &mut self.received;
        if received.capacity() - received.len() < data.len() {
            received.reserve_exact(data.len().max(received.len() / 4));
        }
        received.extend_from_slice(data);
    }

    fn wake(&mut self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

/// A stream in the hands of its task. Dropping it ends the stream, with a reset if it is not complete.
pub(super) struct Stream {
    link: Rc<Link>,
    key: StreamKey,
    /// Bytes of the response that wait until they can be sent.
    stored: Cell<usize>,
    /// Bytes of the request's body that were taken and are not passed on.
    taken: Cell<usize>,
}

impl Stream {
    pub(super) fn new(link: &Rc<Link>, key: StreamKey) -> Self {
        Self {
            link: Rc::clone(link),
            key,
            stored: Cell::new(0),
            taken: Cell::new(0),
        }
    }

    /// The connection.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Makes whatever happens to the stream wake the task of `cx`.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.link.with(self.key, |slot| match &slot.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => slot.waker = Some(cx.waker().clone()),
        });
    }

    /// Whether the stream is gone.
    pub(super) fn is_reset(&self) -> bool {
        self.link.with(self.key, |slot| slot.is_reset)
    }

    /// Whether [`Stream::take_arrived`] has something.
    pub(super) fn has_arrived(&self) -> bool {
        self.link.with(self.key, |slot| {
            slot.is_ended || slot.is_reset || !slot.received.is_empty()
        })
    }

    /// Takes what arrived of the request's body. The client may send as much more after
    /// [`Stream::passed_on`].
    pub(super) fn take_arrived(&self) -> Arrived {
        let arrived = self.link.with(self.key, |slot| {
            if !slot.received.is_empty() {
                Some(Arrived::Data(mem::take(&mut slot.received)))
            } else if slot.is_ended {
                Some(Arrived::End(slot.trailers.take()))
            } else {
                slot.is_reset.then_some(Arrived::Reset)
            }
        });
        if let Some(Arrived::Data(data)) = &arrived {
            self.taken.set(self.taken.get() + data.len());
        }
        arrived.unwrap_or(Arrived::Nothing)
    }

    /// Notes that all that was taken is with the target.
    pub(super) fn passed_on(&self) {
        let taken = self.taken.take();
        if taken > 0 {
            self.link.store(0, taken);
            self.release(taken);
        }
    }

    /// Whether all of the request's body was taken, apart from its end.
    pub(super) fn is_at_end(&self) -> bool {
        self.link
            .with(self.key, |slot| slot.is_ended && slot.received.is_empty())
    }

    /// Gives back memory for the next part of the request's body.
    pub(super) fn recycle(&self, mut memory: Vec<u8>) {
        if memory.capacity() <= RECEIVED_KEPT {
            memory.clear();
            self.link.with(self.key, |slot| {
                if slot.received.capacity() == 0 {
                    slot.received = memory;
                }
            });
        }
    }

    /// Drops what arrives of the request's body from now on.
    pub(super) fn leave_unread(&self) {
        self.passed_on();
        let dropped = self.link.with(self.key, |slot| {
            slot.is_unread = true;
            mem::take(&mut slot.received).len()
        });
        if dropped > 0 {
            self.link.store(0, dropped);
            self.release(dropped);
        }
    }

    fn release(&self, n: usize) {
        let is_due = self.link.protocol.borrow_mut().release(self.key, n);
        if is_due {
            self.link.wake_driver();
        }
    }

    /// Bytes of a body that can be sent now; with none, the stream is woken when there are some.
    pub(super) fn capacity(&self) -> usize {
        let mut protocol = self.link.protocol.borrow_mut();
        let capacity = protocol.capacity(self.key);
        if capacity == 0 {
            protocol.wait(self.key, true);
        }
        capacity
    }

    /// Whether a head can be sent now; if not, the stream is woken when one can.
    pub(super) fn takes_head(&self) -> bool {
        let mut protocol = self.link.protocol.borrow_mut();
        let takes = protocol.room() > 0;
        if !takes {
            protocol.wait(self.key, false);
        }
        takes
    }

    /// Bytes of a body that can be sent behind a head.
    pub(super) fn window(&self) -> usize {
        self.link.protocol.borrow_mut().window(self.key)
    }

    /// Sends a head, or trailers if `end`.
    pub(super) fn send_head(&self, end: bool, write: impl FnOnce(&mut Fields<'_, '_>)) -> u64 {
        let mut size = 0;
        let mut protocol = self.link.protocol.borrow_mut();
        if protocol.output().is_empty() {
            protocol.lend_memory(mem::take(&mut *self.link.spares.take()));
        }
        protocol.send_head(self.key, end, |writer| {
            let mut fields = Fields { writer, size: 0 };
            write(&mut fields);
            size = fields.size;
        });
        drop(protocol);
        self.sent();
        size
    }

    /// Sends as much of `data` as can be sent now, and returns how much.
    pub(super) fn send_data(&self, data: &[u8]) -> usize {
        let mut protocol = self.link.protocol.borrow_mut();
        let n = protocol.send_data(self.key, data, false);
        drop(protocol);
        self.sent();
        n
    }

    /// Ends the response.
    pub(super) fn end(&self) {
        self.link.protocol.borrow_mut().end(self.key);
        self.sent();
    }

    /// Resets the stream: its response cannot be completed.
    pub(super) fn cut(&self, code: ErrorCode) {
        self.link.protocol.borrow_mut().reset(self.key, code);
    }

    /// Counts `added` and `removed` bytes of the response that wait until they can be sent.
    pub(super) fn store(&self, added: usize, removed: usize) {
        self.stored.set(self.stored.get() + added - removed);
        self.link.store(added, removed);
    }

    fn sent(&self) {
        self.link.settle();
        self.link.wake_driver();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.leave_unread();
        self.link.store(0, self.stored.get());
        self.link.with(self.key, |slot| *slot = Slot::default());
        self.link.protocol.borrow_mut().close(self.key);
        self.link.wake_driver();
    }
}

/// Writes the fields of a head.
pub(super) struct Fields<'w, 'p> {
    writer: &'w mut elbow_h2::HeadWriter<'p>,
    /// The size that the fields would have in HTTP/1.1; the log has it, since that under HPACK depends
    /// on what was sent before.
    size: u64,
}

impl Fields<'_, '_> {
    pub(super) fn status(&mut self, status: u16) {
        self.writer.status(status);
    }

    pub(super) fn put(&mut self, name: &str, value: &[u8]) {
        self.size += (name.len() + value.len() + ": \r\n".len()) as u64;
        self.writer.field(name, value);
    }
}
