//! The frames of a server, read by our client and by the one of the h2 crate, which have asked for the same.
//! Responses that both read to their end are the same, and what one takes to its end, the other refuses only
//! as it ends the stream or the connection.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use elbow_h2::hpack::Encoder;
use elbow_h2::{Connection, Event, PREFACE};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::differ::{CONFIG, Fields, Refusals, of_head, of_map, poll};
use crate::feed::Feed;
use crate::frames::frame;

/// Maximum number of steps of a server.
const STEPS_MAX: usize = 60;

/// The requests on streams 1, 3 and so on, and whether they end with their heads.
const REQUESTS: &[(&str, bool)] = &[
    ("GET", true),
    ("POST", false),
    ("HEAD", true),
    ("GET", true),
    ("POST", false),
    ("GET", true),
];

/// Fields with rules, beside those of a valid response.
const FIELDS: &[(&str, &str)] = &[
    (":status", "200"),
    (":status", "099"),
    (":status", "1000"),
    (":status", "2x0"),
    (":path", "/"),
    (":method", "GET"),
    ("content-length", "x"),
    ("content-length", "18446744073709551615"),
    ("content-length", "18446744073709551616"),
    ("te", "trailers"),
    ("te", "gzip"),
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("keep-alive", "1"),
    ("proxy-connection", "y"),
    ("upgrade", "websocket"),
    ("X-Upper", "1"),
    ("x sp", "1"),
    ("", "1"),
    ("x-b", "a\u{1}b"),
];

/// Fields that most responses may have.
const USUAL: &[(&str, &str)] = &[
    ("content-length", "5"),
    ("content-length", "0"),
    ("content-type", "application/grpc"),
    ("grpc-status", "0"),
    ("set-cookie", "a=b"),
    ("set-cookie", "c=d"),
    ("x-a", "1"),
    ("x-a", " 1\t\u{e9}"),
];

/// A response as a client read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Response {
    status: u16,
    fields: Fields,
    body: Vec<u8>,
    trailers: Fields,
    is_ended: bool,
    is_reset: bool,
}

impl Response {
    fn is_complete(&self) -> bool {
        self.is_ended && !self.is_reset
    }
}

/// What a client read.
#[derive(Debug, Default)]
struct Seen {
    responses: BTreeMap<u32, Response>,
    refusals: Refusals,
    /// Streams beyond this one were given up because of GOAWAY.
    last: Option<u32>,
}

impl Seen {
    fn refuses(&self, stream: u32) -> bool {
        self.refusals.has(stream) || self.last.is_some_and(|last| stream > last)
    }
}

/// Compares what both clients read of the server that `input` describes.
pub(crate) fn check(input: &[u8]) {
    let frames = server(&mut Feed::new(input));
    let ours = ours(&frames.concat());
    let theirs = theirs(&frames);
    for (id, response) in &ours.responses {
        if !response.is_complete() {
            continue;
        }
        let other = theirs.responses.get(id);
        match other.filter(|other| other.is_complete()) {
            Some(other) => assert_eq!(response, other, "stream {id}"),
            None => assert!(
                theirs.refuses(*id),
                "h2 does not have stream {id}: {response:?} {theirs:?}"
            ),
        }
    }
    for (id, response) in &theirs.responses {
        let other = ours.responses.get(id);
        if response.is_complete() && !other.is_some_and(|other| other.is_ended) {
            assert!(
                ours.refuses(*id),
                "we do not have stream {id}: {response:?} {ours:?}"
            );
        }
    }
}

fn ours(bytes: &[u8]) -> Seen {
    let mut seen = Seen::default();
    let mut connection = Connection::client(CONFIG);
    for (method, end) in REQUESTS {
        let opened = connection.open(*end, *method == "HEAD", |head| {
            head.field(":method", method.as_bytes());
            head.field(":scheme", b"https");
            head.field(":authority", b"h");
            head.field(":path", b"/");
        });
        assert!(opened.is_some());
    }
    connection.consume_output(connection.output().len());
    let mut rest = bytes;
    loop {
        let received = connection.receive(rest);
        rest = &rest[received.used..];
        let Some(event) = received.event else {
            break;
        };
        match event {
            Event::Head { stream, head, end } => {
                let status = head.status().expect("a response has a status");
                let response = Response {
                    status,
                    fields: of_head(head),
                    is_ended: end,
                    is_reset: head.is_too_large(),
                    ..Response::default()
                };
                if status >= 200 {
                    let before = seen.responses.insert(stream.id(), response);
                    assert_eq!(before, None, "a second response");
                }
            }
            Event::Data { stream, data, end } => {
                let response = seen.responses.get_mut(&stream.id());
                let response = response.expect("DATA behind a head");
                assert!(!response.is_ended);
                response.body.extend_from_slice(data);
                response.is_ended = end;
                let n = data.len();
                connection.release(stream, n);
            }
            Event::Trailers { stream, head } => {
                let response = seen.responses.get_mut(&stream.id());
                let response = response.expect("trailers behind a head");
                assert!(!response.is_ended);
                response.trailers = of_head(head);
                response.is_ended = true;
            }
            Event::Reset { stream, .. } => {
                if let Some(response) = seen.responses.get_mut(&stream.id()) {
                    response.is_reset = true;
                }
                seen.refusals.reset.push(stream.id());
            }
            Event::GoAway { last, .. } => seen.last = Some(last),
            Event::Failed(error) => seen.refusals.failed = Some(error.code.0),
        }
    }
    seen.refusals.note_frames(connection.output());
    seen
}

