//! A relay passes bytes on unchanged.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::spawn_local;

use super::{DAY, Flow, run};
use crate::Worker;
use crate::relay::{Direction, Idle, RelayEnd, Relayed, relay, relay_counted};
use crate::testing::{Opaque, Pattern, pair, settle, soon, tight_pair};

/// Sends `len` bytes in both directions at once and compares every byte.
async fn exchange(flow: Flow, len: usize) -> Rc<Worker> {
    let (mut client_in, mut client_out) = flow.client.into_split();
    let (mut target_in, mut target_out) = flow.target.into_split();
    let (up, down) = (Pattern::new(1), Pattern::new(2));
    let client = async {
        up.send(&mut client_out, len).await;
        client_out.shutdown().await.unwrap();
    };
    let target = async {
        down.send(&mut target_out, len).await;
        target_out.shutdown().await.unwrap();
    };
    let received = tokio::join!(
        client,
        target,
        up.receive(&mut target_in),
        down.receive(&mut client_in),
    );
    assert_eq!((received.2, received.3), (len, len));
    let relayed = Relayed {
        client_to_target: len as u64,
        target_to_client: len as u64,
        end: RelayEnd::Closed,
    };
    assert_eq!(soon(flow.relayed).await.unwrap(), relayed);
    assert_eq!(flow.worker.buffers.in_use(), 0);
    assert_eq!(flow.worker.pipes.out(), 0);
    flow.worker
}

#[test]
fn bulk_is_spliced_and_arrives_unchanged() {
    run(async {
        let worker = exchange(Flow::new(DAY).await, 64 << 20).await;
        assert!(worker.pipes.kept() >= 1, "a pipe was used");
    });
}

#[test]
fn bulk_is_copied_without_splice_and_arrives_unchanged() {
    run(async {
        let flow = Flow::on(
            Worker::without_splice(0, crate::open_files::Budget::unlimited()),
            pair().await,
            pair().await,
            DAY,
            |s| s,
            |s| s,
        );
        let worker = exchange(flow, 16 << 20).await;
        assert_eq!(worker.pipes.kept(), 0);
    });
}

#[test]
fn bulk_is_copied_under_tls_and_arrives_unchanged() {
    run(async {
        let flow = Flow::over(pair().await, pair().await, DAY, Opaque::new, |s| s);
        let worker = exchange(flow, 16 << 20).await;
        assert_eq!(worker.pipes.kept(), 0);
    });
}

#[test]
fn bulk_through_tight_sockets_arrives_unchanged() {
    run(async {
        let flow = Flow::over(tight_pair().await, tight_pair().await, DAY, |s| s, |s| s);
        exchange(flow, 4 << 20).await;
        let flow = Flow::over(
            tight_pair().await,
            tight_pair().await,
            DAY,
            Opaque::new,
            Opaque::new,
        );
        exchange(flow, 4 << 20).await;
    });
}

#[test]
fn single_bytes_pass_at_once_without_holding_buffers() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        for _ in 0..1000 {
            flow.ping().await;
            assert_eq!(flow.worker.buffers.in_use(), 0);
        }
        assert_eq!(flow.worker.pipes.kept(), 0);
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        let relayed = Relayed {
            client_to_target: 1000,
            target_to_client: 1000,
            end: RelayEnd::Closed,
        };
        assert_eq!(flow.end().await, relayed);
    });
}

#[test]
fn quiet_flow_returns_its_pipe() {
    run(async {
        let mut flow = Flow::new(DAY).await;
        let len = 8 << 20;
        let (pattern, mut client) = (Pattern::new(3), flow.client);
        let sender = spawn_local(async move {
            Pattern::new(3).send(&mut client, len).await;
            client
        });
        let mut part = (&mut flow.target).take(len as u64);
        assert_eq!(pattern.receive(&mut part).await, len);
        flow.client = soon(sender).await.unwrap();
        assert!(flow.worker.pipes.kept() >= 1);
        for _ in 0..10 {
            flow.ping().await;
            assert_eq!(
                (flow.worker.pipes.out(), flow.worker.buffers.in_use()),
                (0, 0)
            );
        }
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

#[test]
fn stalled_reader_stops_the_writer_and_costs_one_buffer() {
    run(async {
        let mut flow = Flow::over(tight_pair().await, tight_pair().await, DAY, |s| s, |s| s);
        let mut sent = 0;
        // Stop once the socket stays full after all tasks have settled.
        loop {
            settle().await;
            match flow.client.try_write(&[7; 4096]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("{e}"),
            }
            assert!(sent < 4 << 20, "no back-pressure");
        }
        assert!(flow.worker.buffers.in_use() + flow.worker.pipes.out() <= 1);
        flow.client.shutdown().await.unwrap();
        flow.target.shutdown().await.unwrap();
        let mut got = Vec::new();
        soon(flow.target.read_to_end(&mut got)).await.unwrap();
        assert_eq!(got.len(), sent, "kept data arrives before FIN");
        assert!(got.iter().all(|b| *b == 7));
        assert_eq!(flow.end().await.end, RelayEnd::Closed);
    });
}

#[test]
fn bytes_are_counted_as_they_pass() {
    run(async {
        let worker = Worker::new(0);
        let ((mut client, mut accepted), (mut connected, mut target)) =
            (pair().await, pair().await);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let (of_task, seen_by_task) = (Rc::clone(&worker), Rc::clone(&seen));
        let relayed = spawn_local(async move {
            let count = |direction, n| seen_by_task.borrow_mut().push((direction, n));
            relay_counted(
                &of_task,
                &mut accepted,
                &mut connected,
                Vec::new(),
                Idle {
                    timeout: DAY,
                    answers_probes: false,
                },
                || false,
                count,
            )
            .await
        });
        client.write_all(b"four").await.unwrap();
        soon(target.read_exact(&mut [0; 4])).await.unwrap();
        assert_eq!(*seen.borrow(), [(Direction::ClientToTarget, 4)]);
        target.write_all(b"seven!!").await.unwrap();
        soon(client.read_exact(&mut [0; 7])).await.unwrap();
        assert_eq!(seen.borrow().get(1), Some(&(Direction::TargetToClient, 7)));
        drop((client, target));
        assert_eq!(soon(relayed).await.unwrap().end, RelayEnd::Closed);
    });
}

#[test]
fn idle_flow_is_small() {
    run(async {
        let worker = Worker::new(0);
        let ((_client, mut accepted), (mut connected, _target)) = (pair().await, pair().await);
        let future = relay(&worker, &mut accepted, &mut connected, DAY, || false);
        let size = size_of_val(&future);
        assert!(size <= 384, "{size} bytes");
    });
}
