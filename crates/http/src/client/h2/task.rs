//! From a request of HTTP/2 to its response, with the same decision and exchange as HTTP/1.x.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use elbow_auth::Consultation;
use elbow_h2::{ErrorCode, Head, StreamKey};
use elbow_model::ProtocolVersion;
use elbow_net::{Connect, Timer};
use elbow_telemetry::ShedReason;
use tokio::task::spawn_local;

use super::guard::RequestGuard;
use super::link::Stream;
use super::local::Local;
use super::side::Side;
use super::{Connection, request};
use crate::decide::forward::Forward;
use crate::error::{Error, ErrorKind};
use crate::exchange::prepare::{self, ClientRequest, Plan};
use crate::exchange::side::Turn;
use crate::exchange::{Ended, Exchange};
use crate::h1::Framing;
use crate::header::date::unix_now;
use crate::header::head::OwnedHead;
use crate::multiplex;
use crate::multiplex::head::NeverIndexed;
use crate::page::LocalResponse;
use crate::spare::Spare;
use crate::upstream::target::{self, give_back};
use crate::upstream::{Outline, Upstream};

/// What is needed of a request once its head is gone.
pub(super) struct Facts {
    framing: Framing,
    to_head: bool,
    grpc: bool,
    never_indexed: NeverIndexed,
}

/// A request whose head was read, and what is done with it.
pub(super) struct Begun<C: Connect> {
    key: StreamKey,
    guard: RequestGuard<C>,
    facts: Facts,
    planned: Result<Plan, Error>,
    /// The head for the target.
    out: Spare,
    /// The request's own head, when it is needed again.
    kept: Option<OwnedHead>,
}

impl<C: Connect> Begun<C> {
    /// Decides what is done with a request; `end` when it has no body. Synchronous, so that the head
    /// need not be kept.
    pub(super) fn new(
        connection: &Rc<Connection<C>>,
        key: StreamKey,
        head: &Head,
        end: bool,
    ) -> Self {
        let mut guard = RequestGuard::begin(Rc::clone(connection));
        let listener = Arc::clone(&guard.listener);
        let mut out = connection.context.pools.spares.take();
        guard.record().received = request::size(head);
        let is_too_large = head.is_too_large();
        let framing = request::framing(head, end);
        let never_indexed = multiplex::head::never_indexed(head);
        let (facts, planned, kept) = request::convert(head, |head| {
            let facts = Facts {
                framing,
                to_head: head.method == "HEAD",
                grpc: head.is_grpc(),
                never_indexed,
            };
            let refused = is_too_large
                .then_some(ErrorKind::HeaderTooLarge)
                .or_else(|| request::refusal(head));
            let incoming = ClientRequest {
                head,
                meta: &connection.meta,
                framing,
                websocket: false,
                refused,
                advice: None,
            };
            let (context, record) = (&connection.context, guard.record());
            let planned = prepare::prepare(context, &listener, &incoming, record, &mut out);
            let consults = matches!(planned, Ok(Plan::Consult(_)));
            (facts, planned, consults.then(|| OwnedHead::of(head)))
        });
        Self {
            key,
            guard,
            facts,
            planned,
            out,
            kept,
        }
    }

    /// Answers the request: at once if it can, else in a task.
    pub(super) fn run(self) {
        let Self {
            key,
            guard,
            facts,
            planned,
            out,
            kept,
        } = self;
        let stream = Stream::new(&guard.connection.link, key);
        match (planned, kept) {
            (Ok(Plan::Consult(consultation)), Some(head)) => {
                spawn_local(consult(guard, stream, head, consultation, facts));
            }
            (planned, _) => act(guard, stream, planned, facts, out),
        }
    }
}

