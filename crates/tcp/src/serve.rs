use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use elbow_balance::{Chosen, Group, InFlight, Target, Weighted, flow};
use elbow_model::personality::{ConnectRetry, FlowTarget, IdleConnection};
use elbow_model::{ProxyHeaderPlacement, ProxyProtocol, TargetType, Transport};
use elbow_net::source::Source;
use elbow_net::{
    ConnMeta, Connect, ConnectError, ConnectErrorKind, Early, Idle, Relayed, Stream, Worker, proxy,
    relay_counted, relay_until_idle,
};
use elbow_telemetry::{SurgeQueue, Waiting};

use crate::context::Context;
use crate::listener::Listener;
use crate::record::{FlowEnd, FlowRecord, count};

#[cfg(test)]
mod tests;

/// Serves a client connection, with or without TLS, to its end, then counts and logs it and drops `open`.
#[expect(clippy::manual_async_fn)] // An `async fn` would hold its arguments twice, for as long as the flow lives.
pub fn serve<S: Stream, C: Connect, O>(
    context: Rc<Context<C>>,
    mut client: S,
    meta: ConnMeta,
    listener: Arc<Listener>,
    open: O,
) -> impl Future<Output = FlowRecord> {
    async move {
        let mut route = match Route::choose(&context.worker, &meta, &listener) {
            Ok(route) => route,
            Err(refused) => {
                client.reset_on_close();
                refused.finish(&context, &listener, &meta);
                return refused;
            }
        };
        let began = Instant::now();
        // Boxed, unlike the relay: most flows wait for bytes most of the time.
        let mut connected = Box::pin(route.connect(&context, &meta, &listener)).await;
        let connect = (began, Instant::now());
        let relayed = match &mut connected {
            Ok(target) => {
                let worker = &*context.worker;
                let idle = Idle {
                    timeout: listener.idle_timeout,
                    answers_probes: meta.tls.is_some(),
                };
                let is_terminated = || route.is_terminated();
                let cells = context.metrics.worker(worker.id);
                let count = move |direction, bytes| count(cells, direction, bytes);
                let client = &mut client;
                Ok(match listener.personality.idle_connection {
                    IdleConnection::Forget => {
                        let preface = late_header(&meta, &route.weighted.group);
                        relay_counted(worker, client, target, preface, idle, is_terminated, count)
                            .await
                    }
                    IdleConnection::Close => {
                        let (early, idle) = (Early::default(), idle.timeout);
                        relay_until_idle(worker, client, target, early, idle, is_terminated, count)
                            .await
                    }
                })
            }
            Err(error) => {
                client.reset_on_close();
                Err(error.kind)
            }
        };
        drop(connected);
        let record = route.record(connect, relayed);
        record.finish(&context, &listener, &meta);
        drop(client);
        drop(open);
        record
    }
}

/// Where a flow goes.
struct Route<'l> {
    weighted: &'l Weighted,
    /// The place in the surge queue until the connection to a target is open.
    place: Option<Waiting>,
    fail_open: bool,
    in_flight: InFlight,
}

impl<'l> Route<'l> {
    /// The record of a refused flow if there is no target or no place in the surge queue.
    fn choose(
        worker: &Worker,
        meta: &ConnMeta,
        listener: &'l Listener,
    ) -> Result<Self, FlowRecord> {
        let client = meta.client.ip();
        let weighted = listener
            .forwards
            .of(client)
            .choose(client, || worker.random());
        let group = || weighted.map(|weighted| Arc::clone(&weighted.group));
        let refused = |end| FlowRecord::without_target(group(), end);
        let chosen =
            weighted.and_then(|one| Some((one, choose(worker, meta, listener, &one.group)?)));
        let Some((weighted, chosen)) = chosen else {
            return Err(refused(FlowEnd::NoTarget));
        };
        let place = match listener.surge_queue.as_ref().map(SurgeQueue::enter) {
            Some(None) => return Err(refused(FlowEnd::SurgeQueueFull)),
            place => place.flatten(),
        };
        Ok(Self {
            weighted,
            place,
            fail_open: chosen.fail_open,
            in_flight: chosen.target.start(),
        })
    }

