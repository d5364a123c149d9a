//! Targets of HTTP/2 that send arbitrary frames, behind a client that keeps the rules. The targets get requests
//! that an independent state machine of ours accepts, the conversation ends and leaves nothing behind.

use std::collections::HashSet;
use std::time::Duration;

use elbow_h2::{Config, Connection, ErrorCode, Event};
use elbow_model::ProtocolVersion;

use crate::conversation::{SCRIPTS_MAX, STEPS_MAX, assert_frames, attributes, literal};
use crate::engine::{self, Script, Step};
use crate::feed::Feed;
use crate::frames::frame;

/// Maximum number of requests, and of bytes that a target sends on a connection.
const REQUESTS_MAX: usize = 12;
const BYTES_MAX: usize = 200_000;

const CONFIG: Config = Config {
    streams_max: 1000,
    stream_window: (1 << 31) - 1,
    connection_window: (1 << 31) - 1,
    header_list_max: 128 * 1024,
    output_max: 1 << 20,
};

/// Fields of responses and trailers with special rules in HTTP/2 or in a proxy.
const FIELDS: &[(&str, &str)] = &[
    (":status", "200"),
    (":status", "99"),
    (":status", "101"),
    (":status", "103"),
    (":status", "204"),
    (":status", "304"),
    (":status", "1000"),
    (":path", "/"),
    ("content-length", "0"),
    ("content-length", "5"),
    ("content-length", "x"),
    ("content-length", "18446744073709551615"),
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("upgrade", "websocket"),
    ("te", "trailers"),
    ("set-cookie", "a=b"),
    ("set-cookie", "AWSALB=c"),
    ("server", "s"),
    ("date", "d"),
    ("grpc-status", "0"),
    ("grpc-message", "m"),
    ("content-type", "application/grpc"),
    ("x-a", "1"),
    ("x-a", " 1\t"),
    ("X-Upper", "1"),
    ("x sp", "1"),
    ("", "1"),
    ("x-b", "a\u{1}b"),
];

/// Runs and checks the conversation that `input` describes.
pub(crate) fn check(input: &[u8]) {
    let seen = engine::converse(script(&mut Feed::new(input)));
    for bytes in &seen.by_target {
        assert_requests(bytes);
    }
    assert_frames(&seen.by_client);
}

/// Asserts that a target receives requests in HTTP/2 that keep the rules.
fn assert_requests(bytes: &[u8]) {
    let mut connection = Connection::server(CONFIG);
    let (mut rest, mut ended) = (bytes, HashSet::new());
    loop {
        let received = connection.receive(rest);
        rest = &rest[received.used..];
        let Some(event) = received.event else {
            return;
        };
        match event {
            Event::Head { stream, head, end } => {
                assert!(head.path().is_some() && head.authority().is_some());
                let mut names: Vec<_> = head.fields().map(|(name, _)| name).collect();
                names.sort_unstable();
                names.dedup();
                for absent in ["host", "expect", "x-upper"] {
                    assert!(!names.contains(&absent), "{absent} in {names:?}");
                }
                if end {
                    ended.insert(stream);
                }
            }
            Event::Data { stream, data, end } => {
                let n = data.len();
                if end {
                    ended.insert(stream);
                }
                connection.release(stream, n);
            }
            Event::Trailers { stream, .. } => assert!(ended.insert(stream)),
            Event::Reset {
                by_peer, stream, ..
            } => {
                assert!(by_peer, "a request breaks the rules");
                connection.close(stream);
            }
            Event::GoAway { .. } => {}
            Event::Failed(error) => {
                // The client may reset one request after the other.
                assert_eq!(error.code, ErrorCode::ENHANCE_YOUR_CALM, "{error}");
                return;
            }
        }
        connection.end_turn();
        connection.consume_output(connection.output().len());
    }
}

