//! Back-off between retries.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The wait before the second attempt.
const FIRST: Duration = Duration::from_millis(200);
/// The longest wait: after an outage, the next attempt comes no later than this.
const LONGEST: Duration = Duration::from_secs(15);

/// Exponential back-off with jitter, so that clients that lost the same server do not all reconnect at once.
#[derive(Clone, Debug)]
pub(crate) struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl BackOff {
    /// The wait before the next attempt; doubles with each call.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        spread(now)
    }

    /// Starts again from the shortest wait, after a success.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A random time between half of `time` and `time`.
pub(crate) fn spread(time: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    time.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_with_jitter() {
        let mut back_off = BackOff::default();
        let mut bound = FIRST;
        for _ in 0..20 {
            let wait = back_off.next();
            assert!(wait >= bound / 2 && wait <= bound, "{wait:?} of {bound:?}");
            bound = (bound * 2).min(LONGEST);
        }
        assert_eq!(bound, LONGEST);
        let waits: Vec<Duration> = (0..8).map(|_| back_off.next()).collect();
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
        back_off.reset();
        assert!(back_off.next() <= FIRST);
    }
}
