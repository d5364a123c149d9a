//! From a request head to what is done with it: a response of our own, or a target and the head
//! that it gets. Shared by HTTP/1.1 and HTTP/2.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use elbow_balance::{Group, InFlight};
use elbow_model::ProtocolVersion;
use elbow_net::{ConnMeta, Connect};

use crate::action::{fixed_response, redirect};
use crate::additions::Additions;
use crate::context::Context;
use crate::error::{Error, ErrorKind};
use crate::forwarded::{Origin, Written, write_fields};
use crate::h1::Framing;
use crate::head::RequestHead;
use crate::listener::{Forwarding, Listener, Member, Route, choose_group};
use crate::page::{LocalResponse, digits};
use crate::record::{Notes, Record};
use crate::sticky::{Promise, Said, now};
use crate::trace_id;
use crate::transform::{self, Transformed};
use crate::uri::RequestTarget;

/// What is done with a request.
pub(crate) enum Plan {
    /// Answer it here.
    Answer(LocalResponse),
    /// Send it on; its head has been written.
    Forward(Forward),
}

/// Where a request goes.
pub(crate) struct Forward {
    /// The target, which counts the request until this is dropped.
    pub(crate) in_flight: InFlight,
    /// The group that the target is of.
    pub(crate) group: Arc<Group>,
    /// What the client is told of the choice, when it is to stay with it.
    pub(crate) promise: Option<Box<Promise>>,
}

impl Forward {
    /// What the response of the target gets besides.
    pub(crate) fn additions(&self, listener: &Listener) -> Additions {
        let cookies = |promise: &Promise| promise.cookies(self.in_flight.target(), now());
        Additions {
            fields: listener.response_fields.clone(),
            cookies: self.promise.as_deref().map(cookies),
        }
    }
}

/// What [`plan`] goes by besides the head.
pub(crate) struct Asked<'a> {
    pub(crate) listener: &'a Listener,
    pub(crate) meta: &'a ConnMeta,
    /// How the body is framed on its way to the target: known length, chunked, or none.
    pub(crate) framing: Framing,
    /// The request is a WebSocket handshake.
    pub(crate) websocket: bool,
}

/// Decides what is done with a request and notes it in `record`; a head for a target goes to `out`.
pub(crate) fn plan<C: Connect>(
    context: &Context<C>,
    head: &RequestHead<'_>,
    asked: &Asked<'_>,
    record: &mut Record,
    out: &mut Vec<u8>,
) -> Result<Plan, Error> {
    let listener = asked.listener;
    if context.log.is_some() {
        let spare = context.pools.spares.take();
        record.notes = Some(Notes::take(spare, head, listener));
    }
    let matched = listener.route(head, asked.meta.client.ip());
    record.priority = i32::try_from(matched.priority).ok();
    let cells = context.cells();
    match matched.action {
        Route::Redirect(to) => {
            note_trace(context, head, record);
            let response = redirect(to, head, listener)?;
            cells.redirects.increment();
            record.action = Some(matched.action.name());
            record.redirect.clone_from(&response.location);
            Ok(Plan::Answer(response))
        }
        Route::FixedResponse(fixed) => {
            note_trace(context, head, record);
            cells.fixed_responses.increment();
            record.action = Some(matched.action.name());
            Ok(Plan::Answer(fixed_response(fixed)))
        }
        Route::Forward(forwarding) => {
            record.action = Some(matched.action.name());
            let transformed = match matched.transforms {
                Some(transforms) => transform::apply(transforms, head, listener, record)?,
                None => Transformed::default(),
            };
            let forward = forward(context, forwarding, head, record)?;
            let random = || context.worker.random();
            let written = write_head(head, asked, &transformed, out, random)?;
            if matched.transforms.is_some() {
                record.transformed = Some(Box::new(transformed));
            }
            if let Some(notes) = &mut record.notes {
                notes.trace(out.get(written.trace_id).unwrap_or_default());
            }
            Ok(Plan::Forward(forward))
        }
    }
}

/// Notes the trace id of a request that no target gets to see: the log shows one all the same.
fn note_trace<C: Connect>(context: &Context<C>, head: &RequestHead<'_>, record: &mut Record) {
    let Some(notes) = &mut record.notes else {
        return;
    };
    let mut value = context.pools.spares.take();
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs());
    let incoming = head.value("x-amzn-trace-id");
    let size = usize::try_from(record.received).unwrap_or(usize::MAX);
    trace_id::write(&mut value, incoming, size, now, || context.worker.random());
    notes.trace(&value);
}

