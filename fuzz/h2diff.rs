//! The frames of a client, read by our server and by the one of the h2 crate. Requests that both read to
//! their end are the same, and what one takes to its end, the other refuses only as it ends the stream or
//! the connection.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use elbow_h2::hpack::Encoder;
use elbow_h2::{Connection, Event, PREFACE};
use h2::RecvStream;
use h2::server::SendResponse;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::differ::{CONFIG, Fields, Refusals, of_head, of_map, poll};
use crate::feed::Feed;
use crate::frames::frame;

/// Maximum number of steps of a client.
const STEPS_MAX: usize = 60;

/// Fields with rules, beside those of a valid request.
const FIELDS: &[(&str, &str)] = &[
    (":method", "POST"),
    (":method", "CONNECT"),
    (":path", "/a?b"),
    (":path", "*"),
    (":path", "?x"),
    (":path", "/#f"),
    (":path", ""),
    (":path", "/a b"),
    (":path", "/{}|\"`"),
    (":scheme", "http"),
    (":authority", "u@h:80"),
    (":authority", ""),
    (":authority", "[::1]:8"),
    (":authority", "a:b:c"),
    (":authority", "h%41"),
    (":protocol", "websocket"),
    (":status", "200"),
    ("content-length", "5"),
    ("content-length", "0"),
    ("content-length", "x"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("keep-alive", "1"),
    ("proxy-connection", "y"),
    ("upgrade", "websocket"),
    ("host", "other"),
    ("cookie", "a=b"),
    ("cookie", "c=d"),
    ("x-a", "1"),
    ("x-a", " 1\t\u{e9}"),
    ("X-Upper", "1"),
    ("x sp", "1"),
    ("", "1"),
    ("x-b", "a\u{1}b"),
];

/// Fields that most requests may have.
const USUAL: &[(&str, &str)] = &[
    ("content-length", "5"),
    ("te", "trailers"),
    ("host", "other"),
    ("cookie", "a=b"),
    ("cookie", "c=d"),
    ("x-a", "1"),
    ("x-a", " 1\t\u{e9}"),
];

/// A request as a server read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Request {
    method: String,
    path: String,
    authority: String,
    fields: Fields,
    body: Vec<u8>,
    trailers: Fields,
    is_ended: bool,
    is_reset: bool,
}

/// What a server read.
#[derive(Debug, Default)]
struct Seen {
    requests: BTreeMap<u32, Request>,
    refusals: Refusals,
}

/// Compares what both servers read of the client that `input` describes.
pub(crate) fn check(input: &[u8]) {
    let frames = client(&mut Feed::new(input));
    let ours = ours(&frames.concat());
    let theirs = theirs(&frames);
    for (id, request) in &ours.requests {
        let complete = |request: &&Request| request.is_ended && !request.is_reset;
        let other = theirs.requests.get(id);
        if complete(&request) {
            let refused = theirs.refusals.has(*id);
            match other.filter(complete) {
                Some(other) => assert_eq!(request, other, "stream {id}"),
                None => assert!(
                    refused,
                    "h2 does not have stream {id}: {request:?} {theirs:?}"
                ),
            }
        }
    }
    for (id, request) in &theirs.requests {
        let other = ours.requests.get(id).filter(|other| other.is_ended);
        if request.is_ended && !request.is_reset && other.is_none() {
            let refused = ours.refusals.has(*id);
            assert!(refused, "we do not have stream {id}: {request:?} {ours:?}");
        }
    }
}

fn ours(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::server(CONFIG);
    let mut rest = bytes;
    loop {
        let received = connection.receive(rest);
        rest = &rest[received.used..];
        let Some(event) = received.event else {
            break;
        };
        match event {
            Event::Head { stream, head, end } => {
                let path = head.path().unwrap_or("");
                let path = path.split('#').next().unwrap_or_default();
                let request = Request {
                    method: head.method().to_owned(),
                    path: if path.is_empty() && head.path().is_some() {
                        "/"
                    } else {
                        path
                    }
                    .to_owned(),
                    authority: head.authority().unwrap_or("").to_owned(),
                    fields: of_head(head),
                    is_ended: end,
                    ..Request::default()
                };
                seen.requests.insert(stream.id(), request);
            }
            Event::Data { stream, data, end } => {
                if let Some(request) = seen.requests.get_mut(&stream.id()) {
                    request.body.extend_from_slice(data);
                    request.is_ended = end;
                }
                let n = data.len();
                connection.release(stream, n);
            }
            Event::Trailers { stream, head } => {
                if let Some(request) = seen.requests.get_mut(&stream.id()) {
                    request.trailers = of_head(head);
                    request.is_ended = true;
                }
            }
            Event::Reset { stream, .. } => {
                if let Some(request) = seen.requests.get_mut(&stream.id()) {
                    request.is_reset = true;
                }
                seen.refusals.reset.push(stream.id());
            }
            Event::GoAway { .. } => {}
            Event::Failed(error) => seen.refusals.failed = Some(error.code.0),
        }
    }
    seen.refusals.note_frames(connection.output());
    seen
}

