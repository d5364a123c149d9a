use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_balance::{Chosen, Group, InFlight, Target, choose_weighted};
use elbow_model::ProxyProtocol;
use elbow_net::{
    ConnMeta, Connect, ConnectError, ConnectErrorKind, Direction, Early, Relayed, Stream, Worker,
    proxy, relay_counted, relay_until_idle,
};
use tracing::debug;

use crate::flow;

#[cfg(test)]
mod tests;

/// A layer 4 listener in force.
#[derive(Debug)]
pub struct Listener {
    /// Where flows go, by weight; a weight of 0 gets none.
    pub groups: Vec<(Arc<Group>, u32)>,
    /// Flows of one client address prefer one group (NLB guide: listeners).
    pub sticky: bool,
    /// NLB: `tcp.idle_timeout.seconds`; CLB: `idle_timeout.timeout_seconds`.
    pub idle_timeout: Duration,
    /// Whose manners it has.
    pub manners: Manners,
    /// The name of its load balancer.
    pub load_balancer: Arc<str>,
    /// Its port.
    pub port: u16,
}

/// In what the load balancers of layer 4 differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// NLB: the flow hash chooses a target, no other is tried, and what is idle is forgotten (NLB
    /// guide: introduction, load balancers).
    Network,
    /// CLB: instances take turns, one that cannot be reached is passed over, and what is idle is
    /// closed (CLB guide: how it works, metrics, idle timeout).
    Classic,
}

/// What became of a connection.
#[derive(Clone, Debug)]
pub struct Served {
    /// The target that it was given, reached or not.
    pub target: Option<Arc<Target>>,
    /// Which of the listener's groups the target is from.
    pub group: Option<Arc<Group>>,
    /// No target was healthy, so that it was given an unhealthy one: NLB's `UnhealthyRoutingFlowCount`.
    pub fail_open: bool,
    /// How it ended.
    pub outcome: Outcome,
    /// Of a Classic load balancer's: when the connect to the target began and when it ended.
    pub connect: Option<(Instant, Instant)>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nobody to give it to; the client got RST.
    NoTarget,
    /// The target could not be reached; the client got RST.
    ConnectFailed(ConnectErrorKind),
    /// It reached the target.
    Relayed(Relayed),
}

/// Serves a client's connection, in clear or under TLS, from its first byte to its end.
///
/// `count` is called with the bytes of each direction as they pass.
pub async fn serve<S: Stream, C: Connect>(
    worker: &Worker,
    mut client: S,
    meta: &ConnMeta,
    listener: &Listener,
    connector: &C,
    count: impl Fn(Direction, u64),
) -> Served {
    let weights = listener.groups.iter().map(|(_, weight)| *weight);
    let random = match listener.sticky {
        true => flow::source_hash(meta.client.ip()),
        false => worker.random(),
    };
    let group = choose_weighted(weights, random)
        .and_then(|index| listener.groups.get(index))
        .map(|(group, _)| group);
    let Some((group, chosen)) = group.and_then(|g| Some((g, choose(worker, meta, listener, g)?)))
    else {
        client.reset_on_close();
        return Served::log(
            meta,
            listener,
            group.cloned(),
            None,
            false,
            Outcome::NoTarget,
        );
    };
    let fail_open = chosen.fail_open;
    let mut in_flight = chosen.target.start();
    let is_classic = listener.manners == Manners::Classic;
    let began = is_classic.then(Instant::now);
    let connected = match open(connector, meta, group, in_flight.target()).await {
        Err(error) if is_classic && !error.kind.is_own() => {
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
    let connect = began.map(|began| (began, Instant::now()));
    let outcome = match connected {
        Ok(mut upstream) => {
            let idle = listener.idle_timeout;
            let cut = || in_flight.is_cut();
            let relayed = match listener.manners {
                Manners::Network => {
                    relay_counted(worker, &mut client, &mut upstream, idle, cut, count).await
                }
                Manners::Classic => {
                    let (client, upstream) = (&mut client, &mut upstream);
                    let early = Early::default();
                    relay_until_idle(worker, client, upstream, early, idle, cut, count).await
                }
            };
            Outcome::Relayed(relayed)
        }
        Err(e) => {
            client.reset_on_close();
            Outcome::ConnectFailed(e.kind)
        }
    };
    let target = Some(Arc::clone(in_flight.target()));
    drop(in_flight);
    let group = Some(Arc::clone(group));
    Served {
        connect,
        ..Served::log(meta, listener, group, target, fail_open, outcome)
    }
}

fn choose<'g>(
    worker: &Worker,
    meta: &ConnMeta,
    listener: &Listener,
    group: &'g Group,
) -> Option<Chosen<'g>> {
    match listener.manners {
        Manners::Network => group.choose_flow(match group.config.attributes.stickiness {
            Some(_) => flow::source_hash(meta.client.ip()),
            None => flow::hash(meta.client, meta.server, worker.random()),
        }),
        Manners::Classic => group.choose(worker.id, worker.random()),
    }
}

/// A connection to `target`, with the header that its group asks for.
async fn open<C: Connect>(
    connector: &C,
    meta: &ConnMeta,
    group: &Group,
    target: &Target,
) -> Result<C::Io, ConnectError> {
    let tls = group.config.protocol.is_tls();
    let preface = match group.config.attributes.proxy_protocol {
        None => Vec::new(),
        Some(ProxyProtocol::V1) => proxy::v1(meta.client, meta.server),
        Some(ProxyProtocol::V2) => proxy::v2(meta.client, meta.server),
    };
    connector.connect_with(target.address, tls, &preface).await
}

/// After `error`, tries the group's other instances, each once, and moves `in_flight` to them.
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

impl Served {
    fn log(
        meta: &ConnMeta,
        listener: &Listener,
        group: Option<Arc<Group>>,
        target: Option<Arc<Target>>,
        fail_open: bool,
        outcome: Outcome,
    ) -> Self {
        debug!(
            load_balancer = %listener.load_balancer,
            port = listener.port,
            client = %meta.client,
            target = ?target.as_ref().map(|t| t.address),
            fail_open,
            ?outcome,
            "flow ended"
        );
        Self {
            target,
            group,
            fail_open,
            outcome,
            connect: None,
        }
    }
}
