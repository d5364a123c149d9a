use std::future::poll_fn;
use std::io::ErrorKind;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{poll_recv, poll_send};
use crate::testing::{pair, soon, tight_pair};

#[tokio::test]
async fn reads_available_bytes_then_waits_then_ends() {
    let (near, mut far) = pair().await;
    let mut into = [0; 8];
    let mut now = Context::from_waker(Waker::noop());
    for round in 0..3 {
        far.write_all(b"some").await.unwrap();
        let n = soon(poll_fn(|cx| poll_recv(cx, &near, &mut into))).await;
        assert_eq!(n.unwrap(), 4, "round {round}");
        assert_eq!(&into[..4], b"some");
        assert!(poll_recv(&mut now, &near, &mut into).is_pending());
    }
    far.shutdown().await.unwrap();
    for _ in 0..2 {
        let n = soon(poll_fn(|cx| poll_recv(cx, &near, &mut into))).await;
        assert_eq!(n.unwrap(), 0);
    }
}

#[tokio::test]
async fn read_that_fills_the_buffer_leaves_the_rest_readable() {
    let (near, mut far) = pair().await;
    far.write_all(b"0123456789").await.unwrap();
    let mut into = [0; 4];
    let mut all = Vec::new();
    while all.len() < 10 {
        let n = soon(poll_fn(|cx| poll_recv(cx, &near, &mut into))).await;
        all.extend_from_slice(&into[..n.unwrap()]);
    }
    assert_eq!(all, b"0123456789");
}

#[tokio::test]
async fn write_to_a_full_socket_waits_for_the_reader() {
    let (near, mut far) = tight_pair().await;
    let bytes = vec![7; 1 << 20];
    let mut now = Context::from_waker(Waker::noop());
    let mut sent = 0;
    while let Poll::Ready(n) = poll_send(&mut now, &near, &bytes[sent..]) {
        sent += n.unwrap();
    }
    assert!(sent < bytes.len());
    let reader = async {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let writer = async {
        while sent < bytes.len() {
            sent += poll_fn(|cx| poll_send(cx, &near, &bytes[sent..]))
                .await
                .unwrap();
        }
        drop(near);
    };
    let (received, ()) = soon(async { tokio::join!(reader, writer) }).await;
    assert_eq!(received, bytes.len());
}

#[tokio::test]
async fn connection_errors_are_reported() {
    let (near, far) = pair().await;
    far.set_zero_linger().unwrap();
    drop(far);
    let read = soon(poll_fn(|cx| poll_recv(cx, &near, &mut [0; 8]))).await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let sent = soon(poll_fn(|cx| poll_send(cx, &near, b"x"))).await;
    assert_eq!(sent.unwrap_err().kind(), ErrorKind::BrokenPipe);
}