/// A request of the h2 crate whose response is awaited.
struct Pending {
    id: u32,
    response: Option<ResponseFuture>,
    body: Option<RecvStream>,
    has_data: bool,
    /// Dropping it would reset the stream.
    _request: SendStream<Bytes>,
}

fn theirs(frames: &[Vec<u8>]) -> Seen {
    let mut seen = Seen::default();
    let mut cx = Context::from_waker(Waker::noop());
    let (mut near, far) = duplex(4 << 20);
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .max_header_list_size(CONFIG.header_list_max)
        .initial_window_size(CONFIG.stream_window)
        .initial_connection_window_size(CONFIG.connection_window);
    let Poll::Ready(Ok((mut send, mut connection))) =
        poll(&mut cx, builder.handshake::<_, Bytes>(far))
    else {
        panic!("the preface fits into the transport");
    };
    let mut pending = Vec::new();
    for (n, (method, end)) in (0..).zip(REQUESTS) {
        let request = http::Request::builder().method(*method).uri("https://h/");
        let request = request.body(()).expect("a request");
        let _ = poll(&mut cx, poll_fn(|cx| send.poll_ready(cx)));
        let (response, request) = send.send_request(request, *end).expect("a free stream");
        pending.push(Pending {
            id: 2 * n + 1,
            response: Some(response),
            body: None,
            has_data: true,
            _request: request,
        });
        let _ = Pin::new(&mut connection).poll(&mut cx);
    }
    let mut is_over = false;
    // Frame by frame, since an error hides the responses before it that were not taken.
    for frame in frames.iter().flat_map(|frame| [frame.as_slice(), &[]]) {
        let _ = poll(&mut cx, near.write_all(frame));
        if !is_over && let Poll::Ready(ended) = Pin::new(&mut connection).poll(&mut cx) {
            is_over = true;
            let reason = ended.err().and_then(|error| error.reason());
            seen.refusals.failed = Some(reason.map_or(u32::MAX, u32::from));
        }
        for one in &mut pending {
            read(&mut cx, one, &mut seen);
        }
    }
    drop(pending);
    if !is_over {
        let _ = Pin::new(&mut connection).poll(&mut cx);
    }
    let mut sent = vec![0; 1 << 20];
    if let Poll::Ready(Ok(n)) = poll(&mut cx, near.read(&mut sent)) {
        let frames = sent[..n].strip_prefix(PREFACE).unwrap_or_default();
        seen.refusals.note_frames(frames);
    }
    seen
}

fn read(cx: &mut Context<'_>, one: &mut Pending, seen: &mut Seen) {
    if let Some(response) = &mut one.response {
        match Pin::new(response).poll(cx) {
            Poll::Pending => return,
            Poll::Ready(Err(_)) => {
                one.response = None;
                seen.refusals.reset.push(one.id);
            }
            Poll::Ready(Ok(response)) => {
                one.response = None;
                let (parts, body) = response.into_parts();
                one.body = Some(body);
                let response = Response {
                    status: parts.status.as_u16(),
                    fields: of_map(&parts.headers),
                    ..Response::default()
                };
                seen.responses.insert(one.id, response);
            }
        }
    }
    let (Some(body), Some(response)) = (&mut one.body, seen.responses.get_mut(&one.id)) else {
        return;
    };
    while one.has_data {
        match poll(cx, poll_fn(|cx| body.poll_data(cx))) {
            Poll::Ready(Some(Ok(data))) => {
                response.body.extend_from_slice(&data);
                let _ = body.flow_control().release_capacity(data.len());
            }
            Poll::Ready(Some(Err(_))) => {
                response.is_reset = true;
                seen.refusals.reset.push(one.id);
                one.body = None;
                return;
            }
            Poll::Ready(None) => one.has_data = false,
            Poll::Pending => return,
        }
    }
    if response.is_ended {
        // The body is kept, since dropping it would reset the stream.
        return;
    }
    match poll(cx, poll_fn(|cx| body.poll_trailers(cx))) {
        Poll::Ready(Ok(trailers)) => {
            response.trailers = trailers.as_ref().map(of_map).unwrap_or_default();
            response.is_ended = true;
        }
        Poll::Ready(Err(_)) => {
            response.is_reset = true;
            seen.refusals.reset.push(one.id);
            one.body = None;
        }
        Poll::Pending => {}
    }
}

