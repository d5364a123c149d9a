//! Lines on their way to the thread that writes them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Batches that wake the thread without a flush. To wake it for each would cost as much as to write it.
pub(super) const WAKE: usize = 4;

/// Buffers that are kept for the next batches.
const SPARES: usize = WAKE;

/// Whole lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

/// Batches for one thread, at most as many as its capacity.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// Notified when the thread has to look.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    batches: VecDeque<Batch>,
    /// Empty buffers of written batches. The caches of the processor may still hold the last one.
    spares: Vec<Vec<u8>>,
    is_waiting: bool,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Queues `batch`, and returns a buffer for the next one, perhaps without memory. The thread takes the batch after the next
    /// [`Self::wake`], or when several wait.
    ///
    /// # Errors
    /// Returns `batch` if the queue is full or closed.
    pub(super) fn push(&self, batch: Batch) -> Result<Vec<u8>, Batch> {
        let mut state = self.lock();
        if state.is_closed || state.batches.len() >= self.capacity {
            return Err(batch);
        }
        state.batches.push_back(batch);
        let spare = state.spares.pop().unwrap_or_default();
        if state.batches.len() >= WAKE {
            self.notify(state);
        }
        Ok(spare)
    }

    /// Wakes the thread if batches wait.
    pub(super) fn wake(&self) {
        let state = self.lock();
        if !state.batches.is_empty() {
            self.notify(state);
        }
    }

    /// Takes no further batches.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        self.notify(state);
    }

    /// Keeps the buffers of `batches`, which are written, and replaces them by the next ones. Waits for them if there are none;
    /// returns `false` when the queue is closed and empty.
    pub(super) fn take(&self, batches: &mut VecDeque<Batch>) -> bool {
        let mut state = self.lock();
        for Batch { mut bytes, .. } in batches.drain(..) {
            if state.spares.len() < SPARES {
                bytes.clear();
                state.spares.push(bytes);
            }
        }
        while state.batches.is_empty() {
            if state.is_closed {
                return false;
            }
            state.is_waiting = true;
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
            state.is_waiting = false;
        }
        let count = state.batches.len().min(WAKE);
        batches.extend(state.batches.drain(..count));
        true
    }

    /// Calls the kernel only if the thread waits.
    fn notify(&self, state: MutexGuard<'_, State>) {
        let is_waiting = state.is_waiting;
        drop(state);
        if is_waiting {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it inconsistent: each change is a single step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
