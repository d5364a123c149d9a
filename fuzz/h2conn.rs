//! An HTTP/2 client that sends arbitrary frames, and targets that answer arbitrary bytes. Requests reach
//! the targets in strict HTTP/1.1 without connection fields. The conversation ends and leaves nothing behind.

use std::time::Duration;

use elbow_h2::PREFACE;
use elbow_model::ProtocolVersion;

use crate::conversation::{SCRIPTS_MAX, STEPS_MAX, assert_frames, attributes, literal};
use crate::engine::{self, Script, Step};
use crate::feed::Feed;
use crate::frames;
use crate::strict_requests;

/// Maximum number of bytes that a client sends.
const BYTES_MAX: usize = 200_000;

/// Fields with special rules in HTTP/2 or in a proxy.
const FIELDS: &[(&str, &str)] = &[
    (":method", "POST"),
    (":method", "HEAD"),
    (":method", "CONNECT"),
    (":method", "OPTIONS"),
    (":method", "TRACE"),
    (":path", "/a?b"),
    (":path", "*"),
    (":path", "?x"),
    (":path", ""),
    (":scheme", "http"),
    (":authority", "u@h:80"),
    (":authority", ""),
    (":protocol", "websocket"),
    (":status", "200"),
    ("content-length", "5"),
    ("content-length", "0"),
    ("content_length", "7"),
    ("te", "trailers"),
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("keep-alive", "1"),
    ("proxy-connection", "y"),
    ("upgrade", "websocket"),
    ("host", "other"),
    ("cookie", "a=b"),
    ("cookie", "AWSALB=c"),
    ("expect", "100-continue"),
    ("content-type", "application/grpc"),
    ("x-forwarded-for", "1.2.3.4"),
    ("x-amzn-trace-id", "Root=1"),
    ("trailer", "a"),
    ("x-a", "1"),
    ("X-Upper", "1"),
    ("x sp", "1"),
    ("", "1"),
    ("x-b", "a\u{1}b"),
];

/// Pieces of responses.
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 No Content\r\n",
    "HTTP/1.1 304 Not Modified\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 100000\r\n",
    "Content-Length: 18446744073709551615\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: x-a, close\r\nX-A: 1\r\n",
    "Set-Cookie: a=b\r\n",
    "\r\n",
    "hello",
    "5\r\nhello\r\n",
    "0\r\n\r\n",
    "0\r\nA: b\r\n\r\n",
    "FFFFFFFFFFFFFFFF\r\n",
];

/// Runs and checks the conversation that `input` describes.
pub(crate) fn check(input: &[u8]) {
    let script = script(&mut Feed::new(input));
    let seen = engine::converse(script);
    for bytes in &seen.by_target {
        let requests = strict_requests::read(bytes)
            .unwrap_or_else(|error| panic!("{error} at a target: {}", bytes.escape_ascii()));
        for request in requests.all {
            assert!(
                request.target.starts_with('/')
                    || (request.target == "*" && request.method == "OPTIONS"),
                "{request:?}"
            );
            assert!(!matches!(&*request.method, "CONNECT" | "TRACE"));
            let count = |name| request.fields.iter().filter(|(n, _)| n == name).count();
            assert_eq!(count("host"), 1, "{request:?}");
            assert!(count("cookie") <= 1, "{request:?}");
            let of_connection = [
                "connection",
                "keep-alive",
                "te",
                "proxy-connection",
                "upgrade",
                "expect",
            ];
            assert!(
                of_connection.iter().all(|name| count(name) == 0),
                "{request:?}"
            );
        }
    }
    assert_frames(&seen.by_client);
}

fn script(feed: &mut Feed<'_>) -> Script {
    let attributes = attributes(feed);
    let room = feed.pick(&[65_536, 200, 1000, 16_384]);
    let piece = feed.pick(&[usize::MAX, 1, 7, 100]);
    let mut client = Client::new(!feed.byte().is_multiple_of(16));
    let mut targets = Vec::new();
    while let Some(op) = feed.next() {
        if client.steps.len() > STEPS_MAX || client.bytes > BYTES_MAX {
            break;
        }
        match op {
            0..0x98 => client.act(op, feed),
            0x98..0xa8 => targets.push(Vec::new()),
            _ if targets.len() <= SCRIPTS_MAX => {
                if targets.is_empty() {
                    targets.push(Vec::new());
                }
                if let Some(script) = targets.last_mut()
                    && script.len() < STEPS_MAX
                {
                    script.push(target_step(op, feed));
                }
            }
            _ => {}
        }
    }
    client.flush();
    Script {
        attributes,
        is_h2: true,
        version: ProtocolVersion::Http1,
        room,
        piece,
        client: client.steps,
        targets: targets.into(),
    }
}

fn target_step(op: u8, feed: &mut Feed<'_>) -> Step {
    match op % 12 {
        0..7 => Step::Send(feed.pick(RESPONSES).as_bytes().to_vec()),
        7 => Step::Send(feed.bytes().to_vec()),
        8 => Step::Pause(Duration::from_millis(u64::from(feed.byte()) * 100)),
        9 => Step::Send(vec![b'z'; usize::from(feed.byte()) * 500]),
        10 if feed.byte().is_multiple_of(2) => Step::Finish,
        10 => Step::Close,
        _ => Step::ReadNothing,
    }
}

/// Builds the steps of the client.
struct Client {
    steps: Vec<Step>,
    /// Frames for the next send.
    pending: Vec<u8>,
    bytes: usize,
    /// The stream id of the next request.
    next: u32,
}

