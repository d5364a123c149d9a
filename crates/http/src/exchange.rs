//! One request and its response between a client and a target, both HTTP/1.x, in one future.

use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use elbow_balance::InFlight;
use elbow_net::{Buffer, Stream, Timer, Worker, poll_read_pooled};

use crate::additions::Additions;
use crate::answer::{self, Facing};
use crate::body::{Pump, PumpError};
use crate::error::{Error, ErrorKind};
use crate::h1::request::Request;
use crate::h1::response::{self, ResponseError};
use crate::h1::scan::Scan;
use crate::h1::{Framing, RESPONSE_LIMITS};
use crate::head::Version;
use crate::pool::{Spare, Spares};

/// What of a request decides how its response is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Of the request body.
    pub(crate) framing: Framing,
    /// The client wants the connection to stay, and nothing speaks against it.
    pub(crate) keep: bool,
    /// Both connections end after this request.
    pub(crate) closes: bool,
    /// HEAD.
    pub(crate) to_head: bool,
    /// HTTP/1.0.
    pub(crate) http10: bool,
    /// A WebSocket handshake.
    pub(crate) websocket: bool,
    /// The client waits for 100 before it sends its body.
    pub(crate) expects_continue: bool,
}

impl Facts {
    pub(crate) fn of(request: &Request<'_>) -> Self {
        Self {
            framing: request.framing,
            keep: request.persistent,
            closes: false,
            to_head: request.head.method == "HEAD",
            http10: request.head.version == Version::Http10,
            websocket: request.websocket,
            expects_continue: request.expects_continue,
        }
    }
}

/// How the request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    Sending,
    Sent,
    /// The target takes no more of it; it may have answered before.
    Refused,
}

/// A request that is on its way to a target.
pub(crate) struct Exchange<Io> {
    facts: Facts,
    in_flight: InFlight,
    target: Io,
    upload: Upload,
    up: Pump,
    /// The response, once its head is here.
    down: Option<Pump>,
    /// Where the search for the head stands.
    scan: Scan,
    /// From the target, not yet used.
    input: Option<Buffer>,
    spares: Rc<Spares>,
    additions: Additions,
    keep_client: bool,
    keep_target: bool,
    /// The target's status.
    pub(crate) status: Option<u16>,
    /// When the head of the response was complete.
    pub(crate) answered: Option<Instant>,
    /// Bytes of the head that the client gets.
    pub(crate) head_size: u64,
}

/// How an exchange ended.
pub(crate) enum Ended {
    /// The response is with the client.
    Complete,
    /// The target agreed to the upgrade, and the head that says so is with the client.
    Switched,
    /// Nothing of a response is with the client.
    Failed(Error),
    /// Part of a response is with the client: all that is left is to cut the connection.
    Cut(Error),
}

/// The client's side of an exchange.
pub(crate) struct Near<'c, S> {
    pub(crate) worker: &'c Worker,
    pub(crate) timer: &'c Timer,
    pub(crate) io: &'c mut S,
    /// From the client, not yet used.
    pub(crate) input: &'c mut Option<Buffer>,
}

impl<Io: Stream> Exchange<Io> {
    /// Begins to send `head` to `target`, and the body after it.
    pub(crate) fn new(
        facts: Facts,
        in_flight: InFlight,
        target: Io,
        head: Spare,
        spares: Rc<Spares>,
        additions: Additions,
    ) -> Self {
        Self {
            up: Pump::new(head, facts.framing, facts.framing == Framing::Chunked),
            facts,
            in_flight,
            target,
            upload: Upload::Sending,
            down: None,
            scan: Scan::default(),
            input: None,
            spares,
            additions,
            keep_client: false,
            keep_target: false,
            status: None,
            answered: None,
            head_size: 0,
        }
    }

    /// Body bytes received from the client.
    pub(crate) fn received(&self) -> u64 {
        self.up.read()
    }

    /// Bytes sent to the client.
    pub(crate) fn sent(&self) -> u64 {
        self.down.as_ref().map_or(0, Pump::written)
    }

