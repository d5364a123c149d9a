use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;

use super::*;

fn large() -> (Large, Arc<Telemetry>) {
    let telemetry = Telemetry::new(1);
    (Large::new(Arc::clone(&telemetry)), telemetry)
}

#[tokio::test]
async fn small_answer_has_a_length_and_large_answer_is_streamed() {
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
async fn answer_is_produced_on_another_thread() {
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
async fn failed_answer_is_an_error_and_never_truncated() {
    let (large, _) = large();
    let failed = large.answer(|_| Err(Gone)).await;
    assert_eq!(failed.err(), Some(AnswerError::Failed));
    let midway = large
        .answer(|sink| {
            sink.push(&[b'a'; PIECE])?;
            Err(Gone)
        })
        .await;
    assert!(midway.unwrap().collect().await.is_err());
}

/// Only a few pieces are produced until the client reads, and none once it is gone.
#[tokio::test]
async fn unread_answer_costs_a_few_pieces() {
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
    for _ in 0..MAX_ANSWERS {
        unread.push(large.answer(endless()).await.unwrap());
    }
    // One received piece per answer, and those that wait.
    let most = MAX_ANSWERS * (1 + PIECES);
    while made.load(Ordering::SeqCst) < most {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    let fifth = large.clone();
    let fifth = tokio::spawn(async move { fifth.answer(|_| Ok(())).await.err() });
    tokio::task::yield_now().await;
    // Timers have a resolution of a millisecond.
    tokio::time::advance(QUEUE_TIMEOUT + Duration::from_millis(1)).await;
    assert_eq!(fifth.await.unwrap(), Some(AnswerError::Busy));
    assert_eq!(telemetry.shed.get(ShedReason::AdminAnswers), 1);
    assert_eq!(made.load(Ordering::SeqCst), most);
    tokio::time::resume();
    drop(unread);
    let next = large.answer(|sink| Ok(sink.write_str("hello")?)).await;
    assert!(next.is_ok());
}
