//! Rules that a peer breaks: what it gets (RFC 9113, 5 to 8).

use super::kit::{
    GET, block, data, feed, frame, get, goaway_code, post, request, reset_code, server, written,
};
use crate::frame::{flag, kind};
use crate::{Connection, ErrorCode, PREFACE};

const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
const FLOW: ErrorCode = ErrorCode::FLOW_CONTROL_ERROR;
const CLOSED: ErrorCode = ErrorCode::STREAM_CLOSED;

#[test]
fn faults_of_the_connection_end_it() {
    let end = flag::END_HEADERS;
    let priority_on_itself = frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 0]);
    let reset_then_headers = [post(1), frame(kind::RST_STREAM, 0, 1, &[0; 4]), get(1)].concat();
    let table = [
        ("too large", frame(kind::PING, 0, 0, &[0; 16_385]), SIZE),
        ("DATA on stream 0", data(0, b"", false), PROTOCOL),
        ("HEADERS on stream 0", get(0), PROTOCOL),
        (
            "PING on a stream",
            frame(kind::PING, 0, 1, &[0; 8]),
            PROTOCOL,
        ),
        (
            "SETTINGS on a stream",
            frame(kind::SETTINGS, 0, 1, &[]),
            PROTOCOL,
        ),
        ("short PING", frame(kind::PING, 0, 0, &[0; 7]), SIZE),
        (
            "acknowledgement with settings",
            frame(kind::SETTINGS, 1, 0, &[0; 6]),
            SIZE,
        ),
        (
            "short RST_STREAM",
            [get(1), frame(kind::RST_STREAM, 0, 1, &[0; 3])].concat(),
            SIZE,
        ),
        ("short GOAWAY", frame(kind::GOAWAY, 0, 0, &[0; 7]), SIZE),
        (
            "short WINDOW_UPDATE",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0; 3]),
            SIZE,
        ),
        (
            "WINDOW_UPDATE by zero",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            PROTOCOL,
        ),
        (
            "window overflow",
            frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]),
            FLOW,
        ),
        (
            "PUSH_PROMISE",
            frame(kind::PUSH_PROMISE, end, 1, &[0; 4]),
            PROTOCOL,
        ),
        (
            "stray CONTINUATION",
            frame(kind::CONTINUATION, end, 1, &[]),
            PROTOCOL,
        ),
        ("even stream id", get(2), PROTOCOL),
        ("descending stream id", [get(5), get(3)].concat(), PROTOCOL),
        ("DATA on an idle stream", data(1, b"", true), PROTOCOL),
        (
            "RST_STREAM on an idle stream",
            frame(kind::RST_STREAM, 0, 1, &[0; 4]),
            PROTOCOL,
        ),
        (
            "WINDOW_UPDATE on an idle stream",
            frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
            PROTOCOL,
        ),
        (
            "priority of an idle stream on itself",
            priority_on_itself,
            PROTOCOL,
        ),
        (
            "padding too long",
            [post(1), frame(kind::DATA, flag::PADDED, 1, &[5, 0])].concat(),
            PROTOCOL,
        ),
        (
            "padding of nothing",
            [post(1), frame(kind::DATA, flag::PADDED, 1, &[])].concat(),
            PROTOCOL,
        ),
        (
            "padding of HEADERS",
            frame(kind::HEADERS, end | flag::PADDED, 1, &[9, 0]),
            PROTOCOL,
        ),
        ("HEADERS behind the end", [get(1), get(1)].concat(), CLOSED),
        ("HEADERS behind a reset", reset_then_headers, CLOSED),
        (
            "block that ends early",
            frame(kind::HEADERS, end, 1, &[0x40, 5, b'a']),
            ErrorCode::COMPRESSION_ERROR,
        ),
        (
            "frame inside of a block",
            [
                frame(kind::HEADERS, 0, 1, &[]),
                frame(kind::PING, 0, 0, &[0; 8]),
            ]
            .concat(),
            PROTOCOL,
        ),
        (
            "CONTINUATION of another stream",
            [
                frame(kind::HEADERS, 0, 1, &[]),
                frame(kind::CONTINUATION, end, 3, &[]),
            ]
            .concat(),
            PROTOCOL,
        ),
        (
            "initial window makes a window too large",
            [
                get(1),
                frame(kind::WINDOW_UPDATE, 0, 1, &[0x7f, 255, 0, 0]),
                frame(kind::SETTINGS, 0, 0, &[0, 4, 0x7f, 255, 255, 255]),
            ]
            .concat(),
            FLOW,
        ),
    ];
    for (what, bytes, code) in table {
        let mut server = server();
        let (events, _) = feed(&mut server, &bytes);
        let last = events.last().map(String::as_str).unwrap_or_default();
        assert!(
            last.starts_with(&format!("failed {code}")),
            "{what}: {events:?}"
        );
        assert_eq!(goaway_code(&written(&mut server)), Some(code), "{what}");
        assert!(server.is_over());
        // Nothing is read any more.
        assert!(feed(&mut server, &get(101)).0.is_empty(), "{what}");
    }
}