/// What the server sends.
fn server(feed: &mut Feed<'_>) -> Vec<Vec<u8>> {
    let mut first = Vec::new();
    frame(&mut first, 4, 0, 0, &[]);
    let mut all = vec![first];
    let mut encoder = Encoder::new();
    // The last stream with a response, and whether it goes on.
    let mut at = (0, false);
    for _ in 0..STEPS_MAX {
        if feed.is_empty() {
            break;
        }
        let mut out = Vec::new();
        step(feed, &mut encoder, &mut at, &mut out);
        all.push(out);
    }
    all
}

fn step(feed: &mut Feed<'_>, encoder: &mut Encoder, at: &mut (u32, bool), out: &mut Vec<u8>) {
    let (last, is_open) = *at;
    // Mostly the stream whose response goes on, or another one with a request.
    let stream = match feed.byte() {
        0..232 if is_open => last,
        n @ 0..252 => u32::from(n) % 6 * 2 + 1,
        n => u32::from(n) % 16,
    };
    match feed.byte() {
        0..0x48 => {
            // In their order, or any.
            let next = if last == 0 { 1 } else { last + 2 };
            let stream = if feed.one_in(32) { stream } else { next };
            let ended = headers(feed, encoder, stream, true, out);
            *at = (stream, !ended);
        }
        // Frames behind the end of a stream end much, so they are rare.
        0x48..0xb0 if !is_open && !feed.one_in(32) => {}
        0x48..0x90 => {
            let n = usize::from(feed.byte()) * usize::from(feed.byte() % 8);
            let mut flags = u8::from(feed.one_in(2));
            let mut payload = vec![b'd'; n];
            if feed.one_in(8) {
                flags |= 8;
                payload.insert(0, feed.byte() % 4);
                payload.extend([0; 3]);
            } else if feed.one_in(3) {
                payload = b"hello".to_vec();
            }
            at.1 &= flags & 1 == 0;
            frame(out, 0, flags, stream, &payload);
        }
        0x90..0xb0 => {
            headers(feed, encoder, stream, false, out);
            at.1 = false;
        }
        0xb0..0xb8 => {
            frame(out, 3, 0, stream, &[0, 0, 0, feed.byte() % 14]);
            at.1 &= stream != last;
        }
        0xb8..0xc8 => {
            let stream = [0, stream][usize::from(feed.byte() & 1)];
            frame(out, 8, 0, stream, &[0, 0, feed.byte(), feed.byte()]);
        }
        0xc8..0xd0 => frame(out, 6, feed.byte() & 1, 0, &[1; 8]),
        0xd0..0xd8 => {
            let value = feed.number().to_be_bytes();
            let name = [1, 3, 6, 77, 4, 5][usize::from(feed.byte() % 32).saturating_sub(26)];
            frame(out, 4, 0, 0, &[&[0, name], &value[..]].concat());
        }
        0xd8..0xe0 => {
            let code = [0, feed.byte() % 14][usize::from(feed.one_in(4))];
            frame(out, 7, 0, 0, &[0, 0, 0, feed.byte() % 12, 0, 0, 0, code]);
        }
        0xe0..0xe8 => {
            let priority = [&(feed.number() % 64).to_be_bytes()[..], &[1]].concat();
            frame(out, 2, 0, stream, &priority);
        }
        0xe8 => frame(out, 5, 4, stream, &[0, 0, 0, 2, 0x82]),
        0xe9..0xfe => {
            let (kind, flags) = (10 + feed.byte() % 8, feed.byte());
            frame(out, kind, flags, stream, feed.text().as_bytes());
        }
        _ => {
            let (kind, flags) = (feed.byte() % 10, feed.byte());
            frame(out, kind, flags, stream, feed.text().as_bytes());
        }
    }
}

/// HEADERS of a response, maybe behind interim ones, or of trailers, with CONTINUATION now and then.
/// Returns whether it ends the stream.
fn headers(
    feed: &mut Feed<'_>,
    encoder: &mut Encoder,
    stream: u32,
    is_response: bool,
    out: &mut Vec<u8>,
) -> bool {
    if is_response && feed.one_in(8) {
        let status = feed.pick(&["100", "103", "103", "101"]);
        let mut block = Vec::new();
        encoder.start_block(&mut block);
        encoder.encode(b":status", status.as_bytes(), false, &mut block);
        frame(out, 1, 4 | u8::from(feed.one_in(16)), stream, &block);
    }
    let mut block = Vec::new();
    encoder.start_block(&mut block);
    let mut put = |name: &str, value: &str| {
        encoder.encode(name.as_bytes(), value.as_bytes(), false, &mut block);
    };
    if is_response && !feed.one_in(32) {
        put(
            ":status",
            feed.pick(&["200", "200", "404", "204", "304", "599"]),
        );
    }
    for _ in 0..feed.byte() % 3 {
        let of = if feed.one_in(8) { FIELDS } else { USUAL };
        let (name, value) = feed.pick(of);
        put(name, value);
    }
    let end = u8::from(!is_response || feed.one_in(3));
    if feed.one_in(6) {
        let (first, rest) = block.split_at(block.len() / 2);
        frame(out, 1, end, stream, first);
        frame(out, 9, 4, stream, rest);
    } else {
        frame(out, 1, 4 | end, stream, &block);
    }
    end == 1
}
