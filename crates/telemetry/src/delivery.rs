use std::sync::atomic::{AtomicU64, Ordering};

use crate::SharedCounter;

/// Counts the delivery of log files.
#[derive(Debug, Default)]
pub struct DeliveryCounts {
    /// Files delivered.
    pub files: SharedCounter,
    /// Lines in them.
    pub lines: SharedCounter,
    /// Lines that were lost: no memory was left for them, their bucket is not configured, or it did not take them until
    /// the end of the process.
    pub dropped: SharedCounter,
    /// Attempts that failed; each is repeated.
    pub failures: SharedCounter,
    /// Bytes in memory that wait for the end of an interval or for a bucket.
    held: AtomicU64,
}

impl DeliveryCounts {
    /// Bytes in memory.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Adds bytes in memory.
    pub fn hold(&self, bytes: usize) {
        self.held.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Subtracts bytes that are delivered or lost.
    pub fn release(&self, bytes: usize) {
        self.held.fetch_sub(bytes as u64, Ordering::Relaxed);
    }
}
