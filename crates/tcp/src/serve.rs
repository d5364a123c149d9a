use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use elbow_balance::{Chosen, Group, InFlight, Target, choose_weighted, flow};
use elbow_model::personality::{ConnectRetry, FlowTarget, IdleConnection};
use elbow_model::{ProxyProtocol, TargetType, Transport};
use elbow_net::source::Source;
use elbow_net::{
    ConnMeta, Connect, ConnectError, Early, Stream, Worker, proxy, relay_counted, relay_until_idle,
};
use elbow_telemetry::SurgeQueue;

use crate::context::Context;
use crate::listener::{Cutoff, Listener};
use crate::record::{FlowEnd, FlowRecord, count};

#[cfg(test)]
mod tests;

/// Serves a client connection, with or without TLS, to its end, then counts and logs it.
pub async fn serve<S: Stream, C: Connect>(
    context: &Context<C>,
    mut client: S,
    meta: &ConnMeta,
    listener: &Listener,
) -> FlowRecord {
    let worker = &*context.worker;
    let (group, cutoff) = choose_group(worker, meta, listener).unzip();
    let cutoff: Option<&Cutoff> = cutoff.flatten();
    let refuse = |client: &S, end| {
        client.reset_on_close();
        let record = FlowRecord::without_target(group.cloned(), end);
        record.finish(context, listener, meta);
        record
    };
    let chosen = group.and_then(|group| Some((group, choose(worker, meta, listener, group)?)));
    let Some((group, chosen)) = chosen else {
        return refuse(&client, FlowEnd::NoTarget);
    };
    let waiting = match listener.surge_queue.as_ref().map(SurgeQueue::enter) {
        Some(None) => return refuse(&client, FlowEnd::SurgeQueueFull),
        place => place.flatten(),
    };
    let fail_open = chosen.fail_open;
    let mut in_flight = chosen.target.start();
    let began = Instant::now();
    let connector = &*context.connector;
    let connected = match open(connector, meta, group, in_flight.target()).await {
        Err(error)
            if listener.personality.connect_retry == ConnectRetry::Always
                && !error.kind.is_own() =>
        {
            Box::pin(open_another(
                worker,
                connector,
                meta,
                group,
                &mut in_flight,
                error,
            ))
            .await
        }
        connected => connected,
    };
    drop(waiting);
    let connect = (began, Instant::now());
    let (received, sent, end) = match connected {
        Ok(mut upstream) => {
            let idle = listener.idle_timeout;
            let is_terminated = || in_flight.is_terminated() || cutoff.is_some_and(Cutoff::is_cut);
            let cells = context.metrics.worker(worker.id);
            let count = |direction, bytes| count(cells, direction, bytes);
            let relayed = match listener.personality.idle_connection {
                IdleConnection::Forget => {
                    relay_counted(
                        worker,
                        &mut client,
                        &mut upstream,
                        idle,
                        is_terminated,
                        count,
                    )
                    .await
                }
                IdleConnection::Close => {
                    let (client, upstream) = (&mut client, &mut upstream);
                    let early = Early::default();
                    relay_until_idle(worker, client, upstream, early, idle, is_terminated, count)
                        .await
                }
            };
            let end = FlowEnd::Relayed(relayed.end);
            (relayed.client_to_target, relayed.target_to_client, end)
        }
        Err(error) => {
            client.reset_on_close();
            (0, 0, FlowEnd::ConnectFailed(error.kind))
        }
    };
    let record = FlowRecord {
        group: Some(Arc::clone(group)),
        target: Some(Arc::clone(in_flight.target())),
        fail_open,
        connect: Some(connect),
        received,
        sent,
        end,
    };
    drop(in_flight);
    record.finish(context, listener, meta);
    record
}

fn choose_group<'l>(
    worker: &Worker,
    meta: &ConnMeta,
    listener: &'l Listener,
) -> Option<(&'l Arc<Group>, Option<&'l Cutoff>)> {
    let weights = listener.groups.iter().map(|(_, weight)| *weight);
    let random = if listener.sticky {
        flow::source_hash(meta.client.ip())
    } else {
        worker.random()
    };
    let index = choose_weighted(weights, random)?;
    let (group, _) = listener.groups.get(index)?;
    Some((group, listener.cutoffs.get(index)))
}

fn choose<'g>(
    worker: &Worker,
    meta: &ConnMeta,
    listener: &Listener,
    group: &'g Group,
) -> Option<Chosen<'g>> {
    match listener.personality.flow_target {
        FlowTarget::FlowHash => group.choose_flow(match group.config.attributes.stickiness {
            Some(_) => flow::source_hash(meta.client.ip()),
            None => flow::hash(Transport::Tcp, meta.client, meta.server, worker.random()),
        }),
        FlowTarget::Algorithm => group.choose(worker.id, worker.random()),
    }
}

/// Opens a connection to `target`, with the PROXY protocol header that its group requires. An Application Load Balancer
/// sees the client behind the connection.
async fn open<C: Connect>(
    connector: &C,
    meta: &ConnMeta,
    group: &Group,
    target: &Target,
) -> Result<C::Io, ConnectError> {
    if group.config.target_type == TargetType::Alb {
        return connector.connect_as(meta.client, target.address).await;
    }
    let tls = group.config.protocol.is_tls();
    let attributes = &group.config.attributes;
    let preface = match attributes.proxy_protocol {
        None => Vec::new(),
        Some(ProxyProtocol::V1) => proxy::v1(meta.client, meta.server),
        Some(ProxyProtocol::V2) => proxy::v2(
            meta.client,
            meta.server,
            attributes.vpc_endpoint_id.as_deref(),
        ),
    };
    match source(meta, group, target) {
        Source::Any => connector.connect_with(target.address, tls, &preface).await,
        source => Box::pin(connector.connect_from(&source, target.address, tls, &preface)).await,
    }
}

/// The address that the target sees: the client's, if the group keeps it, the families agree and the target's answers come back;
/// otherwise that of the load balancer (NLB guide: edit target group attributes). A Classic load balancer connects as any
/// proxy does.
fn source(meta: &ConnMeta, group: &Group, target: &Target) -> Source {
    if group.personality.flow_target != FlowTarget::FlowHash {
        return Source::Any;
    }
    let (client, server) = (canonical(meta.client), meta.server.ip().to_canonical());
    if group.shows_client(target, client) {
        Source::Client(client)
    } else {
        Source::own(server, target.address)
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// After `error`, tries each other instance of the group once, and moves `in_flight` along.
async fn open_another<C: Connect>(
    worker: &Worker,
    connector: &C,
    meta: &ConnMeta,
    group: &Group,
    in_flight: &mut InFlight,
    mut error: ConnectError,
) -> Result<C::Io, ConnectError> {
    let mut tried = vec![in_flight.target().serial];
    while let Some(other) = group.choose_other(worker.id, &tried) {
        *in_flight = other.target.start();
        tried.push(other.target.serial);
        match open(connector, meta, group, other.target).await {
            Ok(io) => return Ok(io),
            Err(e) => error = e,
        }
        if error.kind.is_own() {
            break;
        }
    }
    Err(error)
}
