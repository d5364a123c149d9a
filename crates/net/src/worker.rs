use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{sleep, sleep_until};

use crate::Buffers;
use crate::open_files::{Budget, Slots};
use crate::pipe::Pipes;
use crate::sys::heap;
use crate::timeout::PAUSE;
use crate::timer::{TICK, Timers};

/// [`Worker::set_delivery_timeout`] unless set: the default of `--drain-timeout`.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Delay from the end of a connection to the return of its memory, because connections end in groups.
const SETTLE: Duration = Duration::from_secs(5);

/// The state that the connections of one worker thread share. No other thread accesses it.
#[derive(Debug)]
pub struct Worker {
    /// Number of the worker, from 0; selects its cell in shared counters.
    pub id: usize,
    /// Its clock and timers.
    pub timers: Timers,
    /// Its buffers.
    pub buffers: Buffers,
    pub(crate) pipes: Pipes,
    /// Its share of the descriptors that traffic may use.
    pub slots: Rc<Slots>,
    draining: Cell<bool>,
    keeps_idle: Cell<bool>,
    stopping: Cell<bool>,
    delivery_timeout: Cell<Duration>,
    random: Cell<u64>,
    /// Notified when a connection has ended.
    ended: Notify,
}

impl Worker {
    /// A worker for this thread, without a limit on descriptors.
    pub fn new(id: usize) -> Rc<Self> {
        Self::with_budget(id, Budget::unlimited())
    }

    /// A worker for this thread that takes its descriptors from `budget`.
    pub fn with_budget(id: usize, budget: Arc<Budget>) -> Rc<Self> {
        let slots = Slots::new(budget);
        Self::with_pipes(id, Pipes::new(Rc::clone(&slots)), slots)
    }

    /// Like [`Self::with_budget`], but moves bytes only with read and write, never with splice(2).
    pub fn without_splice(id: usize, budget: Arc<Budget>) -> Rc<Self> {
        let slots = Slots::new(budget);
        Self::with_pipes(id, Pipes::none(Rc::clone(&slots)), slots)
    }

    fn with_pipes(id: usize, pipes: Pipes, slots: Rc<Slots>) -> Rc<Self> {
        Rc::new(Self {
            id,
            timers: Timers::new(),
            buffers: Buffers::new(),
            pipes,
            slots,
            draining: Cell::new(false),
            keeps_idle: Cell::new(false),
            stopping: Cell::new(false),
            delivery_timeout: Cell::new(DELIVERY_TIMEOUT),
            // The standard library seeds its keys from the operating system.
            random: Cell::new(RandomState::new().build_hasher().finish()),
            ended: Notify::new(),
        })
    }

    /// A random number (wyrand), for spreading load; not for secrets.
    pub fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.random.set(state);
        let wide = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// Whether the worker is draining: it accepts no new connections, and open ones end as soon as they can.
    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Closes unused pipes to free their descriptors, and returns their number.
    pub fn close_spare_pipes(&self) -> usize {
        self.pipes.clear()
    }

    /// Whether connections without a request in progress must end now.
    pub fn closes_idle(&self) -> bool {
        self.stopping.get() || self.draining.get() && !self.keeps_idle.get()
    }

    /// Starts draining and notifies every connection.
    pub fn drain(&self) {
        self.draining.set(true);
        self.timers.wake_all();
    }

    /// Starts draining, but connections without a request end only after the next one: another process accepts the client's
    /// next connection, and a request that is already on its way is answered.
    pub fn drain_keeping_idle(&self) {
        self.keeps_idle.set(true);
        self.drain();
    }

    /// Whether open connections must end now.
    pub fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends the drain: notifies every connection to end now.
    pub fn stop(&self) {
        self.draining.set(true);
        self.stopping.set(true);
        self.timers.wake_all();
    }

    /// The value of [`Self::set_delivery_timeout`].
    pub(crate) fn delivery_timeout(&self) -> Duration {
        self.delivery_timeout.get()
    }

