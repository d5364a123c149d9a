//! How long to wait before something that failed is tried again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Before the second attempt.
const FIRST: Duration = Duration::from_millis(200);
/// Between attempts when many have failed: the first after an outage is no later.
const LONGEST: Duration = Duration::from_secs(15);

/// Times that double, spread at random, so that those who lost the same server do not all come back at once.
#[derive(Clone, Debug)]
pub(crate) struct BackOff(Duration);

impl Default for BackOff {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl BackOff {
    /// How long to wait now; longer the next time.
    pub(crate) fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(LONGEST);
        spread(now)
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Between one half and the whole of `time`.
pub(crate) fn spread(time: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish();
    let part = f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    time.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_double_up_to_the_longest_and_are_spread() {
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
