//! Commands: what this side sends.

use super::{Connection, Shutdown};
use crate::error::ErrorCode;
use crate::frame::MAX_31;
use crate::hpack::Encoder;
use crate::stream::{Closed, Got, ResetBy, Sent, StreamKey, Wait};

/// Room in the output below which nothing is sent: less is not worth the work.
const ROOM_MIN: usize = 1024;

/// Writes the fields of a head.
#[derive(Debug)]
pub struct HeadWriter<'a> {
    encoder: &'a mut Encoder,
    /// A name in lower case.
    name: &'a mut Vec<u8>,
    out: &'a mut Vec<u8>,
}

impl HeadWriter<'_> {
    /// `:status`, the first field of a response.
    pub fn status(&mut self, status: u16) {
        let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or_default();
        let digits = [digit(status / 100), digit(status / 10), digit(status)];
        self.field(":status", &digits);
    }

    /// A field. Pseudo-header fields come first. The name is sent in lower case; the value must not
    /// have control characters. Credentials enter no table, which users may share (RFC 7541, 7.1.3).
    pub fn field(&mut self, name: &str, value: &[u8]) {
        let is_sensitive = name.eq_ignore_ascii_case("authorization")
            || name.eq_ignore_ascii_case("proxy-authorization");
        self.put(name, value, is_sensitive);
    }

    /// A field that enters no table, here and on its way (RFC 7541, 6.2.3).
    pub fn never_indexed(&mut self, name: &str, value: &[u8]) {
        self.put(name, value, true);
    }

    fn put(&mut self, name: &str, value: &[u8], is_sensitive: bool) {
        let mut name = name.as_bytes();
        if name.iter().any(u8::is_ascii_uppercase) {
            self.name.clear();
            self.name.extend_from_slice(name);
            self.name.make_ascii_lowercase();
            name = self.name;
        }
        self.encoder.encode(name, value, is_sensitive, self.out);
    }
}

