//! Connections to targets: taken from the pool or opened, and given back.

use std::rc::Rc;
use std::time::Instant;

use elbow_model::ProtocolVersion;
use elbow_net::{Connect, TICK};

use super::h1::{self, Reached};
use super::h2::{self, Destination};
use super::{Outline, Upstream};

use crate::budget::Charge;
use crate::context::Context;
use crate::decide::forward::Forward;
use crate::error::{Error, ErrorKind};
use crate::listener::Listener;
use crate::pool::Key;
use crate::record::Record;
use crate::spare::Spare;

/// Returns a connection to the target of `forward`. When the target refuses it, `forward` moves to
/// the group's other targets, each tried once (`elbow.connect_failover.enabled`): no byte was sent.
pub(crate) async fn reach<C: Connect>(
    context: &Context<C>,
    listener: &Listener,
    forward: &mut Forward,
    record: &mut Record,
) -> Result<Reached<C::Io>, Error> {
    loop {
        let error = match open(context, listener, forward, record).await {
            Ok(reached) => return Ok(reached),
            Err(error) => error,
        };
        if !forward.fail_over(error.kind, context.worker.id) {
            return Err(error);
        }
        record.target = Some(forward.in_flight.target().address);
    }
}

/// Sends the request `head` to the target of `forward`, in the protocol version of its group. `charge` is for
/// what is held on a shared connection. `forward` moves to other targets as in [`reach`].
pub(crate) async fn send<C: Connect>(
    context: &Rc<Context<C>>,
    forward: &mut Forward,
    head: Spare,
    outline: Outline,
    charge: Charge,
    listener: &Listener,
    record: &mut Record,
) -> Result<Upstream<C>, Error> {
    let passes_trailers = outline.passes_trailers;
    let Outline {
        framing, to_head, ..
    } = outline;
    if forward.group.config.protocol_version == ProtocolVersion::Http1 {
        let reached = reach(context, listener, forward, record).await?;
        let request = h1::Request::new(reached, head, framing, to_head, passes_trailers);
        return Ok(Upstream::H1(request));
    }
    loop {
        let target = forward.in_flight.target();
        let is_tls = forward.group.config.protocol.is_tls();
        let to = Destination {
            key: Key {
                target: target.serial,
                transport: context.connector.transport(is_tls),
            },
            address: target.address,
            is_tls,
            idle_timeout: listener.attributes.idle_timeout,
            group: record.group.clone(),
        };
        match h2::connection(context, &to).await {
            Ok((connection, was_open)) => {
                if was_open {
                    context.cells().pool_reused.increment();
                    record.dispatched = Some(record.started);
                } else {
                    record.dispatched = Some(Instant::now());
                }
                let context = Rc::clone(context);
                return h2::Request::new(context, to, connection, head, outline, charge)
                    .map(Upstream::H2);
            }
            Err(error) => {
                if !forward.fail_over(error.kind, context.worker.id) {
                    return Err(error);
                }
                record.target = Some(forward.in_flight.target().address);
            }
        }
    }
}

/// Returns a pooled connection to the target, or opens one.
async fn open<C: Connect>(
    context: &Context<C>,
    listener: &Listener,
    forward: &Forward,
    record: &mut Record,
) -> Result<Reached<C::Io>, Error> {
    let target = forward.in_flight.target();
    let tls = forward.group.config.protocol.is_tls();
    let key = Key {
        target: target.serial,
        transport: context.connector.transport(tls),
    };
    if let Some(io) = context.pools.take(key, &context.worker.timers) {
        context.cells().pool_reused.increment();
        record.dispatched = Some(record.started);
        return Ok(Reached { io, key });
    }
    let _waiting = match &listener.surge_queue {
        Some(queue) => Some(queue.enter().ok_or(ErrorKind::SurgeQueueFull)?),
        None => None,
    };
    let connected = context
        .connector
        .connect(target.address, tls)
        .await
        .map_err(Error::from);
    record.dispatched = Some(Instant::now());
    match &connected {
        Ok(_) => context.cells().pool_opened.increment(),
        Err(error) => context.count_unreached(error, record.group.as_deref()),
    }
    connected.map(|io| Reached { io, key })
}

/// Puts a connection that can serve another request into the pool.
pub(crate) fn give_back<C: Connect>(
    context: &Context<C>,
    Reached { io, key }: Reached<C::Io>,
    listener: &Listener,
) {
    if context.worker.draining() {
        return;
    }
    let timers = &context.worker.timers;
    let ticks = listener.attributes.idle_timeout.as_millis() / TICK.as_millis();
    let expires = timers
        .now()
        .saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX));
    context.pools.put(key, io, expires, &context.worker);
}
