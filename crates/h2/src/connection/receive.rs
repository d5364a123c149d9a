//! From bytes to events.

mod control;
mod data;
mod headers;

use super::{Connection, Event, Received, Shutdown};
use crate::error::{ConnectionError, ErrorCode, Fault};
use crate::frame::{FrameHead, MAX_31, flag, kind};
use crate::stream::{Closed, ResetBy, Sent, StreamKey};
use crate::{FRAME_MAX, PREFACE};
use data::Data;
pub(super) use headers::Block;

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// Within the client's preface, with the number of its bytes that have arrived.
    Preface(usize),
    /// The first SETTINGS.
    Settings,
    Frame,
    Data(Data),
}

impl Reading {
    pub(super) fn new(is_server: bool) -> Self {
        if is_server {
            Self::Preface(0)
        } else {
            Self::Settings
        }
    }
}

/// An [`Event`] that borrows nothing.
#[derive(Clone, Copy, Debug)]
enum Note {
    Head(StreamKey, bool),
    Trailers(StreamKey),
    Data(StreamKey, usize, bool),
    Reset(StreamKey, ErrorCode, bool),
    GoAway(u32, ErrorCode),
}

/// What one step used of the input, and what came of it; `None` when it needs more.
type Step = Option<(usize, Option<Note>)>;

impl Connection {
    /// Reads `input` up to the next event. What is not used is given again, with more behind it.
    pub fn receive<'a>(&'a mut self, input: &'a [u8]) -> Received<'a> {
        let mut used = 0;
        loop {
            let rest = input.get(used..).unwrap_or_default();
            if self.failed.is_some() {
                let (used, event) = (input.len(), None);
                return Received { used, event };
            }
            match self.step(rest) {
                Ok(None) => return Received { used, event: None },
                Ok(Some((n, None))) => used += n,
                Ok(Some((n, Some(note)))) => {
                    used += n;
                    let event = Some(self.event(note, rest));
                    return Received { used, event };
                }
                Err(error) => {
                    self.fail(error);
                    let event = Some(Event::Failed(error));
                    return Received { used, event };
                }
            }
        }
    }

    /// The event that `note` tells of. DATA is at the start of `input`.
    fn event<'a>(&'a self, note: Note, input: &'a [u8]) -> Event<'a> {
        let head = &self.head;
        match note {
            Note::Head(stream, end) => Event::Head { stream, head, end },
            Note::Trailers(stream) => Event::Trailers { stream, head },
            Note::Data(stream, n, end) => {
                let data = input.get(..n).unwrap_or_default();
                Event::Data { stream, data, end }
            }
            Note::Reset(stream, code, by_peer) => Event::Reset {
                stream,
                code,
                by_peer,
            },
            Note::GoAway(last, code) => Event::GoAway { last, code },
        }
    }

    fn step(&mut self, input: &[u8]) -> Result<Step, ConnectionError> {
        let fault = match self.reading {
            Reading::Preface(at) => self.preface(at, input),
            Reading::Data(data) => return Ok(self.data(data, input)),
            Reading::Settings | Reading::Frame => self.frame(input),
        };
        match fault {
            Ok(step) => Ok(step),
            Err((_, Fault::Connection(error))) => Err(error),
            Err((used, Fault::Stream(id, code))) => {
                let note = self.end_stream(id, code)?;
                Ok(Some((used, note)))
            }
        }
    }

    fn preface(&mut self, at: usize, input: &[u8]) -> Result<Step, (usize, Fault)> {
        let due = PREFACE.get(at..).unwrap_or_default();
        let n = due.len().min(input.len());
        if n == 0 {
            return Ok(None);
        }
        if due.get(..n) != input.get(..n) {
            return Err((0, Fault::protocol("the client does not speak HTTP/2")));
        }
        self.reading = if n == due.len() {
            Reading::Settings
        } else {
            Reading::Preface(at + n)
        };
        Ok(Some((n, None)))
    }

    /// Reads one frame; of DATA, its head. A fault says how many bytes the frame had.
    fn frame(&mut self, input: &[u8]) -> Result<Step, (usize, Fault)> {
        let Some(head) = FrameHead::read(input) else {
            return Ok(None);
        };
        self.admit(head).map_err(|fault| (0, fault))?;
        if head.kind == kind::DATA {
            return self.data_head(head, input);
        }
        let used = FrameHead::SIZE + head.length;
        let Some(payload) = input.get(FrameHead::SIZE..used) else {
            return Ok(None);
        };
        self.reading = Reading::Frame;
        let handled = self.handle(head, payload);
        handled
            .map(|note| Some((used, note)))
            .map_err(|fault| (used, fault))
    }

