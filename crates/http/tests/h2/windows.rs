//! Memory that clients make the ALB hold by not reading.

use std::net::SocketAddr;
use std::time::Duration;

use elbow_telemetry::ShedReason;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{spawn_local, yield_now};

use crate::alb::{Alb, get, until, whole};
use crate::connection::frame;
use crate::kit::{Peer, Pod, run, soon};

const STREAMS: u32 = 100;
/// The bytes of one connection: the output, and a head more.
const HELD_MAX: usize = 128 * 1024 + 32 * 1024;
const WINDOW_MAX: u32 = (1 << 31) - 1;
/// The length of a body that ends.
const LENGTH: usize = 3 << 20;

/// Answers `/endless` without end, and other paths with [`LENGTH`] bytes.
async fn pod() -> Pod {
    Pod::scripted(|mut peer: Peer| async move {
        while let Some(head) = peer.head().await {
            let length = if head.starts_with("GET /endless ") {
                1 << 40
            } else {
                LENGTH
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            peer.send(head.as_bytes()).await;
            let mut left = length;
            while left > 0 {
                let piece = vec![b'x'; left.min(64 * 1024)];
                if peer.stream.write_all(&piece).await.is_err() {
                    return;
                }
                left -= piece.len();
            }
        }
    })
    .await
}

#[test]
fn huge_windows_make_the_alb_hold_no_more_than_its_budget() {
    run(async {
        let pod = pod().await;
        let alb = Alb::to(&[pod.address]);
        let (mut stream, served) = alb.raw().await;
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        let window = [&4_u16.to_be_bytes()[..], &WINDOW_MAX.to_be_bytes()].concat();
        bytes.extend(frame(4, 0, 0, &window));
        bytes.extend(frame(8, 0, 0, &(WINDOW_MAX - 65_535).to_be_bytes()));
        for id in (0..STREAMS).map(|n| 2 * n + 1) {
            // GET https://h/endless.
            let mut block = vec![0x82, 0x87, 0x41, 1, b'h', 0x44, 8];
            block.extend(b"/endless");
            bytes.extend(frame(1, 5, id, &block));
        }
        stream.write_all(&bytes).await.unwrap();
        let seen = || alb.group.targets[0].in_flight() == STREAMS;
        until("all streams have a target", seen).await;
        let full = || alb.pools.waiting() >= 100 * 1024;
        until("the output is full", full).await;
        for _ in 0..2000 {
            yield_now().await;
            let held = alb.pools.waiting();
            assert!(held <= HELD_MAX, "{held} bytes are held");
        }
        drop(stream);
        soon(served).await.unwrap();
        until("all is given back", || alb.pools.waiting() == 0).await;
    });
}

#[test]
fn stalled_streams_do_not_stop_one_that_is_read() {
    run(async {
        let pod = pod().await;
        let alb = Alb::to(&[pod.address]);
        let (stream, _served) = alb.raw().await;
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(WINDOW_MAX);
        let (send, connection) = builder.handshake::<_, bytes::Bytes>(stream).await.unwrap();
        spawn_local(connection);
        let start = async |path: &str| {
            let mut ready = soon(send.clone().ready()).await.unwrap();
            let (response, _) = ready.send_request(get(path), true).unwrap();
            soon(response).await.unwrap()
        };
        let mut stuck = Vec::new();
        for _ in 0..STREAMS {
            stuck.push(start("/endless").await);
        }
        let answer = soon(whole(start("/ends").await)).await.unwrap();
        assert_eq!(answer.body.len(), LENGTH);
        assert_eq!(stuck.len(), STREAMS as usize);
    });
}

/// A target whose accept queue is full, so that further SYNs get no answer.
async fn full() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    let patience = Duration::from_millis(200);
    while let Ok(stream) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
        queue.push(stream.unwrap());
        assert!(queue.len() < 10, "the queue has no end");
    }
    (address, listener, queue)
}

// A field of 4,000 bytes that each request repeats fifteen times, for a byte each (RFC 7541, 6.1).
#[test]
fn compressed_heads_that_wait_are_shed_beyond_their_budget() {
    run(async {
        let (address, _listener, _queue) = full().await;
        let alb = Alb::to(&[address]);
        let mut clients = Vec::new();
        for _ in 0..3 {
            let (mut stream, served) = alb.raw().await;
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            bytes.extend(frame(4, 0, 0, &[]));
            for id in (0..STREAMS).map(|n| 2 * n + 1) {
                let mut block = vec![0x82, 0x87, 0x84, 0x01, 1, b'h'];
                if id == 1 {
                    block.extend([0x40, 3, b'x', b'-', b'a', 0x7f, 0xa1, 0x1e]);
                    block.extend([b'v'; 4000]);
                }
                block.extend([0xbe; 15]);
                bytes.extend(frame(1, 5, id, &block));
            }
            stream.write_all(&bytes).await.unwrap();
            clients.push((stream, served));
        }
        let shed = || alb.telemetry.shed.get(ShedReason::Buffers);
        until("some are shed", || shed() > 0).await;
        // 16 MiB hold 279 heads of 60,158 bytes.
        until("all are there", || {
            shed() + u64::from(alb.group.targets[0].in_flight()) == 300
        })
        .await;
        let answered = alb.metrics.worker(0).elb_responses.get(503);
        assert_eq!(answered, shed());
    });
}
