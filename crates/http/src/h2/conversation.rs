//! A request at a target and its response, both as frames that come when they come.

use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};
use std::{io, mem};

use bytes::Bytes;
use elbow_balance::InFlight;
use elbow_net::{Buffer, Connect, Timer};
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::budget::{Piece, Share};
use super::upload::{Upload, UploadError};
use crate::additions::Additions;
use crate::answer::{is_nominated, nominates};
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::forwarded::is_hop_by_hop;
use crate::h1::chunked::Decoder;
use crate::h1::response::{Response, ResponseError, parse};
use crate::h1::scan::{Found, Scan};
use crate::h1::{Framing, RESPONSE_LIMITS};
use crate::listener::Listener;
use crate::pool::Key;
use crate::target::{Reached, give_back};

/// One request on one connection to a target.
pub(super) struct Conversation<C: Connect> {
    context: Rc<Context<C>>,
    io: C::Io,
    key: Key,
    in_flight: InFlight,
    additions: Additions,
    /// Runs while neither side says anything.
    timer: Timer,
    /// What the client has yet to send.
    upload: Option<Upload>,
    /// What was read and not yet used.
    buffer: Option<Buffer>,
    /// What of the response is in memory.
    share: Share,
    /// The client has the next move: the target's time does not run.
    paused: bool,
    source: Source,
    /// Whether the connection may serve another request after this one.
    reusable: bool,
    /// Bytes of the request's body so far.
    pub(super) received: u64,
}

/// Where the response stands.
enum Source {
    Head { scan: Scan, to_head: bool },
    Length(u64),
    Chunked(Decoder),
    UntilClose,
    Ended,
}

/// The head of a response in HTTP/2's form.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
}