/// Asks an identity provider about a request, decides again, and does what was decided.
async fn consult<C: Connect>(
    mut guard: RequestGuard<C>,
    stream: Stream,
    head: OwnedHead,
    mut consultation: Consultation,
    facts: Facts,
) {
    let connection = Rc::clone(&guard.connection);
    let listener = Arc::clone(&guard.listener);
    let context = &connection.context;
    let Some(_held) = stream.link().hold_head(head.size()) else {
        context.metrics.shed(ShedReason::Buffers);
        return fail(guard, stream, ErrorKind::NoBuffer.into(), facts);
    };
    loop {
        let advice = {
            let mut running = pin!(consultation.run());
            poll_fn(|cx| {
                stream.register(cx);
                match running.as_mut().poll(cx) {
                    Poll::Pending if stream.is_reset() => Poll::Ready(None),
                    polled => polled.map(Some),
                }
            })
            .await
        };
        let Some(advice) = advice else {
            return;
        };
        let mut out = context.pools.spares.take();
        let planned = head.with(|head| {
            let incoming = ClientRequest {
                head,
                meta: &connection.meta,
                framing: facts.framing,
                websocket: false,
                refused: None,
                advice: Some(&advice),
            };
            prepare::prepare(context, &listener, &incoming, guard.record(), &mut out)
        });
        match planned {
            Ok(Plan::Consult(next)) => consultation = next,
            planned => return act(guard, stream, planned, facts, out),
        }
    }
}

/// Does what was decided: at once if it can, else in a task.
fn act<C: Connect>(
    mut guard: RequestGuard<C>,
    stream: Stream,
    planned: Result<Plan, Error>,
    facts: Facts,
    out: Spare,
) {
    match planned {
        Ok(Plan::Forward(forward)) => {
            spawn_local(async move {
                if let Some((stream, error)) = send(&mut guard, stream, forward, &facts, out).await
                {
                    fail(guard, stream, error, facts);
                }
            });
        }
        Ok(Plan::Answer(response)) => {
            guard.record().status = Some(response.status);
            answer(guard, stream, response, facts.to_head, None);
        }
        Ok(Plan::Consult(_)) => fail(guard, stream, ErrorKind::Internal.into(), facts),
        Err(error) => fail(guard, stream, error, facts),
    }
}

/// Sends the error page for a request that failed.
fn fail<C: Connect>(mut guard: RequestGuard<C>, stream: Stream, error: Error, facts: Facts) {
    let listener = Arc::clone(&guard.listener);
    let status = guard.record().fail(error, &listener);
    let page = listener.page(status);
    if !facts.grpc {
        return answer(guard, stream, page, facts.to_head, None);
    }
    // Parity 1.2: a 502 shows `grpc-status: 14`, `grpc-message: unavailable`. The head is all, so that a client of
    // gRPC reads its status there.
    let page = LocalResponse {
        content_type: Cow::Borrowed("application/grpc"),
        body: Bytes::new(),
        ..page
    };
    let grpc = Some(grpc_status(status));
    answer(guard, stream, page, facts.to_head, grpc);
}

/// The gRPC status and message for an HTTP status (gRPC: HTTP to gRPC status code mapping).
fn grpc_status(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => ("13", "internal"),
        502..=504 => ("14", "unavailable"),
        _ => ("2", "unknown"),
    }
}

