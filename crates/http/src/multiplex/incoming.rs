//! What arrives for one request on a connection of HTTP/2 to a target.

use std::rc::Rc;
use std::task::{Context, Waker};

use elbow_h2::{ErrorCode, Head};

use super::head;
use crate::budget::Charge;
use crate::error::{Error, ErrorKind};
use crate::header::trailers::Trailers;
use crate::spare::{Spare, Spares};

/// Bytes of heads that wait for one request. Interim responses beyond it are dropped.
const HEADS_MAX: usize = 64 * 1024;

/// What a request waits for.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The connection ends and the target never saw the request.
    Unseen,
    /// The target reset the stream.
    Reset(ErrorCode),
    /// The connection or the stream broke.
    Broken(ErrorKind, &'static str),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unseen => Self::new(ErrorKind::TargetClosed, "target refused the stream"),
            Failure::Reset(code) => Self {
                reset_code: Some(code),
                ..Self::new(ErrorKind::TargetClosed, format!("stream reset: {code}"))
            },
            Failure::Broken(kind, reason) => Self::new(kind, reason),
        }
    }
}

impl Failure {
    /// Whether the request may be sent again: the target did nothing with it (RFC 9113, 8.7).
    pub(crate) fn may_repeat(&self) -> bool {
        matches!(self, Self::Unseen | Self::Reset(ErrorCode::REFUSED_STREAM))
    }
}

/// What arrived on a stream.
pub(crate) struct Incoming {
    /// Heads of responses, as ones of HTTP/1.1.
    pub(crate) heads: Spare,
    /// Part of the body, from `data_at` on.
    data: Spare,
    data_at: usize,
    /// What is held here.
    charge: Charge,
    /// Nothing follows.
    pub(crate) is_ended: bool,
    pub(crate) trailers: Option<Trailers>,
    pub(crate) failure: Option<Failure>,
    /// The request that waits for more.
    pub(super) waker: Option<Waker>,
}

impl Incoming {
    /// A stream on which nothing arrived yet.
    pub(super) fn new(spares: &Rc<Spares>, charge: Charge) -> Self {
        Self {
            heads: spares.later(),
            data: spares.later(),
            data_at: 0,
            charge,
            is_ended: false,
            trailers: None,
            failure: None,
            waker: None,
        }
    }

    /// Puts `rest` before the heads that arrived since [`Incoming::heads`] was taken.
    pub(crate) fn put_back(&mut self, mut rest: Spare) {
        rest.extend_from_slice(&self.heads);
        self.heads = rest;
        self.settle();
    }

    /// The part of the body that is here.
    pub(crate) fn available(&self) -> &[u8] {
        self.data.get(self.data_at..).unwrap_or_default()
    }

    /// Removes `n` bytes of the body.
    pub(crate) fn consume(&mut self, n: usize) {
        self.data_at += n;
        if self.data_at >= self.data.len() {
            self.data.give_back();
            self.data_at = 0;
        }
        self.settle();
    }

    /// Appends to the body.
    pub(super) fn keep(&mut self, data: &[u8]) {
        self.data.fill();
        if self.data_at > self.data.len() / 2 {
            // The client is slow: the rest moves to the front, so that the vector does not grow.
            self.data.drain(..self.data_at);
            self.data_at = 0;
        }
        self.data.extend_from_slice(data);
        self.settle();
    }

    fn settle(&self) {
        self.charge.set(self.heads.len() + self.data.len());
    }

    /// Lets the task of `cx` know when more arrives, or when the stream can send again.
    pub(crate) fn wait(&mut self, cx: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }

    /// Adds a head, which ends the response if `end`.
    pub(super) fn head(&mut self, head: &Head, end: bool) {
        if head.is_too_large() {
            let reason = "header list too large";
            self.failure = Some(Failure::Broken(ErrorKind::ResponseHeaderTooLarge, reason));
            return;
        }
        let is_interim = head.status().is_some_and(|status| status < 200);
        if is_interim && self.heads.len() > HEADS_MAX {
            return;
        }
        self.heads.fill();
        head::append_response(&mut self.heads, head);
        self.is_ended |= end;
        self.settle();
    }

    /// Notes that the stream is gone.
    pub(super) fn reset(&mut self, code: ErrorCode, by_peer: bool) {
        let failure = match code {
            code if by_peer => Failure::Reset(code),
            _ => Failure::Broken(ErrorKind::BadResponse, "malformed response"),
        };
        self.failure.get_or_insert(failure);
    }
}
