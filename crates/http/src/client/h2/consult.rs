//! The wait of one stream for an identity provider.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use elbow_auth::Consultation;
use elbow_net::Connect;
use elbow_telemetry::ShedReason;

use super::guard::RequestGuard;
use super::link::Stream;
use super::task::{Facts, act, fail};
use crate::error::ErrorKind;
use crate::exchange::prepare::{self, ClientRequest, Plan};
use crate::header::head::OwnedHead;

/// Asks an identity provider about a request, decides again, and does what was decided.
pub(super) async fn consult<C: Connect>(
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