impl<C: Connect> Conversation<C> {
    /// Sends `upload` on the connection; `to_head` when it is a HEAD request. What comes back is
    /// charged to `share`.
    #[expect(
        clippy::too_many_arguments,
        reason = "each is a part, in the order of its use"
    )]
    pub(super) fn new(
        context: Rc<Context<C>>,
        Reached { io, key }: Reached<C::Io>,
        in_flight: InFlight,
        additions: Additions,
        timer: Timer,
        upload: Upload,
        share: Share,
        to_head: bool,
    ) -> Self {
        Self {
            context,
            io,
            key,
            in_flight,
            additions,
            timer,
            upload: Some(upload),
            buffer: None,
            share,
            paused: false,
            source: Source::Head {
                scan: Scan::default(),
                to_head,
            },
            reusable: true,
            received: 0,
        }
    }

    /// The head of the final response, while the body of the request goes on.
    pub(super) fn poll_head(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Head, Error>> {
        loop {
            self.poll_upload(cx)?;
            if let Some(head) = self.find_head()? {
                return Poll::Ready(Ok(head));
            }
            let limit = self.share.room_for_head();
            if ready!(self.poll_read(cx, limit))? == 0 {
                return Poll::Ready(Err(match self.buffer.as_ref().map(Buffer::room) {
                    Some(0) => ErrorKind::ResponseHeaderTooLarge.into(),
                    _ => closed(io::ErrorKind::UnexpectedEof.into()),
                }));
            }
        }
    }

    /// The next piece of the response's body, while the body of the request goes on; `None` at its
    /// end.
    pub(super) fn poll_data(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Piece, Error>>> {
        if let Err(error) = self.poll_upload(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        loop {
            match self.take_data() {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(Some(piece)) => {
                    self.paused = true;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Ok(None) if self.is_ended() => return Poll::Ready(None),
                Ok(None) => {}
            }
            let limit = match ready!(self.poll_room(cx)) {
                Ok(limit) => limit,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            match ready!(self.poll_read(cx, limit)) {
                Err(error) => return Poll::Ready(Some(Err(error))),
                Ok(0) if matches!(self.source, Source::UntilClose) => {
                    self.source = Source::Ended;
                    self.reusable = false;
                }
                Ok(0) => {
                    let error = closed(io::ErrorKind::UnexpectedEof.into());
                    return Poll::Ready(Some(Err(error)));
                }
                Ok(_) => {}
            }
        }
    }

    /// Whether all of the response has been handed out.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.source, Source::Ended)
    }

    /// How much is yet to come, when the target said so.
    pub(super) fn left(&self) -> Option<u64> {
        match self.source {
            Source::Length(left) => Some(left),
            Source::Ended => Some(0),
            _ => None,
        }
    }

    /// Keeps the connection for the next request, if it is fit for one.
    pub(super) fn finish(self, listener: &Listener) {
        // Bytes after the end answer nothing that was asked; a request that was not sent to its
        // end cannot be followed by another.
        if self.reusable && self.is_ended() && self.upload.is_none() && self.buffer.is_none() {
            let reached = Reached {
                io: self.io,
                key: self.key,
            };
            give_back(&self.context, reached, listener);
        }
    }

    fn poll_upload(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Error> {
        let Some(upload) = &mut self.upload else {
            return Ok(());
        };
        let polled = upload.poll(cx, &mut self.io, &self.timer);
        self.received = upload.received;
        match polled {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.upload = None,
            Poll::Ready(Err(UploadError::Client(cause))) => {
                return Err(Error::new(ErrorKind::BodyAborted, cause));
            }
            // A target may answer early and close: its response is what counts.
            Poll::Ready(Err(UploadError::Target(error))) => {
                tracing::debug!(%error, "target takes no more of the request");
                self.upload = None;
                self.reusable = false;
            }
        }
        Ok(())
    }

    /// How many bytes of the body may be read; waits while the client takes none.
    fn poll_room(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<usize, Error>> {
        if let Poll::Ready(room) = self.share.poll_room(cx) {
            if mem::take(&mut self.paused) {
                self.timer.touch();
            }
            return Poll::Ready(Ok(room));
        }
        if self.in_flight.is_cut() {
            return Poll::Ready(Err(ErrorKind::TargetCut.into()));
        }
        // Whether the client is slow or gone shows on its connection, which has a timer for it.
        self.paused = true;
        self.timer.touch();
        self.timer.register(cx);
        Poll::Pending
    }

    /// Reads once behind what is there, at most `limit` bytes; 0 at the end, or when the buffer is
    /// full.
    fn poll_read(&mut self, cx: &mut TaskContext<'_>, limit: usize) -> Poll<Result<usize, Error>> {
        let mut buffer = match self.buffer.take() {
            Some(buffer) => buffer,
            None => self.context.worker.buffers.take(),
        };
        let polled = buffer.poll_read(cx, &mut self.io, limit);
        // A buffer with nothing in it goes back while the target is awaited.
        let full = buffer.room() == 0;
        self.buffer = Some(buffer).filter(|buffer| full || !buffer.is_empty());
        match polled {
            Poll::Ready(Ok(n)) => {
                self.share.read(n);
                self.timer.touch();
                Poll::Ready(Ok(n))
            }
            Poll::Ready(Err(e)) => Poll::Ready(Err(closed(e))),
            Poll::Pending => self.poll_end(cx).map(Err),
        }
    }

    /// What ends a conversation from outside: silence, a target that is taken away, or the end of the drain.
    fn poll_end(&self, cx: &mut TaskContext<'_>) -> Poll<Error> {
        if self.in_flight.is_cut() {
            return Poll::Ready(ErrorKind::TargetCut.into());
        }
        if self.context.worker.stopping() {
            return Poll::Ready(ErrorKind::Stopping.into());
        }
        ready!(self.timer.poll_expired(cx));
        let client = self.upload.as_ref().is_some_and(Upload::awaits_client);
        Poll::Ready(Error::from(match client {
            true => ErrorKind::BodyTimeout,
            false => ErrorKind::TargetTimeout,
        }))
    }

    /// The final head, when all of it is there. Interim responses are left out.
    fn find_head(&mut self) -> Result<Option<Head>, Error> {
        loop {
            let (Source::Head { scan, to_head }, Some(buffer)) =
                (&mut self.source, &mut self.buffer)
            else {
                return Ok(None);
            };
            let found = scan.advance(buffer, &RESPONSE_LIMITS);
            let Some(Found { start, end, lines }) = found.map_err(|e| refused(e.into()))? else {
                return Ok(None);
            };
            let bytes = buffer.get(start..end).unwrap_or_default();
            let to_head = *to_head;
            let additions = &self.additions;
            let answer = parse(bytes, lines, to_head, |response| {
                Answer::of(response, additions)
            })
            .map_err(refused)?;
            let answer = answer?;
            buffer.consume(end);
            self.share.used(end);
            if buffer.is_empty() {
                self.buffer = None;
            } else {
                buffer.compact();
            }
            if answer.head.status.is_informational() {
                if answer.head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(ErrorKind::BadResponse.into());
                }
                let scan = Scan::default();
                self.source = Source::Head { scan, to_head };
                continue;
            }
            self.reusable &= answer.persistent;
            self.source = match answer.framing {
                Framing::Empty => Source::Ended,
                Framing::Length(length) => Source::Length(length),
                Framing::Chunked => Source::Chunked(Decoder::default()),
                Framing::UntilClose => Source::UntilClose,
            };
            return Ok(Some(answer.head));
        }
    }

    /// What there is of the body in the buffer.
    fn take_data(&mut self) -> Result<Option<Piece>, Error> {
        let Some(buffer) = &mut self.buffer else {
            return Ok(None);
        };
        let (used, data) = match &mut self.source {
            Source::Head { .. } | Source::Ended => return Ok(None),
            Source::UntilClose => (buffer.len(), buffer.len()),
            Source::Length(left) => {
                let n = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
                *left -= n as u64;
                if *left == 0 {
                    self.source = Source::Ended;
                }
                (n, n)
            }
            Source::Chunked(decoder) => {
                let step = decoder
                    .compact(buffer.filled_mut())
                    .map_err(|e| Error::new(ErrorKind::BadResponse, e))?;
                if decoder.is_done() {
                    self.source = Source::Ended;
                }
                (step.used, step.data)
            }
        };
        let bytes = Bytes::copy_from_slice(buffer.get(..data).unwrap_or_default());
        buffer.consume(used);
        if buffer.is_empty() {
            self.buffer = None;
        }
        self.share.used(used - bytes.len());
        let ended = self.is_ended();
        Ok((!bytes.is_empty()).then(|| self.share.hand_out(bytes, ended)))
    }
}

/// A head with what follows from it.
struct Answer {
    head: Head,
    framing: Framing,
    persistent: bool,
}

impl Answer {
    fn of(response: &Response<'_>, additions: &Additions) -> Result<Self, Error> {
        let bad = |e: http::Error| Error::new(ErrorKind::BadResponse, e);
        let status = StatusCode::from_u16(response.status).map_err(|e| bad(e.into()))?;
        let mut fields = HeaderMap::with_capacity(response.fields.len() + 1);
        let nominating = nominates(response);
        for field in response.fields {
            let is = |name: &str| field.name.eq_ignore_ascii_case(name);
            if is_hop_by_hop(field.name)
                || is("content-length")
                || is("transfer-encoding")
                || (nominating && is_nominated(response, field.name))
                || additions.replace(field.name)
            {
                continue;
            }
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            fields.append(
                name.map_err(|e| bad(e.into()))?,
                value.map_err(|e| bad(e.into()))?,
            );
        }
        let unframed = matches!(response.framing, Framing::Chunked | Framing::UntilClose);
        if let Some(length) = response.length
            && !unframed
            && status != StatusCode::NO_CONTENT
        {
            fields.insert(CONTENT_LENGTH, length.into());
        }
        additions.put(&mut fields, response);
        Ok(Self {
            head: Head { status, fields },
            framing: response.framing,
            persistent: response.persistent,
        })
    }
}

fn closed(error: io::Error) -> Error {
    Error::new(ErrorKind::TargetClosed, error)
}

fn refused(error: ResponseError) -> Error {
    let kind = match error {
        ResponseError::TooLarge => ErrorKind::ResponseHeaderTooLarge,
        _ => ErrorKind::BadResponse,
    };
    Error::new(kind, error)
}
