//! The loop: what the watches tell goes into the cluster, what the cluster asks for serves.

mod deploy;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use elbow_manifest::Object;
use elbow_manifest::cluster::{Change, Cluster, Outcome, Reconciled};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::backoff::BackOff;
use crate::client::{self, Server};
use crate::watch::{KINDS, Settings, Standing, Told, Watches};
use crate::{Error, LoadBalancers, Metrics, Options};
use deploy::Deploy;

/// Changes come in bunches: after this much quiet they are served.
const QUIET: Duration = Duration::from_millis(2);
/// However many there are, they are served after this time.
const BUNCH: Duration = Duration::from_millis(50);
/// Changes that are taken without a look at the clock.
const MANY: usize = 4096;
/// The first version with lists that are streams.
const STREAMS: u32 = 27;

/// Watches a cluster and has served what it asks for.
pub struct Controller {
    server: Server,
    options: Options,
    balancers: Arc<dyn LoadBalancers>,
    metrics: Metrics,
    ready: watch::Sender<bool>,
}

impl Controller {
    /// Does nothing before [`Self::run`].
    pub fn new(server: Server, options: Options, balancers: Arc<dyn LoadBalancers>) -> Self {
        Self {
            server,
            options,
            balancers,
            metrics: Metrics::new(),
            ready: watch::Sender::new(false),
        }
    }

    /// What it counts.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Whether everything that was in the cluster at the start is served.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Watches and serves until it is dropped. An API server that is away is waited for; what it said last serves on.
    ///
    /// # Errors
    /// The API server is too old, or does not know who asks.
    pub async fn run(self) -> Result<(), Error> {
        let version = self.reach().await?;
        info!(server = self.server.url, version, "watching the cluster");
        let settings = Settings {
            client: self.server.client.clone(),
            namespace: self.options.watch_namespace.clone(),
            streams: has_streams(&version),
            metrics: self.metrics.clone(),
        };
        let mut state = State {
            cluster: Cluster::new(self.options.context.clone()),
            deploy: Deploy::new(self.balancers.clone()),
            standings: vec![Standing::Unknown; KINDS.len()],
            stacks: BTreeMap::new(),
            metrics: self.metrics,
            ready: self.ready,
            malformed: BTreeSet::new(),
        };
        state.follow(Watches::start(&settings)).await;
        Ok(())
    }

    /// The version of the API server, as soon as it answers.
    async fn reach(&self) -> Result<String, Error> {
        let mut back_off = BackOff::default();
        loop {
            match client::version(&self.server).await {
                Err(away @ Error::Unreachable { .. }) => warn!("{away}; tried again"),
                other => return other,
            }
            tokio::time::sleep(back_off.next()).await;
        }
    }
}

/// Whether the server may know lists that are streams; older ones take them for something else.
fn has_streams(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.');
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    number()
        .zip(number())
        .is_some_and(|version| version >= (1, STREAMS))
}

/// What is known and what serves.
struct State {
    cluster: Cluster,
    deploy: Deploy,
    standings: Vec<Standing>,
    /// What became of each stack last, by key.
    stacks: BTreeMap<String, Reconciled>,
    metrics: Metrics,
    ready: watch::Sender<bool>,
    /// Paths of objects that cannot be read.
    malformed: BTreeSet<String>,
}

impl State {
    async fn follow(&mut self, mut watches: Watches) {
        loop {
            let retry = self.deploy.retry();
            tokio::select! {
                told = watches.next() => match told {
                    Some(told) => {
                        let began = Instant::now();
                        self.take(told);
                        self.gather(&mut watches, began).await;
                        self.serve(began);
                    }
                    None => return,
                },
                () = at(retry) => self.serve(Instant::now()),
            }
        }
    }

    /// Takes what else comes until there is quiet.
    async fn gather(&mut self, watches: &mut Watches, began: Instant) {
        loop {
            for told in watches.ready(MANY) {
                self.take(told);
            }
            if began.elapsed() >= BUNCH {
                return;
            }
            match tokio::time::timeout(QUIET, watches.next()).await {
                Ok(Some(told)) => self.take(told),
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Set(object) => match Object::from_json(object) {
                Ok(object) => {
                    self.malformed.remove(&object.path());
                    self.cluster.take(Change::Set(object));
                }
                // It stays what it was.
                Err(problem) => {
                    if self.malformed.insert(problem.object.clone()) {
                        warn!("an object of the API server cannot be read: {problem}");
                    }
                }
            },
            Told::Gone(identity) => self.cluster.take(Change::Gone(identity)),
            Told::Standing(index, standing) => {
                if let Some(known) = self.standings.get_mut(index) {
                    *known = standing;
                }
                self.metrics
                    .synced(self.standings.iter().all(Standing::is_synced));
            }
        }
    }

    /// Serves what the cluster asks for now, once everything that is in it is known: half of a cluster asks for
    /// something else than the whole of it.
    fn serve(&mut self, began: Instant) {
        if !self.standings.iter().all(Standing::is_settled) {
            return;
        }
        let reconciled = self.cluster.reconcile();
        let retry = self.deploy.retry().is_some_and(|at| at <= Instant::now());
        let first = !*self.ready.borrow();
        if reconciled.is_empty() && !retry && !first {
            return;
        }
        let changed = self.deploy.apply(&self.cluster.model());
        let mut told: BTreeSet<String> = BTreeSet::new();
        for one in reconciled {
            self.tell(&one);
            told.insert(one.key.clone());
            match (&one.outcome, one.leaving.is_empty()) {
                (Outcome::Gone, true) => self.stacks.remove(&one.key),
                _ => self.stacks.insert(one.key.clone(), one),
            };
        }
        self.metrics.served_after(began.elapsed());
        if first {
            let count = self.deploy.in_force().load_balancers.len();
            info!(load_balancers = count, "the cluster is served");
            self.ready.send_replace(true);
        }
        let _ = (changed, told);
    }

    /// A line for a person, and a count.
    fn tell(&self, reconciled: &Reconciled) {
        let key = &*reconciled.key;
        for found in &reconciled.diagnostics {
            info!(key, "{found}");
        }
        let result = match &reconciled.outcome {
            Outcome::Made(made) => match self.deploy.failure(&made.load_balancer) {
                None => {
                    info!(key, load_balancer = &*made.load_balancer, "served");
                    "made"
                }
                Some(_) => "failed",
            },
            Outcome::Refused(why) => {
                error!(key, "refused, what served before serves on: {why}");
                "refused"
            }
            Outcome::Gone => {
                info!(key, "gone");
                "gone"
            }
        };
        self.metrics.reconciled(result);
    }
}

/// Ends at `instant`, if there is one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
