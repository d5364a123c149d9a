//! The state machine of one connection.

mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use send::HeadWriter;

use crate::PREFACE;
use crate::error::{ConnectionError, ErrorCode};
use crate::flood::Flood;
use crate::frame::{MAX_31, kind};
use crate::head::Head;
use crate::hpack::{self, Decoder, Encoder};
use crate::output::Output;
use crate::settings::Config;
use crate::stream::{StreamKey, Streams};
use crate::window::{self, ReceiveWindow, SendWindow};
use receive::{Block, Reading};

/// The payload of the PING whose answer ends the first part of a graceful shutdown.
const SHUTDOWN_PING: [u8; 8] = *b"shutdown";

/// What the peer did.
#[derive(Debug)]
pub enum Event<'a> {
    /// The head of a request, whose stream is new; or that of the response to a request, interim or
    /// final.
    Head {
        /// The stream.
        stream: StreamKey,
        /// Check [`Head::is_too_large`].
        head: &'a Head,
        /// Nothing follows.
        end: bool,
    },
    /// Part of a body, maybe empty. It counts against the windows until [`Connection::release`].
    Data {
        /// The stream.
        stream: StreamKey,
        /// Where it was received.
        data: &'a [u8],
        /// Nothing follows.
        end: bool,
    },
    /// The end of a body, with trailers.
    Trailers {
        /// The stream.
        stream: StreamKey,
        /// Without pseudo-header fields.
        head: &'a Head,
    },
    /// The stream is gone: the peer reset it, or this side did because the peer broke a rule.
    Reset {
        /// The stream.
        stream: StreamKey,
        /// Why.
        code: ErrorCode,
        /// The peer reset it.
        by_peer: bool,
    },
    /// The peer takes no streams beyond `last`.
    GoAway {
        /// The highest stream id that it may have acted on.
        last: u32,
        /// Why.
        code: ErrorCode,
    },
    /// The connection is over because the peer broke a rule. The output has a GOAWAY that says so.
    Failed(ConnectionError),
}

/// What [`Connection::receive`] did with its input.
#[derive(Debug)]
pub struct Received<'a> {
    /// Bytes of the input that are done with.
    pub used: usize,
    /// `None` when the rest of the input needs more to be read.
    pub event: Option<Event<'a>>,
}

/// How far a shutdown is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shutdown {
    No,
    /// The peer was told. Requests that it sent before it knew are still served, and so many came so far.
    Announced(u32),
    /// The peer knows that no stream beyond this one is served.
    Final(u32),
}

/// One connection of HTTP/2, as a server or a client.
#[derive(Debug)]
pub struct Connection {
    is_server: bool,
    config: Config,
    reading: Reading,
    /// The header block in progress.
    block: Option<Block>,
    /// What came of that block. Its memory is used again.
    fragments: Vec<u8>,
    decoder: Decoder,
    head: Head,
    encoder: Encoder,
    /// A field name in lower case.
    name: Vec<u8>,
    streams: Streams,
    /// Streams with something to send, in the order in which they asked.
    waiting: VecDeque<StreamKey>,
    /// Streams whose receive window may need an update.
    released: Vec<StreamKey>,
    receive_window: ReceiveWindow,
    /// What updates make of the receive windows of streams, and of the connection.
    window_sizes: (u32, u32),
    send_window: SendWindow,
    /// The peer's initial window of a stream.
    initial_window: u32,
    /// Streams that this side may open at a time.
    peer_streams_max: u32,
    /// The highest id of a stream that the peer opened.
    last_peer: u32,
    /// The id of the next stream that this side opens.
    next_local: u32,
    output: Output,
    flood: Flood,
    shutdown: Shutdown,
    /// The peer's last GOAWAY.
    goaway: Option<u32>,
    failed: Option<ConnectionError>,
}

impl Connection {
    /// The server's side of a connection.
    pub fn server(config: Config) -> Self {
        Self::new(config, true)
    }

    /// The client's side of a connection.
    pub fn client(config: Config) -> Self {
        Self::new(config, false)
    }

