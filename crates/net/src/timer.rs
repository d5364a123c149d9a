use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use slab::Slab;
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(test)]
mod tests;

/// One tick of the coarse clock.
pub const TICK: Duration = Duration::from_millis(100);

/// Slots of the wheel, one per tick. Entries with a longer deadline go around more than once.
const SLOTS: u64 = 1024;

/// Index of the list of entries due in the current advance; the lists before it are the slots.
const DUE: usize = SLOTS as usize;

/// Marks the end of a list.
const NONE: u32 = u32::MAX;

/// The coarse clock and the timer wheel of one worker.
///
/// Touching a timer does not move it in the wheel. When its old deadline comes up, its owner is woken and
/// re-arms it with the new one. Activity thus costs a single store.
///
/// The clock stops while it is unused, so that a worker without connections is never woken. Timers that
/// can expire use it, and so does every [`ClockUse`].
#[derive(Debug)]
pub struct Timers {
    wheel: Rc<Wheel>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self {
            wheel: Rc::new(Wheel {
                now: Cell::new(0),
                users: Cell::new(0),
                source: Cell::new(None),
                parked: Cell::new(false),
                unparked: Notify::new(),
                lists: RefCell::new(Lists {
                    entries: Slab::new(),
                    heads: vec![NONE; DUE + 1].into_boxed_slice(),
                }),
            }),
        }
    }

    /// Ticks since the worker started. Only current while the clock is in use.
    pub fn now(&self) -> u64 {
        self.wheel.now.get()
    }

    /// Keeps the clock running until the result is dropped, and for one more tick.
    pub fn use_clock(&self) -> ClockUse {
        ClockUse::new(&self.wheel)
    }

    /// Starts the clock: from now on it follows real time.
    pub(crate) fn start(&self) -> ClockSource {
        let source = ClockSource {
            start: Instant::now(),
            offset: self.now(),
        };
        self.wheel.source.set(Some(source));
        source
    }

    /// Excludes `time`, which has just passed, from the clock.
    pub(crate) fn skip(&self, time: Duration) -> ClockSource {
        let mut source = self.wheel.source.get().unwrap_or_else(|| self.start());
        source.start += time;
        self.wheel.source.set(Some(source));
        source
    }

    /// Waits until the clock is in use. It stops meanwhile, and the first user sets it.
    pub(crate) async fn until_used(&self) {
        if self.wheel.users.get() == 0 {
            self.wheel.parked.set(true);
            self.wheel.unparked.notified().await;
        }
    }

    /// A timer that expires once `after` has passed without a [`Timer::touch`]: never early, and at most
    /// two ticks late. With `Duration::MAX` it never expires.
    pub fn timer(&self, after: Duration) -> Timer {
        let wheel = Rc::clone(&self.wheel);
        let after = ticks(after);
        let uses_clock = after != NEVER;
        if uses_clock {
            wheel.begin_use();
        }
        let now = wheel.now.get();
        let key = wheel
            .lists
            .borrow_mut()
            .insert(now.saturating_add(after), now);
        Timer {
            wheel,
            key,
            uses_clock: Cell::new(uses_clock),
            after: Cell::new(after),
            touched: Cell::new(now),
        }
    }

    /// The tick by which `after` will have passed.
    pub(crate) fn deadline(&self, after: Duration) -> u64 {
        self.now().saturating_add(ticks(after))
    }

    /// Wakes the owners of all timers, expired or not, because state that all connections check has
    /// changed. For rare events.
    pub fn wake_all(&self) {
        let mut key = 0;
        loop {
            // Wakers run without a borrow, because they may create and drop timers.
            let waker = {
                let mut lists = self.wheel.lists.borrow_mut();
                if key >= lists.entries.capacity() {
                    return;
                }
                lists.entries.get_mut(key).and_then(|e| e.waker.take())
            };
            if let Some(waker) = waker {
                waker.wake();
            }
            key += 1;
        }
    }

    /// Advances the clock to `now` and wakes the owners of timers that are due. Called by
    /// [`Worker::run_ticks`](crate::Worker::run_ticks), and by tests.
    pub fn advance(&self, now: u64) {
        let before = self.wheel.now.get();
        self.wheel.now.set(before.max(now));
        let first = now.saturating_sub(SLOTS).max(before) + 1;
        for tick in first..=now {
            self.wheel.lists.borrow_mut().detach(tick);
            while let Some(waker) = {
                let mut lists = self.wheel.lists.borrow_mut();
                lists.pop_due(now)
            } {
                waker.wake();
            }
        }
    }
}

