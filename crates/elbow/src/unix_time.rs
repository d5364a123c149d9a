//! Unix time in seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time since 1970; zero while the clock is set before it, when no certificate is valid anyway.
pub(crate) fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// The current time, in seconds.
pub(crate) fn now() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

/// The day of `time` (in seconds) as YYYY-MM-DD, in UTC.
pub(crate) fn date(time: i64) -> String {
    jiff::Timestamp::from_second(time)
        .map_or_else(|_| time.to_string(), |t| t.strftime("%Y-%m-%d").to_string())
}
