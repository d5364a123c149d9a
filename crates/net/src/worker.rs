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
use crate::memory;
use crate::open_files::{Budget, Slots};
use crate::pipe::Pipes;
use crate::timeout::PAUSE;
use crate::timer::{TICK, Timers};

/// [`Worker::delivery_timeout`] unless set: the default of `--drain-timeout`.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// What the connections of one worker thread share; nothing in it is shared with other threads.
#[derive(Debug)]
pub struct Worker {
    /// 0, 1, ...: which cell of shared counters is this worker's own.
    pub id: usize,
    /// Its clock and timers.
    pub timers: Timers,
    /// Its buffers.
    pub buffers: Buffers,
    pub(crate) pipes: Pipes,
    /// Its part of the descriptors that traffic may use.
    pub slots: Rc<Slots>,
    draining: Cell<bool>,
    stopping: Cell<bool>,
    delivery_timeout: Cell<Duration>,
    random: Cell<u64>,
    /// Told when a connection has ended.
    ended: Notify,
}

impl Worker {
    /// The worker of this thread, with as many descriptors as it can get.
    pub fn new(id: usize) -> Rc<Self> {
        Self::within(id, Budget::unlimited())
    }

    /// The worker of this thread, with descriptors of `budget`.
    pub fn within(id: usize, budget: Arc<Budget>) -> Rc<Self> {
        let slots = Slots::new(budget);
        Self::with_pipes(id, Pipes::new(Rc::clone(&slots)), slots)
    }

    /// As [`Self::within`], but it carries bytes by read and write alone, never by splice(2).
    pub fn portable(id: usize, budget: Arc<Budget>) -> Rc<Self> {
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
            stopping: Cell::new(false),
            delivery_timeout: Cell::new(DELIVERY_TIMEOUT),
            // The standard library takes its keys from the operating system.
            random: Cell::new(RandomState::new().build_hasher().finish()),
            ended: Notify::new(),
        })
    }

    /// A random number, for load spreading and not for secrets (wyrand).
    pub fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.random.set(state);
        let wide = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// Whether the worker takes no new connections and ends those it has as soon as they can.
    pub fn draining(&self) -> bool {
        self.draining.get()
    }

    /// Closes the pipes that no flow uses, for their descriptors, and says how many there were.
    pub fn close_spare_pipes(&self) -> usize {
        self.pipes.clear()
    }

    /// Starts to drain, and tells every connection.
    pub fn drain(&self) {
        self.draining.set(true);
        self.timers.wake_all();
    }

    /// Whether what is still in progress ends now.
    pub fn stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends the drain: tells every connection to end now.
    pub fn stop(&self) {
        self.draining.set(true);
        self.stopping.set(true);
        self.timers.wake_all();
    }

    /// How long a peer may take to acknowledge what the other side of its flow sent before a reset;
    /// then it is reset all the same. 30 s unless set.
    pub fn delivery_timeout(&self) -> Duration {
        self.delivery_timeout.get()
    }

    /// Sets [`Self::delivery_timeout`].
    pub fn set_delivery_timeout(&self, timeout: Duration) {
        self.delivery_timeout.set(timeout);
    }

    /// Notes that a connection has ended, and that its memory is free.
    pub fn connection_ended(&self) {
        self.ended.notify_one();
    }

    /// Gives memory back to the system some seconds after connections have ended; sleeps while none
    /// does. Never ends; drop it to stop.
    pub async fn run_trims(self: Rc<Self>) {
        loop {
            self.ended.notified().await;
            sleep(memory::SETTLE).await;
            memory::trim();
        }
    }

    /// Keeps the clock going while somebody uses it, and calls `on_tick` every tick, the last time after the
    /// last use. Never ends; drop it to stop.
    ///
    /// The clock stands still while the process does not run for half a second or more, so that no
    /// deadline falls into a pause: its peers went on, and what they said waits in the sockets.
    pub async fn run_ticks(self: Rc<Self>, mut on_tick: impl FnMut()) {
        let mut source = self.timers.start();
        loop {
            self.timers.until_used().await;
            // After a stall the clock jumps once instead of ticking quickly.
            let due = source.at(self.timers.now() + 1);
            sleep_until(due).await;
            let late = due.elapsed();
            if late >= PAUSE {
                source = self.timers.pass_over(late);
            }
            if late >= TICK {
                // The sockets get a turn, so that what has come is heard before a deadline ends its wait.
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
    async fn the_clock_ticks_and_stands_still_in_a_pause() {
        let worker = Worker::new(0);
        let calls = Cell::new(0);
        let ticks = worker.clone().run_ticks(|| calls.set(calls.get() + 1));
        let _user = worker.timers.use_clock();
        let script = async {
            tokio::time::sleep(Duration::from_millis(1050)).await;
            assert_eq!((worker.timers.now(), calls.get()), (10, 10));
            tokio::time::advance(Duration::from_secs(60)).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
            assert_eq!(worker.timers.now(), 11, "of the pause nothing counts");
            assert!(calls.get() <= 13, "a pause is made up for in one go");
            tokio::time::advance(Duration::from_millis(400)).await;
            tokio::time::sleep(Duration::from_millis(70)).await;
            assert_eq!(worker.timers.now(), 16, "a slow turn counts");
        };
        tokio::select! {
            () = ticks => {}
            () = script => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_nobody_uses_stands_still_and_is_right_when_it_is_used_again() {
        let worker = Worker::new(0);
        let calls = Cell::new(0);
        let ticks = worker.clone().run_ticks(|| calls.set(calls.get() + 1));
        let script = async {
            // One that never expires does not use it.
            let never = worker.timers.timer(Duration::MAX);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(calls.get(), 0);
            let user = worker.timers.use_clock();
            assert_eq!(worker.timers.now(), 600);
            tokio::time::sleep(Duration::from_millis(250)).await;
            assert_eq!((worker.timers.now(), calls.get()), (602, 2));
            drop(user);
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(calls.get(), 3, "the last tick is after the last use");
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
