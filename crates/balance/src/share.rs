//! How much of its normal share of requests a target gets.

use std::time::{Duration, Instant};

/// A part of the requests that a target normally gets, from none to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// No request.
    pub const NONE: Self = Self(0);
    /// As many as any other target.
    pub const FULL: Self = Self(1 << BITS);

    /// `part` of `whole`, at most [`Self::FULL`].
    ///
    /// ```
    /// use elbow_balance::Share;
    ///
    /// assert_eq!(Share::ratio(1, 4).percent(), 25);
    /// assert_eq!(Share::ratio(5, 4), Share::FULL);
    /// ```
    pub fn ratio(part: u128, whole: u128) -> Self {
        let scaled = (part << BITS).checked_div(whole);
        let parts = scaled.and_then(|parts| u32::try_from(parts).ok());
        parts.map_or(Self::FULL, |parts| Self(parts).min(Self::FULL))
    }

    /// Whether nothing is held back.
    pub fn is_full(self) -> bool {
        self == Self::FULL
    }

    /// In percent, rounded.
    pub fn percent(self) -> u32 {
        (self.0 * 100 + Self::FULL.0 / 2) >> BITS
    }

    /// Whether a turn with this random number is one of the share.
    pub(crate) fn takes(self, random: u64) -> bool {
        random & u64::from(Self::FULL.0 - 1) < u64::from(self.0)
    }

    /// The share in units of 1/65,536 of [`Self::FULL`].
    pub(crate) const fn parts(self) -> u32 {
        self.0
    }

    pub(crate) fn from_parts(parts: u32) -> Self {
        Self(parts).min(Self::FULL)
    }
}

/// The resolution of a share.
const BITS: u32 = 16;

/// The slow start of one target: its share grows linearly (ALB guide: edit target group attributes, slow start).
#[derive(Clone, Copy, Debug)]
pub struct SlowStart {
    began: Instant,
    duration: Duration,
}

impl SlowStart {
    /// A slow start that begins now, at `began`.
    pub fn new(began: Instant, duration: Duration) -> Self {
        Self { began, duration }
    }

    /// The share of the target at `now`; [`Share::FULL`] once the slow start is over.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use elbow_balance::{Share, SlowStart};
    ///
    /// let began = Instant::now();
    /// let slow_start = SlowStart::new(began, Duration::from_secs(40));
    /// assert_eq!(slow_start.share(began), Share::NONE);
    /// assert_eq!(slow_start.share(began + Duration::from_secs(10)), Share::ratio(1, 4));
    /// assert!(slow_start.share(began + Duration::from_secs(40)).is_full());
    /// ```
    pub fn share(&self, now: Instant) -> Share {
        let elapsed = now.saturating_duration_since(self.began);
        Share::ratio(elapsed.as_nanos(), self.duration.as_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_between_none_and_full() {
        for (part, whole, expected) in [
            (0, 7, 0),
            (1, 2, 1 << 15),
            (1, 3, 21_845),
            (65_535, 65_536, 65_535),
            (7, 7, 1 << 16),
            (8, 7, 1 << 16),
            (u128::from(u64::MAX), 1, 1 << 16),
            (0, 0, 1 << 16),
        ] {
            assert_eq!(
                Share::ratio(part, whole).parts(),
                expected,
                "{part}/{whole}"
            );
        }
        assert_eq!(Share::from_parts(70_000), Share::FULL);
        assert_eq!(Share::from_parts(5).parts(), 5);
        assert_eq!(Share::ratio(994, 1000).percent(), 99);
        assert_eq!(Share::ratio(996, 1000).percent(), 100);
        assert!(!Share::ratio(996, 1000).is_full() && Share::FULL.is_full());
    }

    #[test]
    fn as_many_random_numbers_are_taken_as_the_share_has_parts() {
        for share in [Share::NONE, Share::ratio(1, 5), Share::FULL] {
            // The high bits do not matter.
            let numbers = (0..1 << 16).map(|number| number | 0xabcd << 16);
            let taken = numbers.filter(|number| share.takes(*number)).count();
            assert_eq!(taken, share.parts() as usize);
        }
    }

    #[test]
    fn slow_start_is_linear_and_ends() {
        let began = Instant::now();
        let slow_start = SlowStart::new(began, Duration::from_secs(30));
        let at = |seconds| slow_start.share(began + Duration::from_secs(seconds));
        let percents: Vec<u32> = [0, 3, 15, 27, 30, 900].map(|s| at(s).percent()).into();
        assert_eq!(percents, [0, 10, 50, 90, 100, 100]);
        assert!(!at(29).is_full() && at(30).is_full());
        // A clock that another thread read before the slow start began.
        let before = began.checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(slow_start.share(before), Share::NONE);
    }
}