/// A deadline that activity postpones. Belongs to one task.
pub struct Timer {
    wheel: Rc<Wheel>,
    /// Of its entry in the wheel.
    key: u32,
    /// Whether it can expire.
    uses_clock: Cell<bool>,
    /// Ticks without activity until expiry.
    after: Cell<u64>,
    touched: Cell<u64>,
}

impl Timer {
    /// Records activity, which postpones the deadline.
    pub fn touch(&self) {
        self.touched.set(self.wheel.now.get());
    }

    /// Records activity and changes the timeout.
    pub fn reset(&self, after: Duration) {
        let after = ticks(after);
        let uses_clock = after != NEVER;
        match (self.uses_clock.replace(uses_clock), uses_clock) {
            (false, true) => self.wheel.begin_use(),
            (true, false) => self.wheel.end_use(),
            _ => {}
        }
        self.touch();
        self.after.set(after);
        let mut lists = self.wheel.lists.borrow_mut();
        let armed = lists.entries.get(self.key as usize).map(|e| e.deadline);
        if armed.is_some_and(|armed| self.deadline() < armed) {
            self.arm(&mut lists);
        }
    }

    /// Ready once expired, until touched. Otherwise the task is woken at expiry and by
    /// [`Timers::wake_all`].
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_expired() {
            return Poll::Ready(());
        }
        self.register(cx);
        Poll::Pending
    }

    /// Whether it has expired.
    pub(crate) fn is_expired(&self) -> bool {
        self.deadline() <= self.wheel.now.get()
    }

    /// Registers the task to be woken at expiry and by [`Timers::wake_all`].
    pub fn register(&self, cx: &mut Context<'_>) {
        let mut lists = self.wheel.lists.borrow_mut();
        let armed = lists.entries.get(self.key as usize).map(|e| e.deadline);
        if armed.is_some_and(|armed| armed <= self.wheel.now.get()) && !self.is_expired() {
            self.arm(&mut lists);
        }
        let Some(entry) = lists.entries.get_mut(self.key as usize) else {
            return;
        };
        match &mut entry.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    fn deadline(&self) -> u64 {
        self.touched.get().saturating_add(self.after.get())
    }

    fn arm(&self, lists: &mut Lists) {
        lists.unlink(self.key as usize);
        lists.link(self.key as usize, self.deadline(), self.wheel.now.get());
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = {
            let mut lists = self.wheel.lists.borrow_mut();
            lists.unlink(self.key as usize);
            lists
                .entries
                .try_remove(self.key as usize)
                .and_then(|e| e.waker)
        };
        // Outside the borrow: dropping the last waker of a task drops the task.
        drop(waker);
        if self.uses_clock.get() {
            self.wheel.end_use();
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("now", &self.wheel.now.get())
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

/// Keeps the clock of a worker running while it exists.
#[derive(Debug)]
pub struct ClockUse(Rc<Wheel>);

impl ClockUse {
    fn new(wheel: &Rc<Wheel>) -> Self {
        wheel.begin_use();
        Self(Rc::clone(wheel))
    }
}

impl Drop for ClockUse {
    fn drop(&mut self) {
        self.0.end_use();
    }
}

/// The time source of a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockSource {
    start: Instant,
    offset: u64,
}

impl ClockSource {
    /// The current tick.
    pub(crate) fn now(&self) -> u64 {
        let elapsed = self.start.elapsed().as_millis() / TICK.as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.offset.saturating_add(elapsed)
    }

    /// The time at which `tick` begins.
    pub(crate) fn at(&self, tick: u64) -> Instant {
        let ticks = u32::try_from(tick.saturating_sub(self.offset)).unwrap_or(u32::MAX);
        self.start + TICK * ticks
    }
}

#[derive(Debug)]
struct Wheel {
    now: Cell<u64>,
    users: Cell<usize>,
    /// The time source; without one, only [`Timers::advance`] sets the clock.
    source: Cell<Option<ClockSource>>,
    /// Whether the clock is stopped.
    parked: Cell<bool>,
    unparked: Notify,
    lists: RefCell<Lists>,
}

impl Wheel {
    fn begin_use(&self) {
        self.users.set(self.users.get() + 1);
        if self.parked.replace(false) {
            if let Some(source) = self.source.get() {
                self.now.set(self.now.get().max(source.now()));
            }
            self.unparked.notify_one();
        }
    }

    fn end_use(&self) {
        self.users.set(self.users.get() - 1);
    }
}

/// Doubly linked lists over one slab: a timer needs no allocation of its own, and is unlinked as soon as
/// it is dropped.
#[derive(Debug)]
struct Lists {
    entries: Slab<Entry>,
    heads: Box<[u32]>,
}

#[derive(Debug)]
struct Entry {
    deadline: u64,
    waker: Option<Waker>,
    previous: u32,
    next: u32,
    /// Index of the list that contains it; `NONE` if none does.
    list: u32,
}

impl Lists {
    fn insert(&mut self, deadline: u64, now: u64) -> u32 {
        let key = self.entries.insert(Entry {
            deadline,
            waker: None,
            previous: NONE,
            next: NONE,
            list: NONE,
        });
        self.link(key, deadline, now);
        key as u32
    }

    fn link(&mut self, key: usize, deadline: u64, now: u64) {
        // A deadline that has passed already is due at the next tick.
        let tick = deadline.clamp(now + 1, now + SLOTS - 1);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.deadline = deadline;
        }
        self.push(key, (tick % SLOTS) as usize);
    }

    fn push(&mut self, key: usize, list: usize) {
        let Some(head) = self.heads.get_mut(list) else {
            return;
        };
        let next = std::mem::replace(head, key as u32);
        if let Some(entry) = self.entries.get_mut(key) {
            entry.previous = NONE;
            entry.next = next;
            entry.list = list as u32;
        }
        if let Some(entry) = self.entries.get_mut(next as usize) {
            entry.previous = key as u32;
        }
    }

    fn unlink(&mut self, key: usize) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let (previous, next) = (entry.previous, entry.next);
        let list = std::mem::replace(&mut entry.list, NONE);
        if list == NONE {
            return;
        }
        if let Some(entry) = self.entries.get_mut(previous as usize) {
            entry.next = next;
        } else if let Some(head) = self.heads.get_mut(list as usize) {
            *head = next;
        }
        if let Some(entry) = self.entries.get_mut(next as usize) {
            entry.previous = previous;
        }
    }

    /// Moves the slot of `tick` to the due list, entry by entry: each entry must know its list in case a
    /// waker drops it.
    fn detach(&mut self, tick: u64) {
        let slot = (tick % SLOTS) as usize;
        while let Some(&head) = self.heads.get(slot).filter(|head| **head != NONE) {
            self.unlink(head as usize);
            self.push(head as usize, DUE);
        }
    }

    /// The next waker to wake. Puts entries for a later turn of the wheel back into it.
    fn pop_due(&mut self, now: u64) -> Option<Waker> {
        while let Some(&key) = self.heads.get(DUE).filter(|head| **head != NONE) {
            let key = key as usize;
            self.unlink(key);
            let entry = self.entries.get_mut(key)?;
            if entry.deadline > now {
                let deadline = entry.deadline;
                self.link(key, deadline, now);
            } else if let Some(waker) = entry.waker.take() {
                return Some(waker);
            }
        }
        None
    }
}

/// The tick of a timer that never expires.
const NEVER: u64 = u64::MAX;

/// `after` in whole ticks, rounded up, plus one because the clock may be almost a tick behind.
fn ticks(after: Duration) -> u64 {
    let ticks = after.as_millis().div_ceil(TICK.as_millis()) + 1;
    u64::try_from(ticks).unwrap_or(NEVER)
}
