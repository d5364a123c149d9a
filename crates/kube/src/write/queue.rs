//! What is to be written when: the latest of each job, one at a time per job, later and later while it fails.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// The wait after a first failure; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Jobs by when they are due.
pub(super) struct Queue<J> {
    due: BTreeMap<J, Instant>,
    at_work: BTreeSet<J>,
    failures: HashMap<J, u32>,
}

impl<J: Clone + Ord + Hash> Queue<J> {
    pub(super) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            at_work: BTreeSet::new(),
            failures: HashMap::new(),
        }
    }

    /// Has `job` done at `at`, or earlier if that was asked for before.
    pub(super) fn put(&mut self, job: J, at: Instant) {
        let due = self.due.entry(job).or_insert(at);
        *due = (*due).min(at);
    }

    /// Whether `job` is still to be done, or again.
    pub(super) fn holds(&self, job: &J) -> bool {
        self.due.contains_key(job)
    }

    /// A job that is due and not at work.
    pub(super) fn take(&mut self, now: Instant) -> Option<J> {
        let ready = |(job, at): &(&J, &Instant)| **at <= now && !self.at_work.contains(*job);
        let job = self.due.iter().find(ready)?.0.clone();
        self.due.remove(&job);
        self.at_work.insert(job.clone());
        Some(job)
    }

    /// When [`Self::take`] has something next, unless something changes.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self
            .due
            .iter()
            .filter(|(job, _)| !self.at_work.contains(job));
        waiting.map(|(_, at)| *at).min()
    }

    /// `job` is done.
    pub(super) fn done(&mut self, job: &J) {
        self.at_work.remove(job);
        self.failures.remove(job);
    }

    /// `job` failed and is tried again later.
    pub(super) fn failed(&mut self, job: J, now: Instant) {
        self.at_work.remove(&job);
        let failures = self.failures.entry(job.clone()).or_default();
        let wait = jittered(doubled(FIRST_WAIT, *failures, LONGEST_WAIT));
        *failures = failures.saturating_add(1);
        self.put(job, now + wait);
    }

    /// `job` waits for something until `at`.
    pub(super) fn postponed(&mut self, job: J, at: Instant) {
        self.at_work.remove(&job);
        self.put(job, at);
    }

    /// Forgets what is at work and what waits.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// `first`, doubled `times` times, `longest` at most.
pub(super) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(times);
    first.saturating_mul(factor).min(longest)
}

/// Up to a fifth more or less, so that what failed together is not tried together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    // What the random state of a map starts from is random enough here.
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
    let fraction = (random % 1000) as f64 / 1000.0;
    wait.mul_f64(0.8 + 0.4 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_done_by_one_at_a_time_and_again_when_asked_for_meanwhile() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.put("a", now);
        queue.put("a", now + Duration::from_secs(9));
        assert_eq!(queue.take(now), Some("a"));
        assert!(!queue.holds(&"a"));
        queue.put("a", now);
        assert!(queue.holds(&"a"));
        assert_eq!(queue.take(now), None);
        assert_eq!(queue.next(), None);
        queue.done(&"a");
        assert_eq!(queue.take(now), Some("a"));
        queue.done(&"a");
        assert_eq!(queue.take(now + LONGEST_WAIT), None);
    }

    #[test]
    fn a_job_that_fails_waits_twice_as_long_each_time() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.put("a", now);
        for _ in 0..20 {
            let at = queue.next().unwrap();
            assert!(at <= now + LONGEST_WAIT.mul_f64(1.2));
            queue.take(at);
            queue.failed("a", now);
        }
        assert!(queue.next().unwrap() >= now + LONGEST_WAIT.mul_f64(0.8));
        // A change does not wait for that.
        queue.put("a", now);
        assert_eq!(queue.take(now), Some("a"));
        queue.done(&"a");
        queue.put("a", now);
        queue.take(now);
        queue.failed("a", now);
        assert!(queue.next().unwrap() <= now + FIRST_WAIT.mul_f64(1.2));
    }

    #[test]
    fn waits_double_up_to_a_longest() {
        let wait = |times| doubled(FIRST_WAIT, times, LONGEST_WAIT);
        assert_eq!(wait(0), FIRST_WAIT);
        assert_eq!(wait(3), FIRST_WAIT * 8);
        assert_eq!(wait(u32::MAX), LONGEST_WAIT);
    }
}
