use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;

use super::*;

fn large() -> (Large, Arc<Telemetry>) {
    let telemetry = Telemetry::new(1);
    (Large::new(Arc::clone(&telemetry)), telemetry)
}

#[tokio::test]
async fn a_small_answer_has_its_length_and_a_large_one_comes_in_pieces() {
    let (large, _) = large();
    let small = large.answer(|sink| Ok(sink.write_str("hello")?)).await;
    let small = small.unwrap();
    assert_eq!(small.size_hint().exact(), Some(5));
    assert_eq!(small.collect().await.unwrap().to_bytes(), "hello");

    let line = "0123456789abcdef\n";
    let times = 3 * PIECE / line.len();
    let write = move |sink: &mut Sink| {
        for _ in 0..times {
            sink.write_str(line)?;
        }
        Ok(())
    };
    let content = large.answer(write).await.unwrap();
    assert_eq!(content.size_hint().exact(), None);
    assert_eq!(
        content.collect().await.unwrap().to_bytes(),
        line.repeat(times)
    );
}

#[tokio::test]
async fn an_answer_is_made_on_another_thread_than_that_of_probes() {
    let (large, _) = large();
    let probes = std::thread::current().id();
    let write = move |sink: &mut Sink| {
        let own = std::thread::current().id();
        Ok(write!(sink, "{}", own != probes)?)
    };
    let content = large.answer(write).await.unwrap();
    assert_eq!(content.collect().await.unwrap().to_bytes(), "true");
}

#[tokio::test]
async fn an_answer_that_cannot_be_made_is_an_error_and_never_a_part() {
    let (large, _) = large();
    let failed = large.answer(|_| Err(Gone)).await;
    assert_eq!(failed.err(), Some(Trouble::Failed));
    let midway = large
        .answer(|sink| {
            sink.push(&[b'a'; PIECE])?;
            Err(Gone)
        })
        .await;
    assert!(midway.unwrap().collect().await.is_err());
}

/// Until it is read, no more than the pieces that wait are made; when the client has gone, nothing more is.
#[tokio::test]
async fn a_client_that_does_not_read_costs_a_few_pieces() {
    let (large, telemetry) = large();
    let made = Arc::new(AtomicUsize::new(0));
    let endless = || {
        let made = Arc::clone(&made);
        move |sink: &mut Sink| {
            loop {
                sink.push(&[b'a'; PIECE])?;
                made.fetch_add(1, Ordering::SeqCst);
            }
        }
    };
    let mut unread = Vec::new();
    for _ in 0..AT_A_TIME {
        unread.push(large.answer(endless()).await.unwrap());
    }
    // One that was received, and those that wait.
    let most = AT_A_TIME * (1 + PIECES);
    while made.load(Ordering::SeqCst) < most {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    let fifth = large.clone();
    let fifth = tokio::spawn(async move { fifth.answer(|_| Ok(())).await.err() });
    tokio::task::yield_now().await;
    // Timers are coarse to a millisecond.
    tokio::time::advance(TURN + Duration::from_millis(1)).await;
    assert_eq!(fifth.await.unwrap(), Some(Trouble::Busy));
    assert_eq!(telemetry.shed.get(ShedReason::AdminAnswers), 1);
    assert_eq!(made.load(Ordering::SeqCst), most);
    tokio::time::resume();
    drop(unread);
    let next = large.answer(|sink| Ok(sink.write_str("hello")?)).await;
    assert!(next.is_ok());
}
