use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::SharedCounter;

/// The requests and connections of a Classic load balancer that wait for a connection to an instance (CLB guide:
/// CloudWatch metrics, SurgeQueueLength and SpilloverCount).
#[derive(Debug)]
pub struct SurgeQueue {
    name: Arc<str>,
    waiting: AtomicU64,
    spilled: SharedCounter,
}

impl SurgeQueue {
    /// How many may wait (CLB guide: CloudWatch metrics).
    pub const MAX: u64 = 1_024;

    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            waiting: AtomicU64::new(0),
            spilled: SharedCounter::default(),
        }
    }

    /// A place in the queue until it is dropped; `None`, and counted, when the queue is full.
    pub fn enter(self: &Arc<Self>) -> Option<Waiting> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= Self::MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.spilled.increment();
            return None;
        }
        Some(Waiting(Arc::clone(self)))
    }

    /// The load balancer.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many wait (SurgeQueueLength).
    pub fn length(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// How many found the queue full (SpilloverCount).
    pub fn spilled(&self) -> u64 {
        self.spilled.get()
    }
}

/// A place in a [`SurgeQueue`].
#[derive(Debug)]
pub struct Waiting(Arc<SurgeQueue>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Parity check 40.
    #[test]
    fn the_request_after_1024_finds_no_place() {
        let queue = Arc::new(SurgeQueue::new("old".into()));
        let mut places: Vec<_> = (0..1_024).map(|_| queue.enter().unwrap()).collect();
        assert_eq!((queue.length(), queue.spilled()), (1_024, 0));
        assert!(queue.enter().is_none());
        assert_eq!((queue.length(), queue.spilled()), (1_024, 1));
        places.pop();
        assert!(queue.enter().is_some());
        assert_eq!((queue.length(), queue.spilled()), (1_023, 1));
    }
}
