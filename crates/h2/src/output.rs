//! What waits to be written to the peer.

use crate::FRAME_MAX;
use crate::error::ErrorCode;
use crate::frame::{FrameHead, flag, kind};

/// Frames in the order in which they are sent.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: Vec<u8>,
    /// How much of `bytes` is written.
    at: usize,
    /// The stream of the last HEADERS or DATA, and where its flags are.
    last: Option<(u32, usize)>,
}

impl Output {
    /// What is not written yet.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Removes `n` written bytes.
    pub(crate) fn consume(&mut self, n: usize) {
        self.at = self.bytes.len().min(self.at + n);
        if self.at == self.bytes.len() {
            self.bytes.clear();
            (self.at, self.last) = (0, None);
        } else if self.at >= self.bytes.len() / 2 {
            // The peer is slow: the rest moves to the front, so that the vector does not grow.
            self.bytes.drain(..self.at);
            (self.at, self.last) = (0, None);
        }
    }

    /// Uses `memory` from now on, unless there is some.
    pub(crate) fn lend(&mut self, memory: Vec<u8>) {
        if self.bytes.capacity() == 0 {
            self.bytes = memory;
            self.bytes.clear();
        }
    }

    /// Gives up the memory while nothing waits.
    pub(crate) fn reclaim(&mut self) -> Option<Vec<u8>> {
        let is_unused = self.bytes.is_empty() && self.bytes.capacity() > 0;
        is_unused.then(|| std::mem::take(&mut self.bytes))
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A frame with a payload of at most [`FRAME_MAX`] bytes.
    pub(crate) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let head = FrameHead {
            length: payload.len(),
            kind,
            flags,
            stream,
        };
        if matches!(kind, kind::DATA | kind::HEADERS) {
            self.last = Some((stream, self.bytes.len() + 4));
        }
        self.bytes.reserve(FrameHead::SIZE + payload.len());
        self.bytes.extend_from_slice(&head.bytes());
        self.bytes.extend_from_slice(payload);
    }

    pub(crate) fn window_update(&mut self, stream: u32, increment: u32) {
        self.frame(kind::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes());
    }

    pub(crate) fn reset(&mut self, stream: u32, code: ErrorCode) {
        self.frame(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes());
    }

    pub(crate) fn goaway(&mut self, last: u32, code: ErrorCode) {
        let ([a, b, c, d], [e, f, g, h]) = (last.to_be_bytes(), code.0.to_be_bytes());
        self.frame(kind::GOAWAY, 0, 0, &[a, b, c, d, e, f, g, h]);
    }

    /// DATA, in as many frames as it takes.
    pub(crate) fn data(&mut self, stream: u32, mut data: &[u8], end: bool) {
        loop {
            let (frame, rest) = data.split_at(data.len().min(FRAME_MAX));
            let flags = if end && rest.is_empty() {
                flag::END_STREAM
            } else {
                0
            };
            self.frame(kind::DATA, flags, stream, frame);
            if rest.is_empty() {
                return;
            }
            data = rest;
        }
    }

    /// HEADERS with the block that `write` appends.
    pub(crate) fn headers(&mut self, stream: u32, end: bool, write: impl FnOnce(&mut Vec<u8>)) {
        let flags = if end { flag::END_STREAM } else { 0 };
        let start = self.bytes.len();
        self.frame(kind::HEADERS, flags, stream, &[]);
        let block = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - block;
        if length > FRAME_MAX {
            return self.split_headers(start, flags, stream);
        }
        let head = FrameHead {
            length,
            kind: kind::HEADERS,
            flags: flags | flag::END_HEADERS,
            stream,
        };
        if let Some(place) = self.bytes.get_mut(start..block) {
            place.copy_from_slice(&head.bytes());
        }
    }

    /// Splits the frame at `start` into HEADERS and CONTINUATION.
    fn split_headers(&mut self, start: usize, flags: u8, stream: u32) {
        let block = self.bytes.split_off(start + FrameHead::SIZE);
        self.bytes.truncate(start);
        let parts = block.len().div_ceil(FRAME_MAX);
        let first = self.bytes.len() + 4;
        for (n, part) in block.chunks(FRAME_MAX).enumerate() {
            let kind = if n == 0 {
                kind::HEADERS
            } else {
                kind::CONTINUATION
            };
            let ends = if n + 1 == parts { flag::END_HEADERS } else { 0 };
            let flags = if n == 0 { flags | ends } else { ends };
            self.frame(kind, flags, stream, part);
        }
        self.last = Some((stream, first));
    }

    /// Sets END_STREAM: on the last frame of the stream if it still waits, else on an empty one.
    pub(crate) fn end(&mut self, stream: u32) {
        let last = self.last.filter(|(of, at)| *of == stream && *at >= self.at);
        match last.and_then(|(_, at)| self.bytes.get_mut(at)) {
            Some(flags) => *flags |= flag::END_STREAM,
            None => self.data(stream, &[], true),
        }
    }
}
