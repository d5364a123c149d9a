//! The control loop: watch events update the cluster state, which is reconciled to a model that is served and a status
//! that is written back.

mod deploy;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use elbow_manifest::cluster::{Change, Cluster, Identity, Outcome, Reconciled};
use elbow_manifest::objects::Binding;
use elbow_manifest::{Context, Object};
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use crate::backoff::BackOff;
use crate::client::{self, Server};
use crate::lease::{self, LeaseOptions};
use crate::neighbours::{self, Seen};
use crate::watch::{KINDS, KindState, Settings, Update, Watches};
use crate::webhook::{self, Gates};
use crate::write::{Counter, Writer, WriterOptions};
use crate::{Error, LeaderElection, LoadBalancers, Metrics, Options};
use deploy::Deploy;
use shown::Shown;

/// Changes come in batches: a batch ends after this time without changes.
const QUIET: Duration = Duration::from_millis(2);
/// The longest time that a batch may collect changes.
const BATCH: Duration = Duration::from_millis(50);
/// The number of changes to take without a look at the clock.
const CHUNK: usize = 4096;
/// The time limit for releasing the Lease at the end.
const RELEASE: Duration = Duration::from_secs(2);
/// The kind of objects that AWS Load Balancer Controller serves without a class.
const BINDING: &str = "TargetGroupBinding";
const BINDING_GROUP: &str = "elbv2.k8s.aws";
/// The first minor version of Kubernetes 1 with streaming lists.
const STREAMING_LISTS: u32 = 27;

/// Watches a cluster and serves its load balancers.
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
    /// Creates a controller, which does nothing before [`Self::run`].
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

    /// Serves the admission webhook at `listener`, which adds readiness gates to new pods.
    #[must_use]
    pub fn with_webhook(mut self, listener: Option<TcpListener>) -> Self {
        self.webhook = listener;
        self
    }

    /// Also serves the load balancers of a native file, even before the cluster is reachable.
    #[must_use]
    pub fn with_native(mut self, native: watch::Receiver<Model>) -> Self {
        self.native = native;
        self
    }

    /// The metrics of the controller.
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// Whether the initial state of the cluster is served.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Watches and serves until `stop` is true. While the API server is unreachable, the last known state is served.
    ///
    /// # Errors
    /// The API server is too old or rejects the credentials.
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
        state.leading = leading.subscribe();
        let mut tasks = JoinSet::new();
        tasks.spawn(record_leadership(self.metrics.clone(), leading.subscribe()));
        let writer = state.writer.clone();
        tasks.spawn(writer.run(self.balancers.clone(), leading.subscribe()));
        let client = self.server.client.clone();
        let seen = neighbours::look(&client, &version).await;
        state.meet(&seen);
        let seen = watch::Sender::new(seen);
        let met = seen.subscribe();
        tasks.spawn(neighbours::follow(client, version, seen));
        if let Some(listener) = self.webhook.take() {
            let client = self.server.client.clone();
            let options = webhook::Options::new(&client);
            let gates = state.gates.subscribe();
            tasks.spawn(webhook::run(client, options, listener, gates));
        }
        let election = tokio::spawn(self.elect(leading, stop.clone()));
        tokio::select! {
            () = state.follow(Watches::start(&settings), met) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        // Releasing the Lease lets another replica write at once.
        let _ = tokio::time::timeout(RELEASE, election).await;
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

    /// Takes part in the leader election, if enabled.
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
            // Keeps the sender: writers stop when the channel closes.
            let _ = stop.wait_for(|stop| *stop).await;
            drop(leading);
        }
    }

    /// Waits until the API server answers; returns its version.
    async fn reach(&self) -> Result<String, Error> {
        let mut back_off = BackOff::default();
        loop {
            match client::version(&self.server).await {
                Err(error @ Error::Unreachable { .. }) => warn!("{error}; retrying"),
                other => return other,
            }
            tokio::time::sleep(back_off.next()).await;
        }
    }
}

/// Updates the metric of leadership.
async fn record_leadership(metrics: Metrics, mut leading: watch::Receiver<bool>) {
    loop {
        metrics.leader(*leading.borrow_and_update());
        if leading.changed().await.is_err() {
            return;
        }
    }
}

/// The name of this machine or pod.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "elbow".to_owned())
}

/// Whether the server may support streaming lists. Older servers misread the request.
fn has_streams(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.');
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    number()
        .zip(number())
        .is_some_and(|version| version >= (1, STREAMING_LISTS))
}