    fn new(config: Config, is_server: bool) -> Self {
        let config = config.in_range(is_server);
        let mut output = Output::default();
        if !is_server {
            output.raw(PREFACE);
        }
        output.frame(kind::SETTINGS, 0, 0, &config.payload(is_server));
        if config.connection_window > window::DEFAULT {
            output.window_update(0, config.connection_window - window::DEFAULT);
        }
        Self {
            is_server,
            reading: Reading::new(is_server),
            block: None,
            fragments: Vec::new(),
            decoder: Decoder::new(hpack::TABLE_SIZE),
            head: Head::default(),
            encoder: Encoder::new(),
            name: Vec::new(),
            streams: Streams::default(),
            waiting: VecDeque::new(),
            released: Vec::new(),
            receive_window: ReceiveWindow::new(config.connection_window),
            window_sizes: (config.stream_window, config.connection_window),
            send_window: SendWindow::new(window::DEFAULT),
            initial_window: window::DEFAULT,
            peer_streams_max: u32::MAX,
            last_peer: 0,
            next_local: 1,
            output,
            flood: Flood::default(),
            shutdown: Shutdown::No,
            goaway: None,
            failed: None,
            config,
        }
    }

    /// What is to be written to the peer.
    pub fn output(&self) -> &[u8] {
        self.output.pending()
    }

    /// Notes that `n` bytes of the output were written.
    pub fn consume_output(&mut self, n: usize) {
        self.output.consume(n);
        if self.output.len() == 0 {
            self.flood.drained();
        }
    }

    /// Lends the output memory that an earlier use left; [`Connection::reclaim_memory`] gives it back.
    pub fn lend_memory(&mut self, memory: Vec<u8>) {
        self.output.lend(memory);
    }

    /// Returns the memory of the output when nothing waits to be written.
    pub fn reclaim_memory(&mut self) -> Option<Vec<u8>> {
        self.output.reclaim()
    }

    /// Sets the bound of the output in bytes beyond which no DATA is taken.
    pub fn set_output_max(&mut self, bytes: usize) {
        self.config.output_max = bytes;
    }

    /// Sets the sizes in bytes that the receive windows of streams and of the connection have from their next
    /// updates on; at most 2,147,483,647.
    pub fn set_windows(&mut self, stream: u32, connection: u32) {
        self.window_sizes = (stream.min(MAX_31), connection.min(MAX_31));
    }

    /// Ends a turn: window updates are added to the output.
    pub fn end_turn(&mut self) {
        self.flood.end_turn();
        if self.failed.is_some() {
            return;
        }
        let (of_stream, of_connection) = self.window_sizes;
        if let Some(increment) = self.receive_window.update(of_connection) {
            self.output.window_update(0, increment);
        }
        while let Some(key) = self.released.pop() {
            let Some(stream) = self.streams.get(key) else {
                continue;
            };
            stream.is_listed = false;
            if stream.is_receiving()
                && let Some(increment) = stream.receive_window.update(of_stream)
            {
                self.output.window_update(key.id(), increment);
            }
        }
        if self.streams.len() == 0 && self.block.is_none() {
            self.shrink();
        }
    }

    /// Gives back memory that an idle connection does not need.
    fn shrink(&mut self) {
        self.streams.shrink();
        self.head.shrink();
        self.fragments = Vec::new();
        self.waiting = VecDeque::new();
    }

    /// Announces that no more streams are served. Streams in progress, and those on their way, end as
    /// usual; then [`Connection::is_over`].
    pub fn shut_down(&mut self) {
        if self.shutdown != Shutdown::No || self.failed.is_some() {
            return;
        }
        let output = &mut self.output;
        self.streams
            .forget_answered(|id| output.reset(id, ErrorCode::NO_ERROR));
        if self.is_server {
            self.shutdown = Shutdown::Announced(0);
            self.output.goaway(MAX_31, ErrorCode::NO_ERROR);
            self.output.frame(kind::PING, 0, 0, &SHUTDOWN_PING);
        } else {
            self.finish_shutdown();
        }
    }

    /// The peer knows of the shutdown.
    fn finish_shutdown(&mut self) {
        self.shutdown = Shutdown::Final(self.last_peer);
        self.output.goaway(self.last_peer, ErrorCode::NO_ERROR);
    }

    /// Whether nothing more will happen, once the output is written: the connection failed, or a
    /// shutdown is complete.
    pub fn is_over(&self) -> bool {
        let is_shut = matches!(self.shutdown, Shutdown::Final(_)) && self.streams.open() == 0;
        self.failed.is_some() || is_shut
    }

    /// Whether this side takes no more streams.
    pub fn is_shutting_down(&self) -> bool {
        self.shutdown != Shutdown::No
    }

    /// Streams in progress.
    pub fn open_streams(&self) -> usize {
        self.streams.open() as usize
    }

    /// The streams that the owner has not closed.
    pub fn streams(&self) -> impl Iterator<Item = StreamKey> {
        self.streams.keys()
    }

    /// Ends the connection because of `error`.
    fn fail(&mut self, error: ConnectionError) {
        self.output.goaway(self.last_peer, error.code);
        self.failed = Some(error);
        self.fragments = Vec::new();
        self.block = None;
    }
}
