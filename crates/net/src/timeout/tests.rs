use std::future::pending;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, advance, sleep};

use super::{Elapsed, timeout};

const TEN: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn elapses_when_the_future_stays_pending() {
    let began = Instant::now();
    assert_eq!(timeout(TEN, pending::<()>()).await, Err(Elapsed));
    assert_eq!(began.elapsed(), TEN);
    let quick = timeout(Duration::ZERO, async { 7 });
    assert_eq!(quick.await, Ok(7), "a ready future needs no time");
}

#[tokio::test(start_paused = true)]
async fn pause_does_not_count() {
    let asked = timeout(TEN, async {
        // The peer answers a second after the pause.
        sleep(Duration::from_secs(101)).await;
        7
    });
    let script = async {
        yield_now().await;
        advance(Duration::from_secs(100)).await;
    };
    assert_eq!(tokio::join!(asked, script).0, Ok(7));
}

#[tokio::test(start_paused = true)]
async fn time_before_and_after_a_pause_counts() {
    let began = Instant::now();
    let asked = timeout(TEN, pending::<()>());
    let script = async {
        sleep(Duration::from_secs(6)).await;
        advance(Duration::from_secs(100)).await;
    };
    assert_eq!(tokio::join!(asked, script).0, Err(Elapsed));
    // At most one part of the timeout starts again.
    let counted = began.elapsed() - Duration::from_secs(100);
    assert!(
        counted >= TEN && counted <= TEN + TEN / 4,
        "{counted:?} counted"
    );
}

#[tokio::test(start_paused = true)]
async fn future_is_polled_once_more_before_the_timeout() {
    let heard = Notify::new();
    let asked = timeout(TEN, heard.notified());
    let peer = async {
        // Ready together with the timeout, and polled after it.
        sleep(TEN).await;
        heard.notify_one();
    };
    assert_eq!(tokio::join!(asked, peer).0, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn timeout_can_be_infinite() {
    let asked = timeout(Duration::MAX, async {
        sleep(TEN).await;
        7
    });
    assert_eq!(asked.await, Ok(7));
}
