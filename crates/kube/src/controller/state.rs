//! The state of the controller: what is known of the cluster, and what serves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use elbow_manifest::cluster::{Change, Cluster, Identity, Outcome, Reconciled};
use elbow_manifest::objects::Binding;
use elbow_manifest::{Context, Object};
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

use super::Controller;
use super::deploy::Deploy;
use super::shown::Shown;
use crate::neighbours::{self, Seen};
use crate::watch::{KINDS, Kind, KindState, Update, Watches};
use crate::webhook::Gates;
use crate::write::Writer;
use crate::{LoadBalancers, Metrics};

/// Changes come in batches: a batch ends after this time without changes.
const QUIET: Duration = Duration::from_millis(2);
/// The longest time that a batch may collect changes.
const BATCH: Duration = Duration::from_millis(50);
/// The number of changes to take without a look at the clock.
const CHUNK: usize = 4096;
/// The kind of objects that AWS Load Balancer Controller serves without a class.
const BINDING: &str = "TargetGroupBinding";
const BINDING_GROUP: &str = "elbv2.k8s.aws";

/// The known state of the cluster and the state of what is served.
pub(super) struct State {
    cluster: Cluster,
    context: Context,
    deploy: Deploy,
    /// The version of the cluster's model that was deployed last.
    deployed: u64,
    balancers: Arc<dyn LoadBalancers>,
    pub(super) writer: Writer,
    /// The readiness gates of new pods; without receivers if the webhook is off.
    pub(super) gates: watch::Sender<Arc<Gates>>,
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
    pub(super) leading: watch::Receiver<bool>,
}

impl State {
    pub(super) fn new(controller: &Controller) -> Self {
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
            kinds: kinds(controller.options.serves_auto_mode()),
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
    pub(super) async fn wait(&mut self) {
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
    pub(super) fn meet(&mut self, seen: &Seen) {
        neighbours::tell(seen);
        self.metrics.neighbours(seen.neighbours);
        self.writer.meet(seen.neighbours);
        self.context.defaults.ownership.neighbours = seen.neighbours;
        if seen.neighbours.lbc {
            // All TargetGroupBindings of its group are its own; they have no class.
            let bindings = self.cluster.inventory().bindings.values();
            let bindings = bindings.filter(|binding| !binding.is_auto);
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

    pub(super) async fn follow(&mut self, mut watches: Watches, mut met: watch::Receiver<Seen>) {
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
        let version = object["apiVersion"].as_str().unwrap_or_default();
        self.context.defaults.ownership.neighbours.lbc
            && object["kind"] == BINDING
            && version.starts_with(BINDING_GROUP)
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

/// The states of all kinds at the start: those that are not watched count as absent.
fn kinds(auto_mode: bool) -> Vec<KindState> {
    let state = |kind: &Kind| {
        if kind.is_watched(auto_mode) {
            KindState::Pending
        } else {
            KindState::Absent
        }
    };
    KINDS.iter().map(state).collect()
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

/// Waits until `instant`, or forever for `None`.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