    /// Opens a connection to the target. A Classic load balancer tries the other instances, too.
    async fn connect<C: Connect>(
        &mut self,
        context: &Context<C>,
        meta: &ConnMeta,
        listener: &Listener,
    ) -> Result<C::Io, ConnectError> {
        let (connector, group) = (&*context.connector, &self.weighted.group);
        let first = open(connector, meta, group, self.in_flight.target()).await;
        if let Some(most) = group.config.attributes.passive_failures {
            let error = first.as_ref().err().map(|error| error.kind);
            self.count_refusal(meta, error, most);
        }
        let connected = match first {
            Err(error)
                if listener.personality.connect_retry == ConnectRetry::Always
                    && !error.kind.is_own() =>
            {
                let (worker, in_flight) = (&context.worker, &mut self.in_flight);
                open_another(worker, connector, meta, group, in_flight, error).await
            }
            first => first,
        };
        self.place = None;
        connected
    }

    /// Notes whether the target accepted the connection, for passive health checks. One that was not answered counts only if
    /// every client's would not be: the answer to a client's own address may take another way.
    fn count_refusal(&self, meta: &ConnMeta, error: Option<ConnectErrorKind>, most: u32) {
        let target = self.in_flight.target();
        match error {
            None => target.forget_refusals(),
            Some(ConnectErrorKind::Refused) => target.count_refusal(most),
            Some(ConnectErrorKind::Timeout | ConnectErrorKind::Unreachable)
                if !self
                    .weighted
                    .group
                    .shows_client(target, canonical(meta.client)) =>
            {
                target.count_refusal(most);
            }
            // Own shortages, and TLS, which the target has accepted a connection for.
            Some(_) => {}
        }
    }

    fn is_terminated(&self) -> bool {
        self.in_flight.is_terminated() || self.weighted.cutoff.is_cut()
    }

    fn record(
        self,
        connect: (Instant, Instant),
        relayed: Result<Relayed, ConnectErrorKind>,
    ) -> FlowRecord {
        let (received, sent, end) = match relayed {
            Ok(relayed) => (
                relayed.client_to_target,
                relayed.target_to_client,
                FlowEnd::Relayed(relayed.end),
            ),
            Err(kind) => (0, 0, FlowEnd::ConnectFailed(kind)),
        };
        FlowRecord {
            group: Some(Arc::clone(&self.weighted.group)),
            target: Some(Arc::clone(self.in_flight.target())),
            fail_open: self.fail_open,
            connect: Some(connect),
            received,
            sent,
            end,
        }
    }
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

/// Opens a connection to `target`, and sends the PROXY protocol header that its group requires at once. An Application Load
/// Balancer sees the client behind the connection.
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
    let preface = if sends_header_with_payload(group) {
        Vec::new()
    } else {
        header(meta, group)
    };
    match source(meta, group, target) {
        Source::Any => connector.connect_with(target.address, tls, &preface).await,
        source => Box::pin(connector.connect_from(&source, target.address, tls, &preface)).await,
    }
}

/// The PROXY protocol header that accompanies the client's first data; empty if it was sent before, or if the group wants none.
fn late_header(meta: &ConnMeta, group: &Group) -> Vec<u8> {
    if sends_header_with_payload(group) {
        header(meta, group)
    } else {
        Vec::new()
    }
}

/// With TLS, the header precedes the handshake with the target, which does not wait for the client.
fn sends_header_with_payload(group: &Group) -> bool {
    let config = &group.config;
    config.attributes.proxy_header_placement == ProxyHeaderPlacement::OnFirstAckWithPayload
        && config.target_type != TargetType::Alb
        && !config.protocol.is_tls()
}

/// The PROXY protocol header of the client; empty if the group requires none.
fn header(meta: &ConnMeta, group: &Group) -> Vec<u8> {
    let attributes = &group.config.attributes;
    match attributes.proxy_protocol {
        None => Vec::new(),
        Some(ProxyProtocol::V1) => proxy::v1(meta.client, meta.server),
        Some(ProxyProtocol::V2) => proxy::v2(
            meta.client,
            meta.server,
            attributes.vpc_endpoint_id.as_deref(),
        ),
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
