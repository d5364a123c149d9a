//! Timeouts, closes and resets, on both sides.

use std::time::{Duration, Instant};

use elbow_model::LoadBalancerAttributes;
use elbow_net::TICK;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::forwarding::{OK, OK_CLOSED, OK_KEPT};
use crate::kit::{Alb, Pod, error_page, expect, masked, read_to_end, run, soon};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const GET_LAST: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
const IDLE: Duration = Duration::from_millis(300);

fn impatient() -> LoadBalancerAttributes {
    LoadBalancerAttributes {
        idle_timeout: IDLE,
        ..LoadBalancerAttributes::default()
    }
}

async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

// Parity 1.10 and check 5: 502, and no retry.
#[test]
fn a_target_that_closes_under_a_request_is_502_and_sees_it_once() {
    run(async {
        for reset in [false, true] {
            let pod = Pod::scripted(move |mut peer| async move {
                peer.request().await;
                if reset {
                    peer.stream.set_zero_linger().unwrap();
                }
            })
            .await;
            let alb = Alb::with_defaults(pod.address).await;
            let page = error_page(502, "Bad Gateway", true);
            assert_eq!(alb.talk(GET_LAST).await, page, "reset: {reset}");
            assert_eq!(pod.seen().len(), 1);
            assert_eq!(alb.metrics.worker(0).elb_responses.get(502), 1);
        }
    });
}

#[test]
fn a_reused_connection_that_closes_under_a_request_is_502() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(OK).await;
            peer.request().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        assert_eq!(alb.talk(GET_LAST).await, OK_CLOSED);
        let page = error_page(502, "Bad Gateway", true);
        assert_eq!(alb.talk(GET_LAST).await, page);
        assert_eq!(pod.seen().len(), 2);
        assert_eq!(*pod.connections.borrow(), 1);
        assert_eq!(alb.talk(GET_LAST).await, OK_CLOSED);
    });
}

#[test]
fn a_pooled_connection_that_was_closed_is_not_used() {
    run(async {
        let (closed, wait) = tokio::sync::oneshot::channel::<()>();
        let closed = std::rc::Rc::new(std::cell::RefCell::new(Some(closed)));
        let pod = Pod::scripted(move |mut peer| {
            let closed = closed.borrow_mut().take();
            async move {
                peer.request().await;
                peer.send(OK).await;
                drop(peer);
                if let Some(closed) = closed {
                    closed.send(()).unwrap();
                }
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(GET).await.unwrap();
        expect(&mut client, OK_KEPT).await;
        soon(wait).await.unwrap();
        // One turn of the event loop reports the close.
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.write_all(GET).await.unwrap();
        expect(&mut client, OK_KEPT).await;
        assert_eq!(*pod.connections.borrow(), 2);
    });
}

#[test]
fn idle_connections_to_targets_end_without_a_request() {
    run(async {
        let (closed, wait) = tokio::sync::oneshot::channel::<()>();
        let wait = std::rc::Rc::new(std::cell::RefCell::new(Some(wait)));
        let pod = Pod::scripted(move |mut peer| {
            let wait = wait.borrow_mut().take();
            async move {
                peer.request().await;
                peer.send(OK).await;
                match wait {
                    // Closed by the target.
                    Some(wait) => _ = wait.await,
                    // Idle for too long.
                    None => _ = peer.more().await,
                }
            }
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        alb.talk(GET_LAST).await;
        assert_eq!(alb.pools.idle(), 1);
        closed.send(()).unwrap();
        until(|| alb.pools.idle() == 0).await;
        let alb = Alb::new(&[pod.address], impatient()).await;
        alb.talk(GET_LAST).await;
        assert_eq!(alb.pools.idle(), 1);
        until(|| alb.pools.idle() == 0).await;
    });
}

// Parity 1.10: once the head is sent, the connection can only be cut.
#[test]
fn a_response_that_breaks_off_is_cut() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
        let table: [(&'static [u8], String); 3] = [
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\nhalf".into(),
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                format!("{head}4\r\nhalf\r\n"),
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                error_page(502, "Bad Gateway", true),
            ),
        ];
        for (response, expected) in table {
            let pod = Pod::scripted(move |mut peer| async move {
                peer.request().await;
                peer.send(response).await;
            })
            .await;
            let alb = Alb::with_defaults(pod.address).await;
            assert_eq!(alb.talk(GET_LAST).await, expected);
            assert_eq!(alb.pools.idle(), 0);
        }
    });
}

// Parity 1.13 and check 4.
#[test]
fn a_silent_target_is_504_after_the_idle_timeout() {
    run(async {
        let pod =
            Pod::scripted(|mut peer| async move { while peer.request().await.is_some() {} }).await;
        let alb = Alb::new(&[pod.address], impatient()).await;
        let start = Instant::now();
        let page = error_page(504, "Gateway Time-out", true);
        assert_eq!(alb.talk(GET_LAST).await, page);
        assert!(start.elapsed() >= IDLE, "{:?}", start.elapsed());
        assert_eq!(alb.group.targets[0].in_flight(), 0);
    });
}

// Parity 1.10: 408 for an incomplete head, 504 for an incomplete body, nothing if idle.
#[test]
fn silent_clients_get_408_in_the_head_and_504_in_the_body() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::new(&[pod.address], impatient()).await;
        let timeout = error_page(408, "Request Time-out", true);
        let body = error_page(504, "Gateway Time-out", true);
        let table: &[(&[u8], &str)] = &[
            (b"", ""),
            (b"\r\n", ""),
            (b"GET / HT", &timeout),
            (
                b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc",
                &body,
            ),
        ];
        for (bytes, expected) in table {
            assert_eq!(
                alb.talk(bytes).await,
                *expected,
                "{:?}",
                bytes.escape_ascii()
            );
        }
        // The connection is also closed silently after a response.
        assert_eq!(alb.talk(GET).await, OK_KEPT);
    });
}

