//! Frames about streams and the connection, without content (RFC 9113, 6.3 to 6.9).

use super::{Note, dependency};
use crate::connection::{Connection, SHUTDOWN_PING, Shutdown};
use crate::error::{ErrorCode, Fault};
use crate::frame::{FrameHead, MAX_31, flag, kind};
use crate::settings::Changes;
use crate::stream::{Closed, ResetBy, Sent};

const WINDOW_TOO_LARGE: Fault =
    Fault::connection(ErrorCode::FLOW_CONTROL_ERROR, "window too large");

fn frame_size(reason: &'static str) -> Fault {
    Fault::connection(ErrorCode::FRAME_SIZE_ERROR, reason)
}

impl Connection {
    pub(super) fn priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        self.flood.idle_frame()?;
        let id = head.stream;
        let is_known = self.streams.find(id).is_some();
        match payload.first_chunk::<5>() {
            Some(priority) if payload.len() == 5 && dependency(priority) != id => Ok(()),
            // A stream that is not open cannot be reset.
            Some(_) if payload.len() == 5 && !is_known => {
                Err(Fault::protocol("a stream that depends on itself"))
            }
            Some(_) if payload.len() == 5 => Err(Fault::malformed(id)),
            _ if is_known => Err(Fault::Stream(id, ErrorCode::FRAME_SIZE_ERROR)),
            _ => Err(frame_size("PRIORITY of another size")),
        }
    }

    pub(super) fn rst_stream(
        &mut self,
        head: FrameHead,
        payload: &[u8],
    ) -> Result<Option<Note>, Fault> {
        let wrong = frame_size("RST_STREAM of another size");
        let code = ErrorCode(word(payload).ok_or(wrong)?);
        let Some(key) = self.streams.find(head.stream) else {
            if self.is_idle(head.stream) {
                return Err(Fault::protocol("RST_STREAM on an idle stream"));
            }
            if let Some(how @ Closed::Answered(_)) = self.streams.closed(head.stream) {
                *how = Closed::Ended;
            }
            return self.flood.idle_frame().map(|()| None);
        };
        let mut is_early = false;
        let mut is_news = false;
        self.streams.change(key, |stream| {
            is_news = !stream.is_closed();
            is_early = stream.sent == Sent::Nothing;
            stream.reset.get_or_insert(ResetBy::Peer);
        });
        if !is_news {
            return self.flood.idle_frame().map(|()| None);
        }
        if self.is_server && is_early {
            self.flood.early_reset()?;
        }
        Ok(Some(Note::Reset(key, code, true)))
    }

    pub(super) fn settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if head.has(flag::ACK) {
            if !payload.is_empty() {
                return Err(frame_size("SETTINGS acknowledgement with settings"));
            }
            return self.flood.idle_frame();
        }
        let changes = Changes::read(payload, !self.is_server)?;
        self.flood.answer()?;
        if let Some((smallest, last)) = changes.table_size {
            self.encoder.set_peer_table_size(smallest as usize);
            self.encoder.set_peer_table_size(last as usize);
        }
        if let Some(most) = changes.streams_max {
            self.peer_streams_max = most;
        }
        if let Some(window) = changes.initial_window {
            let delta = i64::from(window) - i64::from(self.initial_window);
            self.initial_window = window;
            for stream in self.streams.iter_mut() {
                let changed = stream.send_window.change(delta);
                changed.ok_or(WINDOW_TOO_LARGE)?;
            }
        }
        self.output.frame(kind::SETTINGS, flag::ACK, 0, &[]);
        Ok(())
    }

    pub(super) fn ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        if payload.len() != 8 {
            return Err(frame_size("PING of another size"));
        }
        if !head.has(flag::ACK) {
            self.flood.answer()?;
            self.output.frame(kind::PING, flag::ACK, 0, payload);
        } else if matches!(self.shutdown, Shutdown::Announced(_)) && *payload == SHUTDOWN_PING {
            self.finish_shutdown();
        } else {
            self.flood.idle_frame()?;
        }
        Ok(())
    }

    pub(super) fn goaway(&mut self, payload: &[u8]) -> Result<Note, Fault> {
        self.flood.idle_frame()?;
        let (last, code) = payload.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let code = word(code.get(..4).unwrap_or_default());
        let code = code.ok_or_else(|| frame_size("GOAWAY of another size"))?;
        let last = u32::from_be_bytes(*last) & MAX_31;
        let last = self.goaway.map_or(last, |before| before.min(last));
        self.goaway = Some(last);
        Ok(Note::GoAway(last, ErrorCode(code)))
    }

    pub(super) fn window_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fault> {
        self.flood.idle_frame()?;
        let wrong = frame_size("WINDOW_UPDATE of another size");
        let increment = word(payload).ok_or(wrong)? & MAX_31;
        if head.stream == 0 {
            if increment == 0 {
                return Err(Fault::protocol("WINDOW_UPDATE by zero"));
            }
            let changed = self.send_window.change(i64::from(increment));
            return changed.ok_or(WINDOW_TOO_LARGE);
        }
        let Some(key) = self.streams.find(head.stream) else {
            if self.is_idle(head.stream) {
                return Err(Fault::protocol("WINDOW_UPDATE on an idle stream"));
            }
            return Ok(());
        };
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_reset()) else {
            return Ok(());
        };
        if increment == 0 {
            return Err(Fault::malformed(head.stream));
        }
        let changed = stream.send_window.change(i64::from(increment));
        changed.ok_or(Fault::Stream(head.stream, ErrorCode::FLOW_CONTROL_ERROR))
    }
}

/// The number that is all of `payload`.
fn word(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}