/// Sends a response of our own, with the status and message of `grpc`.
fn answer<C: Connect>(
    guard: RequestGuard<C>,
    stream: Stream,
    response: LocalResponse,
    to_head: bool,
    grpc: Option<(&'static str, &'static str)>,
) {
    // The rest of the request is of no use.
    stream.leave_unread();
    let mut local = Local::new(guard, stream, response, to_head, grpc);
    if local.advance() {
        return;
    }
    spawn_local(poll_fn(move |cx| {
        local.register(cx);
        if local.advance() || local.is_reset() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
}

/// Sends the request to its target and the response to the client. Returns the stream when it failed
/// before any response.
async fn send<C: Connect>(
    guard: &mut RequestGuard<C>,
    stream: Stream,
    mut forward: Forward,
    facts: &Facts,
    head: Spare,
) -> Option<(Stream, Error)> {
    let connection = Rc::clone(&guard.connection);
    let context = &connection.context;
    let Some(held) = stream.link().hold_head(head.len()) else {
        context.metrics.shed(ShedReason::Buffers);
        return Some((stream, ErrorKind::NoBuffer.into()));
    };
    let listener = Arc::clone(&guard.listener);
    let is_h1 = forward.group.config.protocol_version == ProtocolVersion::Http1;
    let passes = listener.attributes.passes_trailers || !is_h1;
    let forwards_resets = forward.group.config.attributes.forwards_stream_resets;
    let outline = Outline {
        framing: facts.framing,
        to_head: facts.to_head,
        passes_trailers: passes,
        never_indexed: facts.never_indexed.clone(),
    };
    let charge = stream.link().hold();
    let sent = {
        let record = guard.record();
        let mut sending = pin!(target::send(
            context,
            &mut forward,
            head,
            outline,
            charge,
            &listener,
            record
        ));
        poll_fn(|cx| {
            stream.register(cx);
            match sending.as_mut().poll(cx) {
                Poll::Pending if stream.is_reset() => Poll::Ready(None),
                polled => polled.map(Some),
            }
        })
        .await
    };
    let upstream = match sent? {
        Ok(upstream) => upstream,
        Err(error) => return Some((stream, error)),
    };
    let client = Side::new(stream, facts.framing, passes, held);
    let additions = forward.additions(&guard.listener, unix_now());
    let mut remote = Remote {
        exchange: Exchange::new(client, upstream, forward.in_flight, additions, false),
        timer: context.worker.timers.timer(connection.idle_timeout),
    };
    let ended = poll_fn(|cx| {
        remote.exchange.client.register(cx);
        match remote.poll(cx, guard) {
            Poll::Pending if remote.exchange.client.is_reset() => Poll::Ready(None),
            polled => polled.map(Some),
        }
    })
    .await;
    match ended? {
        Ended::Complete | Ended::Switched => {
            remote.finish(guard);
            None
        }
        Ended::Failed(error) if !forwards_resets || error.reset_code.is_none() => {
            Some((remote.exchange.client.into_stream(), error))
        }
        // The stream can only be reset once the client has the head.
        Ended::Failed(error) | Ended::Cut(error) => {
            let code = error.reset_code.filter(|_| forwards_resets);
            guard.record().cut(error);
            let stream = remote.exchange.client.into_stream();
            stream.cut(code.unwrap_or(ErrorCode::INTERNAL_ERROR));
            None
        }
    }
}

/// A request that was sent to a target.
struct Remote<C: Connect> {
    exchange: Exchange<Side, Upstream<C>>,
    /// The idle timeout of the exchange.
    timer: Timer,
}

impl<C: Connect> Remote<C> {
    /// Polls the exchange and notes what it did.
    fn poll(&mut self, cx: &mut TaskContext<'_>, guard: &mut RequestGuard<C>) -> Poll<Ended> {
        let before = self.moved();
        let turn = Turn {
            worker: &guard.connection.context.worker,
            timer: &self.timer,
        };
        let polled = self.exchange.poll(cx, turn);
        let after = self.moved();
        if before != after {
            guard.connection.touch();
            let record = guard.record();
            record.received += after.0 - before.0;
            record.sent += after.1 - before.1;
        }
        if let Some(status) = self.exchange.status {
            let record = guard.record();
            record.answered = self.exchange.answered;
            record.status = Some(status);
            record.target_status = record.status;
        }
        polled
    }

    /// Bytes from the client and to it.
    fn moved(&self) -> (u64, u64) {
        (self.exchange.received(), self.exchange.client.sent())
    }

    /// Keeps the connection to the target for the next request, if it can serve one.
    fn finish(self, guard: &RequestGuard<C>) {
        let (upstream, _, reusable) = self.exchange.into_upstream();
        if reusable && let Upstream::H1(upstream) = upstream {
            let (reached, _) = upstream.into_connection();
            give_back(&guard.connection.context, reached, &guard.listener);
        }
    }
}