/// A request of the h2 crate whose body is awaited.
struct Pending {
    id: u32,
    body: RecvStream,
    /// Dropping it would reset the stream.
    _respond: SendResponse<Bytes>,
    has_data: bool,
}

fn theirs(frames: &[Vec<u8>]) -> Seen {
    let mut seen = Seen::default();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut near, far) = duplex(4 << 20);
    let mut frames = frames.iter();
    let _ = poll(&mut cx, near.write_all(frames.next().expect("the preface")));
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(CONFIG.streams_max)
        .max_header_list_size(CONFIG.header_list_max)
        .initial_window_size(CONFIG.stream_window)
        .initial_connection_window_size(CONFIG.connection_window);
    let mut pending = Vec::new();
    if let Poll::Ready(Ok(mut connection)) = poll(&mut cx, builder.handshake::<_, Bytes>(far)) {
        // Frame by frame, since an error hides the requests before it that were not accepted.
        for frame in frames.flat_map(|frame| [frame.as_slice(), &[], &[]]) {
            let _ = poll(&mut cx, near.write_all(frame));
            match poll(&mut cx, poll_fn(|cx| connection.poll_accept(cx))) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let (parts, body) = request.into_parts();
                    let id = body.stream_id().as_u32();
                    let request = Request {
                        method: parts.method.as_str().to_owned(),
                        path: parts
                            .uri
                            .path_and_query()
                            .map_or("", |path| path.as_str())
                            .to_owned(),
                        authority: parts.uri.authority().map_or("", |a| a.as_str()).to_owned(),
                        fields: of_map(&parts.headers),
                        ..Request::default()
                    };
                    seen.requests.insert(id, request);
                    pending.push(Pending {
                        id,
                        body,
                        _respond: respond,
                        has_data: true,
                    });
                }
                Poll::Ready(Some(Err(error))) => {
                    let reason = error.reason().map_or(u32::MAX, u32::from);
                    seen.refusals.failed.get_or_insert(reason);
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            for one in &mut pending {
                read_body(&mut cx, one, &mut seen);
            }
        }
    } else {
        seen.refusals.failed = Some(u32::MAX);
    }
    drop(pending);
    let mut sent = vec![0; 1 << 20];
    if let Poll::Ready(Ok(n)) = poll(&mut cx, near.read(&mut sent)) {
        seen.refusals.note_frames(&sent[..n]);
    }
    seen
}

fn read_body(cx: &mut Context<'_>, one: &mut Pending, seen: &mut Seen) {
    let Some(request) = seen.requests.get_mut(&one.id) else {
        return;
    };
    while one.has_data {
        match poll(cx, poll_fn(|cx| one.body.poll_data(cx))) {
            Poll::Ready(Some(Ok(data))) => {
                request.body.extend_from_slice(&data);
                let _ = one.body.flow_control().release_capacity(data.len());
            }
            Poll::Ready(Some(Err(_))) => {
                request.is_reset = true;
                one.has_data = false;
                return;
            }
            Poll::Ready(None) => one.has_data = false,
            Poll::Pending => return,
        }
    }
    if request.is_ended || request.is_reset {
        return;
    }
    match poll(cx, poll_fn(|cx| one.body.poll_trailers(cx))) {
        Poll::Ready(Ok(trailers)) => {
            request.trailers = trailers.as_ref().map(of_map).unwrap_or_default();
            request.is_ended = true;
        }
        Poll::Ready(Err(_)) => request.is_reset = true,
        Poll::Pending => {}
    }
}

/// What the client sends.
fn client(feed: &mut Feed<'_>) -> Vec<Vec<u8>> {
    let mut first = PREFACE.to_vec();
    frame(&mut first, 4, 0, 0, &[]);
    let mut all = vec![first];
    let mut encoder = Encoder::new();
    let mut next = 1;
    // The stream whose body goes on.
    let mut open = None;
    for _ in 0..STEPS_MAX {
        if feed.is_empty() {
            break;
        }
        let mut out = Vec::new();
        step(feed, &mut encoder, &mut next, &mut open, &mut out);
        all.push(out);
    }
    all
}

