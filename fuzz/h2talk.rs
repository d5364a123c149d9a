//! A client and a server of ours talk as the input decides, over a transport that splits their bytes
//! anywhere. Each side gets what the other sent, in order and once, and neither holds more than its bounds.

use std::collections::HashMap;

use elbow_h2::{Config, Connection, ErrorCode, Event, StreamKey};

use crate::feed::Feed;

/// Maximum number of decisions of one conversation.
const STEPS_MAX: usize = 3000;
/// What one command may send.
const PIECE_MAX: usize = 40_000;

/// One side of the conversation.
struct Side {
    connection: Connection,
    config: Config,
    /// What this side sent and received on each stream.
    streams: HashMap<u32, Stream>,
    /// Bytes on their way to this side, in order.
    incoming: Vec<u8>,
    failed: Option<ErrorCode>,
}

struct Stream {
    key: StreamKey,
    sent: Message,
    got: Message,
    /// Bytes received and not released.
    held: usize,
    /// One side has reset it.
    is_reset: bool,
    is_closed: bool,
}

/// What is known of a message. Bytes of a body follow from their position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    head: Option<Vec<(String, Vec<u8>)>>,
    body: u64,
    trailers: Option<Vec<(String, Vec<u8>)>>,
    is_ended: bool,
}

/// The `n` bytes of a body at `position`: they repeat every 251 bytes.
fn pattern(position: u64, n: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..251).collect();
    let mut bytes = period[(position % 251) as usize..].to_vec();
    while bytes.len() < n {
        bytes.extend_from_slice(&period);
    }
    bytes.truncate(n);
    bytes
}

impl Side {
    /// Windows of streams have at least `window` bytes.
    fn new(connection: fn(Config) -> Connection, window: u32, feed: &mut Feed<'_>) -> Self {
        let config = Config {
            streams_max: 1 + u32::from(feed.byte() % 8),
            stream_window: window + u32::from(feed.byte()) * 1000,
            connection_window: 65_535 + u32::from(feed.byte()) * 3000,
            header_list_max: 16_384,
            output_max: 2048 + usize::from(feed.byte()) * 500,
        };
        Self {
            connection: connection(config),
            config,
            streams: HashMap::new(),
            incoming: Vec::new(),
            failed: None,
        }
    }

    /// Returns one of the streams that this side has not closed.
    fn pick(&mut self, feed: &mut Feed<'_>) -> Option<(StreamKey, &mut Stream)> {
        let keys: Vec<_> = self.connection.streams().collect();
        let key = *keys.get(usize::from(feed.byte()) % keys.len().max(1))?;
        Some((key, self.streams.get_mut(&key.id())?))
    }

    /// Reads what is here, up to `n` bytes.
    fn read(&mut self, n: usize) {
        let n = n.min(self.incoming.len());
        let mut at = 0;
        loop {
            let received = self.connection.receive(&self.incoming[at..n]);
            at += received.used;
            let Some(event) = received.event else {
                break;
            };
            note(event, &mut self.streams, &mut self.failed);
        }
        self.incoming.drain(..at);
        // A frame that is not DATA is kept until all of it is here.
        let partial = n - at;
        assert!(partial <= elbow_h2::FRAME_MAX + 9, "{partial} bytes stay");
    }

    fn send(&mut self, key: StreamKey, n: usize, end: bool) {
        let Some(stream) = self.streams.get_mut(&key.id()) else {
            return;
        };
        let data = pattern(stream.sent.body, n);
        let may = self.connection.capacity(key);
        let taken = self.connection.send_data(key, &data, end);
        assert!(taken <= may, "{taken} of {may}");
        stream.sent.body += taken as u64;
        if end && taken == n && stream.sent.head.is_some() && !stream.is_reset {
            stream.sent.is_ended = true;
        }
        let bound = self.config.output_max + PIECE_MAX / 1000 + 20_000;
        assert!(self.connection.output().len() < bound);
    }

    /// Ends or resets what is left, and gives everything back.
    fn finish(&mut self) {
        for key in self.connection.streams().collect::<Vec<_>>() {
            if let Some(stream) = self.streams.get_mut(&key.id()) {
                self.connection
                    .release(key, std::mem::take(&mut stream.held));
                stream.is_closed = true;
            }
            self.connection.close(key);
        }
    }
}

