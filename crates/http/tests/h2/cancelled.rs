//! Clients that cancel a request at every frame of it and of its response.

use elbow_model::ProtocolVersion;
use http::{HeaderMap, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::alb::{Alb, until};
use crate::connection::frame;
use crate::kit::{Pod, run, soon};
use crate::target::{Call, Target};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The body of a response: three frames.
const BODY: usize = 40_000;

/// HEADERS of a request: `method` is an entry of the static table.
fn request(method: u8, id: u32, end: u8) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | end,
        id,
        &[method, 0x87, 0x41, 1, b'h', 0x84],
    )
}

/// The frames of a POST with trailers.
fn post() -> Vec<Vec<u8>> {
    vec![
        request(0x83, 1, 0),
        frame(DATA, 0, 1, b"some"),
        frame(DATA, 0, 1, b""),
        frame(8, 0, 1, &[0, 0, 0, 1]),
        frame(DATA, 0, 1, &[b'x'; 10_000]),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 1, b't', 1, b'1']),
    ]
}

/// Kind, flags and stream of the next frame.
async fn next(stream: &mut TcpStream) -> (u8, u8, u32) {
    let mut head = [0; 9];
    soon(stream.read_exact(&mut head)).await.unwrap();
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    soon(stream.read_exact(&mut payload)).await.unwrap();
    (kind, flags, u32::from_be_bytes(id))
}

/// Answers with a body and trailers once the request is complete.
async fn answer(mut call: Call) {
    let stream = call.request.body_mut();
    while let Some(data) = stream.data().await {
        let Ok(data) = data else { return };
        stream.flow_control().release_capacity(data.len()).unwrap();
    }
    if let Ok(mut body) = call.respond.send_response(Response::new(()), false) {
        let _ = body.send_data(vec![b'y'; BODY].into(), false);
        let _ = body.send_trailers(HeaderMap::new());
    }
}

/// Sends the first frames of a POST, receives some of the response, and cancels. Everything goes on, and nothing stays.
async fn cancel(version: ProtocolVersion, sent: usize, received: usize) {
    let pod = Pod::scripted(|mut peer| async move {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
        while peer.request().await.is_some() {
            peer.send(response.as_bytes()).await;
            peer.send(&[b'y'; BODY]).await;
        }
    })
    .await;
    let target = Target::new(answer).await;
    let alb = match version {
        ProtocolVersion::Http1 => Alb::to(&[pod.address]),
        _ => Alb::speaking(version, &[target.address]),
    };
    let (mut stream, _) = alb.raw().await;
    let preface = [elbow_h2::PREFACE, &frame(4, 0, 0, &[])].concat();
    let frames = post();
    let is_whole = sent == frames.len();
    let begun = [&[preface][..], &frames[..sent]].concat().concat();
    stream.write_all(&begun).await.unwrap();
    for _ in 0..received {
        while next(&mut stream).await.2 != 1 {}
    }
    let is_there = || alb.pools.multiplexed() > 0 || *pod.connections.borrow() > 0;
    until("the request is on its way", is_there).await;
    let cancel = frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    let ping = frame(PING, 0, 0, b"cancels!");
    stream.write_all(&[cancel, ping].concat()).await.unwrap();
    while !matches!(next(&mut stream).await, (PING, 1, 0)) {}

    // The window of the connection is enough for both responses.
    let update = frame(8, 0, 0, &[0, 1, 0, 0]);
    let get = [update, request(0x82, 3, END_STREAM)].concat();
    stream.write_all(&get).await.unwrap();
    loop {
        let (kind, flags, id) = next(&mut stream).await;
        assert_ne!(id, 1, "a frame behind the end of the stream");
        if id == 3 && matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            break;
        }
    }
    until("the target is free", || {
        alb.group.targets[0].in_flight() == 0
    })
    .await;
    drop(stream);
    until("nothing waits", || alb.pools.waiting() == 0).await;
    let responses = &alb.metrics.worker(0);
    let cancelled = responses.elb_responses.get(460);
    if !is_whole {
        assert_eq!(cancelled, 1);
    } else if received > 0 {
        assert_eq!(cancelled, 0);
    }
    assert_eq!(cancelled + responses.target_responses.get(200), 2);
    assert_eq!(alb.lines().len(), 2);
}

#[test]
fn requests_may_be_cancelled_at_every_frame() {
    for version in [ProtocolVersion::Http1, ProtocolVersion::Http2] {
        for sent in 1..=post().len() {
            run(cancel(version, sent, 0));
        }
        for received in 1..=4 {
            run(cancel(version, post().len(), received));
        }
    }
}