#[test]
fn a_response_that_stops_is_cut_after_the_idle_timeout() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
                .await;
            peer.more().await;
        })
        .await;
        let alb = Alb::new(&[pod.address], impatient()).await;
        assert_eq!(
            alb.talk(GET).await,
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: keep-alive\r\n\r\nhalf"
        );
    });
}

// Parity 1.10: 460, only in the log.
#[test]
fn a_client_that_leaves_while_the_target_works_is_460() {
    run(async {
        let pod =
            Pod::scripted(|mut peer| async move { while peer.request().await.is_some() {} }).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(GET).await.unwrap();
        until(|| !pod.seen().is_empty()).await;
        drop(client);
        until(|| alb.group.targets[0].in_flight() == 0).await;
        assert_eq!(alb.pools.idle(), 0);
        let lines = alb.lines();
        assert!(lines[0].contains(" -1 -1 -1 460 - "), "{}", lines[0]);
    });
}

#[test]
fn a_client_that_leaves_in_its_body_is_400_in_the_log() {
    run(async {
        let pod =
            Pod::scripted(|mut peer| async move { while peer.request().await.is_some() {} }).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client
            .write_all(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc")
            .await
            .unwrap();
        until(|| alb.group.targets[0].in_flight() == 1).await;
        client.shutdown().await.unwrap();
        let page = error_page(400, "Bad Request", true);
        assert_eq!(read_to_end(&mut client).await, page);
        let lines = alb.lines();
        assert!(lines[0].contains(" -1 -1 -1 400 - "), "{}", lines[0]);
    });
}

// Parity check 31: a request that outlives the deregistration delay is 502.
#[test]
fn terminated_connection_leads_to_502() {
    run(async {
        let pod =
            Pod::scripted(|mut peer| async move { while peer.request().await.is_some() {} }).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(GET).await.unwrap();
        until(|| !pod.seen().is_empty()).await;
        alb.group.targets[0].terminate_connections();
        alb.worker.timers.wake_all();
        expect(
            &mut client,
            error_page(502, "Bad Gateway", false)
                .split("Date")
                .next()
                .unwrap(),
        )
        .await;
    });
}

// `elbow.request_header_timeout.seconds`; the idle timeout starts again with every byte.
#[test]
fn a_head_that_comes_byte_by_byte_is_408_once_its_time_is_over() {
    run(async {
        let attributes = LoadBalancerAttributes {
            request_header_timeout: IDLE,
            ..LoadBalancerAttributes::default()
        };
        let alb = Alb::new(&[], attributes).await;
        let client = alb.connect().await;
        let (mut reader, mut writer) = client.into_split();
        let drip = async {
            writer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
            // Until the other side closes.
            while writer.write_all(b"X: y\r\n").await.is_ok() {
                tokio::time::sleep(TICK / 2).await;
            }
        };
        let mut answer = Vec::new();
        soon(async {
            tokio::select! {
                read = reader.read_to_end(&mut answer) => read.map(drop),
                () = drip => Ok(()),
            }
        })
        .await
        .unwrap();
        let page = error_page(408, "Request Time-out", true);
        assert_eq!(masked(&String::from_utf8_lossy(&answer)), page);
        assert_eq!(alb.metrics.worker(0).elb_responses.get(408), 1);
    });
}

#[test]
fn the_time_of_a_head_ends_with_it() {
    run(async {
        let pod = Pod::answering(OK).await;
        let attributes = LoadBalancerAttributes {
            request_header_timeout: IDLE,
            ..LoadBalancerAttributes::default()
        };
        let alb = Alb::new(&[pod.address], attributes).await;
        let mut client = alb.connect().await;
        for _ in 0..2 {
            let (half, rest) = GET.split_at(9);
            client.write_all(half).await.unwrap();
            until(|| alb.worker.buffers.in_use() == 1).await;
            client.write_all(rest).await.unwrap();
            expect(&mut client, OK_KEPT).await;
            let over = alb.worker.timers.now() + 8;
            until(|| alb.worker.timers.now() > over).await;
        }
    });
}

#[test]
fn idle_connections_hold_no_buffer() {
    run(async {
        let pod = Pod::answering(OK).await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = alb.connect().await;
            client.write_all(GET).await.unwrap();
            expect(&mut client, OK_KEPT).await;
            clients.push(client);
        }
        assert_eq!(alb.worker.buffers.in_use(), 0);
        for client in &mut clients {
            client.write_all(GET).await.unwrap();
            expect(client, OK_KEPT).await;
        }
    });
}