/// Notes an event, and checks it against the state of its stream.
fn note(event: Event<'_>, streams: &mut HashMap<u32, Stream>, failed: &mut Option<ErrorCode>) {
    let list = |head: &elbow_h2::Head| -> Vec<(String, Vec<u8>)> {
        let fields = head.fields();
        fields
            .map(|(name, value)| (name.to_owned(), value.to_vec()))
            .collect()
    };
    match event {
        Event::Head { stream, head, end } => {
            assert!(!head.is_too_large());
            let entry = streams.entry(stream.id()).or_insert_with(|| new(stream));
            assert!(entry.got.head.is_none() && !entry.is_closed);
            entry.got.head = Some(list(head));
            entry.got.is_ended = end;
        }
        Event::Data { stream, data, end } => {
            let entry = streams.get_mut(&stream.id()).expect("a stream with a head");
            assert!(entry.got.head.is_some() && !entry.got.is_ended && !entry.is_closed);
            assert!(data == pattern(entry.got.body, data.len()));
            entry.got.body += data.len() as u64;
            entry.held += data.len();
            entry.got.is_ended = end;
        }
        Event::Trailers { stream, head } => {
            let entry = streams.get_mut(&stream.id()).expect("a stream with a head");
            assert!(!entry.got.is_ended);
            entry.got.trailers = Some(list(head));
            entry.got.is_ended = true;
        }
        Event::Reset {
            stream, by_peer, ..
        } => {
            let entry = streams.get_mut(&stream.id()).expect("a stream with a head");
            assert!(by_peer, "the peer keeps the rules");
            entry.is_reset = true;
        }
        Event::GoAway { .. } => {}
        Event::Failed(error) => {
            assert_eq!(error.code, ErrorCode::ENHANCE_YOUR_CALM, "{error}");
            *failed = Some(error.code);
        }
    }
}

fn new(key: StreamKey) -> Stream {
    Stream {
        key,
        sent: Message::default(),
        got: Message::default(),
        held: 0,
        is_reset: false,
        is_closed: false,
    }
}

fn fields(feed: &mut Feed<'_>) -> Vec<(String, Vec<u8>)> {
    let names = ["x-a", "cookie", "content-type", "grpc-status", "server"];
    (0..feed.byte() % 4)
        .map(|_| {
            let value = vec![b'v'; usize::from(feed.byte()) * usize::from(feed.byte() % 4)];
            (feed.pick(&names).to_owned(), value)
        })
        .collect()
}

/// Runs and checks the conversation that `input` describes.
pub(crate) fn check(input: &[u8]) {
    let feed = &mut Feed::new(input);
    let mut client = Side::new(Connection::client, 0, feed);
    let mut server = Side::new(Connection::server, 65_535, feed);
    for _ in 0..STEPS_MAX {
        if feed.is_empty() {
            break;
        }
        let op = feed.byte();
        let (side, other) = if op & 0x80 == 0 {
            (&mut client, &mut server)
        } else {
            (&mut server, &mut client)
        };
        act(op & 0x7f, side, other, feed);
    }
    // All that was said arrives.
    for _ in 0..1000 {
        deliver(&mut client, &mut server, usize::MAX);
        server.read(usize::MAX);
        deliver(&mut server, &mut client, usize::MAX);
        client.read(usize::MAX);
        client.connection.end_turn();
        server.connection.end_turn();
        if client.connection.output().is_empty() && server.connection.output().is_empty() {
            break;
        }
    }
    compare(&client, &server);
    compare(&server, &client);
    client.finish();
    server.finish();
    assert_eq!(
        client.connection.open_streams() + server.connection.open_streams(),
        0
    );
}

/// Moves up to `n` bytes of output to the other side.
fn deliver(from: &mut Side, to: &mut Side, n: usize) {
    let output = from.connection.output();
    let n = n.min(output.len());
    to.incoming.extend_from_slice(&output[..n]);
    from.connection.consume_output(n);
}