fn script(feed: &mut Feed<'_>) -> Script {
    let attributes = attributes(feed);
    let version = feed.pick(&[ProtocolVersion::Http2, ProtocolVersion::Grpc]);
    let room = feed.pick(&[65_536, 200, 1000, 16_384]);
    let piece = feed.pick(&[usize::MAX, 1, 7, 100]);
    let mut client = Client::new(feed);
    let mut targets: Vec<Target> = Vec::new();
    while let Some(op) = feed.next() {
        if client.steps.len() > STEPS_MAX {
            break;
        }
        match op {
            0..0x40 => client.act(op, feed),
            0x40..0x48 => targets.push(Target::new(feed)),
            _ if targets.len() <= SCRIPTS_MAX => {
                if targets.is_empty() {
                    targets.push(Target::new(feed));
                }
                if let Some(target) = targets.last_mut()
                    && target.steps.len() < STEPS_MAX
                    && target.bytes < BYTES_MAX
                {
                    target.act(op, feed);
                }
            }
            _ => {}
        }
    }
    client.flush();
    Script {
        attributes,
        is_h2: true,
        version,
        room,
        piece,
        client: client.steps,
        targets: targets.into_iter().map(Target::finish).collect(),
    }
}

/// Builds the steps of a client that keeps the rules.
struct Client {
    connection: Connection,
    steps: Vec<Step>,
    requests: usize,
}

impl Client {
    fn new(feed: &mut Feed<'_>) -> Self {
        let window = [CONFIG.stream_window, 1000][usize::from(feed.one_in(8))];
        let connection = Connection::client(Config {
            stream_window: window,
            ..CONFIG
        });
        Self {
            connection,
            steps: Vec::new(),
            requests: 0,
        }
    }

    fn flush(&mut self) {
        let output = self.connection.output().to_vec();
        self.connection.consume_output(output.len());
        if !output.is_empty() {
            self.steps.push(Step::Send(output));
        }
    }

    fn then(&mut self, step: Step) {
        self.flush();
        self.steps.push(step);
    }

    fn act(&mut self, op: u8, feed: &mut Feed<'_>) {
        let keys: Vec<_> = self.connection.streams().collect();
        match op {
            0..0x18 if self.requests < REQUESTS_MAX => self.request(feed),
            0x18..0x28 if !keys.is_empty() => {
                let key = feed.pick(&keys);
                let body = vec![b'd'; usize::from(feed.byte()) * usize::from(feed.byte() % 64)];
                self.connection.send_data(key, &body, feed.one_in(3));
            }
            0x28..0x2c if !keys.is_empty() => {
                let key = feed.pick(&keys);
                self.connection
                    .send_head(key, true, |out| out.field("x-t", b"1"));
            }
            0x2c..0x30 if !keys.is_empty() => {
                let key = feed.pick(&keys);
                self.connection.reset(key, ErrorCode::CANCEL);
            }
            0x30..0x38 => self.flush(),
            0x38..0x3d => {
                let time = Duration::from_millis(u64::from(feed.byte()) * 50);
                self.then(Step::Pause(time));
            }
            0x3d => self.then(Step::ReadNothing),
            0x3e if feed.one_in(4) => self.then(Step::Close),
            _ => {}
        }
    }

    fn request(&mut self, feed: &mut Feed<'_>) {
        self.requests += 1;
        let method = feed.pick(&["POST", "POST", "GET", "HEAD"]);
        let (is_grpc, end) = (!feed.one_in(3), feed.one_in(3));
        let long = usize::from(feed.one_in(16)) * 20_000;
        self.connection.open(end, method == "HEAD", |out| {
            out.field(":method", method.as_bytes());
            out.field(":scheme", b"https");
            out.field(":authority", b"h");
            out.field(":path", b"/s/m");
            if is_grpc {
                out.field("content-type", b"application/grpc");
                out.field("te", b"trailers");
            }
            out.never_indexed("x-secret", b"1");
            if long > 0 {
                // More than one frame, and more than is kept to send it again.
                out.field("x-long-a", &vec![b'v'; long / 2]);
                out.field("x-long-b", &vec![b'v'; long / 2]);
            }
        });
    }
}

/// Builds the steps of a connection to the target.
struct Target {
    steps: Vec<Step>,
    pending: Vec<u8>,
    bytes: usize,
    /// The stream of the response in progress.
    stream: u32,
}

impl Target {
    fn new(feed: &mut Feed<'_>) -> Self {
        let mut target = Self {
            steps: Vec::new(),
            pending: Vec::new(),
            bytes: 0,
            stream: 1,
        };
        if !feed.one_in(16) {
            target.frame(4, 0, 0, &[]);
        }
        target
    }