/// The known state of the cluster and the state of what is served.
struct State {
    cluster: Cluster,
    context: Context,
    deploy: Deploy,
    /// The version of the cluster's model that was deployed last.
    deployed: u64,
    balancers: Arc<dyn LoadBalancers>,
    writer: Writer,
    /// The readiness gates of new pods; without receivers if the webhook is off.
    gates: watch::Sender<Arc<Gates>>,
    kinds: Vec<KindState>,
    /// The last outcome of each stack, by key.
    stacks: BTreeMap<String, Reconciled>,
    metrics: Metrics,
    ready: watch::Sender<bool>,
    /// The paths of objects that cannot be parsed.
    malformed: BTreeSet<String>,
    native: watch::Receiver<Model>,
    shown: Shown,
    /// Whether this replica writes; the others follow the addresses that it wrote.
    leading: watch::Receiver<bool>,
}

impl State {
    fn new(controller: &Controller) -> Self {
        let mut native = controller.native.clone();
        let model = native.borrow_and_update().clone();
        let context = controller.options.context.clone();
        let mut state = Self {
            cluster: Cluster::with_native(context.clone(), model),
            context,
            deploy: Deploy::new(controller.balancers.clone()),
            deployed: 0,
            balancers: controller.balancers.clone(),
            writer: controller.writer(),
            gates: watch::Sender::new(Arc::default()),
            kinds: vec![KindState::Pending; KINDS.len()],
            stacks: BTreeMap::new(),
            metrics: controller.metrics.clone(),
            ready: controller.ready.clone(),
            malformed: BTreeSet::new(),
            native,
            shown: Shown::default(),
            leading: watch::Sender::new(false).subscribe(),
        };
        state.serve_native();
        state
    }

    /// Serves the native file until the cluster is reachable. Never returns.
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

    /// Serves only the native file, until the state of the cluster is known.
    fn serve_native(&mut self) {
        let model = self.native.borrow().clone();
        let is_known = self.kinds.iter().all(KindState::is_settled);
        if !is_known && !model.load_balancers.is_empty() {
            self.deploy.apply(&model);
        }
    }

    /// Leaves objects to the other controllers in the cluster.
    fn meet(&mut self, seen: &Seen) {
        neighbours::tell(seen);
        self.metrics.neighbours(seen.neighbours);
        self.writer.meet(seen.neighbours);
        self.context.defaults.ownership.neighbours = seen.neighbours;
        if seen.neighbours.lbc {
            // All TargetGroupBindings are its own; they have no class.
            let bindings = self.cluster.inventory().bindings.values();
            let identity = |binding: &Binding| Identity {
                group: BINDING_GROUP.to_owned(),
                kind: BINDING.to_owned(),
                namespace: binding.meta.namespace.clone(),
                name: binding.meta.name.clone(),
            };
            let bindings: Vec<Identity> = bindings.map(identity).collect();
            for binding in bindings {
                self.writer.gone(&binding);
                self.cluster.take(Change::Gone(binding));
            }
        }
        self.cluster.set_context(self.context.clone());
    }

    async fn follow(&mut self, mut watches: Watches, mut met: watch::Receiver<Seen>) {
        loop {
            let retry = self.deploy.retry();
            tokio::select! {
                update = watches.next() => match update {
                    Some(update) => {
                        let began = Instant::now();
                        self.take(update);
                        self.gather(&mut watches, began).await;
                        self.serve(began);
                    }
                    None => return,
                },
                Ok(()) = met.changed() => {
                    let seen = met.borrow_and_update().clone();
                    self.meet(&seen);
                    self.hand_over();
                    self.serve(Instant::now());
                }
                Ok(()) = self.native.changed() => {
                    self.take_native();
                    self.serve(Instant::now());
                }
                () = at(retry) => self.serve(Instant::now()),
            }
        }
    }

    /// Says to the objects that were served that they are left to another controller.
    fn hand_over(&self) {
        for one in self.stacks.values() {
            let made = matches!(one.outcome, Outcome::Made(_));
            if made {
                self.writer.hand_over(one);
            }
        }
    }

