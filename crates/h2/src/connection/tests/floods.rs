//! Floods end with ENHANCE_YOUR_CALM, and what they make this side hold is bounded.

use super::kit::{GET, data, feed, frame, get, post, request, server, written};
use crate::frame::{flag, kind};
use crate::{Connection, ErrorCode, Event};

/// The frames of `flood(n)` for ever larger `n` until the connection fails; returns their number.
fn survive(server: &mut Connection, most: usize, mut flood: impl FnMut(u32) -> Vec<u8>) -> usize {
    for n in 0..most {
        let bytes = flood(u32::try_from(n).unwrap());
        let mut rest = &bytes[..];
        loop {
            let received = server.receive(rest);
            rest = &rest[received.used..];
            match received.event {
                Some(Event::Failed(error)) => {
                    assert_eq!(error.code, ErrorCode::ENHANCE_YOUR_CALM, "{error}");
                    return n;
                }
                Some(_) => {}
                None => break,
            }
        }
    }
    panic!("{most} frames were taken");
}

fn reset(stream: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[test]
fn frames_without_progress_are_limited() {
    let table = [
        frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        frame(kind::PRIORITY, 0, 1, &[0; 5]),
        frame(kind::PING, flag::ACK, 0, &[0; 8]),
        frame(kind::SETTINGS, flag::ACK, 0, &[]),
        frame(77, 0, 0, &[]),
        data(1, b"", false),
        frame(kind::DATA, flag::PADDED, 1, &[3, 0, 0, 0]),
        frame(kind::GOAWAY, 0, 0, &[0; 8]),
    ];
    for bytes in table {
        let mut server = server();
        feed(&mut server, &post(1));
        let taken = survive(&mut server, 20_000, |_| bytes.clone());
        assert!(taken > 5000, "{taken} of {bytes:?}");
        assert!(server.output().len() < 100);
    }
}

#[test]
fn answers_that_nobody_reads_are_limited() {
    for bytes in [
        frame(kind::PING, 0, 0, &[0; 8]),
        frame(kind::SETTINGS, 0, 0, &[]),
    ] {
        let mut blocked = server();
        let taken = survive(&mut blocked, 20_000, |_| bytes.clone());
        assert!(taken >= 900, "{taken}");
        assert!(blocked.output().len() < 20_000);
        let mut reading = server();
        let taken = survive(&mut reading, 20_000, |_| bytes.clone());
        assert!(taken >= 900);
    }
}

#[test]
fn progress_makes_frames_without_it_good() {
    let mut server = server();
    for id in (1..2001).step_by(2) {
        let (_, streams) = feed(&mut server, &get(id));
        for _ in 0..50 {
            let (events, _) = feed(&mut server, &frame(kind::PING, 0, 0, &[0; 8]));
            assert!(events.is_empty(), "{events:?}");
        }
        server.send_head(streams[0], true, |head| head.status(200));
        server.close(streams[0]);
        server.end_turn();
        written(&mut server);
    }
}

#[test]
fn rapid_resets_are_limited_in_a_turn() {
    let pair = |n: u32| [get(2 * n + 1), reset(2 * n + 1)].concat();
    let mut at_once = server();
    assert_eq!(survive(&mut at_once, 100, pair), 20);
}

#[test]
fn resets_over_many_turns_are_limited() {
    let mut server = server();
    for n in 0..1000_u32 {
        let id = 2 * n + 1;
        let (events, streams) = feed(&mut server, &[get(id), reset(id)].concat());
        if let Some(last) = events.last().filter(|event| event.starts_with("failed")) {
            assert!(last.contains("ENHANCE_YOUR_CALM"), "{last}");
            assert_eq!(n, 200);
            return;
        }
        for stream in streams {
            server.close(stream);
        }
        server.end_turn();
        written(&mut server);
    }
    panic!("1000 resets were taken");
}

#[test]
fn requests_that_are_cancelled_now_and_then_are_no_flood() {
    let mut server = server();
    for n in 0..3000_u32 {
        let id = 2 * n + 1;
        let (_, streams) = feed(&mut server, &get(id));
        if n % 3 == 0 {
            let (events, _) = feed(&mut server, &reset(id));
            assert_eq!(events.len(), 1, "{events:?}");
        } else {
            server.send_head(streams[0], true, |head| head.status(200));
        }
        server.close(streams[0]);
        server.end_turn();
        written(&mut server);
    }
}

#[test]
fn streams_with_errors_are_limited() {
    let fields = [GET, &[("X-A", "1")]].concat();
    let mut server = server();
    let taken = survive(&mut server, 5000, |n| request(2 * n + 1, &fields, true));
    assert_eq!(taken, 1024);
    // A client may make this side reset streams that are in progress (CVE-2025-8671).
    let mut server = super::kit::server();
    let taken = survive(&mut server, 5000, |n| {
        let zero = frame(kind::WINDOW_UPDATE, 0, 2 * n + 1, &[0; 4]);
        [post(2 * n + 1), zero].concat()
    });
    assert_eq!(taken, 20);
}

#[test]
fn continuation_is_limited_in_number_and_size() {
    let start = frame(kind::HEADERS, 0, 1, &[]);
    let mut server = server();
    feed(&mut server, &start);
    let taken = survive(&mut server, 100, |_| frame(kind::CONTINUATION, 0, 1, &[]));
    assert_eq!(taken, 32);
    let mut server = super::kit::server();
    feed(&mut server, &start);
    let taken = survive(&mut server, 100, |_| {
        frame(kind::CONTINUATION, 0, 1, &[0; 8000])
    });
    assert_eq!(taken, 2);
}

#[test]
fn a_compressed_bomb_is_cut_at_the_limit() {
    let mut server = server();
    // A field of 4,000 bytes, and 3,000 times the index that it has got.
    let mut bomb = vec![0x40, 1, b'x', 0x7f, 0xa1, 0x1e];
    bomb.extend([b'v'; 4000]);
    bomb.extend([0xbe; 3000]);
    let bytes = frame(kind::HEADERS, flag::END_HEADERS | 1, 1, &bomb);
    let received = server.receive(&bytes);
    let Some(Event::Head { head, .. }) = received.event else {
        panic!("{received:?}");
    };
    assert!(head.is_too_large() && head.len() <= 4, "{}", head.len());
}