fn act(op: u8, side: &mut Side, other: &mut Side, feed: &mut Feed<'_>) {
    let is_client = side.connection.can_open();
    match op {
        0..0x18 if is_client => open(side, feed),
        0..0x18 => respond(side, feed),
        0x18..0x30 => {
            let n = usize::from(feed.byte()) * usize::from(feed.byte());
            if let Some((key, _)) = side.pick(feed) {
                side.send(key, n.min(PIECE_MAX), op & 3 == 0);
            }
        }
        0x30..0x34 => {
            if let Some((key, stream)) = side.pick(feed) {
                if stream.sent.head.is_some() && !stream.is_reset {
                    stream.sent.is_ended = true;
                }
                side.connection.end(key);
            }
        }
        0x34..0x38 => trailers(side, feed),
        0x38..0x48 => {
            let n = usize::from(feed.byte()) << 8;
            if let Some((key, stream)) = side.pick(feed) {
                let n = n.min(stream.held);
                stream.held -= n;
                side.connection.release(key, n);
            }
        }
        0x48..0x4a => {
            if let Some((key, stream)) = side.pick(feed) {
                stream.is_reset = true;
                side.connection.reset(key, ErrorCode::CANCEL);
            }
        }
        0x4a..0x4e => {
            if let Some((key, stream)) = side.pick(feed) {
                stream.is_closed = true;
                let whole = stream.sent.is_ended && stream.got.is_ended;
                stream.is_reset |= !whole;
                side.connection.close(key);
            }
        }
        0x4e if feed.one_in(8) => side.connection.shut_down(),
        0x4e..0x54 => {
            side.connection.take_ready(|_| {});
            if let Some((key, _)) = side.pick(feed) {
                side.connection.wait(key, op & 1 == 0);
            }
        }
        0x54..0x5e => side.connection.end_turn(),
        // Windows shrink and grow.
        0x5e..0x60 => {
            let (stream, connection) = (u32::from(feed.byte()), u32::from(feed.byte()));
            side.connection
                .set_windows(stream << 9, 65_535 + (connection << 10));
        }
        0x60..0x70 => {
            let n = [usize::from(op & 7) + 1, usize::MAX][usize::from(op >> 3 & 1)];
            deliver(side, other, n);
        }
        _ => {
            let n = usize::from(feed.byte());
            side.read(if n > 200 { usize::MAX } else { n });
            if op & 3 == 0 {
                side.connection.end_turn();
            }
        }
    }
}

fn open(side: &mut Side, feed: &mut Feed<'_>) {
    let (end, fields) = (feed.one_in(3), fields(feed));
    let opened = side.connection.open(end, false, |head| {
        head.field(":method", b"POST");
        head.field(":scheme", b"https");
        head.field(":path", b"/");
        for (name, value) in &fields {
            head.field(name, value);
        }
    });
    if let Some(key) = opened {
        let mut stream = new(key);
        (stream.sent.head, stream.sent.is_ended) = (Some(fields), end);
        side.streams.insert(key.id(), stream);
    }
}

fn respond(side: &mut Side, feed: &mut Feed<'_>) {
    let (end, fields) = (feed.one_in(3), fields(feed));
    let Some((key, stream)) = side.pick(feed) else {
        return;
    };
    if stream.sent.head.is_some() {
        return;
    }
    let noted = fields.clone();
    let sent = side.connection.send_head(key, end, |head| {
        head.status(200);
        for (name, value) in &fields {
            head.field(name, value);
        }
    });
    if let Some(stream) = side.streams.get_mut(&key.id()).filter(|_| sent) {
        (stream.sent.head, stream.sent.is_ended) = (Some(noted), end);
    }
}

fn trailers(side: &mut Side, feed: &mut Feed<'_>) {
    let fields = fields(feed);
    let Some((key, stream)) = side.pick(feed) else {
        return;
    };
    if stream.sent.head.is_none() || stream.sent.is_ended {
        return;
    }
    let sent = side.connection.send_head(key, true, |head| {
        for (name, value) in &fields {
            head.field(name, value);
        }
    });
    if let Some(stream) = side.streams.get_mut(&key.id()).filter(|_| sent) {
        (stream.sent.trailers, stream.sent.is_ended) = (Some(fields), true);
    }
}

/// Compares what `from` sent with what `to` got. Of a stream that was reset, part may be missing.
fn compare(from: &Side, to: &Side) {
    for (id, sent) in &from.streams {
        let Some(got) = to.streams.get(id) else {
            let refused = sent.is_reset || sent.is_closed || from.failed.is_some();
            let going = to.failed.is_some() || to.connection.is_shutting_down();
            assert!(refused || going, "stream {id} is unknown");
            continue;
        };
        assert_eq!(got.key.id(), *id);
        if let (Some(sent), Some(got)) = (&sent.sent.head, &got.got.head) {
            assert_eq!(sent, got);
        }
        assert!(got.got.body <= sent.sent.body);
        let is_cut = sent.is_reset || got.is_reset || sent.is_closed || got.is_closed;
        if !is_cut && from.failed.is_none() && to.failed.is_none() {
            assert_eq!(got.got, sent.sent, "stream {id}");
        }
    }
}
