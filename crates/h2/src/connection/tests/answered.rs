//! Requests that are answered before their end (RFC 9113, 8.1).

use super::kit::{self, CONFIG, block, data, feed, frame, get, post, reset_code, server, written};
use crate::frame::{flag, kind};
use crate::stream::CLOSED_MAX;
use crate::{Connection, ErrorCode};

/// Answers the request that `input` begins with a head alone.
fn answer(server: &mut Connection, input: &[u8]) {
    let (_, streams) = feed(server, input);
    assert!(server.send_head(streams[0], true, |head| head.status(403)));
    server.close(streams[0]);
    assert_eq!(server.open_streams(), 0);
}

/// A server that has answered stream 1, and the code with which it reset the stream.
fn answered(input: &[u8]) -> (Connection, Option<ErrorCode>) {
    let mut server = server();
    answer(&mut server, input);
    let frames = written(&mut server);
    assert_eq!(frames[0].0, kind::HEADERS);
    (server, reset_code(&frames, 1))
}

/// Closes streams until the server remembers no other; the code with which it reset stream 1.
fn forget(server: &mut Connection) -> Option<ErrorCode> {
    for n in 1..=u32::try_from(CLOSED_MAX).unwrap() {
        answer(server, &get(2 * n + 1));
    }
    reset_code(&written(server), 1)
}

// A reset makes curl 7.88 fail.
#[test]
fn client_may_end_its_request() {
    let trailers = frame(
        kind::HEADERS,
        flag::END_HEADERS | flag::END_STREAM,
        1,
        &block(&[("t", "1")]),
    );
    let reset = frame(kind::RST_STREAM, 0, 1, &8_u32.to_be_bytes());
    for end in [data(1, b"late", true), data(1, b"", true), trailers, reset] {
        let (mut server, code) = answered(&post(1));
        assert_eq!(code, None);
        let (events, _) = feed(&mut server, &[data(1, b"some", false), end].concat());
        assert!(events.is_empty(), "{events:?}");
        assert!(written(&mut server).is_empty());
        assert_eq!(forget(&mut server), None);
    }
}

#[test]
fn end_of_a_frame_in_progress_ends_the_request() {
    let frame = data(1, &[0; 1000], true);
    let (mut server, code) = answered(&[&post(1)[..], &frame[..500]].concat());
    assert_eq!(code, None);
    assert!(feed(&mut server, &frame[500..]).0.is_empty());
    assert_eq!(forget(&mut server), None);
}

#[test]
fn request_that_used_its_window_is_reset_without_an_error() {
    let (mut server, code) = answered(&post(1));
    assert_eq!(code, None);
    let window = CONFIG.stream_window as usize;
    for n in 1..=window / 10_000 {
        feed(&mut server, &data(1, &[0; 10_000], false));
        let code = reset_code(&written(&mut server), 1);
        let is_used = n == window / 10_000;
        assert_eq!(code, is_used.then_some(ErrorCode::NO_ERROR), "{n}");
        // What it used of the connection's window is given back.
        server.end_turn();
        written(&mut server);
    }
    // What was on its way is dropped.
    assert!(feed(&mut server, &data(1, b"late", true)).0.is_empty());
    assert!(written(&mut server).is_empty());
}

/// POST with a content-length.
fn post_of(length: &str) -> Vec<u8> {
    let rest = &kit::GET[1..];
    let fields = [&[(":method", "POST")], rest, &[("content-length", length)]];
    kit::request(1, &fields.concat(), false)
}

#[test]
fn request_longer_than_its_window_is_reset_at_once() {
    assert_eq!(answered(&post_of("100000")).1, None);
    let (_, code) = answered(&post_of("100001"));
    assert_eq!(code, Some(ErrorCode::NO_ERROR));
}

#[test]
fn request_that_used_its_window_may_lack_its_end_alone() {
    let body = data(1, &[0; 10_000], false).repeat(10);
    let (_, code) = answered(&[post(1), body.clone()].concat());
    assert_eq!(code, Some(ErrorCode::NO_ERROR));
    let (mut server, code) = answered(&[post_of("100000"), body].concat());
    assert_eq!(code, None);
    feed(&mut server, &data(1, b"", true));
    assert_eq!(forget(&mut server), None);
}

#[test]
fn data_beyond_the_window_is_an_error() {
    let (mut server, _) = answered(&post(1));
    for _ in 0..9 {
        feed(&mut server, &data(1, &[0; 10_000], false));
    }
    written(&mut server);
    feed(&mut server, &data(1, &[0; 10_001], false));
    let code = reset_code(&written(&mut server), 1);
    assert_eq!(code, Some(ErrorCode::FLOW_CONTROL_ERROR));
}

#[test]
fn request_that_is_forgotten_is_reset() {
    let (mut server, _) = answered(&post(1));
    assert_eq!(forget(&mut server), Some(ErrorCode::NO_ERROR));
}

#[test]
fn shutdown_resets_what_was_answered() {
    let (mut server, _) = answered(&post(1));
    server.shut_down();
    let code = reset_code(&written(&mut server), 1);
    assert_eq!(code, Some(ErrorCode::NO_ERROR));
    answer(&mut server, &post(3));
    let code = reset_code(&written(&mut server), 3);
    assert_eq!(code, Some(ErrorCode::NO_ERROR));
}
