//! Windows and backpressure.

use super::kit::{CONFIG, data, exchange, feed, frame, get, post, server, written};
use crate::frame::kind;
use crate::{Config, Connection, StreamKey};

fn settings(name: u16, value: u32) -> Vec<u8> {
    let payload = [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(kind::SETTINGS, 0, 0, &payload)
}

fn update(stream: u32, by: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// A response whose head is sent.
fn respond(server: &mut Connection, stream: u32) -> StreamKey {
    let (_, streams) = feed(server, &get(stream));
    server.send_head(streams[0], false, |head| head.status(200));
    streams[0]
}

fn ready(server: &mut Connection) -> Vec<u32> {
    let mut ready = Vec::new();
    server.take_ready(|stream| ready.push(stream.id()));
    ready
}

#[test]
fn data_stops_at_either_window_and_at_the_output_bound() {
    let mut server = server();
    let body = vec![b'x'; 100_000];
    feed(&mut server, &settings(4, 10));
    let stream = respond(&mut server, 1);
    assert_eq!(server.send_data(stream, &body, true), 10);
    assert_eq!(server.send_data(stream, &body, true), 0);
    feed(&mut server, &update(1, 1_000_000));
    let sent = server.send_data(stream, &body, false);
    assert!(
        sent < CONFIG.output_max && sent > CONFIG.output_max - 1000,
        "{sent}"
    );
    assert_eq!(server.room(), 0);
    assert_eq!(server.send_data(stream, &body, false), 0);
    let length = server.output().len();
    assert!(length <= CONFIG.output_max + 9 * 5, "{length}");
    written(&mut server);
    assert_eq!(
        server.send_data(stream, &body, false),
        65_535 - 10 - sent,
        "the connection's window"
    );
    feed(&mut server, &update(0, 5));
    assert_eq!(server.send_data(stream, b"1234", true), 4);
    let last = written(&mut server).pop().unwrap();
    assert_eq!(last, (kind::DATA, 1, 1, b"1234".to_vec()));
}

#[test]
fn a_smaller_initial_window_counts_for_streams_in_progress() {
    let mut server = server();
    let stream = respond(&mut server, 1);
    assert_eq!(server.send_data(stream, &[0; 1000], false), 1000);
    feed(&mut server, &settings(4, 500));
    assert_eq!(server.capacity(stream), 0);
    feed(&mut server, &update(1, 600));
    assert_eq!(server.capacity(stream), 100);
    feed(&mut server, &settings(4, 501));
    assert_eq!(server.capacity(stream), 101);
}

#[test]
fn waiting_streams_get_their_turn_in_order() {
    let mut server = server();
    feed(
        &mut server,
        &[settings(4, 0), update(0, 1_000_000)].concat(),
    );
    let streams = [1, 3, 5].map(|id| respond(&mut server, id));
    for stream in streams {
        server.wait(stream, true);
        server.wait(stream, true);
    }
    assert!(ready(&mut server).is_empty());
    feed(
        &mut server,
        &[update(5, 200_000), update(1, 200_000)].concat(),
    );
    assert_eq!(ready(&mut server), [1, 5]);
    assert!(ready(&mut server).is_empty());
    server.wait(streams[2], true);
    server.wait(streams[0], true);
    // The output is full: nobody can send.
    server.send_data(streams[0], &[0; 200_000], false);
    assert!(ready(&mut server).is_empty());
    written(&mut server);
    assert_eq!(ready(&mut server), [5, 1]);
    // A head needs no window.
    server.wait(streams[1], false);
    assert_eq!(ready(&mut server), [3]);
    server.wait(streams[1], true);
    server.close(streams[1]);
    assert!(ready(&mut server).is_empty());
}

#[test]
fn receive_windows_are_updated_once_a_turn() {
    let mut server = server();
    feed(&mut server, &post(1));
    let stream = server.streams().next().unwrap();
    let piece = vec![0; 10_000];
    for _ in 0..10 {
        feed(&mut server, &data(1, &piece, false));
    }
    assert!(written(&mut server).is_empty());
    for _ in 0..10 {
        server.release(stream, piece.len());
    }
    server.end_turn();
    let frames = written(&mut server);
    let expected = [
        (
            kind::WINDOW_UPDATE,
            0,
            0,
            100_000_u32.to_be_bytes().to_vec(),
        ),
        (
            kind::WINDOW_UPDATE,
            0,
            1,
            100_000_u32.to_be_bytes().to_vec(),
        ),
    ];
    assert_eq!(frames, expected);
    server.end_turn();
    assert!(written(&mut server).is_empty());
}

#[test]
fn windows_take_their_size_with_the_next_update() {
    let mut client = Connection::client(Config {
        stream_window: 1000,
        ..CONFIG
    });
    let settings = written(&mut client).remove(0);
    assert_eq!(settings.3[6..12], [0, 4, 0, 0, 3, 232]);
    let stream = client.open(true, false, |head| {
        for (name, value) in super::kit::GET {
            head.field(name, value.as_bytes());
        }
    });
    let stream = stream.unwrap();
    written(&mut client);
    let response = [
        frame(kind::SETTINGS, 0, 0, &[]),
        super::kit::request(1, &[(":status", "200")], false),
    ];
    feed(&mut client, &response.concat());
    written(&mut client);
    let mut granted = 1000;
    for (size, expected) in [(50_000, 50_000), (50_000, 50_000), (800, 800)] {
        client.set_windows(size, CONFIG.connection_window);
        for piece in vec![0; granted].chunks(10_000) {
            feed(&mut client, &data(1, piece, false));
        }
        client.end_turn();
        assert!(written(&mut client).iter().all(|frame| frame.2 == 0));
        client.release(stream, granted);
        client.end_turn();
        let mut updates = written(&mut client);
        updates.retain(|frame| frame.2 == 1);
        let update = (
            kind::WINDOW_UPDATE,
            0,
            1,
            u32::to_be_bytes(expected).to_vec(),
        );
        assert_eq!(updates, [update]);
        granted = expected as usize;
    }
    feed(&mut client, &data(1, &[0; 801], false));
    let reset = (kind::RST_STREAM, 0, 1, 3_u32.to_be_bytes().to_vec());
    assert_eq!(written(&mut client), [reset]);
}

#[test]
fn data_of_closed_streams_returns_to_the_connection() {
    let mut server = server();
    for id in [1, 3] {
        feed(&mut server, &post(id));
        // Held by the owner, or dropped, all of it is given back.
        for _ in 0..5 {
            feed(&mut server, &data(id, &[0; 10_000], false));
        }
        let stream = server.streams().next().unwrap();
        server.close(stream);
        for _ in 0..5 {
            feed(&mut server, &data(id, &[0; 10_000], false));
        }
        written(&mut server);
        server.end_turn();
        let update = (
            kind::WINDOW_UPDATE,
            0,
            0,
            100_000_u32.to_be_bytes().to_vec(),
        );
        assert_eq!(written(&mut server), [update]);
    }
}

#[test]
fn padding_counts_and_is_given_back() {
    let mut server = server();
    feed(&mut server, &post(1));
    let mut padded = vec![200, b'h', b'i'];
    padded.extend([0; 200]);
    let (events, _) = feed(&mut server, &frame(kind::DATA, 0x8 | 0x1, 1, &padded));
    assert_eq!(events, ["1: hi end"]);
    for id in (3..1000).step_by(2) {
        feed(&mut server, &post(id));
        feed(&mut server, &frame(kind::DATA, 0x8 | 0x1, id, &padded));
        server.end_turn();
        let stream = server.streams().last().unwrap();
        server.close(stream);
    }
}

#[test]
fn bytes_may_come_one_by_one() {
    let mut server = Connection::server(CONFIG);
    let padded = [2, b'h', b'i', 0, 0];
    let all = [
        crate::PREFACE,
        &frame(kind::SETTINGS, 0, 0, &[]),
        &post(1),
        &data(1, b"ab", false),
        &frame(kind::DATA, 0x8, 1, &padded),
        &data(1, b"", true),
        &get(3),
    ]
    .concat();
    let (mut events, mut pending) = (Vec::new(), Vec::new());
    for byte in all {
        pending.push(byte);
        loop {
            let received = server.receive(&pending);
            let (used, event) = (
                received.used,
                received.event.as_ref().map(super::kit::describe),
            );
            pending.drain(..used);
            match event {
                Some(event) => events.push(event),
                None => break,
            }
        }
        assert!(pending.len() < 100);
    }
    let expected = [
        "1: POST /",
        "1: a",
        "1: b",
        "1: h",
        "1: i",
        "1:  end",
        "3: GET / end",
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_large_body_passes_through_small_windows() {
    let config = Config {
        output_max: 5000,
        ..CONFIG
    };
    let (mut client, mut server) = (Connection::client(config), Connection::server(config));
    exchange(&mut client, &mut server);
    let up = client.open(false, false, |head| {
        for (name, value) in super::kit::GET {
            head.field(name, value.as_bytes());
        }
    });
    let up = up.unwrap();
    let body = vec![b'x'; 1_000_000];
    let (mut sent, mut got, mut ends) = (0, 0, false);
    while !ends {
        let n = client.send_data(up, &body[sent..], true);
        sent += n;
        assert!(client.output().len() < 6000);
        let bytes = client.output().to_vec();
        client.consume_output(bytes.len());
        let mut rest = &bytes[..];
        loop {
            let received = server.receive(rest);
            rest = &rest[received.used..];
            match received.event {
                Some(crate::Event::Data { stream, data, end }) => {
                    got += data.len();
                    ends = end;
                    let n = data.len();
                    server.release(stream, n);
                }
                Some(_) => {}
                None => break,
            }
        }
        server.end_turn();
        let bytes = server.output().to_vec();
        server.consume_output(bytes.len());
        feed(&mut client, &bytes);
    }
    assert_eq!((sent, got), (body.len(), body.len()));
}
