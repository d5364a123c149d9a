//! Waiting for the end of a change.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::look::Glance;

/// A change is read after this much time without writes: editors write in several steps, and `git` writes one file
/// after another.
pub(super) const QUIET: Duration = Duration::from_millis(200);
/// An editor truncates a file before it writes: wait this long for the content. A busy disk takes more than a second
/// between the two, and nearly nobody empties a file on purpose.
const EMPTY: Duration = Duration::from_secs(3);
/// Read the files after this time even while they change.
const NEVER_QUIET: Duration = Duration::from_secs(5);

/// Waits until the files, which looked like `before` when they were read, stop changing.
pub(super) async fn settle(before: Glance, mut glance: impl FnMut() -> Glance) {
    let start = Instant::now();
    let mut last = glance();
    while last != before {
        sleep(QUIET).await;
        let now = glance();
        let patience = if now.empty > before.empty {
            EMPTY
        } else {
            Duration::ZERO
        };
        let waited = start.elapsed();
        if now == last && waited >= patience || waited >= NEVER_QUIET {
            return;
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it takes to settle when files change at these times, in milliseconds, and are empty or not from
    /// then on.
    async fn settled_after(changes: &[(u64, usize)]) -> u64 {
        let start = Instant::now();
        let glance = || {
            let now = start.elapsed().as_millis() as u64;
            let past = changes.iter().filter(|(at, _)| *at <= now);
            past.enumerate().last().map_or_else(
                || Glance::new(0, 0),
                |(n, (_, empty))| Glance::new(n as u64 + 1, *empty),
            )
        };
        settle(Glance::new(0, 0), glance).await;
        start.elapsed().as_millis() as u64
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_over_once_it_is_quiet() {
        assert_eq!(settled_after(&[]).await, 0, "no change");
        assert_eq!(settled_after(&[(0, 0)]).await, 200);
        let checkout: Vec<(u64, usize)> = (0..15).map(|n| (n * 100, 0)).collect();
        assert_eq!(settled_after(&checkout).await, 1600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_was_truncated_gets_time_for_its_content() {
        assert_eq!(settled_after(&[(0, 1), (1500, 0)]).await, 1800);
        assert_eq!(settled_after(&[(0, 1)]).await, 3000, "it stays empty");
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_rests_is_taken_up_all_the_same() {
        let always: Vec<(u64, usize)> = (0..1000).map(|n| (n * 100, 0)).collect();
        assert_eq!(settled_after(&always).await, 5000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_as_before_again_has_not_changed() {
        let start = Instant::now();
        let mut glances = [1, 2, 0].into_iter();
        settle(Glance::new(0, 0), || {
            Glance::new(glances.next().unwrap(), 0)
        })
        .await;
        assert_eq!(start.elapsed(), QUIET * 2);
    }
}
