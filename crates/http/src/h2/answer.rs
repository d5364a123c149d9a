//! From a request of HTTP/2 to its response: the same plan as HTTP/1.x, other frames.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use bytes::{Buf, Bytes};
use elbow_net::Connect;
use elbow_telemetry::ShedReason;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderName, HeaderValue, LOCATION, SERVER};
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::budget::{Piece, Share};
use super::conversation::{Conversation, Head};
use super::story::Story;
use super::upload::Upload;
use super::{Connection, request};
use crate::error::{Error, ErrorKind};
use crate::h1::Framing;
use crate::page::{self, LocalResponse};
use crate::plan::{Asked, Forward, Plan, plan};
use crate::pool::Spare;
use crate::record::Notes;
use crate::target::reach;

/// What of a request is needed after its head has been used.
#[derive(Clone, Copy)]
struct Facts {
    framing: Framing,
    to_head: bool,
    grpc: bool,
}

/// Answers one request.
pub(super) async fn answer<C: Connect>(
    connection: Rc<Connection<C>>,
    request: Request<Incoming>,
) -> Response<Answer<C>> {
    let mut story = Story::begin(connection);
    let (parts, body) = request.into_parts();
    let mut out = story.connection.context.pools.spares.take();
    let (facts, planned) = prepare(&mut story, &parts, &body, &mut out);
    drop(parts);
    let failed = match planned {
        Ok(Plan::Answer(response)) => {
            story.record().status = Some(response.status);
            return local(story, &response, facts.to_head);
        }
        Ok(Plan::Forward(forward)) => match converse(&mut story, forward, facts, out, body).await {
            Ok((head, conversation)) => return remote(story, head, conversation),
            Err(error) => error,
        },
        Err(error) => error,
    };
    fail(story, &failed, facts)
}

/// Decides; synchronous, so that nothing of the head has to be kept.
fn prepare<C: Connect>(
    story: &mut Story<C>,
    parts: &Parts,
    body: &Incoming,
    out: &mut Vec<u8>,
) -> (Facts, Result<Plan, Error>) {
    let connection = Rc::clone(&story.connection);
    let listener = std::sync::Arc::clone(&story.listener);
    let fields = request::fields(parts);
    let head = request::head(parts, &fields);
    let facts = Facts {
        framing: request::framing(body),
        to_head: head.method == "HEAD",
        grpc: request::is_grpc(&head),
    };
    let record = story.record();
    record.received = size(&parts.headers) + head.target.len() as u64;
    if let Some(kind) = request::refusal(&head) {
        if connection.context.log.is_some() {
            let spare = connection.context.pools.spares.take();
            record.notes = Some(Notes::take(spare, &head, &listener));
        }
        return (facts, Err(kind.into()));
    }
    let asked = Asked {
        listener: &listener,
        meta: &connection.meta,
        framing: facts.framing,
        websocket: false,
    };
    let planned = plan(&connection.context, &head, &asked, record, out);
    match planned {
        // Groups of targets that speak HTTP/1.1 alone cannot serve gRPC (parity 1.2).
        Ok(Plan::Forward(_)) if facts.grpc => (facts, Err(ErrorKind::IncompatibleProtocol.into())),
        planned => (facts, planned),
    }
}

/// Sends the request on, and waits for the head of its response.
async fn converse<C: Connect>(
    story: &mut Story<C>,
    mut forward: Forward,
    facts: Facts,
    head: Spare,
    body: Incoming,
) -> Result<(Head, Conversation<C>), Error> {
    let connection = Rc::clone(&story.connection);
    let context = &connection.context;
    let Some(held) = context.pools.h2.hold_head(head.len()) else {
        context.metrics.shed(ShedReason::Buffers);
        return Err(ErrorKind::NoBuffer.into());
    };
    let reached = reach(context, &mut forward, story.record()).await?;
    let timer = context.worker.timers.timer(connection.idle_timeout);
    let additions = forward.additions(&story.listener);
    let mut conversation = Conversation::new(
        Rc::clone(context),
        reached,
        forward.in_flight,
        additions,
        timer,
        Upload::new(head, held, body, facts.framing),
        Share::new(Rc::clone(&connection.budget)),
        facts.to_head,
    );
    let head = poll_fn(|cx| {
        let before = conversation.received;
        let polled = conversation.poll_head(cx);
        note_received(story, conversation.received - before);
        polled
    })
    .await?;
    connection.touch();
    let record = story.record();
    record.answered = Some(Instant::now());
    record.status = Some(head.status.as_u16());
    record.target_status = record.status;
    Ok((head, conversation))
}

fn note_received<C: Connect>(story: &mut Story<C>, bytes: u64) {
    if bytes > 0 {
        story.connection.touch();
        story.record().received += bytes;
    }
}