fn forward<C: Connect>(
    context: &Context<C>,
    forwarding: &Forwarding,
    head: &RequestHead<'_>,
    record: &mut Record,
) -> Result<Forward, Error> {
    let member = member(context, forwarding, head, record).ok_or(ErrorKind::NoTargets)?;
    let group = &member.group;
    if context.log.is_some() {
        record.group = Some(Arc::clone(group));
    }
    if group.config.protocol_version != ProtocolVersion::Http1 {
        return Err(ErrorKind::IncompatibleProtocol.into());
    }
    let (known, promise) = Promise::find(forwarding, member, head);
    if known.is_none() && member.sticky.is_some() {
        context.cells().non_sticky.increment();
    }
    let chosen = known
        .or_else(|| group.choose(context.worker.id, context.worker.random()))
        .ok_or(ErrorKind::NoTargets)?;
    if chosen.fail_open {
        context.cells().fail_open.increment();
    }
    record.target = Some(chosen.target.address);
    Ok(Forward {
        in_flight: chosen.target.start(),
        group: Arc::clone(group),
        promise,
    })
}

/// The group that the client is to stay with, else one by weight.
fn member<'f, C: Connect>(
    context: &Context<C>,
    forwarding: &'f Forwarding,
    head: &RequestHead<'_>,
    record: &mut Record,
) -> Option<&'f Member> {
    let said = match &forwarding.sticky {
        Some(sticky) => sticky.group(head, now()),
        None => Said::Nothing,
    };
    let known = match said {
        Said::Nothing => None,
        Said::Invalid => {
            record.reason = Some("AWSALBTGCookieInvalid");
            None
        }
        Said::Choice(key) => {
            let mut members = forwarding.members.iter();
            members.find(|member| member.key == key && member.weight > 0)
        }
    };
    known.or_else(|| choose_group(&forwarding.members, context.worker.random()))
}

/// Writes the head that the target gets: the parsed form, with one framing field at most.
fn write_head(
    head: &RequestHead<'_>,
    asked: &Asked<'_>,
    transformed: &Transformed,
    out: &mut Vec<u8>,
    random: impl FnMut() -> u64,
) -> Result<Written, Error> {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    write_target(out, transformed.uri.as_deref().unwrap_or(head.target));
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let origin = Origin {
        listener: asked.listener,
        meta: asked.meta,
        upgrade: asked.websocket,
        host: transformed.host.as_deref(),
        now: since.map_or(0, |since| since.as_secs()),
    };
    let written = write_fields(out, head, &origin, random)?;
    write_framing(out, asked.framing, expects_length(head.method));
    out.extend_from_slice(b"\r\n");
    Ok(written)
}

/// Methods whose content has a meaning: without any, a length of 0 says so (RFC 9110, 8.6).
fn expects_length(method: &str) -> bool {
    matches!(method, "POST" | "PUT" | "PATCH")
}

/// Appends the one field that frames a body.
pub(crate) fn write_framing(out: &mut Vec<u8>, framing: Framing, say_empty: bool) {
    let length = match framing {
        Framing::Length(length) => length,
        Framing::Empty if say_empty => 0,
        Framing::Empty | Framing::UntilClose => return,
        Framing::Chunked => return out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
    };
    write_length(out, length);
}

/// Appends `Content-Length`.
pub(crate) fn write_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"Content-Length: ");
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    out.extend_from_slice(digits(&mut [0; 20], length));
    out.extend_from_slice(b"\r\n");
}

/// Appends the origin form as the client wrote it; bytes that would end it early or that readers
/// take differently are percent-encoded.
fn write_target(out: &mut Vec<u8>, target: &str) {
    let start = out.len();
    RequestTarget::parse(target).write_origin_form(out);
    let is_plain = |b: &u8| *b > b' ' && *b != 0x7f;
    let written = out.get(start..).unwrap_or_default();
    if written.iter().all(is_plain) {
        return;
    }
    let raw = out.split_off(start);
    for byte in &raw {
        if is_plain(byte) {
            out.push(*byte);
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |n: u8| DIGITS.get(usize::from(n & 15)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(*byte)]);
        }
    }
}

#[cfg(test)]
mod tests;
