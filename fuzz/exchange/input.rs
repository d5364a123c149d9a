//! Turns the bytes of the fuzzer into an exchange.

use std::time::Duration;

use elbow_model::{DesyncMitigationMode, LoadBalancerAttributes, XffHeaderProcessingMode};

use super::memory::{Shape, Step};

/// Limits on steps, connections and bytes: more only takes time.
const STEPS: usize = 60;
const SCRIPTS: usize = 8;
const BYTES: usize = 100_000;

/// The idle timeout of clients and targets.
pub(crate) const IDLE: Duration = Duration::from_secs(5);

/// Pieces of requests.
const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: h\r\n",
    b"POST /a HTTP/1.1\r\nHost: h\r\n",
    b"HEAD /b HTTP/1.1\r\nHost: h\r\n",
    b"PUT /c?d HTTP/1.1\r\nHost: h:80\r\n",
    b"\r\n",
    b"Content-Length: 5\r\n\r\nhello",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n5\r\nhello\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nT: x\r\n\r\n",
    b"5;ext=\"a\"\r\nhello\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET http://x/y HTTP/1.1\r\nHost: h\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"Connection: keep-alive\r\n",
    b"Connection: X-A, content-length, host\r\nX-A: 1\r\n",
    b"X-Forwarded-For: 1.2.3.4\r\n",
    b"X-Amzn-Trace-Id: Root=a;Self=b\r\n",
    b"Cookie: a=b; AWSALB=x\r\n",
    b"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"Content-Length : 5\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b" folded\r\n",
    b"Host: two\r\n",
    b"Content-Length: 3\r\n\r\nabc",
    b"Keep-Alive: 1\r\nTE: trailers\r\n",
    b"GET /\x01\xff HTTP/1.1\r\nHost: h\r\n",
    b"GET /a b HTTP/1.1\r\nHost: h\r\n",
    b"X: a\x01b\xff\r\n",
    b"Content-Length: 4\r\nContent-Length: 4\r\n",
    b"User-Agent: x\r\n",
];

/// Pieces of responses.
const RESPONSES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 304 Not Modified\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 100000\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"\r\n",
    b"hello",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"3;x=y\r\nabc\r\n",
    b"Connection: x-a, close\r\nX-A: 1\r\n",
    b"Set-Cookie: a=b\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\n",
    b"X-Long: ",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"Content-Length: 18446744073709551615\r\n",
    b"Upgrade: websocket\r\n",
    b"Connection: Upgrade\r\n",
];

/// The scenario of one client connection.
pub(crate) struct Setup {
    pub(crate) attributes: LoadBalancerAttributes,
    pub(crate) client: Shape,
    pub(crate) target: Shape,
    pub(crate) steps: Vec<Step>,
    pub(crate) scripts: Vec<Vec<Step>>,
    /// Two bits for each connection to a target: the way it fails.
    pub(crate) refuse: u8,
    /// Milliseconds until the target is cut off.
    pub(crate) cut_after: Option<u64>,
    /// Milliseconds until the worker drains.
    pub(crate) drain_after: Option<u64>,
}

impl Setup {
    /// Reads a scenario from `input`. Every input is valid.
    pub(crate) fn read(input: &[u8]) -> Self {
        let mut feed = Feed(input);
        let attributes = attributes(feed.byte());
        let shapes = feed.byte();
        let mut setup = Self {
            attributes,
            client: shape(shapes),
            target: shape(shapes >> 4),
            steps: Vec::new(),
            scripts: Vec::new(),
            refuse: 0,
            cut_after: None,
            drain_after: None,
        };
        let mut bytes = 0;
        while !feed.0.is_empty() && setup.steps.len() < STEPS && bytes < BYTES {
            let step = match feed.byte() {
                0..0x70 => Step::Send(feed.piece(REQUESTS)),
                0x70..0x80 => Step::Send(feed.some()),
                0x80..0x88 => Step::Pause(u64::from(feed.byte()) * 50),
                0x88 => Step::Shutdown,
                0x89 => Step::Close,
                0x8a => Step::StopReading,
                0x8b => Step::Send(vec![b'y'; usize::from(feed.byte()) * 200]),
                0x8c => {
                    setup.refuse = feed.byte();
                    continue;
                }
                0x8d => {
                    setup.cut_after = Some(u64::from(feed.byte()) * 20);
                    continue;
                }
                0x8e => {
                    setup.drain_after = Some(u64::from(feed.byte()) * 20);
                    continue;
                }
                0x8f..0xa0 => {
                    setup.scripts.push(Vec::new());
                    continue;
                }
                op => {
                    setup.target_step(op, &mut feed);
                    continue;
                }
            };
            if let Step::Send(more) = &step {
                bytes += more.len();
            }
            push(&mut setup.steps, step);
        }
        setup
    }