/// A target's response.
fn remote<C: Connect>(
    mut story: Story<C>,
    head: Head,
    conversation: Conversation<C>,
) -> Response<Answer<C>> {
    story.record().sent += size(&head.fields);
    let mut answer = Answer {
        state: State::Remote(Box::new(conversation)),
        story,
    };
    answer.finish_if_ended();
    let mut response = Response::new(answer);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.fields;
    response
}

/// A page for a request that failed.
fn fail<C: Connect>(mut story: Story<C>, error: &Error, facts: Facts) -> Response<Answer<C>> {
    let client = story.connection.meta.client;
    tracing::debug!(%client, %error, label = error.label(), "request failed");
    story.record().fail(error, error.status());
    let mut response = local(story, &error.page(), facts.to_head);
    if facts.grpc {
        // Parity 1.2: a 502 shows `grpc-status: 14`, `grpc-message: unavailable`.
        let (code, message) = grpc_status(error.status());
        let fields = response.headers_mut();
        fields.insert(HeaderName::from_static("grpc-status"), code.into());
        fields.insert(
            HeaderName::from_static("grpc-message"),
            HeaderValue::from_static(message),
        );
    }
    response
}

/// The code that gRPC gives an HTTP status (gRPC: HTTP to gRPC status code mapping).
fn grpc_status(status: u16) -> (u16, &'static str) {
    match status {
        400 => (13, "internal"),
        502..=504 => (14, "unavailable"),
        _ => (2, "unknown"),
    }
}

/// A response of our own.
fn local<C: Connect>(
    mut story: Story<C>,
    response: &LocalResponse,
    to_head: bool,
) -> Response<Answer<C>> {
    let date = story.connection.context.pools.date.now();
    let mut fields = HeaderMap::with_capacity(8);
    let more = story.listener.response_fields.clone();
    if !more.as_ref().is_some_and(|more| more.hides_server) {
        fields.insert(SERVER, HeaderValue::from_static(page::SERVER));
    }
    let mut put = |name, value: &[u8]| {
        // All of them are made of visible ASCII.
        if let Ok(value) = HeaderValue::from_bytes(value) {
            fields.insert(name, value);
        }
    };
    put(DATE, date.as_bytes());
    put(CONTENT_TYPE, response.content_type.as_bytes());
    if let Some(location) = &response.location {
        put(LOCATION, location.as_bytes());
    }
    fields.insert(CONTENT_LENGTH, response.body.len().into());
    if let Some(more) = more {
        more.put(&mut fields);
    }
    story.record().sent += size(&fields);
    let body = if to_head {
        Bytes::new()
    } else {
        response.body.clone()
    };
    let mut answer = Response::new(Answer {
        state: State::Local(body),
        story,
    });
    *answer.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *answer.headers_mut() = fields;
    answer
}

/// What fields would take in HTTP/1.1; their size under HPACK is not known here.
fn size(fields: &HeaderMap) -> u64 {
    let lines = fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    lines.sum::<usize>() as u64
}

/// The body of a response, of our own or of a target.
pub(super) struct Answer<C: Connect> {
    state: State<C>,
    story: Story<C>,
}

enum State<C: Connect> {
    Local(Bytes),
    Remote(Box<Conversation<C>>),
    Ended,
}

impl<C: Connect> Answer<C> {
    /// Lets go of the target once its response is over.
    fn finish_if_ended(&mut self) {
        if matches!(&self.state, State::Remote(conversation) if conversation.is_ended())
            && let State::Remote(conversation) = std::mem::replace(&mut self.state, State::Ended)
        {
            conversation.finish(&self.story.listener);
        }
    }
}

impl<C: Connect> Body for Answer<C> {
    type Data = Piece;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, Error>>> {
        let this = self.get_mut();
        let polled = match &mut this.state {
            State::Ended => Poll::Ready(None),
            State::Local(body) => {
                let body = std::mem::take(body);
                this.state = State::Ended;
                Poll::Ready((!body.is_empty()).then(|| Ok(Piece::from(body))))
            }
            State::Remote(conversation) => {
                let before = conversation.received;
                let polled = conversation.poll_data(cx);
                note_received(&mut this.story, conversation.received - before);
                polled
            }
        };
        match &polled {
            Poll::Ready(Some(Ok(data))) => {
                this.story.connection.touch();
                this.story.record().sent += data.remaining() as u64;
                this.finish_if_ended();
            }
            Poll::Ready(Some(Err(error))) => {
                // The head is with the client: all that is left is to reset the stream.
                let client = this.story.connection.meta.client;
                tracing::debug!(%client, %error, "response cut");
                this.state = State::Ended;
            }
            Poll::Ready(None) => this.finish_if_ended(),
            Poll::Pending => {}
        }
        polled.map(|next| next.map(|data| data.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.state {
            State::Local(body) => body.is_empty(),
            State::Remote(_) => false,
            State::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Local(body) => SizeHint::with_exact(body.len() as u64),
            State::Remote(conversation) => match conversation.left() {
                Some(left) => SizeHint::with_exact(left),
                None => SizeHint::default(),
            },
            State::Ended => SizeHint::with_exact(0),
        }
    }
}
