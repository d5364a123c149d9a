//! The queue of writes: the latest of each job, one at a time per job, with back-off after failures.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// The wait after the first failure; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// The longest wait after failures.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Jobs with the times when they are due.
pub(super) struct Queue<J> {
    due: BTreeMap<J, Instant>,
    /// Those that are not at work, by time.
    ready: BTreeSet<(Instant, J)>,
    at_work: BTreeSet<J>,
    failures: HashMap<J, u32>,
}

impl<J: Clone + Ord + Hash> Queue<J> {
    pub(super) fn new() -> Self {
        Self {
            due: BTreeMap::new(),
            ready: BTreeSet::new(),
            at_work: BTreeSet::new(),
            failures: HashMap::new(),
        }
    }

    /// Queues `job` for `at`; an earlier time that is already queued stays.
    pub(super) fn put(&mut self, job: J, at: Instant) {
        let before = self.due.get(&job).copied();
        if before.is_some_and(|before| before <= at) {
            return;
        }
        if !self.at_work.contains(&job) {
            if let Some(before) = before {
                self.ready.remove(&(before, job.clone()));
            }
            self.ready.insert((at, job.clone()));
        }
        self.due.insert(job, at);
    }

    /// Whether `job` is queued.
    pub(super) fn holds(&self, job: &J) -> bool {
        self.due.contains_key(job)
    }

    /// Takes the job that has been due for the longest time and is not at work.
    pub(super) fn take(&mut self, now: Instant) -> Option<J> {
        self.ready.first().filter(|(at, _)| *at <= now)?;
        let (_, job) = self.ready.pop_first()?;
        self.due.remove(&job);
        self.at_work.insert(job.clone());
        Some(job)
    }

    /// When [`Self::take`] next returns a job, unless the queue changes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.ready.first().map(|(at, _)| *at)
    }

    /// Lets `job` run again.
    fn end(&mut self, job: &J) {
        self.at_work.remove(job);
        if let Some(at) = self.due.get(job) {
            self.ready.insert((*at, job.clone()));
        }
    }

    /// Records that `job` succeeded.
    pub(super) fn done(&mut self, job: &J) {
        self.end(job);
        self.failures.remove(job);
    }

    /// Records that `job` failed, and queues it with back-off.
    pub(super) fn failed(&mut self, job: J, now: Instant) {
        self.end(&job);
        let failures = self.failures.entry(job.clone()).or_default();
        let wait = jittered(doubled(FIRST_WAIT, *failures, LONGEST_WAIT));
        *failures = failures.saturating_add(1);
        self.put(job, now + wait);
    }

    /// Queues `job` again for `at`.
    pub(super) fn postponed(&mut self, job: J, at: Instant) {
        self.end(&job);
        self.put(job, at);
    }

    /// Forgets all jobs.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}

/// `first`, doubled `times` times, but at most `longest`.
pub(super) fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    let factor = 2_u32.saturating_pow(times);
    first.saturating_mul(factor).min(longest)
}

/// Up to a fifth more or less, so that jobs that failed together are not retried together.
pub(crate) fn jittered(wait: Duration) -> Duration {
    // The seed of a map's random state is random enough here.
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0_u8);
    let fraction = (random % 1000) as f64 / 1000.0;
    wait.mul_f64(0.8 + 0.4 * fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_runs_once_at_a_time_and_again_if_queued_meanwhile() {
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
    fn the_job_that_waits_longest_is_taken_first() {
        let now = Instant::now();
        let mut queue = Queue::new();
        queue.put("a", now + Duration::from_secs(2));
        queue.put("b", now + Duration::from_secs(1));
        queue.put("c", now + Duration::from_secs(3));
        // An earlier time counts.
        queue.put("c", now);
        let late = now + Duration::from_secs(9);
        assert_eq!(queue.take(now - Duration::from_secs(1)), None);
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(late)).collect();
        assert_eq!(taken, ["c", "b", "a"]);
        queue.put("b", late);
        queue.postponed("b", now);
        assert_eq!(queue.next(), Some(now));
        assert_eq!(queue.take(now), Some("b"));
        assert_eq!(queue.take(late), None);
    }

    #[test]
    fn failing_job_waits_twice_as_long_each_time() {
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
        // A change does not wait for the back-off.
        queue.put("a", now);
        assert_eq!(queue.take(now), Some("a"));
        queue.done(&"a");
        queue.put("a", now);
        queue.take(now);
        queue.failed("a", now);
        assert!(queue.next().unwrap() <= now + FIRST_WAIT.mul_f64(1.2));
    }

    #[test]
    fn back_off_doubles_up_to_the_longest_wait() {
        let wait = |times| doubled(FIRST_WAIT, times, LONGEST_WAIT);
        assert_eq!(wait(0), FIRST_WAIT);
        assert_eq!(wait(3), FIRST_WAIT * 8);
        assert_eq!(wait(u32::MAX), LONGEST_WAIT);
    }
}
