//! The way to a target and back into the pool; for both versions of HTTP.

use std::time::Instant;

use elbow_balance::Group;
use elbow_net::{Connect, TICK};

use crate::context::Context;
use crate::error::{Error, ErrorKind, Side};
use crate::listener::Listener;
use crate::plan::Forward;
use crate::pool::Key;
use crate::record::Record;

/// A connection to a target, and what it may be kept under.
pub(crate) struct Reached<Io> {
    pub(crate) io: Io,
    pub(crate) key: Key,
}

/// A connection to the target of `forward`. While connections are refused, so that no byte has left,
/// `forward` moves to the group's other targets, each once (`elbow.connect_failover.enabled`).
pub(crate) async fn reach<C: Connect>(
    context: &Context<C>,
    forward: &mut Forward,
    record: &mut Record,
) -> Result<Reached<C::Io>, Error> {
    // Allocates after a refusal alone.
    let mut tried = Vec::new();
    loop {
        let error = match open(context, forward, record).await {
            Ok(reached) => return Ok(reached),
            Err(error) => error,
        };
        if !fails_over(&forward.group, error.kind) {
            return Err(error);
        }
        tried.push(forward.in_flight.target().serial);
        let Some(other) = forward.group.choose_other(context.worker.id, &tried) else {
            return Err(error);
        };
        record.target = Some(other.target.address);
        forward.in_flight = other.target.start();
    }
}

/// Whether another target of `group` is tried after `error`: no byte has left yet. A Classic load
/// balancer tries again whatever kept it from connecting (CLB guide: metrics,
/// BackendConnectionErrors).
fn fails_over(group: &Group, error: ErrorKind) -> bool {
    let attributes = &group.config.attributes;
    match error {
        ErrorKind::ConnectFailed => attributes.connect_failover,
        ErrorKind::ConnectTimeout | ErrorKind::TargetTls | ErrorKind::TargetTlsTimeout => {
            attributes.of_classic
        }
        _ => false,
    }
}

/// A connection to one target: one that is open, else a new one.
async fn open<C: Connect>(
    context: &Context<C>,
    forward: &Forward,
    record: &mut Record,
) -> Result<Reached<C::Io>, Error> {
    let target = forward.in_flight.target();
    let tls = forward.group.config.protocol.is_tls();
    let key = Key {
        target: target.serial,
        transport: context.connector.transport(tls),
    };
    let cells = context.cells();
    if let Some(io) = context.pools.take(key, &context.worker.timers) {
        cells.pool_reused.increment();
        record.dispatched = Some(record.started);
        return Ok(Reached { io, key });
    }
    let connected = context
        .connector
        .connect(target.address, tls)
        .await
        .map_err(Error::from);
    record.dispatched = Some(Instant::now());
    match &connected {
        Ok(_) => cells.pool_opened.increment(),
        Err(error) => match error.kind {
            ErrorKind::TargetTls | ErrorKind::TargetTlsTimeout => {
                cells.target_tls_errors.increment();
            }
            _ if error.side == Side::Local => {}
            _ => cells.connect_errors.increment(),
        },
    }
    connected.map(|io| Reached { io, key })
}

/// Keeps a connection that can serve another request.
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