    /// Takes further updates until the batch ends.
    async fn gather(&mut self, watches: &mut Watches, began: Instant) {
        loop {
            for update in watches.ready(CHUNK) {
                self.take(update);
            }
            if began.elapsed() >= BATCH {
                return;
            }
            match tokio::time::timeout(QUIET, watches.next()).await {
                Ok(Some(update)) => self.take(update),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Whether an object belongs to another controller, whatever it says.
    fn is_left(&self, object: &Value) -> bool {
        self.context.defaults.ownership.neighbours.lbc && object["kind"] == BINDING
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Applied(object) if self.is_left(&object) => {}
            Update::Applied(object) => {
                self.writer.see(&object);
                self.shown.see(&object);
                match Object::from_json(object) {
                    Ok(object) => {
                        self.malformed.remove(&object.path());
                        self.cluster.take(Change::Set(object));
                    }
                    // The previous state of the object stays.
                    Err(problem) => {
                        if self.malformed.insert(problem.object.clone()) {
                            warn!("cannot parse an object of the API server: {problem}");
                        }
                    }
                }
            }
            Update::Deleted(identity) => {
                self.writer.gone(&identity);
                self.shown.gone(&identity);
                self.cluster.take(Change::Gone(identity));
            }
            Update::State(index, state) => {
                if let Some(known) = self.kinds.get_mut(index) {
                    *known = state;
                }
                self.metrics
                    .synced(self.kinds.iter().all(KindState::is_synced));
            }
        }
    }

    /// Reconciles and serves the cluster, once its initial state is complete: a part of the objects would give a different
    /// model.
    fn serve(&mut self, began: Instant) {
        let is_due = self.deploy.is_due();
        if !self.kinds.iter().all(KindState::is_settled) {
            if is_due {
                self.serve_native();
            }
            return;
        }
        let is_reconciled = self.cluster.is_reconciled();
        let reconciled = self.cluster.reconcile();
        let first = !*self.ready.borrow();
        let follows = !*self.leading.borrow();
        let may_move = follows && self.shown.has_changes();
        if is_reconciled && !is_due && !first && !may_move {
            return;
        }
        // Events from elbow's own writes change nothing; only bindings may still need a status.
        let has_news = !reconciled.is_empty() || !self.cluster.inventory().bindings.is_empty();
        let version = self.cluster.version();
        if !has_news && !is_due && !first && !may_move && self.deployed == version {
            return;
        }
        self.deployed = version;
        let model = self.cluster.model();
        if !self.gates.is_closed() {
            let inventory = self.cluster.inventory();
            let take = |gates: &mut Arc<Gates>| Arc::make_mut(gates).take(&reconciled, inventory);
            self.gates.send_modify(take);
        }
        let running = &*self.balancers;
        let moves = self
            .shown
            .prefer(&reconciled, &self.stacks, follows, running);
        let changed = self.deploy.apply(&model);
        if moves {
            self.shown.settle(running);
        }
        // A deployment may change the outcome of stacks that were not reconciled.
        let again = self.stacks.values().filter(|one| {
            let is_changed = balancers(one).any(|name| changed.contains(name));
            is_changed && !reconciled.iter().any(|new| new.key == one.key)
        });
        let again: Vec<Reconciled> = again.cloned().collect();
        for mut one in reconciled.into_iter().chain(again) {
            one.diagnostics.extend(self.replaced(&one));
            self.report(&one);
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

    /// A warning if the load balancer of a stack does not have the address that its objects show.
    fn replaced(&self, reconciled: &Reconciled) -> Option<Diagnostic> {
        let Outcome::Made(made) = &reconciled.outcome else {
            return None;
        };
        let served = self.balancers.served(&made.load_balancer)?;
        self.shown
            .replaced(reconciled, made, &served, &*self.balancers)
    }

    /// Submits the outcome to the writer.
    fn write(&self, reconciled: &Reconciled) {
        let failure = balancers(reconciled).find_map(|name| self.deploy.failure(name));
        let mut names = balancers(reconciled);
        let mut served = names.next().and_then(|name| self.balancers.served(name));
        if let Some(served) = &mut served {
            let front = names.next().and_then(|name| self.balancers.served(name));
            served.front = front.map(Box::new);
        }
        self.writer.submit(reconciled.clone(), served, failure);
    }

    /// Logs and counts the outcome.
    fn report(&self, reconciled: &Reconciled) {
        let key = &*reconciled.key;
        for found in &reconciled.diagnostics {
            info!(key, "{found}");
        }
        let result = match &reconciled.outcome {
            Outcome::Made(made) => {
                match balancers(reconciled).find_map(|name| self.deploy.failure(name)) {
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
                }
            }
            Outcome::Refused(why) => {
                error!(key, "refused, the previous state stays in force: {why}");
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

/// The names of the load balancer of a stack and of the one in front of it.
fn balancers(reconciled: &Reconciled) -> impl Iterator<Item = &Arc<str>> {
    let made = match &reconciled.outcome {
        Outcome::Made(made) => Some(made),
        Outcome::Refused(_) | Outcome::Gone => None,
    };
    made.into_iter()
        .flat_map(|made| std::iter::once(&made.load_balancer).chain(&made.front))
}

/// Waits until `instant`; forever if there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
