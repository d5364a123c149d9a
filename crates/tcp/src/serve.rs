use std::sync::Arc;
use std::time::Duration;

use elbow_balance::{Group, Target, choose_weighted};
use elbow_net::{
    ConnMeta, Connect, ConnectErrorKind, Direction, Relayed, Stream, Worker, relay_counted,
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
    /// `tcp.idle_timeout.seconds`: 350 s unless configured.
    pub idle_timeout: Duration,
    /// The name of its load balancer.
    pub load_balancer: Arc<str>,
    /// Its port.
    pub port: u16,
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
    let hash = flow::hash(meta.client, meta.server, worker.random());
    let weights = listener.groups.iter().map(|(_, weight)| *weight);
    let group = choose_weighted(weights, worker.random())
        .and_then(|index| listener.groups.get(index))
        .map(|(group, _)| group);
    let Some((group, chosen)) = group.and_then(|group| Some((group, group.choose_flow(hash)?)))
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
    let (target, fail_open) = (Arc::clone(chosen.target), chosen.fail_open);
    let group = Some(Arc::clone(group));
    let in_flight = target.start();
    let tls = group.as_ref().is_some_and(|g| g.config.protocol.is_tls());
    let outcome = match connector.connect(target.address, tls).await {
        Ok(mut upstream) => {
            let idle = listener.idle_timeout;
            let cut = || in_flight.is_cut();
            let relayed = relay_counted(worker, &mut client, &mut upstream, idle, cut, count).await;
            Outcome::Relayed(relayed)
        }
        Err(e) => {
            // No other target is tried: the flow hash has spoken (NLB guide: introduction).
            client.reset_on_close();
            Outcome::ConnectFailed(e.kind)
        }
    };
    drop(in_flight);
    Served::log(meta, listener, group, Some(target), fail_open, outcome)
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
        }
    }
}