    fn target_step(&mut self, op: u8, feed: &mut Feed<'_>) {
        if self.scripts.is_empty() {
            self.scripts.push(Vec::new());
        }
        let room = self.scripts.len() <= SCRIPTS;
        let Some(script) = self.scripts.last_mut().filter(|s| room && s.len() < STEPS) else {
            return;
        };
        let step = match op % 12 {
            0..=5 => Step::Send(feed.piece(RESPONSES)),
            6 => Step::Send(feed.some()),
            7 => Step::AwaitHeads(1 + usize::from(feed.byte() % 4)),
            8 => Step::Pause(u64::from(feed.byte()) * 100),
            9 => Step::Send(vec![b'z'; usize::from(feed.byte()) * 500]),
            10 if feed.byte().is_multiple_of(2) => Step::Shutdown,
            10 => Step::Close,
            _ => Step::StopReading,
        };
        push(script, step);
    }

    /// Returns the sum of all pauses.
    pub(crate) fn pauses(&self) -> Duration {
        let steps = self.steps.iter().chain(self.scripts.iter().flatten());
        let pauses = steps.map(|step| match step {
            Step::Pause(ms) => *ms,
            _ => 0,
        });
        Duration::from_millis(pauses.sum())
    }

    /// Returns all bytes that the client sends before it ends its direction.
    pub(crate) fn sent(&self) -> Vec<u8> {
        let ends = |step: &&Step| matches!(step, Step::Shutdown | Step::Close);
        let steps = self.steps.iter().take_while(|step| !ends(step));
        let sends = steps.filter_map(|step| match step {
            Step::Send(bytes) => Some(&bytes[..]),
            _ => None,
        });
        sends.collect::<Vec<_>>().concat()
    }
}

/// Appends `step`. Consecutive pieces are sent as one.
fn push(steps: &mut Vec<Step>, step: Step) {
    match (steps.last_mut(), &step) {
        (Some(Step::Send(last)), Step::Send(more)) => last.extend_from_slice(more),
        _ => steps.push(step),
    }
}

fn shape(bits: u8) -> Shape {
    const ROOMS: [usize; 4] = [64 * 1024, 64, 1000, 16 * 1024];
    const STEPS: [usize; 4] = [usize::MAX, 1, 7, 100];
    Shape {
        room: ROOMS[usize::from(bits & 3)],
        step: STEPS[usize::from(bits >> 2 & 3)],
    }
}

fn attributes(bits: u8) -> LoadBalancerAttributes {
    LoadBalancerAttributes {
        idle_timeout: IDLE,
        desync_mitigation_mode: match bits & 3 {
            0 => DesyncMitigationMode::Monitor,
            1 => DesyncMitigationMode::Strictest,
            _ => DesyncMitigationMode::Defensive,
        },
        drop_invalid_header_fields: bits & 4 != 0,
        preserve_host_header: bits & 8 != 0,
        xff_client_port: bits & 16 != 0,
        xff_header_processing_mode: match bits >> 5 & 3 {
            0 => XffHeaderProcessingMode::Preserve,
            1 => XffHeaderProcessingMode::Remove,
            _ => XffHeaderProcessingMode::Append,
        },
        ..LoadBalancerAttributes::default()
    }
}

/// Reads one decision at a time, and zeros after the end.
struct Feed<'b>(&'b [u8]);

impl Feed<'_> {
    fn byte(&mut self) -> u8 {
        let (byte, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *byte
    }

    /// Reads a length and as many bytes.
    fn some(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte()).min(self.0.len());
        let (some, rest) = self.0.split_at(length);
        self.0 = rest;
        some.to_vec()
    }

    fn piece(&mut self, pieces: &[&[u8]]) -> Vec<u8> {
        pieces[usize::from(self.byte()) % pieces.len()].to_vec()
    }
}