// An idle connection costs about 800 bytes, and this is the largest part of it. 320 is a size class of the allocator.
#[test]
fn the_task_of_a_connection_is_small() {
    run(async {
        let alb = Alb::fixed().await;
        let size = alb.task_size().await;
        assert!(size <= 320, "{size} bytes");
    });
}

#[test]
fn data_behind_a_response_ends_the_targets_connection() {
    run(async {
        let pod = Pod::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison").await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        for _ in 0..2 {
            client.write_all(GET).await.unwrap();
            expect(&mut client, OK_KEPT).await;
        }
        assert_eq!(*pod.connections.borrow(), 2);
        assert_eq!(alb.pools.idle(), 0);
    });
}

#[test]
fn a_target_that_closes_is_obeyed() {
    run(async {
        let table: &[&'static [u8]] = &[
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        ];
        for response in table {
            let pod = Pod::answering(response).await;
            let alb = Alb::with_defaults(pod.address).await;
            let mut client = alb.connect().await;
            for _ in 0..2 {
                client.write_all(GET).await.unwrap();
                expect(&mut client, OK_KEPT).await;
            }
            assert_eq!(*pod.connections.borrow(), 2);
            let mut byte = [0];
            let read = tokio::time::timeout(Duration::from_millis(1), client.read(&mut byte));
            assert!(read.await.is_err(), "the client's connection stays");
        }
    });
}

#[test]
fn a_worker_that_stops_answers_503_where_no_response_has_begun() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            std::future::pending::<()>().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(GET).await.unwrap();
        until(|| !pod.seen().is_empty()).await;
        alb.worker.drain();
        alb.worker.stop();
        let page = error_page(503, "Service Temporarily Unavailable", true);
        assert_eq!(read_to_end(&mut client).await, page);
        assert_eq!(alb.metrics.worker(0).elb_responses.get(503), 1);
        let lines = alb.lines();
        let fields: Vec<&str> = lines[0].split(' ').collect();
        assert_eq!(fields[8..10], ["503", "-"], "{lines:?}");
    });
}

#[test]
fn a_worker_that_stops_cuts_a_response_in_progress() {
    run(async {
        let pod = Pod::scripted(|mut peer| async move {
            peer.request().await;
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome")
                .await;
            std::future::pending::<()>().await;
        })
        .await;
        let alb = Alb::with_defaults(pod.address).await;
        let mut client = alb.connect().await;
        client.write_all(GET).await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"some") {
            let n = soon(client.read_buf(&mut received)).await.unwrap();
            assert!(n > 0);
        }
        alb.worker.stop();
        assert_eq!(read_to_end(&mut client).await, "");
        assert_eq!(alb.lines().len(), 1, "and logs it");
    });
}
