//! The `Date` header, formatted once per second.

use std::cell::Cell;
use std::time::{SystemTime, UNIX_EPOCH};

/// An HTTP date, e.g. `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    /// The date `seconds` after the epoch.
    pub fn from_unix(seconds: u64) -> Self {
        const DAYS: &[u8; 21] = b"ThuFriSatSunMonTueWed";
        const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
        let days = seconds / 86_400;
        let (year, month, day) = civil(days);
        let mut text = *b"ddd, 00 mmm 0000 00:00:00 GMT";
        let mut put = |at: usize, bytes: &[u8]| {
            for (slot, byte) in text.iter_mut().skip(at).zip(bytes) {
                *slot = *byte;
            }
        };
        put(0, name(DAYS, days % 7));
        put(5, &two_digits(day));
        put(8, name(MONTHS, month - 1));
        put(12, &two_digits(year / 100));
        put(14, &two_digits(year % 100));
        put(17, &two_digits(seconds / 3600 % 24));
        put(20, &two_digits(seconds / 60 % 60));
        put(23, &two_digits(seconds % 60));
        Self(text)
    }

    /// As in the header.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn name(names: &[u8], index: u64) -> &[u8] {
    names
        .chunks(3)
        .nth(usize::try_from(index).unwrap_or_default())
        .unwrap_or_default()
}

fn two_digits(value: u64) -> [u8; 2] {
    let digit = |n: u64| b'0' + u8::try_from(n % 10).unwrap_or_default();
    [digit(value / 10), digit(value)]
}

/// Year, month and day of a day since the epoch, in the proleptic Gregorian calendar: years are
/// counted from March, in eras of 400, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// The time now, in seconds since the epoch.
pub(crate) fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// One per worker: the current date, formatted when the second changes.
#[derive(Debug)]
pub struct DateCache(Cell<(u64, HttpDate)>);

impl Default for DateCache {
    fn default() -> Self {
        Self(Cell::new((0, HttpDate::from_unix(0))))
    }
}

impl DateCache {
    /// The date now.
    pub fn now(&self) -> HttpDate {
        self.at(unix_now())
    }

    /// The date `seconds` after the epoch, for callers that read the clock anyway.
    pub fn at(&self, seconds: u64) -> HttpDate {
        let (second, date) = self.0.get();
        if second == seconds {
            return date;
        }
        let date = HttpDate::from_unix(seconds);
        self.0.set((seconds, date));
        date
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(seconds: u64) -> String {
        String::from_utf8(HttpDate::from_unix(seconds).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn dates_are_right_around_leap_days_and_year_ends() {
        let table = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ];
        for (seconds, expected) in table {
            assert_eq!(text(seconds), expected);
        }
    }

    #[test]
    fn cache_follows_the_second() {
        let cache = DateCache::default();
        assert_eq!(cache.at(0), HttpDate::from_unix(0));
        assert_eq!(cache.at(59), HttpDate::from_unix(59));
        assert_eq!(cache.at(59), HttpDate::from_unix(59));
        assert_eq!(cache.at(60), HttpDate::from_unix(60));
    }
}