impl Connection {
    /// Opens a stream with the head of a request, which ends with it if `end`; `to_head` when its
    /// method is HEAD. `None` when the peer takes no more streams now, or ever.
    pub fn open(
        &mut self,
        end: bool,
        to_head: bool,
        write: impl FnOnce(&mut HeadWriter<'_>),
    ) -> Option<StreamKey> {
        if !self.can_open() {
            return None;
        }
        let id = self.next_local;
        self.next_local += 2;
        let key = self.add_stream(id, Sent::Nothing, Got::Nothing);
        if let Some(stream) = self.streams.get(key) {
            stream.to_head = to_head;
        }
        self.send_head(key, end, write);
        Some(key)
    }

    /// Whether [`Connection::open`] may open a stream now.
    pub fn can_open(&self) -> bool {
        !self.is_server
            && self.next_local <= MAX_31
            && self.streams.open() < self.peer_streams_max
            && self.goaway.is_none()
            && self.shutdown == Shutdown::No
            && self.failed.is_none()
    }

    /// Streams that the peer takes beside those in progress, while [`Connection::can_open`] holds.
    pub fn streams_left(&self) -> usize {
        let left = self.peer_streams_max.saturating_sub(self.streams.open());
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Sends a head, or trailers, which end the stream. False when the stream takes none.
    pub fn send_head(
        &mut self,
        stream: StreamKey,
        end: bool,
        write: impl FnOnce(&mut HeadWriter<'_>),
    ) -> bool {
        let mut may = false;
        self.streams.change(stream, |stream| {
            may = !stream.is_reset()
                && match stream.sent {
                    Sent::Nothing => true,
                    Sent::Head => end,
                    Sent::Everything => false,
                };
            if may {
                stream.sent = if end { Sent::Everything } else { Sent::Head };
            }
        });
        if !may || self.failed.is_some() {
            return false;
        }
        self.flood.data(0, true);
        let (encoder, name) = (&mut self.encoder, &mut self.name);
        self.output.headers(stream.id(), end, |out| {
            encoder.start_block(out);
            write(&mut HeadWriter { encoder, name, out });
        });
        true
    }

    /// Sends as much of `data` as both windows and the output take now, and returns how much. `end`
    /// ends the stream with the last byte.
    pub fn send_data(&mut self, stream: StreamKey, data: &[u8], end: bool) -> usize {
        let n = self.capacity(stream).min(data.len());
        let end = end && n == data.len();
        let (Some(part), false) = (data.get(..n), n == 0 && !end) else {
            return 0;
        };
        if end {
            if !self.can_send(stream) {
                return 0;
            }
            self.streams
                .change(stream, |stream| stream.sent = Sent::Everything);
        }
        if let Some(stream) = self.streams.get(stream) {
            stream.send_window.take(n);
        }
        self.send_window.take(n);
        self.flood.data(n, end);
        self.output.data(stream.id(), part, end);
        n
    }

    /// Ends a stream: with the last frame if that is still here, else with an empty one.
    pub fn end(&mut self, stream: StreamKey) {
        if !self.can_send(stream) {
            return;
        }
        self.streams
            .change(stream, |stream| stream.sent = Sent::Everything);
        self.output.end(stream.id());
    }

    /// Whether the stream takes DATA, given room.
    fn can_send(&mut self, stream: StreamKey) -> bool {
        let is_failed = self.failed.is_some();
        let stream = self.streams.get(stream);
        !is_failed && stream.is_some_and(|stream| !stream.is_reset() && stream.sent == Sent::Head)
    }

    /// Bytes that [`Connection::send_data`] takes now.
    pub fn capacity(&mut self, stream: StreamKey) -> usize {
        let of_connection = self.send_window.available().min(self.room());
        if !self.can_send(stream) {
            return 0;
        }
        let stream = self.streams.get(stream);
        stream.map_or(0, |stream| {
            stream.send_window.available().min(of_connection)
        })
    }

    /// Bytes that both windows and the output have for the stream, before it has a head as well.
    pub fn window(&mut self, stream: StreamKey) -> usize {
        let of_connection = self.send_window.available().min(self.room());
        let stream = self.streams.get(stream);
        stream.map_or(0, |stream| {
            stream.send_window.available().min(of_connection)
        })
    }

    /// Bytes that the output takes.
    pub fn room(&self) -> usize {
        let room = self.config.output_max.saturating_sub(self.output.len());
        if room < ROOM_MIN { 0 } else { room }
    }

    /// Lets [`Connection::take_ready`] report the stream when the output has room, and if `for_data`
    /// when both windows have room as well.
    pub fn wait(&mut self, stream: StreamKey, for_data: bool) {
        let Some(found) = self.streams.get(stream) else {
            return;
        };
        let wait = if for_data { Wait::Capacity } else { Wait::Room };
        if found.wait.replace(wait).is_none() {
            self.waiting.push_back(stream);
        }
    }

    /// Reports the waiting streams that can send now, in the order in which they began to wait.
    pub fn take_ready(&mut self, mut ready: impl FnMut(StreamKey)) {
        // Half of the output is free, so that a turn has something to do.
        if self.waiting.is_empty() || self.output.len() > self.config.output_max / 2 {
            return;
        }
        let has_window = self.send_window.available() > 0;
        for _ in 0..self.waiting.len() {
            let Some(key) = self.waiting.pop_front() else {
                return;
            };
            let Some(stream) = self.streams.get(key) else {
                continue;
            };
            let is_ready = match stream.wait {
                Some(Wait::Capacity) => has_window && stream.send_window.available() > 0,
                Some(Wait::Room) | None => true,
            };
            if is_ready {
                stream.wait = None;
                ready(key);
            } else {
                self.waiting.push_back(key);
            }
        }
    }

    /// Notes that `n` received bytes were used: the peer may send as many more. Returns whether the end
    /// of the turn will tell it.
    pub fn release(&mut self, stream: StreamKey, n: usize) -> bool {
        let Some(found) = self.streams.get(stream) else {
            return false;
        };
        let n = n.min(found.held);
        found.held -= n;
        found.receive_window.release(n);
        self.receive_window.release(n);
        let (of_stream, of_connection) = self.window_sizes;
        let is_due = found.is_receiving() && found.receive_window.due(of_stream).is_some()
            || self.receive_window.due(of_connection).is_some();
        self.list(stream);
        is_due
    }

    /// Lists a stream whose window may need an update.
    pub(super) fn list(&mut self, stream: StreamKey) {
        let found = self.streams.get(stream);
        if found.is_some_and(|found| !std::mem::replace(&mut found.is_listed, true)) {
            self.released.push(stream);
        }
    }

    /// Resets a stream.
    pub fn reset(&mut self, stream: StreamKey, code: ErrorCode) {
        let mut is_news = false;
        self.streams.change(stream, |stream| {
            is_news = !stream.is_closed();
            stream.reset = Some(ResetBy::Us);
        });
        if is_news && self.failed.is_none() {
            self.output.reset(stream.id(), code);
        }
    }

    /// Forgets a stream; one that is not closed is reset, unless it is a request with a complete response: its
    /// client may end it.
    pub fn close(&mut self, stream: StreamKey) {
        let Some(found) = self.streams.get(stream) else {
            return;
        };
        let (is_closed, by_us) = (found.is_closed(), found.reset == Some(ResetBy::Us));
        let (held, sent) = (found.held, found.sent);
        let how = if is_closed && !by_us {
            Closed::Ended
        } else if let Some(answered) = self.answer(stream) {
            answered
        } else {
            let code = match sent {
                Sent::Everything if self.is_server => ErrorCode::NO_ERROR,
                _ => ErrorCode::CANCEL,
            };
            self.reset(stream, code);
            Closed::Reset
        };
        self.receive_window.release(held);
        self.streams.remove(stream);
        self.remember(stream.id(), how);
    }

    /// Closes a request that has a complete response, without a reset: one is allowed (RFC 9113, 8.1), but
    /// clients such as curl 7.88 report it as an error. `None` when the client could not send the rest of
    /// the request within its window.
    fn answer(&mut self, key: StreamKey) -> Option<Closed> {
        let is_ending = self.is_ending(key);
        let may = self.is_server && self.shutdown == Shutdown::No && self.failed.is_none();
        let stream = self.streams.get(key)?;
        let left = stream.receive_window.left();
        let fits = u64::from(left) >= stream.content_left.unwrap_or(1);
        if !may || stream.is_closed() || stream.sent != Sent::Everything || !(is_ending || fits) {
            return None;
        }
        self.streams
            .change(key, |stream| stream.got = Got::Everything);
        Some(if is_ending {
            Closed::Ended
        } else {
            Closed::Answered(left)
        })
    }
}