    fn finish(mut self) -> Vec<Step> {
        self.flush();
        self.steps
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            let bytes = std::mem::take(&mut self.pending);
            self.steps.push(Step::Send(bytes));
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        frame(&mut self.pending, kind, flags, stream, payload);
        self.bytes += 9 + payload.len();
    }

    /// Returns mostly the stream of the response in progress.
    fn stream(&mut self, feed: &mut Feed<'_>) -> u32 {
        match feed.byte() {
            0..0xc0 => {}
            0xc0..0xe0 => self.stream += 2,
            n => return u32::from(n) % 16,
        }
        self.stream
    }

    fn act(&mut self, op: u8, feed: &mut Feed<'_>) {
        match op {
            0x48..0x80 => self.head(feed),
            0x80..0xa8 => {
                let stream = self.stream(feed);
                let kind = feed.byte();
                let data = match kind & 3 {
                    0 => b"hello".to_vec(),
                    1 => feed.bytes().to_vec(),
                    2 => vec![b'd'; usize::from(feed.byte()) * 64],
                    _ => Vec::new(),
                };
                self.frame(0, kind >> 7, stream, &data);
                self.stream += 2 * u32::from(kind >> 7);
            }
            0xa8..0xb4 => {
                let stream = self.stream(feed);
                let any = feed.byte();
                let code = feed.pick(&[0, 7, 8, any]);
                self.frame(3, 0, stream, &[0, 0, 0, code]);
            }
            0xb4..0xc0 => {
                let any = feed.byte();
                let name = feed.pick(&[1, 2, 3, 3, 4, 4, 5, 6, 8, any]);
                let value = match feed.byte() {
                    n @ 0..128 => u32::from(n),
                    128..192 => 65_535,
                    _ => feed.number(),
                };
                let payload = [&[0, name], &value.to_be_bytes()[..]].concat();
                self.frame(4, 0, 0, &payload);
            }
            0xc0..0xcc => {
                let stream = [0, self.stream(feed)][usize::from(feed.byte() & 1)];
                let more = [1000, feed.number()][usize::from(feed.byte() & 1)];
                self.frame(8, 0, stream, &more.to_be_bytes());
            }
            0xcc..0xd0 => self.frame(6, feed.byte() & 1, 0, &[0; 8]),
            0xd0..0xd8 => {
                let last = feed.pick(&[0, 1, 3, 255]);
                self.frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, feed.byte() % 14]);
            }
            0xd8..0xdc => {
                let (kind, flags, stream) = (feed.byte() % 16, feed.byte(), self.stream(feed));
                self.frame(kind, flags, stream, feed.bytes());
            }
            0xdc..0xde => self.pending.extend_from_slice(feed.bytes()),
            0xde..0xea => self.flush(),
            0xea..0xf4 => {
                self.flush();
                let time = Duration::from_millis(u64::from(feed.byte()) * 50);
                self.steps.push(Step::Pause(time));
            }
            0xf4..0xf8 => {
                self.flush();
                self.steps.push(match feed.byte() % 3 {
                    0 => Step::Finish,
                    1 => Step::Close,
                    _ => Step::ReadNothing,
                });
            }
            _ => {}
        }
    }

    /// A response, an interim one or trailers, mostly valid.
    fn head(&mut self, feed: &mut Feed<'_>) {
        let stream = self.stream(feed);
        let kind = feed.byte();
        let mut block = Vec::new();
        if kind & 3 != 3 {
            let status = ["200", "200", "103"][usize::from(kind & 3)];
            literal(&mut block, 0, b":status", status.as_bytes());
        }
        for _ in 0..feed.byte() % 6 {
            match feed.byte() {
                n @ 0..0xf0 => {
                    let (name, value) = feed.pick(FIELDS);
                    literal(&mut block, n, name.as_bytes(), value.as_bytes());
                }
                0xf0..0xfc => block.push(0x80 | feed.byte()),
                n => {
                    let value = vec![b'v'; usize::from(feed.byte()) * 64];
                    literal(&mut block, n, b"x-long", &value);
                }
            }
        }
        let end = u8::from(kind & 0x14 == 0x14);
        if kind & 0x60 == 0x60 {
            let (first, rest) = block.split_at(block.len() / 2);
            self.frame(1, end, stream, first);
            self.frame(9, 4, stream, rest);
        } else {
            self.frame(1, end | 4, stream, &block);
        }
        self.stream += 2 * u32::from(end);
    }
}
