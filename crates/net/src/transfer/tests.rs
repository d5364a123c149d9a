use std::future::poll_fn;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{BULK, Transfer, TransferError};
use crate::testing::{Opaque, Pattern, pair, settle, soon};
use crate::{Stream, Worker};

const LONG: Duration = Duration::from_secs(60);

/// Forwards a body of `len` bytes.
async fn forward<R: Stream, W: Stream>(
    worker: &Worker,
    from: &mut R,
    to: &mut W,
    len: u64,
) -> Result<(), TransferError> {
    let timer = worker.timers.timer(LONG);
    let mut transfer = Transfer::exact(len);
    poll_fn(|cx| transfer.poll(cx, worker, &timer, from, to)).await
}

/// Sends `len` bytes and then more through a transfer of `len` bytes.
async fn pass<R: Stream, W: Stream>(
    len: usize,
    front: impl FnOnce(tokio::net::TcpStream) -> R,
    back: impl FnOnce(tokio::net::TcpStream) -> W,
) -> bool {
    let worker = Worker::new(0);
    let ((mut sender, from), (to, receiver)) = (pair().await, pair().await);
    let (mut from, mut to) = (front(from), back(to));
    let pattern = Pattern::new(9);
    let sending = async {
        pattern.send(&mut sender, len).await;
        sender.write_all(b"next").await.unwrap();
    };
    let mut body = receiver.take(len as u64);
    let passing = forward(&worker, &mut from, &mut to, len as u64);
    let ((), passed, received) = tokio::join!(sending, soon(passing), pattern.receive(&mut body));
    passed.unwrap();
    assert_eq!(received, len);
    assert_eq!((worker.buffers.in_use(), worker.pipes.out()), (0, 0));
    let mut next = [0; 4];
    soon(from.read_exact(&mut next)).await.unwrap();
    assert_eq!(&next, b"next", "no byte beyond is read");
    worker.pipes.kept() > 0
}

#[tokio::test]
async fn body_is_passed_on_exactly() {
    for len in [0, 1, BULK, 2 * BULK - 1] {
        assert!(
            !pass(len, |s| s, |s| s).await,
            "{len} is too short for a pipe"
        );
    }
    for len in [2 * BULK, 300_001, 64 << 20] {
        assert!(pass(len, |s| s, |s| s).await, "{len} is spliced");
    }
}

#[tokio::test]
async fn tls_body_is_passed_on_exactly() {
    for len in [0, 1, 2 * BULK + 1, 4 << 20] {
        assert!(!pass(len, Opaque::new, |s| s).await);
        assert!(!pass(len, |s| s, Opaque::new).await);
        assert!(!pass(len, Opaque::new, Opaque::new).await);
    }
}

/// Passes on a body of `len` bytes whose sender goes away after `sent` bytes.
async fn cut_short<R: Stream>(
    len: u64,
    sent: usize,
    reset: bool,
    front: impl FnOnce(tokio::net::TcpStream) -> R,
) -> (usize, TransferError) {
    let worker = Worker::new(0);
    let ((mut sender, from), (mut to, mut receiver)) = (pair().await, pair().await);
    let mut from = front(from);
    let pattern = Pattern::new(4);
    let sending = async {
        pattern.send(&mut sender, sent).await;
        if reset {
            sender.set_zero_linger().unwrap();
        }
        drop(sender);
    };
    let passing = async {
        let passed = forward(&worker, &mut from, &mut to, len).await;
        drop(to);
        passed
    };
    let ((), passed, received) =
        tokio::join!(sending, soon(passing), pattern.receive(&mut receiver));
    assert_eq!((worker.buffers.in_use(), worker.pipes.out()), (0, 0));
    (received, passed.unwrap_err())
}

#[tokio::test]
async fn truncated_body_is_a_reader_error() {
    for len in [100_000, 1 << 40] {
        let (received, error) = cut_short(len, 99_999, false, |s| s).await;
        assert_eq!(received, 99_999, "the received bytes are passed on");
        assert!(matches!(error, TransferError::Reader(e) if e.kind() == ErrorKind::UnexpectedEof));
        let (received, error) = cut_short(len, 99_999, false, Opaque::new).await;
        assert_eq!(received, 99_999);
        assert!(matches!(error, TransferError::Reader(e) if e.kind() == ErrorKind::UnexpectedEof));
    }
}

#[tokio::test]
async fn reset_by_the_sender_is_a_reader_error() {
    let (_, error) = cut_short(100, 10, true, |s| s).await;
    assert!(matches!(error, TransferError::Reader(e) if e.kind() == ErrorKind::ConnectionReset));
    let (_, error) = cut_short(1 << 40, 10, true, |s| s).await;
    assert!(matches!(error, TransferError::Reader(e) if e.kind() == ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn closed_writer_is_a_writer_error() {
    for len in [1000, 1 << 40] {
        let worker = Worker::new(0);
        let ((mut sender, mut from), (mut to, receiver)) = (pair().await, pair().await);
        receiver.set_zero_linger().unwrap();
        drop(receiver);
        sender.write_all(&[1; 500]).await.unwrap();
        let passing = forward(&worker, &mut from, &mut to, len);
        assert!(matches!(soon(passing).await, Err(TransferError::Writer(_))));
        assert_eq!((worker.buffers.in_use(), worker.pipes.out()), (0, 0));
        assert_eq!(
            worker.pipes.kept(),
            0,
            "a pipe with bytes in it is not used again"
        );
    }
}

#[tokio::test]
async fn moved_bytes_touch_the_timer() {
    let worker = Worker::new(0);
    let ((mut sender, mut from), (mut to, mut receiver)) = (pair().await, pair().await);
    let timer = worker.timers.timer(Duration::from_secs(1));
    let mut transfer = Transfer::exact(100);
    let script = async {
        for _ in 0..10 {
            sender.write_all(b"x").await.unwrap();
            soon(receiver.read_u8()).await.unwrap();
            worker.timers.advance(worker.timers.now() + 9);
            settle().await;
        }
        assert!(!timer.is_expired());
        worker.timers.advance(worker.timers.now() + 2);
    };
    let passing = poll_fn(|cx| {
        assert!(
            transfer
                .poll(cx, &worker, &timer, &mut from, &mut to)
                .is_pending()
        );
        timer.poll_expired(cx)
    });
    tokio::join!(script, soon(passing));
    assert_eq!(transfer.moved(), 10);
}

#[tokio::test]
async fn direction_switches_to_splice_and_back() {
    let worker = Worker::new(0);
    let timer = worker.timers.timer(LONG);
    let ((mut sender, mut from), (mut to, mut receiver)) = (pair().await, pair().await);
    let mut transfer = Transfer::until_end();
    let mut sink = vec![0; BULK];
    let mut seen = Vec::new();
    for size in [[BULK; 5], [100; 5]].as_flattened() {
        sender.write_all(&vec![1; *size]).await.unwrap();
        // Wait for the whole message, so that it is read at once.
        let whole = async {
            while from.peek(&mut sink).await.unwrap() < *size {
                tokio::task::yield_now().await;
            }
        };
        soon(whole).await;
        let before = transfer.moved();
        soon(poll_fn(|cx| {
            assert!(
                transfer
                    .poll(cx, &worker, &timer, &mut from, &mut to)
                    .is_pending()
            );
            if transfer.moved() - before == *size as u64 {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        }))
        .await;
        soon(receiver.read_exact(&mut sink[..*size])).await.unwrap();
        seen.push(transfer.is_bulk());
    }
    let wanted = [
        [false, false, false, true, true],
        [true, true, true, false, false],
    ];
    assert_eq!(seen, wanted.as_flattened());
}
