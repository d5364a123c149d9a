use std::sync::{Arc, OnceLock};

use crate::{ClassCounts, Counter, Histogram, SharedCounter};

/// The metrics of one target group, apart from those of its targets.
#[derive(Debug)]
pub struct GroupMetrics {
    name: Arc<str>,
    workers: Box<[OnceLock<Arc<GroupCells>>]>,
    /// Health checks that passed.
    pub health_checks_passed: SharedCounter,
    /// Health checks that failed.
    pub health_checks_failed: SharedCounter,
    /// Health checks skipped because elbow was out of a resource.
    pub health_checks_skipped: SharedCounter,
}

impl GroupMetrics {
    pub(crate) fn new(name: Arc<str>, workers: usize) -> Self {
        Self {
            name,
            workers: (0..workers.max(1)).map(|_| OnceLock::new()).collect(),
            health_checks_passed: SharedCounter::default(),
            health_checks_failed: SharedCounter::default(),
            health_checks_skipped: SharedCounter::default(),
        }
    }

    /// Name of the group.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The cells of worker `id`, which only that worker may write. A worker has none before its first request.
    pub fn worker(&self, id: usize) -> &Arc<GroupCells> {
        // There is at least one worker, and every ID is less than their number.
        self.workers[id % self.workers.len()].get_or_init(Arc::default)
    }

    /// The cells of all workers, for reading. Empty before the first request.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &GroupCells> {
        self.workers
            .iter()
            .filter_map(|cells| Some(&**cells.get()?))
    }
}

/// What one worker counts for the requests of one target group. The corresponding AWS metric, in the dimension
/// TargetGroup, is in parentheses.
///
/// Aligned to two cache lines (the unit that CPUs fetch), so that workers share none.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct GroupCells {
    /// Requests for which a target was chosen (RequestCount).
    pub requests: Counter,
    /// Responses of targets (HTTPCode_Target_2XX_Count and the like).
    pub responses: ClassCounts,
    /// Time from request sent to first byte of the response (TargetResponseTime).
    pub response_time: Histogram,
    /// Connections to targets that could not be opened (TargetConnectionErrorCount).
    pub connect_errors: Counter,
    /// Failed TLS handshakes with targets (TargetTLSNegotiationErrorCount).
    pub tls_errors: Counter,
}