    /// Sets how long a peer may take to acknowledge the data that the other side sent before a reset; after
    /// that it is reset anyway. 30 s unless set.
    pub fn set_delivery_timeout(&self, timeout: Duration) {
        self.delivery_timeout.set(timeout);
    }

    /// Records that a connection has ended and its memory is free.
    pub fn connection_ended(&self) {
        self.ended.notify_one();
    }

    /// Returns free memory to the system some seconds after connections have ended: the allocator keeps it for reuse, so that
    /// one client that needed 100 MB for a minute would leave the process at that size for good. Never returns; drop it to stop.
    pub async fn run_trims(self: Rc<Self>) {
        loop {
            self.ended.notified().await;
            sleep(SETTLE).await;
            heap::trim();
        }
    }

    /// Advances the clock while it is in use and calls `on_tick` every tick, and once more after the last
    /// use. Never returns; drop it to stop.
    ///
    /// The clock does not count pauses of the process of half a second or more, so that no deadline
    /// expires during a pause: data that peers sent meanwhile is still waiting in the sockets.
    pub async fn run_ticks(self: Rc<Self>, mut on_tick: impl FnMut()) {
        let mut source = self.timers.start();
        loop {
            self.timers.until_used().await;
            // After a stall the clock jumps once instead of catching up tick by tick.
            let due = source.at(self.timers.now() + 1);
            sleep_until(due).await;
            let late = due.elapsed();
            if late >= PAUSE {
                source = self.timers.skip(late);
            }
            if late >= TICK {
                // Lets the runtime poll the sockets first, so that data already received beats a deadline.
                yield_now().await;
            }
            self.timers.advance(source.now());
            on_tick();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::time::Duration;

    use super::Worker;

    #[test]
    fn random_numbers_differ() {
        let (a, b) = (Worker::new(0), Worker::new(1));
        let numbers: HashSet<u64> = (0..1000).flat_map(|_| [a.random(), b.random()]).collect();
        assert_eq!(numbers.len(), 2000);
        let ones: u32 = numbers.iter().map(|n| n.count_ones()).sum();
        assert!((62_000..66_000).contains(&ones), "{ones} of 128000 bits");
    }

    #[tokio::test(start_paused = true)]
    async fn clock_ticks_and_does_not_count_pauses() {
        let worker = Worker::new(0);
        let calls = Cell::new(0);
        let ticks = worker.clone().run_ticks(|| calls.set(calls.get() + 1));
        let _user = worker.timers.use_clock();
        let script = async {
            tokio::time::sleep(Duration::from_millis(1050)).await;
            assert_eq!((worker.timers.now(), calls.get()), (10, 10));
            tokio::time::advance(Duration::from_secs(60)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(worker.timers.now(), 11, "the pause does not count");
            assert!(calls.get() <= 13, "the clock catches up in one step");
            tokio::time::advance(Duration::from_millis(400)).await;
            tokio::time::sleep(Duration::from_millis(70)).await;
            assert_eq!(worker.timers.now(), 16, "a short delay counts");
        };
        tokio::select! {
            () = ticks => {}
            () = script => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn unused_clock_stops_and_is_correct_on_next_use() {
        let worker = Worker::new(0);
        let calls = Cell::new(0);
        let ticks = worker.clone().run_ticks(|| calls.set(calls.get() + 1));
        let script = async {
            // A timer that never expires does not use the clock.
            let never = worker.timers.timer(Duration::MAX);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(calls.get(), 0);
            let user = worker.timers.use_clock();
            assert_eq!(worker.timers.now(), 600);
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert_eq!((worker.timers.now(), calls.get()), (602, 2));
            drop(user);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(calls.get(), 3, "one more tick after the last use");
            never.reset(Duration::from_millis(500));
            let start = tokio::time::Instant::now();
            std::future::poll_fn(|cx| never.poll_expired(cx)).await;
            let late = start.elapsed() - Duration::from_millis(500);
            assert!(late <= Duration::from_millis(200), "{late:?}");
            never.reset(Duration::MAX);
            let before = calls.get();
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(calls.get() <= before + 1);
        };
        tokio::select! {
            () = ticks => {}
            () = script => {}
        }
    }
}
