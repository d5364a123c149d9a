use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::rc::Rc;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::Buffers;
use crate::pipe::Pipes;
use crate::timer::{TICK, Timers};

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
    draining: Cell<bool>,
    random: Cell<u64>,
}

impl Worker {
    /// The worker of this thread.
    pub fn new(id: usize) -> Rc<Self> {
        Rc::new(Self {
            id,
            timers: Timers::new(),
            buffers: Buffers::new(),
            pipes: Pipes::new(),
            draining: Cell::new(false),
            // The standard library takes its keys from the operating system.
            random: Cell::new(RandomState::new().build_hasher().finish()),
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

    /// Starts to drain, and tells every connection.
    pub fn drain(&self) {
        self.draining.set(true);
        self.timers.wake_all();
    }

    /// Keeps the clock going, and calls `on_tick` every tick. Never ends; drop it to stop.
    pub async fn run_ticks(self: Rc<Self>, mut on_tick: impl FnMut()) {
        let start = Instant::now();
        let offset = self.timers.now();
        let mut ticks = interval(TICK);
        // After a stall the clock jumps once instead of ticking quickly.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            let elapsed = ticks.tick().await.duration_since(start).as_millis() / TICK.as_millis();
            let now = offset.saturating_add(u64::try_from(elapsed).unwrap_or(u64::MAX));
            self.timers.advance(now.max(self.timers.now()));
            on_tick();
        }
    }
}
