//! A client and a server of ours.

use super::kit::{CONFIG, exchange, feed, frame, get, server, written};
use crate::Connection;
use crate::frame::{flag, kind};

fn pair() -> (Connection, Connection) {
    let (mut client, mut server) = (Connection::client(CONFIG), Connection::server(CONFIG));
    let events = exchange(&mut client, &mut server);
    assert_eq!(events, (vec![], vec![]));
    (client, server)
}

fn open(client: &mut Connection, method: &str, end: bool) -> crate::StreamKey {
    let stream = client.open(end, method == "HEAD", |head| {
        head.field(":method", method.as_bytes());
        head.field(":scheme", b"https");
        head.field(":authority", b"h");
        head.field(":path", b"/a");
        head.field("X-Mixed", b"Kept");
    });
    stream.unwrap()
}

#[test]
fn request_and_response_pass_with_bodies_and_trailers() {
    let (mut client, mut server) = pair();
    let up = open(&mut client, "POST", false);
    assert_eq!(client.send_data(up, b"hello ", false), 6);
    assert_eq!(client.send_data(up, b"world", false), 5);
    assert!(client.send_head(up, true, |head| head.field("sum", b"1")));
    let (_, events) = exchange(&mut client, &mut server);
    let expected = [
        "1: POST /a x-mixed=Kept",
        "1: hello ",
        "1: world",
        "1: trailers sum=1",
    ];
    assert_eq!(events, expected);
    let down = server.streams().next().unwrap();
    server.release(down, 11);
    server.send_head(down, false, |head| {
        head.status(200);
        head.field("Server", b"pod");
    });
    server.send_data(down, b"hi", false);
    server.end(down);
    server.close(down);
    assert_eq!(server.open_streams(), 0);
    let (events, _) = exchange(&mut client, &mut server);
    assert_eq!(events, ["1: 200 server=pod", "1: hi end"]);
    client.close(up);
    assert_eq!(client.open_streams(), 0);
    assert!(client.output().is_empty(), "nobody is reset");
}

#[test]
fn end_is_a_flag_of_the_frame_before() {
    let mut server = server();
    let (_, streams) = feed(&mut server, &[get(1), get(3), get(5)].concat());
    for stream in &streams[..2] {
        server.send_head(*stream, false, |head| head.status(200));
    }
    server.send_data(streams[0], b"hi", false);
    server.end(streams[0]);
    server.send_head(streams[2], false, |head| head.status(204));
    server.end(streams[2]);
    server.end(streams[1]);
    let frames: Vec<_> = written(&mut server)
        .into_iter()
        .map(|(kind, flags, stream, _)| (kind, flags, stream))
        .collect();
    let (headers, ends) = (flag::END_HEADERS, flag::END_STREAM);
    let expected = [
        (kind::HEADERS, headers, 1),
        (kind::HEADERS, headers, 3),
        (kind::DATA, ends, 1),
        (kind::HEADERS, headers | ends, 5),
        (kind::DATA, ends, 3),
    ];
    assert_eq!(frames, expected);
}

#[test]
fn end_of_a_written_frame_is_a_frame_of_its_own() {
    let mut server = server();
    let (_, streams) = feed(&mut server, &get(1));
    server.send_head(streams[0], false, |head| head.status(200));
    server.send_data(streams[0], b"hi", false);
    written(&mut server);
    server.end(streams[0]);
    assert_eq!(
        written(&mut server),
        [(kind::DATA, flag::END_STREAM, 1, vec![])]
    );
}

#[test]
fn large_heads_are_split_and_joined() {
    let config = crate::Config {
        header_list_max: 64 * 1024,
        ..CONFIG
    };
    let mut client = Connection::client(config);
    let mut server = Connection::server(config);
    exchange(&mut client, &mut server);
    let value = vec![b'\\'; 20_000];
    let stream = client.open(true, false, |head| {
        for (name, value) in super::kit::GET {
            head.field(name, value.as_bytes());
        }
        head.field("long", &value);
    });
    let kinds: Vec<_> = {
        let mut copy = Vec::new();
        let mut rest = client.output();
        while let Some(head) = crate::frame::FrameHead::read(rest) {
            copy.push((head.kind, head.flags));
            rest = &rest[9 + head.length..];
        }
        copy
    };
    assert_eq!(kinds.first(), Some(&(kind::HEADERS, flag::END_STREAM)));
    assert_eq!(kinds.last(), Some(&(kind::CONTINUATION, flag::END_HEADERS)));
    let (_, events) = exchange(&mut client, &mut server);
    assert_eq!(
        events[0].len(),
        "1: GET / long= end".len() + 2 * value.len()
    );
    assert!(stream.is_some());
}

