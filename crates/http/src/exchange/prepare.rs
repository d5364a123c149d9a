//! From the head of a request to its plan, for every version of HTTP: decides, notes the decision in
//! the record, and writes the head for the target. Synchronous, so that nothing of the head is kept.

use std::sync::Arc;

use elbow_auth::{Advice, Consultation};
use elbow_model::ProtocolVersion;
use elbow_net::{ConnMeta, Connect};

use crate::context::Context;
use crate::decide::forward::Forward;
use crate::decide::reasons::ActionKind;
use crate::decide::{self, Asked, Chance, Decision};
use crate::error::{Error, ErrorKind};
use crate::h1::Framing;
use crate::header::date::unix_now;
use crate::header::head::RequestHead;
use crate::listener::Listener;
use crate::outgoing::fields::Origin;
use crate::outgoing::request::{self, Body};
use crate::outgoing::trace_id;
use crate::page::LocalResponse;
use crate::record::Record;
use crate::record::notes::Notes;

/// What is done with a request.
pub(crate) enum Plan {
    /// Answer it here.
    Answer(LocalResponse),
    /// Send it on; its head has been written.
    Forward(Forward),
    /// Ask an identity provider, then prepare it again with the advice.
    Consult(Consultation),
}

/// A request as its client side understands it.
#[derive(Clone, Copy)]
pub(crate) struct ClientRequest<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    /// The client connection.
    pub(crate) meta: &'a ConnMeta,
    /// How the body is framed on its way to the target.
    pub(crate) framing: Framing,
    /// A WebSocket handshake that is passed on.
    pub(crate) websocket: bool,
    /// Why the codec refuses the head, although it can be read.
    pub(crate) refused: Option<ErrorKind>,
    /// What an identity provider said of it.
    pub(crate) advice: Option<&'a Advice>,
}

/// Decides what `listener` does with a request and notes it in `record`. The head for a target is
/// appended to `out`.
pub(crate) fn prepare<C: Connect>(
    context: &Context<C>,
    listener: &Listener,
    incoming: &ClientRequest<'_>,
    record: &mut Record,
    out: &mut Vec<u8>,
) -> Result<Plan, Error> {
    let head = incoming.head;
    if listener.access_log.is_some() {
        let spare = context.pools.spares.take();
        record.notes = Some(Notes::take(spare, head, &listener.endpoint));
    }
    record.grpc = head.is_grpc();
    let is_plain = listener.endpoint.https && incoming.meta.tls.is_none();
    let asked = Asked {
        head,
        client: incoming.meta.client.ip(),
        refused: is_plain
            .then_some(ErrorKind::PlainHttp)
            .or(incoming.refused),
        now: unix_now(),
        advice: incoming.advice,
    };
    let chance = Chance {
        worker: context.worker.id,
        random: || context.worker.random(),
    };
    let Decision {
        reasons,
        member,
        plan,
    } = decide::decide(listener, &asked, chance);
    record.decided(reasons, context.cells());
    if let Some(time) = incoming.advice.and_then(Advice::login_time) {
        context.cells().authentication_time.observe(time);
    }
    if listener.access_log.is_some() {
        record.group_arn = member.map(|member| Arc::clone(&member.arn));
    }
    let is_forward = reasons.action == Some(ActionKind::Forward);
    let is_judged = reasons.priority.is_some() || reasons.authentication.is_some();
    if is_judged && !is_forward {
        note_trace(context, &asked, record);
    }
    match plan {
        Ok(decide::Plan::Answer(response)) => {
            if listener.access_log.is_some() && reasons.action == Some(ActionKind::Redirect) {
                record.redirect.clone_from(&response.location);
            }
            Ok(Plan::Answer(response))
        }
        Ok(decide::Plan::Forward(choice)) => {
            record.target = Some(choice.target().address);
            record.group =
                member.map(|member| Arc::clone(member.metrics.worker(context.worker.id)));
            let (forward, transformed, identity) = choice.start();
            let version = forward.group.config.protocol_version;
            let asks_for_trailers =
                listener.attributes.passes_trailers || version != ProtocolVersion::Http1;
            let origin = Origin {
                listener,
                meta: incoming.meta,
                upgrade: incoming.websocket,
                host: transformed.host.as_deref(),
                identity: identity.as_deref(),
                now: asked.now,
            };
            let uri = transformed.uri.as_deref();
            let body = Body {
                framing: incoming.framing,
                asks_for_trailers,
            };
            let random = || context.worker.random();
            let written = request::write_head(out, head, uri, body, &origin, random)?;
            if let Some(notes) = &mut record.notes {
                notes.trace(out.get(written.trace_id).unwrap_or_default());
            }
            if written.invalid_names > 0 {
                let cells = context.cells();
                if listener.attributes.drop_invalid_header_fields {
                    cells.invalid_headers_dropped.increment();
                } else {
                    cells.invalid_headers_forwarded.increment();
                }
            }
            if transformed.is_change() {
                record.transformed = Some(Box::new(transformed));
            }
            Ok(Plan::Forward(forward))
        }
        Ok(decide::Plan::Consult(consultation)) => Ok(Plan::Consult(consultation)),
        Err(kind) => Err(kind.into()),
    }
}

/// Notes a trace id for a request that no target gets: the log has one all the same.
fn note_trace<C: Connect>(context: &Context<C>, asked: &Asked<'_>, record: &mut Record) {
    let Some(notes) = &mut record.notes else {
        return;
    };
    let mut value = context.pools.spares.take();
    let incoming = asked.head.value("x-amzn-trace-id");
    let size = usize::try_from(record.received).unwrap_or(usize::MAX);
    trace_id::write(&mut value, incoming, size, asked.now, || {
        context.worker.random()
    });
    notes.trace(&value);
}
