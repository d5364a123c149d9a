//! The loop: what the watches tell goes into the cluster, what the cluster asks for serves.

mod deploy;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use elbow_manifest::Object;
use elbow_manifest::cluster::{Change, Cluster, Outcome, Reconciled};
use elbow_model::Model;
use kube::Client;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::backoff::BackOff;
use crate::client::{self, Server};
use crate::lease::{self, LeaseOptions};
use crate::watch::{KINDS, Settings, Standing, Told, Watches};
use crate::webhook::{self, Gates};
use crate::write::{Counter, Writer, WriterOptions};
use crate::{Error, LeaderElection, LoadBalancers, Metrics, Options, check};
use deploy::Deploy;

/// Changes come in bunches: after this much quiet they are served.
const QUIET: Duration = Duration::from_millis(2);
/// However many there are, they are served after this time.
const BUNCH: Duration = Duration::from_millis(50);
/// Changes that are taken without a look at the clock.
const MANY: usize = 4096;
/// For letting go of the Lease at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// The first version with lists that are streams.
const STREAMS: u32 = 27;

/// Watches a cluster and has served what it asks for.
pub struct Controller {
    server: Server,
    options: Options,
    balancers: Arc<dyn LoadBalancers>,
    metrics: Metrics,
    ready: watch::Sender<bool>,
    native: watch::Receiver<Model>,
    webhook: Option<TcpListener>,
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
            native: watch::Sender::new(Model::default()).subscribe(),
            webhook: None,
        }
    }

    /// Gives new pods their readiness gates, when the API server asks here.
    #[must_use]
    pub fn with_webhook(mut self, listener: Option<TcpListener>) -> Self {
        self.webhook = listener;
        self
    }

    /// Serves the load balancers of a native file as well, which is there before the cluster and without it.
    #[must_use]
    pub fn beside(mut self, native: watch::Receiver<Model>) -> Self {
        self.native = native;
        self
    }

    /// What it counts.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Whether everything that was in the cluster at the start is served.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Watches and serves until `stop` says so. An API server that is away is waited for; what it said last serves on.
    ///
    /// # Errors
    /// The API server is too old, or does not know who asks.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Error> {
        let mut state = State::new(&self);
        let version = tokio::select! {
            version = self.reach() => version?,
            () = state.wait() => return Ok(()),
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        info!(server = self.server.url, version, "watching the cluster");
        let settings = Settings {
            client: self.server.client.clone(),
            namespace: self.options.watch_namespace.clone(),
            streams: has_streams(&version),
            metrics: self.metrics.clone(),
        };
        let leading = watch::Sender::new(!self.options.leader_election.enabled);
        let mut tasks = JoinSet::new();
        tasks.spawn(tell_leader(self.metrics.clone(), leading.subscribe()));
        let writer = state.writer.clone();
        tasks.spawn(writer.run(self.balancers.clone(), leading.subscribe()));
        tasks.spawn(tell_rival(self.server.client.clone()));
        if let Some(listener) = self.webhook.take() {
            let client = self.server.client.clone();
            let options = webhook::Options::new(&client);
            let gates = state.gates.subscribe();
            tasks.spawn(webhook::run(client, options, listener, gates));
        }
        let election = tokio::spawn(self.elect(leading, stop.clone()));
        tokio::select! {
            () = state.follow(Watches::start(&settings)) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // The Lease is let go, so that another replica writes at once.
        let _ = tokio::time::timeout(FAREWELL, election).await;
        Ok(())
    }

    fn counter(&self) -> Counter {
        let metrics = self.metrics.clone();
        Arc::new(move |what, result| metrics.wrote(what.name(), result))
    }

    fn writer(&self) -> Writer {
        let options = WriterOptions {
            status_address: self.options.status_address,
            dry_run_plan: self.options.dry_run_plan,
            instance: host(),
        };
        Writer::new(self.server.client.clone(), options, self.counter())
    }

    /// Takes part in the election, where there is one.
    fn elect(
        &self,
        leading: watch::Sender<bool>,
        mut stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let client = self.server.client.clone();
        let LeaderElection {
            enabled,
            namespace,
            id,
        } = self.options.leader_election.clone();
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let options = LeaseOptions::new(namespace, id, lease::identity(&host()));
        let counter = self.counter();
        async move {
            if enabled {
                return lease::elect(client, counter, options, leading, stop).await;
            }
            // Those who write do so for as long as somebody could say otherwise.
            let _ = stop.wait_for(|stop| *stop).await;
            drop(leading);
        }
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

/// Warns of somebody who serves the same cluster.
async fn tell_rival(client: Client) {
    if let Some(rival) = check::rival(&client).await {
        warn!("{rival}");
    }
}

/// Keeps the metric.
async fn tell_leader(metrics: Metrics, mut leading: watch::Receiver<bool>) {
    loop {
        metrics.leader(*leading.borrow_and_update());
        if leading.changed().await.is_err() {
            return;
        }
    }
}

/// The name of this machine, or of the pod.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "elbow".to_owned())
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
    balancers: Arc<dyn LoadBalancers>,
    writer: Writer,
    /// What new pods are to wait for; nobody listens where the webhook is off.
    gates: watch::Sender<Arc<Gates>>,
    standings: Vec<Standing>,
    /// What became of each stack last, by key.
    stacks: BTreeMap<String, Reconciled>,
    metrics: Metrics,
    ready: watch::Sender<bool>,
    /// Paths of objects that cannot be read.
    malformed: BTreeSet<String>,
    native: watch::Receiver<Model>,
}

impl State {
    fn new(controller: &Controller) -> Self {
        let mut native = controller.native.clone();
        let model = native.borrow_and_update().clone();
        let context = controller.options.context.clone();
        let mut state = Self {
            cluster: Cluster::with_native(context, model),
            deploy: Deploy::new(controller.balancers.clone()),
            balancers: controller.balancers.clone(),
            writer: controller.writer(),
            gates: watch::Sender::new(Arc::default()),
            standings: vec![Standing::Unknown; KINDS.len()],
            stacks: BTreeMap::new(),
            metrics: controller.metrics.clone(),
            ready: controller.ready.clone(),
            malformed: BTreeSet::new(),
            native,
        };
        state.serve_native();
        state
    }

    /// Serves the native file while nothing is known of the cluster yet.
    async fn wait(&mut self) {
        while self.native.changed().await.is_ok() {
            self.take_native();
        }
        std::future::pending().await
    }

    fn take_native(&mut self) {
        let model = self.native.borrow_and_update().clone();
        self.cluster.set_native(model);
        self.serve_native();
    }

    /// The native file alone, until the cluster is known.
    fn serve_native(&mut self) {
        let model = self.native.borrow().clone();
        let is_known = self.standings.iter().all(Standing::is_settled);
        if !is_known && !model.load_balancers.is_empty() {
            self.deploy.apply(&model);
        }
    }

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
                Ok(()) = self.native.changed() => {
                    self.take_native();
                    self.serve(Instant::now());
                }
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
            Told::Set(object) => {
                self.writer.see(&object);
                match Object::from_json(object) {
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
                }
            }
            Told::Gone(identity) => {
                self.writer.gone(&identity);
                self.cluster.take(Change::Gone(identity));
            }
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
        let is_due = self.deploy.is_due();
        if !self.standings.iter().all(Standing::is_settled) {
            if is_due {
                self.serve_native();
            }
            return;
        }
        let is_reconciled = self.cluster.is_reconciled();
        let reconciled = self.cluster.reconcile();
        let first = !*self.ready.borrow();
        if is_reconciled && !is_due && !first {
            return;
        }
        let model = self.cluster.model();
        // What elbow itself wrote comes back; only bindings have something to be told even when all serves as it did.
        let is_news = !reconciled.is_empty() || !self.cluster.inventory().bindings.is_empty();
        if !is_news && !is_due && !first && self.deploy.wants(&model) {
            return;
        }
        if !self.gates.is_closed() {
            let inventory = self.cluster.inventory();
            let take = |gates: &mut Arc<Gates>| Arc::make_mut(gates).take(&reconciled, inventory);
            self.gates.send_modify(take);
        }
        let changed = self.deploy.apply(&model);
        // Its outcome may be another one although nobody asks for anything else.
        let again = self.stacks.values().filter(|one| {
            let is_changed = balancer(one).is_some_and(|name| changed.contains(name));
            is_changed && !reconciled.iter().any(|new| new.key == one.key)
        });
        let again: Vec<Reconciled> = again.cloned().collect();
        for one in reconciled.into_iter().chain(again) {
            self.tell(&one);
            self.write(&one);
            match (&one.outcome, one.leaving.is_empty()) {
                (Outcome::Gone, true) => self.stacks.remove(&one.key),
                _ => self.stacks.insert(one.key.clone(), one),
            };
        }
        self.writer
            .serving(self.deploy.in_force(), self.cluster.inventory());
        self.metrics.served_after(began.elapsed());
        if first {
            let count = self.deploy.in_force().load_balancers.len();
            info!(load_balancers = count, "the cluster is served");
            self.ready.send_replace(true);
        }
    }

    /// Has the outcome written to the members.
    fn write(&self, reconciled: &Reconciled) {
        let name = balancer(reconciled);
        let failure = name.and_then(|name| self.deploy.failure(name).cloned());
        let served = name.and_then(|name| self.balancers.served(name));
        self.writer.submit(reconciled.clone(), served, failure);
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
                Some(why) => {
                    error!(
                        key,
                        load_balancer = &*made.load_balancer,
                        "not served: {why}"
                    );
                    "failed"
                }
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

/// The name of the load balancer that a stack has.
fn balancer(reconciled: &Reconciled) -> Option<&Arc<str>> {
    match &reconciled.outcome {
        Outcome::Made(made) => Some(&made.load_balancer),
        Outcome::Refused(_) | Outcome::Gone => None,
    }
}

/// Ends at `instant`, if there is one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
