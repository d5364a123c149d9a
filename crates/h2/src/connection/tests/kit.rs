//! Frames, and a peer that reads what a connection sends.

use crate::frame::{FrameHead, flag, kind};
use crate::hpack::Encoder;
use crate::{Config, Connection, ErrorCode, Event, PREFACE, StreamKey};

pub(super) const CONFIG: Config = Config {
    streams_max: 32,
    stream_window: 100_000,
    connection_window: 200_000,
    header_list_max: 16 * 1024,
    output_max: 64 * 1024,
};

pub(super) const GET: &[(&str, &str)] = &[
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "h"),
    (":path", "/"),
];

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = payload.len();
    let head = FrameHead {
        length,
        kind,
        flags,
        stream,
    };
    [&head.bytes()[..], payload].concat()
}

/// A header block that changes no table.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.set_peer_table_size(0);
    let mut block = Vec::new();
    encoder.start_block(&mut block);
    for (name, value) in fields {
        encoder.encode(name.as_bytes(), value.as_bytes(), true, &mut block);
    }
    block
}

/// HEADERS of a request.
pub(super) fn request(stream: u32, fields: &[(&str, &str)], end: bool) -> Vec<u8> {
    let flags = flag::END_HEADERS | if end { flag::END_STREAM } else { 0 };
    frame(kind::HEADERS, flags, stream, &block(fields))
}

pub(super) fn get(stream: u32) -> Vec<u8> {
    request(stream, GET, true)
}

pub(super) fn post(stream: u32) -> Vec<u8> {
    let fields = [&[(":method", "POST")], &GET[1..]].concat();
    request(stream, &fields, false)
}

pub(super) fn data(stream: u32, data: &[u8], end: bool) -> Vec<u8> {
    frame(kind::DATA, u8::from(end), stream, data)
}

/// What an event was, as text.
pub(super) fn describe(event: &Event<'_>) -> String {
    let ends = |end: &bool| if *end { " end" } else { "" };
    match event {
        Event::Head { stream, head, end } => {
            let mut text = format!("{}: ", stream.id());
            if let Some(status) = head.status() {
                text += &status.to_string();
            } else {
                text += &format!("{} {}", head.method(), head.path().unwrap_or("-"));
            }
            for (name, value) in head.fields() {
                text += &format!(" {name}={}", value.escape_ascii());
            }
            text + ends(end)
        }
        Event::Data { stream, data, end } => {
            format!("{}: {}{}", stream.id(), data.escape_ascii(), ends(end))
        }
        Event::Trailers { stream, head } => {
            let fields = head.fields();
            let fields = fields.map(|(name, value)| format!(" {name}={}", value.escape_ascii()));
            format!("{}: trailers{}", stream.id(), fields.collect::<String>())
        }
        Event::Reset {
            stream,
            code,
            by_peer,
        } => format!("{}: {code} by peer {by_peer}", stream.id()),
        Event::GoAway { last, code } => format!("goaway {last} {code}"),
        Event::Failed(error) => format!("failed {error}"),
    }
}

/// Gives `connection` all of `input`; returns its events as text, and the streams of heads.
pub(super) fn feed(connection: &mut Connection, input: &[u8]) -> (Vec<String>, Vec<StreamKey>) {
    let (mut events, mut streams, mut rest) = (Vec::new(), Vec::new(), input);
    loop {
        let received = connection.receive(rest);
        if let Some(Event::Head { stream, .. }) = &received.event {
            streams.push(*stream);
        }
        let event = received.event.as_ref().map(describe);
        rest = &rest[received.used..];
        match event {
            Some(event) => events.push(event),
            None => {
                assert!(rest.is_empty(), "{} bytes are left", rest.len());
                return (events, streams);
            }
        }
    }
}

/// A server that has the client's preface, and whose own output was written.
pub(super) fn server() -> Connection {
    let mut server = Connection::server(CONFIG);
    let (events, _) = feed(
        &mut server,
        &[PREFACE, &frame(kind::SETTINGS, 0, 0, &[])].concat(),
    );
    assert!(events.is_empty(), "{events:?}");
    written(&mut server);
    server
}

/// A frame that a connection sent: kind, flags, stream, payload.
pub(super) type Sent = (u8, u8, u32, Vec<u8>);

/// Takes all output, as frames.
pub(super) fn written(connection: &mut Connection) -> Vec<Sent> {
    let bytes = connection.output().to_vec();
    connection.consume_output(bytes.len());
    let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(&bytes);
    let mut frames = Vec::new();
    while let Some(head) = FrameHead::read(rest) {
        let end = FrameHead::SIZE + head.length;
        let payload = rest[FrameHead::SIZE..end].to_vec();
        frames.push((head.kind, head.flags, head.stream, payload));
        rest = &rest[end..];
    }
    assert!(rest.is_empty());
    frames
}

/// The code of RST_STREAM for `stream` among `frames`.
pub(super) fn reset_code(frames: &[Sent], stream: u32) -> Option<ErrorCode> {
    let found = frames
        .iter()
        .find(|(kind, _, id, _)| (*kind, *id) == (kind::RST_STREAM, stream))?;
    Some(ErrorCode(u32::from_be_bytes(
        found.3[..].try_into().unwrap(),
    )))
}

/// The code of GOAWAY among `frames`.
pub(super) fn goaway_code(frames: &[Sent]) -> Option<ErrorCode> {
    let found = frames.iter().find(|(kind, ..)| *kind == kind::GOAWAY)?;
    Some(ErrorCode(u32::from_be_bytes(
        found.3[4..8].try_into().unwrap(),
    )))
}

/// Moves what both have to say until neither has anything; returns the events of both.
pub(super) fn exchange(a: &mut Connection, b: &mut Connection) -> (Vec<String>, Vec<String>) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    loop {
        let bytes = a.output().to_vec();
        a.consume_output(bytes.len());
        of_b.extend(feed(b, &bytes).0);
        b.end_turn();
        let bytes = b.output().to_vec();
        b.consume_output(bytes.len());
        of_a.extend(feed(a, &bytes).0);
        a.end_turn();
        if a.output().is_empty() && b.output().is_empty() {
            return (of_a, of_b);
        }
    }
}