    /// Whether all of the request has been read from the client.
    pub(crate) fn is_request_read(&self) -> bool {
        self.upload == Upload::Sent
    }

    /// Whether the client was promised that the connection stays.
    pub(crate) fn keeps_client(&self) -> bool {
        self.keep_client
    }

    /// The connection to the target, what came on it behind the response, and the guard; the
    /// connection may serve another request when the flag says so.
    pub(crate) fn into_target(self) -> (Io, Option<Buffer>, InFlight, bool) {
        let reusable = self.keep_target && self.upload == Upload::Sent && self.input.is_none();
        (self.target, self.input, self.in_flight, reusable)
    }

    /// Drives both directions until the exchange is over.
    pub(crate) fn poll<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        near: &mut Near<'_, S>,
    ) -> Poll<Ended> {
        if self.in_flight.is_cut() {
            return Poll::Ready(self.failed(ErrorKind::TargetCut.into()));
        }
        if near.worker.stopping() {
            return Poll::Ready(self.failed(ErrorKind::Stopping.into()));
        }
        if self.upload == Upload::Sending
            && let Poll::Ready(Err(error)) = self.poll_upload(cx, near)
        {
            return Poll::Ready(self.failed(error));
        }
        if self.down.is_none()
            && let Poll::Ready(Err(error)) = self.poll_head(cx, near.worker, near.timer)
        {
            return Poll::Ready(self.failed(error));
        }
        if let Some(down) = &mut self.down {
            match down.poll(
                cx,
                near.worker,
                near.timer,
                &mut self.target,
                near.io,
                &mut self.input,
            ) {
                Poll::Ready(Ok(())) if self.status == Some(101) => {
                    return Poll::Ready(Ended::Switched);
                }
                Poll::Ready(Ok(())) => return Poll::Ready(Ended::Complete),
                Poll::Ready(Err(error)) => return Poll::Ready(self.broken_off(error)),
                Poll::Pending => {}
            }
        } else if self.upload == Upload::Sent && is_client_gone(cx, near) {
            return Poll::Ready(Ended::Failed(ErrorKind::ClientGone.into()));
        }
        near.timer.poll_expired(cx).map(|()| self.timed_out())
    }

    fn poll_upload<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        near: &mut Near<'_, S>,
    ) -> Poll<Result<(), Error>> {
        let done = self.up.poll(
            cx,
            near.worker,
            near.timer,
            near.io,
            &mut self.target,
            near.input,
        );
        match done {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => self.upload = Upload::Sent,
            // What the target said before it stopped listening is worth reading.
            Poll::Ready(Err(PumpError::Writer(_))) => self.upload = Upload::Refused,
            Poll::Ready(Err(PumpError::Reader(e))) => {
                return Poll::Ready(Err(Error::new(ErrorKind::BodyAborted, e)));
            }
            Poll::Ready(Err(PumpError::Framing(e))) => {
                return Poll::Ready(Err(Error::new(ErrorKind::BadRequest, e)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads until the head of the final response is here; interim ones go no further.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        worker: &Worker,
        timer: &Timer,
    ) -> Poll<Result<(), Error>> {
        while self.down.is_none() {
            if self.input.is_some() && self.take_head(worker.draining())? {
                continue;
            }
            if let Some(input) = &mut self.input
                && input.room() == 0
            {
                input.compact();
                if input.room() == 0 {
                    return Poll::Ready(Err(ErrorKind::ResponseHeaderTooLarge.into()));
                }
            }
            match poll_read_pooled(cx, &worker.buffers, &mut self.target, &mut self.input) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(ErrorKind::TargetClosed.into()));
                }
                Poll::Ready(Ok(_)) => timer.touch(),
                Poll::Ready(Err(e)) => {
                    return Poll::Ready(Err(Error::new(ErrorKind::TargetClosed, e)));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Uses one head when it is complete.
    fn take_head(&mut self, draining: bool) -> Result<bool, Error> {
        let Some(input) = &mut self.input else {
            return Ok(false);
        };
        let found = self.scan.advance(input, &RESPONSE_LIMITS);
        let Some(found) = found.map_err(ResponseError::from).map_err(response_error)? else {
            return Ok(false);
        };
        self.scan = Scan::default();
        let head = input.get(found.start..found.end).unwrap_or_default();
        let facing = Facing {
            http10: self.facts.http10,
            // A response to half a request leaves the rest of the request in the way.
            keep: self.facts.keep && !self.facts.closes && !draining && self.upload == Upload::Sent,
        };
        let (facts, spares, additions) = (self.facts, &self.spares, &self.additions);
        let taken = response::parse(head, found.lines, facts.to_head, |response| {
            Taken::of(response, facts, facing, spares, additions)
        });
        let taken = taken.map_err(response_error)??;
        input.consume(found.end);
        if input.is_empty() {
            self.input = None;
        }
        let Some(taken) = taken else {
            return Ok(true);
        };
        self.answered = Some(Instant::now());
        self.status = Some(taken.status);
        self.head_size = taken.head_size;
        self.keep_client = taken.keep_client;
        self.keep_target = taken.keep_target && !self.facts.closes;
        self.down = Some(taken.pump);
        Ok(true)
    }

    fn broken_off(&self, error: PumpError) -> Ended {
        match error {
            PumpError::Reader(e) => self.failed(Error::new(ErrorKind::TargetClosed, e)),
            PumpError::Framing(e) => self.failed(Error::new(ErrorKind::BadResponse, e)),
            PumpError::Writer(e) => Ended::Cut(Error::new(ErrorKind::ClientGone, e)),
        }
    }

    fn failed(&self, error: Error) -> Ended {
        match &self.down {
            Some(down) if down.written() > 0 => Ended::Cut(error),
            _ => Ended::Failed(error),
        }
    }

    /// Nothing has moved for the idle timeout.
    fn timed_out(&self) -> Ended {
        let kind = if self.upload == Upload::Sending && self.up.awaits_reader() {
            ErrorKind::BodyTimeout
        } else {
            ErrorKind::TargetTimeout
        };
        self.failed(kind.into())
    }
}

/// What a response head led to.
struct Taken {
    status: u16,
    keep_client: bool,
    keep_target: bool,
    head_size: u64,
    pump: Pump,
}

impl Taken {
    /// `None` for an interim response.
    fn of(
        response: &response::Response<'_>,
        facts: Facts,
        facing: Facing,
        spares: &Rc<Spares>,
        additions: &Additions,
    ) -> Result<Option<Self>, Error> {
        let mut out = match response.status {
            101 if facts.websocket && response.websocket => {
                let mut out = spares.take();
                answer::write_switch(&mut out, response, additions);
                return Ok(Some(Self {
                    status: 101,
                    keep_client: false,
                    keep_target: false,
                    head_size: out.len() as u64,
                    pump: Pump::new(out, Framing::Empty, false),
                }));
            }
            // Nobody asked for this protocol.
            101 => return Err(ErrorKind::BadResponse.into()),
            ..200 => return Ok(None),
            _ => spares.take(),
        };
        let leaving = answer::write_head(&mut out, response, facing, additions);
        Ok(Some(Self {
            status: response.status,
            keep_client: leaving.keep,
            keep_target: response.persistent,
            head_size: out.len() as u64,
            pump: Pump::new(out, response.framing, leaving.chunk),
        }))
    }
}

/// Whether the client has closed while it waits. What it sends instead is kept for later.
fn is_client_gone<S: Stream>(cx: &mut Context<'_>, near: &mut Near<'_, S>) -> bool {
    loop {
        if near.input.as_ref().is_some_and(|input| input.room() == 0) {
            return false;
        }
        match poll_read_pooled(cx, &near.worker.buffers, near.io, near.input) {
            Poll::Ready(Ok(0) | Err(_)) => return true,
            Poll::Ready(Ok(_)) => {}
            Poll::Pending => return false,
        }
    }
}

fn response_error(error: ResponseError) -> Error {
    let kind = match error {
        ResponseError::TooLarge => ErrorKind::ResponseHeaderTooLarge,
        _ => ErrorKind::BadResponse,
    };
    Error::new(kind, error)
}