#[test]
fn faults_of_a_stream_end_it_alone() {
    let post_with = |length| {
        let fields = [
            &[(":method", "POST")],
            &GET[1..],
            &[("content-length", length)],
        ]
        .concat();
        request(1, &fields, false)
    };
    let get_with = |field| request(1, &[GET, &[field]].concat(), true);
    let on_itself = [&[0, 0, 0, 1, 0][..], &block(GET)].concat();
    let flags = flag::PRIORITY | flag::END_HEADERS;
    let table = [
        ("malformed head", get_with(("X-A", "1")), PROTOCOL),
        (
            "head that announces a body",
            get_with(("content-length", "1")),
            PROTOCOL,
        ),
        (
            "body too long",
            [post_with("1"), data(1, b"ab", true)].concat(),
            PROTOCOL,
        ),
        (
            "body too short",
            [post_with("3"), data(1, b"ab", true)].concat(),
            PROTOCOL,
        ),
        (
            "body too short for trailers",
            [post_with("3"), request(1, &[("a", "b")], true)].concat(),
            PROTOCOL,
        ),
        (
            "trailers that do not end",
            [post(1), request(1, &[("a", "b")], false)].concat(),
            PROTOCOL,
        ),
        (
            "trailers with a pseudo field",
            [post(1), request(1, &[(":path", "/")], true)].concat(),
            PROTOCOL,
        ),
        (
            "stream on itself",
            frame(kind::HEADERS, flags, 1, &on_itself),
            PROTOCOL,
        ),
        (
            "priority on itself",
            [post(1), frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 1, 0])].concat(),
            PROTOCOL,
        ),
        (
            "short PRIORITY",
            [post(1), frame(kind::PRIORITY, 0, 1, &[0; 4])].concat(),
            SIZE,
        ),
        (
            "WINDOW_UPDATE by zero",
            [post(1), frame(kind::WINDOW_UPDATE, 0, 1, &[0; 4])].concat(),
            PROTOCOL,
        ),
        (
            "window overflow",
            [
                post(1),
                frame(kind::WINDOW_UPDATE, 0, 1, &[0x7f, 255, 255, 255]),
            ]
            .concat(),
            FLOW,
        ),
        (
            "DATA behind the end",
            [get(1), data(1, b"x", false)].concat(),
            CLOSED,
        ),
        (
            "DATA behind a reset",
            [
                post(1),
                frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 8]),
                data(1, b"x", false),
            ]
            .concat(),
            CLOSED,
        ),
        (
            "DATA beyond the window",
            [
                post(1),
                (0..7).flat_map(|_| data(1, &[0; 16_000], false)).collect(),
            ]
            .concat(),
            FLOW,
        ),
    ];
    for (what, bytes, code) in table {
        let mut server = server();
        feed(&mut server, &bytes);
        let frames = written(&mut server);
        assert_eq!(reset_code(&frames, 1), Some(code), "{what}: {frames:?}");
        assert_eq!(goaway_code(&frames), None, "{what}");
        let (events, _) = feed(&mut server, &get(3));
        assert_eq!(events, ["3: GET / end"], "{what}");
    }
}

#[test]
fn streams_beyond_the_limit_are_refused() {
    let mut server = server();
    for id in (1..65).step_by(2) {
        assert_eq!(feed(&mut server, &get(id)).0.len(), 1);
    }
    assert!(feed(&mut server, &get(65)).0.is_empty());
    let frames = written(&mut server);
    assert_eq!(reset_code(&frames, 65), Some(ErrorCode::REFUSED_STREAM));
    let stream = server.streams().next().unwrap();
    server.send_head(stream, true, |head| head.status(200));
    assert_eq!(feed(&mut server, &get(67)).0, ["67: GET / end"]);
}

#[test]
fn a_head_beyond_the_limit_is_reported_without_its_rest() {
    let mut server = server();
    let many = (0..1000).map(|_| ("x", "1"));
    let fields: Vec<_> = GET.iter().copied().chain(many).collect();
    let bytes = request(1, &fields, true);
    let received = server.receive(&bytes);
    let Some(crate::Event::Head { head, .. }) = received.event else {
        panic!("{received:?}");
    };
    assert!(head.is_too_large() && head.len() < 500, "{}", head.len());
    assert_eq!(head.path(), Some("/"));
    assert_eq!(feed(&mut server, &get(3)).0, ["3: GET / end"]);
}

#[test]
fn a_client_that_does_not_speak_http_2_is_told() {
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [PREFACE, &get(1)].concat(),
    ] {
        let mut server = Connection::server(super::kit::CONFIG);
        let (events, _) = feed(&mut server, &bytes);
        assert!(events[0].starts_with("failed PROTOCOL_ERROR"), "{events:?}");
        assert_eq!(goaway_code(&written(&mut server)), Some(PROTOCOL));
    }
}

#[test]
fn unknown_frames_and_settings_are_ignored() {
    let mut server = server();
    let unknown = frame(77, 255, 5, b"abc");
    let setting = frame(kind::SETTINGS, 0, 0, &[0, 99, 0, 0, 0, 1]);
    assert!(feed(&mut server, &[unknown, setting].concat()).0.is_empty());
    assert_eq!(
        written(&mut server),
        [(kind::SETTINGS, flag::ACK, 0, vec![])]
    );
    assert!(
        feed(&mut server, &frame(kind::PING, 0, 0, b"12345678"))
            .0
            .is_empty()
    );
    assert_eq!(
        written(&mut server),
        [(kind::PING, flag::ACK, 0, b"12345678".to_vec())]
    );
}

#[test]
fn servers_that_break_rules_are_left() {
    let table = [
        get(2),
        post(1),
        frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2]),
        data(1, b"x", false),
        frame(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 1]),
    ];
    for bytes in table {
        let mut client = Connection::client(super::kit::CONFIG);
        feed(&mut client, &frame(kind::SETTINGS, 0, 0, &[]));
        let (events, _) = feed(&mut client, &bytes);
        assert!(events[0].starts_with("failed PROTOCOL_ERROR"), "{events:?}");
    }
}