#[test]
fn response_to_head_announces_a_length_it_does_not_have() {
    let (mut client, mut server) = pair();
    let stream = open(&mut client, "HEAD", true);
    exchange(&mut client, &mut server);
    let down = server.streams().next().unwrap();
    server.send_head(down, true, |head| {
        head.status(200);
        head.field("content-length", b"7");
    });
    let (events, _) = exchange(&mut client, &mut server);
    assert_eq!(events, ["1: 200 content-length=7 end"]);
    client.close(stream);
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let (mut client, mut server) = pair();
    open(&mut client, "GET", true);
    exchange(&mut client, &mut server);
    let down = server.streams().next().unwrap();
    // A server of ours sends none, so the frame is written by hand.
    let interim = frame(
        kind::HEADERS,
        flag::END_HEADERS,
        1,
        &super::kit::block(&[(":status", "103")]),
    );
    assert_eq!(feed(&mut client, &interim).0, ["1: 103"]);
    server.send_head(down, true, |head| head.status(200));
    assert_eq!(exchange(&mut client, &mut server).0, ["1: 200 end"]);
}

#[test]
fn graceful_shutdown_serves_what_was_on_its_way() {
    let (mut client, mut server) = pair();
    let first = open(&mut client, "GET", true);
    exchange(&mut client, &mut server);
    server.shut_down();
    // The client has sent this before it knows.
    let second = open(&mut client, "GET", true);
    let (events, of_server) = exchange(&mut client, &mut server);
    assert_eq!(of_server, ["3: GET /a x-mixed=Kept end"]);
    let expected = ["goaway 2147483647 NO_ERROR", "goaway 3 NO_ERROR"];
    assert_eq!(events, expected);
    assert!(!client.can_open());
    assert!(!server.is_over());
    for stream in server.streams().collect::<Vec<_>>() {
        server.send_head(stream, true, |head| head.status(200));
        server.close(stream);
    }
    assert!(server.is_over());
    let (events, _) = exchange(&mut client, &mut server);
    assert_eq!(events, ["1: 200 end", "3: 200 end"]);
    client.close(first);
    client.close(second);
}

#[test]
fn streams_behind_a_shutdown_are_ignored() {
    let mut server = server();
    server.shut_down();
    let ping = frame(kind::PING, flag::ACK, 0, b"shutdown");
    let late = [get(1), super::kit::data(1, b"x", true)].concat();
    let (events, _) = feed(&mut server, &[ping, late].concat());
    assert!(events.is_empty(), "{events:?}");
    assert!(server.is_over());
}

/// A client that never acknowledges the PING has its last streams served, and no more.
#[test]
fn shutdown_ends_without_an_acknowledgement() {
    let mut server = server();
    server.shut_down();
    let most = CONFIG.streams_max;
    for n in 0..most + 2 {
        let (events, _) = feed(&mut server, &get(2 * n + 1));
        assert_eq!(events.len(), usize::from(n < most), "{n}: {events:?}");
        for stream in server.streams().collect::<Vec<_>>() {
            server.send_head(stream, true, |head| head.status(200));
            server.close(stream);
        }
        assert_eq!(server.is_over(), n + 1 >= most, "{n}");
    }
}

#[test]
fn client_opens_no_more_streams_than_allowed() {
    let (mut client, _) = pair();
    for _ in 0..CONFIG.streams_max {
        open(&mut client, "GET", true);
    }
    assert!(!client.can_open());
    assert!(client.open(true, false, |_| {}).is_none());
}

#[test]
fn credentials_enter_no_table() {
    let (mut client, _) = pair();
    let mut request = || {
        let before = client.output().len();
        client.open(true, false, |head| {
            for (name, value) in super::kit::GET {
                head.field(name, value.as_bytes());
            }
            head.field("Authorization", b"Bearer secret");
            head.field("x-a", b"a longer value");
        });
        client.output()[before..].to_vec()
    };
    let sizes = [(); 4].map(|()| request().len());
    // The other field does enter it, and the credentials are sent again each time.
    assert!(sizes[3] < sizes[0], "{sizes:?}");
    assert!(sizes[3] > 9 + "secret".len(), "{sizes:?}");
    // Never indexed: `authorization` is number 23 of the static table.
    assert!(request().windows(2).any(|bytes| bytes == [0x1f, 23 - 15]));
}
