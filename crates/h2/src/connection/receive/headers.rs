//! HEADERS and CONTINUATION (RFC 9113, 6.2 and 6.10): heads and trailers.

use super::{Note, dependency};
use crate::connection::{Connection, Shutdown};
use crate::error::{ErrorCode, Fault};
use crate::flood::{Flood, calm};
use crate::frame::{FrameHead, flag, unpadded};
use crate::head::Kind;
use crate::stream::{Closed, Got, ResetBy, Sent, Stream, StreamKey};
use crate::window::{ReceiveWindow, SendWindow};

/// A header block in progress.
#[derive(Clone, Copy, Debug)]
pub(in crate::connection) struct Block {
    pub(super) stream: u32,
    end: bool,
    /// The stream depends on itself.
    depends_on_itself: bool,
    continuations: u32,
}

impl Connection {
    pub(super) fn headers(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Note>, Fault> {
        let too_long = Fault::protocol("padding longer than the frame");
        let mut fragment = unpadded(head.flags, payload).ok_or(too_long)?;
        let mut depends_on_itself = false;
        if head.has(flag::PRIORITY) {
            let code = ErrorCode::FRAME_SIZE_ERROR;
            let too_short = Fault::connection(code, "HEADERS without their priority");
            let (priority, rest) = fragment.split_first_chunk::<5>().ok_or(too_short)?;
            depends_on_itself = dependency(priority) == head.stream;
            fragment = rest;
        }
        let block = Block {
            stream: head.stream,
            end: head.has(flag::END_STREAM),
            depends_on_itself,
            continuations: 0,
        };
        if head.has(flag::END_HEADERS) {
            return self.header_block(block, fragment);
        }
        self.fragments.clear();
        self.fragments.extend_from_slice(fragment);
        self.block = Some(block);
        Ok(None)
    }

    pub(super) fn continuation(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Note>, Fault> {
        let stray = Fault::protocol("CONTINUATION without HEADERS");
        let block = self.block.as_mut().ok_or(stray)?;
        block.continuations += 1;
        Flood::continuation(block.continuations)?;
        if self.fragments.len() + payload.len() > self.config.header_list_max as usize {
            // The codes of Huffman make a block hardly larger than its list.
            return Err(calm("header block too large"));
        }
        self.fragments.extend_from_slice(payload);
        if !head.has(flag::END_HEADERS) {
            return Ok(None);
        }
        let block = *block;
        self.block = None;
        let fragments = std::mem::take(&mut self.fragments);
        self.header_block(block, &fragments)
    }

    /// Acts on a complete header block.
    fn header_block(&mut self, block: Block, bytes: &[u8]) -> Result<Option<Note>, Fault> {
        let id = block.stream;
        let known = self.streams.find(id);
        let kind = match known {
            Some(key) => self.kind_of(key)?,
            None if self.is_server => self.kind_of_new(id, block.end)?,
            None if self.is_idle(id) => return Err(Fault::protocol("HEADERS on an idle stream")),
            None => Kind::Ignored,
        };
        self.head.clear();
        let (head, list_max) = (&mut self.head, self.config.header_list_max as usize);
        let size = self
            .decoder
            .decode(bytes, list_max, &mut |name, value, never_indexed| {
                head.push(kind, name, value, never_indexed);
            })?;
        if kind == Kind::Ignored {
            return Ok(None);
        }
        let finished = self.head.finish(kind, size.is_too_large);
        let stream = match known {
            Some(key) => key,
            None => self.open_peer_stream(id, block.end)?,
        };
        let is_incomplete = kind == Kind::Trailers && size.is_too_large;
        if finished.is_err() || block.depends_on_itself || is_incomplete {
            return Err(Fault::malformed(id));
        }
        match kind {
            Kind::Trailers => self.trailers(stream, block.end).map(Some),
            _ => self.message(stream, block.end).map(Some),
        }
    }

    /// What a header block on a stream of the table is.
    fn kind_of(&mut self, key: StreamKey) -> Result<Kind, Fault> {
        let is_server = self.is_server;
        let Some(stream) = self.streams.get(key) else {
            return Ok(Kind::Ignored);
        };
        Ok(match stream.got {
            _ if stream.reset == Some(ResetBy::Us) => Kind::Ignored,
            _ if stream.is_reset() => {
                let code = ErrorCode::STREAM_CLOSED;
                return Err(Fault::connection(code, "HEADERS behind a reset"));
            }
            Got::Nothing if is_server => Kind::Request,
            Got::Nothing => Kind::Response,
            Got::Head => Kind::Trailers,
            Got::Everything => {
                // The block cannot be skipped, so this ends the connection.
                let code = ErrorCode::STREAM_CLOSED;
                return Err(Fault::connection(
                    code,
                    "HEADERS behind the end of a stream",
                ));
            }
        })
    }

    /// What a header block is whose stream is not in the table of a server.
    fn kind_of_new(&mut self, id: u32, end: bool) -> Result<Kind, Fault> {
        if id.is_multiple_of(2) {
            return Err(Fault::protocol("a client opens a stream with an even id"));
        }
        if id > self.last_peer {
            return Ok(match self.shutdown {
                Shutdown::Final(_) => Kind::Ignored,
                _ => Kind::Request,
            });
        }
        match self.streams.closed(id) {
            Some(Closed::Reset) => Ok(Kind::Ignored),
            Some(how @ Closed::Answered(_)) => {
                // Trailers.
                if end {
                    *how = Closed::Ended;
                }
                Ok(Kind::Ignored)
            }
            Some(Closed::Ended) => {
                let code = ErrorCode::STREAM_CLOSED;
                Err(Fault::connection(code, "HEADERS on a closed stream"))
            }
            None => Err(Fault::protocol("stream ids must ascend")),
        }
    }

    /// Adds the stream of a new request.
    fn open_peer_stream(&mut self, id: u32, end: bool) -> Result<StreamKey, Fault> {
        self.last_peer = id;
        self.flood.stream();
        // Streams that the client reset are in the table until their owner knows.
        let most = self.config.streams_max;
        if let Shutdown::Announced(late) = self.shutdown {
            self.shutdown = Shutdown::Announced(late + 1);
            // Before it gets an answer, which comes after GOAWAY, a peer can open no more.
            if late + 1 >= most {
                self.finish_shutdown();
            }
        }
        if self.streams.open() >= most || self.streams.len() >= 2 * most as usize {
            return Err(Fault::Stream(id, ErrorCode::REFUSED_STREAM));
        }
        let got = if end { Got::Everything } else { Got::Head };
        Ok(self.add_stream(id, Sent::Nothing, got))
    }

    /// Adds a stream to the table.
    pub(in crate::connection) fn add_stream(&mut self, id: u32, sent: Sent, got: Got) -> StreamKey {
        self.streams.add(Stream {
            id,
            sent,
            got,
            reset: None,
            send_window: SendWindow::new(self.initial_window),
            receive_window: ReceiveWindow::new(self.config.stream_window),
            held: 0,
            content_left: None,
            to_head: false,
            wait: None,
            is_listed: false,
            is_known: !self.is_server,
        })
    }

    /// Acts on the head of a request or a response.
    fn message(&mut self, key: StreamKey, end: bool) -> Result<Note, Fault> {
        let (status, length) = (self.head.status(), self.head.content_length());
        let is_interim = status.is_some_and(|status| status < 200);
        let mut is_wrong = is_interim && end;
        self.streams.change(key, |stream| {
            if is_interim {
                return;
            }
            // These announce what another response would have (RFC 9110, 8.6).
            let is_bodiless = stream.to_head || matches!(status, Some(204 | 304));
            stream.content_left = if is_bodiless { Some(0) } else { length };
            is_wrong = end && stream.content_left.is_some_and(|left| left > 0);
            stream.got = if end { Got::Everything } else { Got::Head };
        });
        if is_wrong {
            return Err(Fault::malformed(key.id()));
        }
        self.streams.change(key, |stream| stream.is_known = true);
        Ok(Note::Head(key, end))
    }

    fn trailers(&mut self, key: StreamKey, end: bool) -> Result<Note, Fault> {
        let mut is_short = false;
        self.streams.change(key, |stream| {
            is_short = stream.content_left.is_some_and(|left| left > 0);
            if end && !is_short {
                stream.got = Got::Everything;
            }
        });
        if !end || is_short {
            return Err(Fault::malformed(key.id()));
        }
        Ok(Note::Trailers(key))
    }
}