    /// Whether a frame may come now.
    fn admit(&self, head: FrameHead) -> Result<(), Fault> {
        if head.length > FRAME_MAX {
            let code = ErrorCode::FRAME_SIZE_ERROR;
            return Err(Fault::connection(code, "frame too large"));
        }
        if matches!(self.reading, Reading::Settings)
            && (head.kind != kind::SETTINGS || head.has(flag::ACK))
        {
            return Err(Fault::protocol("the first frame is not SETTINGS"));
        }
        if let Some(block) = &self.block
            && (head.kind != kind::CONTINUATION || head.stream != block.stream)
        {
            return Err(Fault::protocol("a frame inside of a header block"));
        }
        let has_stream = matches!(
            head.kind,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM | kind::CONTINUATION
        );
        let has_none = matches!(head.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if (has_stream && head.stream == 0) || (has_none && head.stream != 0) {
            return Err(Fault::protocol("a frame on the wrong kind of stream"));
        }
        Ok(())
    }

    fn handle(&mut self, head: FrameHead, payload: &[u8]) -> Result<Option<Note>, Fault> {
        match head.kind {
            kind::HEADERS => self.headers(head, payload),
            kind::CONTINUATION => self.continuation(head, payload),
            kind::PRIORITY => self.priority(head, payload).map(|()| None),
            kind::RST_STREAM => self.rst_stream(head, payload),
            kind::SETTINGS => self.settings(head, payload).map(|()| None),
            kind::PING => self.ping(head, payload).map(|()| None),
            kind::GOAWAY => self.goaway(payload).map(Some),
            kind::WINDOW_UPDATE => self.window_update(head, payload).map(|()| None),
            kind::PUSH_PROMISE => Err(Fault::protocol("PUSH_PROMISE")),
            // Unknown kinds are ignored (RFC 9113, 5.5).
            _ => self.flood.idle_frame().map(|()| None),
        }
    }

    /// Ends a stream because its peer broke a rule.
    fn end_stream(&mut self, id: u32, code: ErrorCode) -> Result<Option<Note>, ConnectionError> {
        let counted = self.flood.stream_error();
        let Some(key) = self.streams.find(id) else {
            self.output.reset(id, code);
            if self.streams.closed(id).is_none() {
                self.remember(id, Closed::Reset);
            }
            return connection_error(counted).map(|()| None);
        };
        let (mut is_early, mut is_news, mut is_known) = (false, false, false);
        self.streams.change(key, |stream| {
            is_news = !stream.is_reset();
            is_early = stream.sent == Sent::Nothing;
            is_known = stream.is_known;
            stream.reset.get_or_insert(ResetBy::Us);
        });
        self.output.reset(id, code);
        connection_error(counted)?;
        if !is_news {
            return Ok(None);
        }
        if !is_known {
            self.streams.remove(key);
            self.remember(id, Closed::Reset);
            return Ok(None);
        }
        if self.is_server && is_early {
            connection_error(self.flood.early_reset())?;
        }
        Ok(Some(Note::Reset(key, code, false)))
    }

    /// Remembers how a stream was closed. An answered request that is forgotten is reset.
    pub(super) fn remember(&mut self, id: u32, how: Closed) {
        let forgotten = self.streams.remember(id, how);
        if let Some(id) = forgotten.filter(|_| self.failed.is_none()) {
            self.output.reset(id, ErrorCode::NO_ERROR);
        }
    }

    /// Whether no stream with this id was opened.
    fn is_idle(&self, id: u32) -> bool {
        match (self.is_server, id.is_multiple_of(2)) {
            (true, false) => id > self.last_peer && !matches!(self.shutdown, Shutdown::Final(_)),
            (false, false) => id >= self.next_local,
            // Nobody pushes.
            (_, true) => true,
        }
    }
}

fn connection_error(counted: Result<(), Fault>) -> Result<(), ConnectionError> {
    match counted {
        Err(Fault::Connection(error)) => Err(error),
        Ok(()) | Err(Fault::Stream(..)) => Ok(()),
    }
}

/// The stream that a priority names.
fn dependency(priority: &[u8; 5]) -> u32 {
    let [a, b, c, d, _] = *priority;
    u32::from_be_bytes([a, b, c, d]) & MAX_31
}