fn step(
    feed: &mut Feed<'_>,
    encoder: &mut Encoder,
    next: &mut u32,
    open: &mut Option<u32>,
    out: &mut Vec<u8>,
) {
    // Mostly the stream whose body goes on, or one that was opened lately.
    let stream = match feed.byte() {
        0..224 if open.is_some() => open.unwrap_or_default(),
        n @ 0..252 => next.saturating_sub(2 * (1 + u32::from(n % 3))) | 1,
        n => u32::from(n) % 16,
    };
    match feed.byte() {
        // Other frames on an idle stream would end the connection.
        op if op < 0x60 || (*next == 1 && op < 0xfc) => {
            let stream = if feed.one_in(64) { stream } else { *next };
            *next = (*next).max(stream) + 2;
            let ended = headers(feed, encoder, stream, true, out);
            *open = (!ended).then_some(stream);
        }
        // Frames behind the end of a stream end much, so they are rare.
        0x60..0xb8 if open.is_none() && !feed.one_in(32) => {}
        0x60..0xa0 => {
            let n = usize::from(feed.byte()) * usize::from(feed.byte() % 8);
            let mut flags = u8::from(feed.one_in(2));
            let mut payload = vec![b'd'; n];
            if feed.one_in(8) {
                flags |= 8;
                payload.insert(0, feed.byte() % 4);
                payload.extend([0; 3]);
            }
            if feed.one_in(4) {
                payload = b"hello".to_vec();
            }
            *open = open.filter(|_| flags & 1 == 0);
            frame(out, 0, flags, stream, &payload);
        }
        0xa0..0xb8 => {
            headers(feed, encoder, stream, false, out);
            *open = None;
        }
        0xb8..0xc8 => frame(out, 3, 0, stream, &[0, 0, 0, feed.byte() % 14]),
        0xc8..0xd8 => {
            let stream = [0, stream][usize::from(feed.byte() & 1)];
            frame(out, 8, 0, stream, &[0, 0, feed.byte(), feed.byte()]);
        }
        0xd8..0xe0 => frame(out, 6, feed.byte() & 1, 0, &[1; 8]),
        0xe0..0xe8 => {
            let value = feed.number().to_be_bytes();
            let name = [1, 3, 6, 77, 4, 5][usize::from(feed.byte() % 32).saturating_sub(26)];
            frame(out, 4, 0, 0, &[&[0, name], &value[..]].concat());
        }
        0xe8..0xf0 => {
            let priority = [&(feed.number() % 64).to_be_bytes()[..], &[1]].concat();
            frame(out, 2, 0, stream, &priority);
        }
        0xf0..0xfe => frame(
            out,
            10 + feed.byte() % 8,
            feed.byte(),
            stream,
            feed.text().as_bytes(),
        ),
        _ => frame(
            out,
            feed.byte() % 10,
            feed.byte(),
            stream,
            feed.text().as_bytes(),
        ),
    }
}

/// HEADERS of a request or of trailers, with CONTINUATION now and then.
/// Returns whether it ends the stream.
fn headers(
    feed: &mut Feed<'_>,
    encoder: &mut Encoder,
    stream: u32,
    is_request: bool,
    out: &mut Vec<u8>,
) -> bool {
    let mut block = Vec::new();
    encoder.start_block(&mut block);
    let mut put = |name: &str, value: &str| {
        encoder.encode(name.as_bytes(), value.as_bytes(), false, &mut block);
    };
    if is_request && !feed.one_in(32) {
        put(":method", "POST");
        put(":scheme", "https");
        put(":path", "/x");
        if !feed.one_in(8) {
            put(":authority", "h");
        }
    }
    for _ in 0..feed.byte() % 3 {
        let of = if feed.one_in(8) { FIELDS } else { USUAL };
        let (name, value) = feed.pick(of);
        put(name, value);
    }
    let end = u8::from(!is_request || feed.one_in(3));
    if feed.one_in(6) {
        let (first, rest) = block.split_at(block.len() / 2);
        frame(out, 1, end, stream, first);
        frame(out, 9, 4, stream, rest);
    } else {
        frame(out, 1, 4 | end, stream, &block);
    }
    end == 1
}
