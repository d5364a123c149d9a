//! DATA (RFC 9113, 6.1), which is passed on as it comes.

use super::{Note, Reading, Step};
use crate::connection::Connection;
use crate::error::{ErrorCode, Fault};
use crate::frame::{FrameHead, flag};
use crate::stream::{Closed, Got, ResetBy, StreamKey};

/// The payload of a frame.
#[derive(Clone, Copy, Debug)]
pub(in crate::connection) struct Data {
    /// `None` when it is dropped.
    stream: Option<StreamKey>,
    left: usize,
    padding: usize,
    end: bool,
}

impl Connection {
    /// Reads the head of DATA and charges all of the frame to the windows.
    pub(super) fn data_head(
        &mut self,
        head: FrameHead,
        input: &[u8],
    ) -> Result<Step, (usize, Fault)> {
        let (mut used, mut padding) = (FrameHead::SIZE, 0);
        if head.has(flag::PADDED) && head.length > 0 {
            let Some(length) = input.get(used) else {
                return Ok(None);
            };
            used += 1;
            padding = usize::from(*length);
        }
        let overhead = used - FrameHead::SIZE + padding;
        let length = head.length.checked_sub(overhead);
        let length = length.filter(|_| head.length > 0 || !head.has(flag::PADDED));
        let Some(length) = length else {
            return Err((0, Fault::protocol("padding longer than the frame")));
        };
        if self.receive_window.take(head.length).is_none() {
            let code = ErrorCode::FLOW_CONTROL_ERROR;
            let reason = "DATA beyond the window of the connection";
            return Err((0, Fault::connection(code, reason)));
        }
        self.receive_window.release(overhead);
        let end = head.has(flag::END_STREAM);
        if length == 0 && !end {
            self.flood.idle_frame().map_err(|fault| (0, fault))?;
        }
        self.flood.data(length, end);
        let mut data = Data {
            stream: None,
            left: length,
            padding,
            end,
        };
        let checked = self.check_data(head, length, overhead, end);
        if let Ok(stream) = checked {
            data.stream = stream;
        }
        self.reading = Reading::Data(data);
        match checked {
            Err(fault) => Err((used, fault)),
            Ok(Some(key)) if length == 0 && end => {
                data.stream = None;
                self.reading = Reading::Data(data);
                self.streams
                    .change(key, |stream| stream.got = Got::Everything);
                Ok(Some((used, Some(Note::Data(key, 0, true)))))
            }
            Ok(_) => Ok(Some((used, None))),
        }
    }

    /// Returns the stream that takes `length` bytes of data; `None` when they are dropped.
    fn check_data(
        &mut self,
        head: FrameHead,
        length: usize,
        overhead: usize,
        end: bool,
    ) -> Result<Option<StreamKey>, Fault> {
        let id = head.stream;
        let Some(key) = self.streams.find(id) else {
            return self.late_data(id, head.length, end).map(|()| None);
        };
        let Some(stream) = self.streams.get(key) else {
            return Ok(None);
        };
        match stream.got {
            _ if stream.reset == Some(ResetBy::Us) => return Ok(None),
            _ if stream.is_reset() => return Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED)),
            Got::Everything => return Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED)),
            Got::Nothing => return Err(Fault::protocol("DATA before a head")),
            Got::Head => {}
        }
        if stream.receive_window.take(head.length).is_none() {
            return Err(Fault::Stream(id, ErrorCode::FLOW_CONTROL_ERROR));
        }
        stream.receive_window.release(overhead);
        if let Some(left) = &mut stream.content_left {
            let length = length as u64;
            if length > *left || (end && length < *left) {
                return Err(Fault::malformed(id));
            }
            *left -= length;
        }
        if overhead > 0 {
            self.list(key);
        }
        Ok(Some(key))
    }

    /// DATA of `length` bytes with its padding, of a stream that is not in the table.
    fn late_data(&mut self, id: u32, length: usize, end: bool) -> Result<(), Fault> {
        if self.is_idle(id) {
            return Err(Fault::protocol("DATA on an idle stream"));
        }
        let how = match self.streams.closed(id) {
            Some(Closed::Reset) => return Ok(()),
            // It was sent before the client knew of the shutdown.
            None if id > self.last_peer => return Ok(()),
            Some(Closed::Ended) | None => return Err(Fault::Stream(id, ErrorCode::STREAM_CLOSED)),
            Some(how) => how,
        };
        let Closed::Answered(left) = *how else {
            return Ok(());
        };
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let Some(left) = left.checked_sub(length) else {
            *how = Closed::Reset;
            return Err(Fault::Stream(id, ErrorCode::FLOW_CONTROL_ERROR));
        };
        *how = match left {
            _ if end => Closed::Ended,
            0 => Closed::Reset,
            left => Closed::Answered(left),
        };
        if left == 0 && !end {
            // It would wait for a window.
            self.output.reset(id, ErrorCode::NO_ERROR);
        }
        Ok(())
    }

    /// Whether the DATA that is being read ends its stream.
    pub(in crate::connection) fn is_ending(&self, key: StreamKey) -> bool {
        matches!(self.reading, Reading::Data(data) if data.end && data.stream == Some(key))
    }

    /// Passes on what is here of the payload of DATA.
    pub(super) fn data(&mut self, mut data: Data, input: &[u8]) -> Step {
        if data.left == 0 {
            let n = data.padding.min(input.len());
            data.padding -= n;
            self.reading = if data.padding == 0 {
                Reading::Frame
            } else {
                Reading::Data(data)
            };
            return (n > 0 || data.padding == 0).then_some((n, None));
        }
        let n = data.left.min(input.len());
        if n == 0 {
            return None;
        }
        data.left -= n;
        let ends = data.end && data.left == 0;
        self.reading = Reading::Data(data);
        let receiving = data.stream.filter(|key| {
            let stream = self.streams.get(*key);
            stream.is_some_and(|stream| stream.is_receiving())
        });
        let Some(key) = receiving else {
            self.receive_window.release(n);
            return Some((n, None));
        };
        self.streams.change(key, |stream| {
            stream.held += n;
            if ends {
                stream.got = Got::Everything;
            }
        });
        Some((n, Some(Note::Data(key, n, ends))))
    }
}
