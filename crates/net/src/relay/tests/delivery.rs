//! Delivery of data that one side sent before its reset.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::spawn_local;

use super::{DAY, Flow, is_ended, is_reset, run};
use crate::Stream;
use crate::relay::RelayEnd;
use crate::sys::is_acknowledged;
use crate::testing::{Opaque, Pattern, pair, settle, soon, tight_pair};

/// More than fits into the receive buffer of a stalled reader.
const LEN: usize = 300_000;

/// Sends `len` bytes, waits until they are acknowledged, and resets.
async fn send_and_reset(mut from: TcpStream, len: usize) {
    Pattern::new(7).send(&mut from, len).await;
    let acknowledged = async {
        while !is_acknowledged(&from).unwrap() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    soon(acknowledged).await;
    from.set_zero_linger().unwrap();
}

/// First the client, then the target sends and resets; the other side reads afterwards.
async fn deliver<A: Stream, B: Stream>(
    pair: impl AsyncFn() -> (TcpStream, TcpStream),
    len: usize,
    front: fn(TcpStream) -> A,
    back: fn(TcpStream) -> B,
) {
    for from_client in [true, false] {
        let mut flow = Flow::over(pair().await, pair().await, DAY, front, back);
        flow.ping().await;
        let ticks = spawn_local(flow.worker.clone().run_ticks(|| {}));
        let (sender, mut reader, end) = if from_client {
            (flow.client, flow.target, RelayEnd::ClientReset)
        } else {
            (flow.target, flow.client, RelayEnd::TargetReset)
        };
        send_and_reset(sender, len).await;
        settle().await;
        Pattern::new(7).receive_exactly(&mut reader, len).await;
        assert!(is_reset(&mut reader).await, "and then the reset");
        let relayed = soon(flow.relayed).await.unwrap();
        assert_eq!(relayed.end, end);
        let moved = relayed.client_to_target + relayed.target_to_client;
        assert_eq!(moved, len as u64 + 2);
        assert_eq!(flow.worker.buffers.in_use(), 0);
        assert_eq!(flow.worker.pipes.out(), 0);
        ticks.abort();
    }
}

#[test]
fn data_before_a_reset_is_delivered() {
    run(deliver(pair, LEN, |s| s, |s| s));
}

#[test]
fn data_before_a_reset_is_delivered_by_buffering_streams() {
    run(deliver(pair, LEN, Opaque::new, Opaque::new));
}

#[test]
fn data_before_a_reset_is_delivered_to_a_slow_reader() {
    // As much as fits while the reader does not read.
    run(deliver(tight_pair, 16_000, |s| s, |s| s));
    run(deliver(tight_pair, 16_000, Opaque::new, Opaque::new));
}

#[test]
fn failed_write_does_not_lose_received_data() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        let ticks = spawn_local(flow.worker.clone().run_ticks(|| {}));
        Pattern::new(7).send(&mut flow.client, LEN).await;
        settle().await;
        // Closing with unread data sends a reset.
        flow.target.write_all(b"unread").await.unwrap();
        let (client, mut target) = (flow.client, flow.target);
        soon(client.readable()).await.unwrap();
        client.set_zero_linger().unwrap();
        drop(client);
        let _ = target.write_all(b"to nobody").await;
        settle().await;
        Pattern::new(7).receive_exactly(&mut target, LEN).await;
        assert!(is_reset(&mut target).await);
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::ClientReset);
        ticks.abort();
    });
}

#[test]
fn stalled_reader_is_reset_after_the_delivery_timeout() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        flow.worker.set_delivery_timeout(Duration::from_secs(2));
        send_and_reset(flow.client, LEN).await;
        settle().await;
        let worker = flow.worker.clone();
        for _ in 0..20 {
            worker.timers.advance(worker.timers.now() + 1);
            settle().await;
        }
        assert!(!flow.relayed.is_finished(), "it still has time");
        worker.timers.advance(worker.timers.now() + 1);
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::ClientReset);
        let read = Pattern::new(7).receive_until_reset(&mut flow.target).await;
        assert!(read < LEN, "{read}");
        assert_eq!(worker.buffers.in_use(), 0);
    });
}

#[test]
fn stopping_worker_does_not_wait_for_delivery() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        flow.ping().await;
        send_and_reset(flow.client, LEN).await;
        settle().await;
        assert!(!flow.relayed.is_finished());
        flow.worker.stop();
        assert_eq!(soon(flow.relayed).await.unwrap().end, RelayEnd::Stopped);
        // The kernel still delivers bytes that are in the socket.
        Pattern::new(7).receive_exactly(&mut flow.target, LEN).await;
        assert!(is_ended(&mut flow.target).await);
    });
}
