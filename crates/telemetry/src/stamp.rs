use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::field::digits;

/// Writes timestamps for access logs (`2018-07-02T22:23:00.186641Z`). Caches the text of the last second,
/// so that a busy worker computes the calendar date only once a second.
#[derive(Clone, Debug)]
pub(crate) struct Timestamps {
    second: u64,
    text: [u8; LENGTH],
}

const LENGTH: usize = "2018-07-02T22:23:00".len();
const DAY: u64 = 86_400;
/// 9999-12-31T23:59:59: the last second of a four-digit year.
const LAST: u64 = 253_402_300_799;

impl Default for Timestamps {
    fn default() -> Self {
        Self {
            second: 0,
            text: *b"1970-01-01T00:00:00",
        }
    }
}

impl Timestamps {
    /// Appends `time` in UTC with microseconds.
    pub(crate) fn write(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.second(since, out);
        out.push(b'.');
        out.extend_from_slice(&digits::<6>(since.subsec_micros()));
        out.push(b'Z');
    }

    /// Appends `time` in UTC without fraction and time zone, as in the access logs of NLBs.
    pub(crate) fn write_seconds(&mut self, time: SystemTime, out: &mut Vec<u8>) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        self.second(since, out);
    }

    fn second(&mut self, since: Duration, out: &mut Vec<u8>) {
        let second = since.as_secs().min(LAST);
        if second != self.second {
            self.second = second;
            self.text = calendar(second);
        }
        out.extend_from_slice(&self.text);
    }
}

/// Date and time in the proleptic Gregorian calendar. Years start on 1 March, so that they end with the leap day.
fn calendar(second: u64) -> [u8; LENGTH] {
    let (days, time) = (second / DAY, (second % DAY) as u32);
    let days = days + 719_468; // from 0000-03-01 to 1970-01-01
    let (era, day) = (days / 146_097, days % 146_097); // 400 years
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = (day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100)) as u32;
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = (era * 400 + year_of_era) as u32 + carry;

    let mut text = *b"0000-00-00T00:00:00";
    text[..4].copy_from_slice(&digits::<4>(year));
    text[5..7].copy_from_slice(&digits::<2>(month));
    text[8..10].copy_from_slice(&digits::<2>(day));
    text[11..13].copy_from_slice(&digits::<2>(time / 3_600));
    text[14..16].copy_from_slice(&digits::<2>(time / 60 % 60));
    text[17..].copy_from_slice(&digits::<2>(time % 60));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stamp(stamps: &mut Timestamps, second: u64, micros: u32) -> String {
        let mut out = Vec::new();
        let time = UNIX_EPOCH + Duration::new(second, micros * 1_000);
        stamps.write(time, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn known_times() {
        let mut stamps = Timestamps::default();
        for (second, micros, text) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (951_782_399, 999_999, "2000-02-28T23:59:59.999999Z"),
            (951_782_400, 1, "2000-02-29T00:00:00.000001Z"),
            (1_530_570_180, 186_641, "2018-07-02T22:23:00.186641Z"),
            (1_530_570_180, 7, "2018-07-02T22:23:00.000007Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000Z"),
            (LAST, 0, "9999-12-31T23:59:59.000000Z"),
            (LAST + 1, 0, "9999-12-31T23:59:59.000000Z"),
        ] {
            assert_eq!(stamp(&mut stamps, second, micros), text);
        }
    }

    #[test]
    fn time_before_the_epoch_is_written_as_the_epoch() {
        let mut out = Vec::new();
        Timestamps::default().write(UNIX_EPOCH - Duration::from_secs(5), &mut out);
        assert_eq!(out, b"1970-01-01T00:00:00.000000Z");
    }

    proptest! {
        #[test]
        fn agrees_with_jiff(second in 0..LAST, micros in 0u32..1_000_000) {
            let text = stamp(&mut Timestamps::default(), second, micros);
            let theirs = jiff::Timestamp::new(second as i64, (micros * 1_000) as i32).unwrap();
            prop_assert_eq!(text, format!("{theirs:.6}"));
        }
    }
}
