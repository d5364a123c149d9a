//! Memory that clients and targets of HTTP/2 make a worker hold together.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use elbow_h2::PREFACE;
use elbow_model::ProtocolVersion;
use elbow_telemetry::ShedReason;
use h2::SendStream;
use http::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{spawn_local, yield_now};

use crate::alb::{Alb, method, until, whole};
use crate::connection::frame;
use crate::kit::{run, soon};
use crate::target::{Call, Target};

const WINDOW_MAX: u32 = (1 << 31) - 1;
/// What a worker holds at most, and what one turn may add.
const WORKER_MAX: usize = 48 << 20;
const TURN: usize = 4 << 20;
const STREAMS: u32 = 128;
/// The least window of a response.
const LEAST: usize = 16 * 1024;

/// A target that answers `/` at once, and other paths without end.
async fn endless() -> Target {
    Target::new(|call: Call| async move {
        if call.request.uri().path() == "/" {
            return call.answer(b"hi", None);
        }
        let mut respond = call.respond;
        let mut body = respond.send_response(Response::new(()), false).unwrap();
        loop {
            body.reserve_capacity(32 * 1024);
            match poll_fn(|cx| body.poll_capacity(cx)).await {
                Some(Ok(n)) if body.send_data(vec![b'x'; n].into(), false).is_ok() => {}
                _ => return,
            }
        }
    })
    .await
}

/// GET https://h/endless.
fn endless_block() -> Vec<u8> {
    [&[0x82, 0x87, 0x41, 1, b'h', 0x44, 8][..], b"/endless"].concat()
}

/// A client that starts downloads, with windows that never close.
async fn downloads(alb: &Alb) -> TcpStream {
    let (mut stream, _) = alb.raw().await;
    let mut bytes = PREFACE.to_vec();
    let window = [&4_u16.to_be_bytes()[..], &WINDOW_MAX.to_be_bytes()].concat();
    bytes.extend(frame(4, 0, 0, &window));
    bytes.extend(frame(8, 0, 0, &(WINDOW_MAX - 65_535).to_be_bytes()));
    for id in (0..STREAMS).map(|n| 2 * n + 1) {
        bytes.extend(frame(1, 5, id, &endless_block()));
    }
    stream.write_all(&bytes).await.unwrap();
    stream
}

#[test]
fn downloads_that_nobody_reads_block_no_other_client() {
    run(async {
        let target = endless().await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut stuck = Vec::new();
        for _ in 0..2 {
            stuck.push(downloads(&alb).await);
        }
        let all = || alb.group.targets[0].in_flight() == 2 * STREAMS;
        until("all streams have a target", all).await;
        let full = || alb.pools.waiting() >= 2 * STREAMS as usize * LEAST;
        until("all windows are full", full).await;
        let mut client = alb.client().await;
        assert_eq!(client.get("/").await.body, b"hi");
        assert_eq!(alb.telemetry.shed.get(ShedReason::Buffers), 0);
        drop((stuck, client));
        until("all is given back", || alb.pools.waiting() == 0).await;
    });
}

#[test]
fn slow_client_makes_its_response_hold_no_more_than_a_window() {
    run(async {
        let target = endless().await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let (mut stream, _) = alb.raw().await;
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(4, 0, 0, &[]));
        bytes.extend(frame(1, 5, 1, &endless_block()));
        stream.write_all(&bytes).await.unwrap();
        // It takes a little at a time, so that what waits for it never runs out.
        const PIECE: u32 = 8 * 1024;
        const WINDOW: usize = 128 * 1024;
        let (mut taken, mut buffer) = (0, vec![0; 64 * 1024]);
        while taken < 16 * WINDOW {
            taken += soon(stream.read(&mut buffer)).await.unwrap();
            if taken >= 48 * 1024 {
                let full = || alb.pools.waiting() >= LEAST / 2;
                until("more waits", full).await;
            }
            let held = alb.pools.waiting();
            // Beside the output, at most as much that was taken as still waits.
            assert!(held <= 2 * WINDOW + 64 * 1024, "{held} after {taken}");
            let more = PIECE.to_be_bytes();
            let updates = [frame(8, 0, 0, &more), frame(8, 0, 1, &more)].concat();
            stream.write_all(&updates).await.unwrap();
        }
        drop(stream);
        until("all is given back", || alb.pools.waiting() == 0).await;
    });
}

#[test]
fn worker_that_holds_too_much_closes_who_holds_most() {
    run(async {
        let target = endless().await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut good = alb.client().await;
        assert_eq!(good.get("/").await.body, b"hi");
        let mut stuck = Vec::new();
        // As many as their least windows take, and some more.
        for _ in 0..WORKER_MAX / (STREAMS as usize * LEAST) + 4 {
            stuck.push(downloads(&alb).await);
        }
        let shed = || alb.telemetry.shed.get(ShedReason::Buffers);
        soon(async {
            while shed() == 0 {
                yield_now().await;
                let held = alb.pools.waiting();
                assert!(held <= WORKER_MAX + TURN, "{held}");
            }
        })
        .await;
        assert_eq!(good.get("/").await.body, b"hi");
        drop((stuck, good));
        until("all is given back", || alb.pools.waiting() == 0).await;
        until("no stream is left", || {
            alb.group.targets[0].in_flight() == 0
        })
        .await;
    });
}

/// Sends as much as the windows take, and counts it.
async fn upload(mut body: SendStream<Bytes>, sent: Rc<Cell<usize>>) {
    loop {
        body.reserve_capacity(64 * 1024);
        match poll_fn(|cx| body.poll_capacity(cx)).await {
            Some(Ok(n)) if body.send_data(vec![b'x'; n].into(), false).is_ok() => {
                sent.set(sent.get() + n);
            }
            _ => return,
        }
    }
}

// A target that never grants a window.
#[test]
fn uploads_that_no_target_takes_are_held_up_to_the_window_and_end_with_504() {
    run(async {
        // SETTINGS with an initial window of 0.
        let target = Target::raw(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]), Vec::new()).await;
        let alb = Alb::speaking(ProtocolVersion::Http2, &[target.address]);
        let mut client = alb.client().await;
        let sent = Rc::new(Cell::new(0));
        let mut responses = Vec::new();
        for _ in 0..20 {
            let (response, body) = client.start(method("POST", "/"), true).await;
            spawn_local(upload(body, Rc::clone(&sent)));
            responses.push(response);
        }
        const WINDOW: usize = 1 << 20;
        until("the window is full", || sent.get() == WINDOW).await;
        for _ in 0..2000 {
            yield_now().await;
            assert_eq!(sent.get(), WINDOW, "nothing was passed on");
        }
        until("all of it is held", || alb.pools.waiting() >= WINDOW).await;
        let held = alb.pools.waiting();
        assert!(held < WINDOW + 64 * 1024, "{held} bytes are held");
        alb.pass(Duration::from_secs(61));
        for response in responses {
            let answer = whole(soon(response).await.unwrap()).await.unwrap();
            assert_eq!(answer.status, 504);
        }
        drop(client);
        until("all is given back", || alb.pools.waiting() == 0).await;
        assert_eq!(alb.metrics.worker(0).elb_responses.get(504), 20);
        assert!(alb.lines()[0].contains(" 504 - "));
    });
}