impl Client {
    fn new(speaks_h2: bool) -> Self {
        let mut client = Self {
            steps: Vec::new(),
            pending: Vec::new(),
            bytes: 0,
            next: 1,
        };
        if speaks_h2 {
            client.pending.extend_from_slice(PREFACE);
            client.frame(4, 0, 0, &[]);
        }
        client
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let bytes = std::mem::take(&mut self.pending);
            self.steps.push(Step::Send(bytes));
        }
    }

    fn then(&mut self, step: Step) {
        self.flush();
        self.steps.push(step);
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        frames::frame(&mut self.pending, kind, flags, stream, payload);
        self.bytes += 9 + payload.len();
    }

    /// Returns mostly a stream that was used.
    fn stream(&self, feed: &mut Feed<'_>) -> u32 {
        match feed.byte() {
            n @ 0..200 => self.next.saturating_sub(2 * (1 + u32::from(n % 4))) | 1,
            n => u32::from(n) % 16,
        }
    }

    fn act(&mut self, op: u8, feed: &mut Feed<'_>) {
        match op {
            0..0x30 => self.request(feed),
            0x30..0x50 => {
                let stream = self.stream(feed);
                let kind = feed.byte();
                let data = match kind & 3 {
                    0 => b"hello".to_vec(),
                    1 => feed.bytes().to_vec(),
                    2 => vec![b'd'; usize::from(feed.byte()) * 64],
                    _ => Vec::new(),
                };
                self.frame(0, kind >> 7, stream, &data);
            }
            0x50..0x58 => {
                let (stream, code) = (self.stream(feed), feed.byte());
                self.frame(3, 0, stream, &[0, 0, 0, code]);
            }
            0x58..0x60 => {
                let mut values = Vec::new();
                for _ in 0..feed.byte() % 4 {
                    values.extend_from_slice(&[0, feed.byte() % 10]);
                    let value = match feed.byte() {
                        n @ 0..128 => u32::from(n),
                        128..192 => 65_535,
                        _ => feed.number(),
                    };
                    values.extend_from_slice(&value.to_be_bytes());
                }
                self.frame(4, feed.byte() & 1, 0, &values);
            }
            0x60..0x70 => {
                let stream = [0, self.stream(feed)][usize::from(feed.byte() & 1)];
                let more = [1000, feed.number()][usize::from(feed.byte() & 1)];
                self.frame(8, 0, stream, &more.to_be_bytes());
            }
            0x70..0x74 => self.frame(6, feed.byte() & 1, 0, &[0; 8]),
            0x74..0x76 => self.frame(7, 0, 0, &[0; 8]),
            0x76..0x78 => {
                let stream = self.stream(feed);
                self.frame(2, 0, stream, &[0, 0, 0, 1, 5]);
            }
            0x78..0x7a => {
                let (kind, flags, stream) = (feed.byte() % 16, feed.byte(), self.stream(feed));
                self.frame(kind, flags, stream, feed.bytes());
            }
            0x7a..0x7c => self.pending.extend_from_slice(feed.bytes()),
            0x7c..0x80 => {
                let stream = self.stream(feed);
                for _ in 0..feed.byte() {
                    self.frame(3, 0, stream, &[0, 0, 0, 8]);
                }
            }
            0x80..0x88 => self.flush(),
            0x88..0x90 => self.then(Step::Pause(Duration::from_millis(
                u64::from(feed.byte()) * 50,
            ))),
            0x90 => self.then(Step::Finish),
            0x91 => self.then(Step::Close),
            0x92 => self.then(Step::ReadNothing),
            _ => {}
        }
    }

    /// Sends HEADERS of a valid request, or with arbitrary fields.
    fn request(&mut self, feed: &mut Feed<'_>) {
        let kind = feed.byte();
        let mut block = Vec::new();
        if kind & 0x80 == 0 {
            let method = ["GET", "POST", "HEAD", "PUT"][usize::from(kind & 3)];
            let path = feed.pick(&["/x", "/x", "/", "*"]);
            for (name, value) in [
                (":method", method),
                (":path", path),
                (":scheme", "https"),
                (":authority", "h"),
            ] {
                literal(&mut block, 0, name.as_bytes(), value.as_bytes());
            }
        }
        for _ in 0..feed.byte() % 12 {
            match feed.byte() {
                n @ 0..0xf0 => {
                    let (name, value) = feed.pick(FIELDS);
                    literal(&mut block, n, name.as_bytes(), value.as_bytes());
                }
                n @ 0xf0..0xf8 => literal(&mut block, n, feed.bytes(), feed.bytes()),
                // An indexed field.
                0xf8..0xfc => block.push(0x80 | feed.byte()),
                n => {
                    let value = vec![b'v'; usize::from(feed.byte()) * 64];
                    literal(&mut block, n, b"x-long", &value);
                }
            }
        }
        let stream = if kind & 0x18 == 0x18 {
            self.stream(feed)
        } else {
            self.next += 2;
            self.next - 2
        };
        let end_stream = u8::from(kind & 4 == 0);
        let end_headers = if kind & 0x60 == 0x60 { 0 } else { 4 };
        if kind & 0x40 != 0 && end_headers == 4 {
            let (first, rest) = block.split_at(block.len() / 2);
            self.frame(1, end_stream, stream, first);
            self.frame(9, 4, stream, rest);
        } else {
            self.frame(1, end_stream | end_headers, stream, &block);
        }
    }
}
