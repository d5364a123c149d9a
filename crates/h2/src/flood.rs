//! Counters against floods: work that a peer makes this side do without making any progress. Each limit
//! ends the connection with ENHANCE_YOUR_CALM.

use crate::error::{ErrorCode, Fault};

/// Answers (to SETTINGS and PING) that wait because the peer does not read.
const ANSWERS_MAX: u32 = 1000;
/// Frames without progress: PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown kinds.
const IDLE_MAX: u32 = 10_000;
/// How many of them a frame with progress makes good.
const PROGRESS: u32 = 100;
/// DATA with fewer bytes is no progress, unless it ends its stream.
const DATA_MIN: usize = 256;
/// Streams that this side ends because the peer broke a rule (CVE-2025-8671).
const ERRORS_MAX: u32 = 1024;
/// Requests that a client resets in one turn before they have a response (CVE-2023-44487).
const RESETS_IN_TURN_MAX: u32 = 20;
/// Requests of a connection that end without a response, before they may not outnumber the others.
const RESETS_MAX: u32 = 200;
/// CONTINUATION frames of one header block (CVE-2024-27316).
const CONTINUATIONS_MAX: u32 = 32;

/// What the peer of one connection did so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flood {
    answers: u32,
    idle: u32,
    errors: u32,
    resets_in_turn: u32,
    resets: u32,
    streams: u32,
}

impl Flood {
    /// A frame that makes no progress.
    pub(crate) fn idle_frame(&mut self) -> Result<(), Fault> {
        limit(&mut self.idle, IDLE_MAX, "too many frames without progress")
    }

    /// A frame that is answered with another.
    pub(crate) fn answer(&mut self) -> Result<(), Fault> {
        limit(&mut self.answers, ANSWERS_MAX, "too many answers wait")?;
        self.idle_frame()
    }

    /// All output was written.
    pub(crate) fn drained(&mut self) {
        self.answers = 0;
    }

    /// `n` bytes of DATA passed in either direction; `end` if they end their stream.
    pub(crate) fn data(&mut self, n: usize, end: bool) {
        if n >= DATA_MIN || end {
            self.idle = self.idle.saturating_sub(PROGRESS);
        }
    }

    /// The peer opened a stream.
    pub(crate) fn stream(&mut self) {
        self.streams = self.streams.saturating_add(1);
        self.idle = self.idle.saturating_sub(PROGRESS);
    }

    /// This side ends a stream because of an error.
    pub(crate) fn stream_error(&mut self) -> Result<(), Fault> {
        limit(&mut self.errors, ERRORS_MAX, "too many streams with errors")
    }

    /// A client resets a request that has no response.
    pub(crate) fn early_reset(&mut self) -> Result<(), Fault> {
        let reason = "too many requests are reset at once";
        limit(&mut self.resets_in_turn, RESETS_IN_TURN_MAX, reason)?;
        self.resets = self.resets.saturating_add(1);
        if self.resets > RESETS_MAX && self.resets > self.streams / 2 {
            return Err(calm("too many requests are reset"));
        }
        Ok(())
    }

    /// CONTINUATION number `n` of a header block.
    pub(crate) fn continuation(n: u32) -> Result<(), Fault> {
        if n > CONTINUATIONS_MAX {
            return Err(calm("too many CONTINUATION frames"));
        }
        Ok(())
    }

    /// A turn has ended.
    pub(crate) fn end_turn(&mut self) {
        self.resets_in_turn = 0;
    }
}

/// The error for a flood.
pub(crate) const fn calm(reason: &'static str) -> Fault {
    Fault::connection(ErrorCode::ENHANCE_YOUR_CALM, reason)
}

fn limit(count: &mut u32, max: u32, reason: &'static str) -> Result<(), Fault> {
    *count = count.saturating_add(1);
    if *count > max {
        return Err(calm(reason));
    }
    Ok(())
}
