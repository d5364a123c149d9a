//! Everything that elbow writes to the API server: finalizers, status, events, dry-run plans, readiness gates of pods.
//!
//! [`Writer`] gets the objects of the API server ([`Writer::see`]) and the results of reconciled stacks ([`Writer::submit`]), and writes
//! the differences. Without changes it writes nothing, also after a restart. Only the leader writes
//! ([`Writer::run`]); other replicas keep track of what they would write, and start with it when they become leader. Failed writes are
//! retried with back-off. Writes that the API server rejects as invalid wait for a change.
//!
//! elbow uses server-side apply with the field manager [`FIELD_MANAGER`](crate::FIELD_MANAGER), and overwrites other managers'
//! values of the same fields. Removed finalizers and pod conditions are patches; their modules say why.

mod api;
mod bindings;
mod events;
mod facts;
mod finalizers;
mod gates;
mod plan;
mod pod_gates;
mod queue;
mod stack;
mod status;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elbow_manifest::cluster::{AUTO_MODE, Identity, LBC, Outcome, Reconciled};
use elbow_manifest::context::{Neighbours, OWN_CONTROLLER, OWN_LOAD_BALANCER_CLASS};
use elbow_manifest::inventory::Inventory;
use elbow_model::Model;
use kube::{Client, Error};
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::{LoadBalancers, Served, StatusAddress};
pub(crate) use api::Api;
pub use api::{Counter, What};
use api::{Kind, Name, code, reason};
use bindings::BindingState;
use events::{Announced, Cause, EventText, Events, Pending};
use facts::{Facts, Known};
use gates::Groups;
use queue::Queue;
pub(crate) use queue::jittered;
use stack::{JobError, Task, names};
use status::OtherWriters;

/// The most jobs and events at a time; jobs come first, so that statuses do not wait for events. Enough to keep the API server busy, few enough to leave it room for others.
const MAX_RUNNING: usize = 16;
/// The prefix of the keys of TargetGroupBindings.
const BINDING_KEY: &str = "TargetGroupBinding/";
/// The wait before a rejected write is retried without a change.
const REFUSED_WAIT: Duration = Duration::from_secs(300);

/// Options of a [`Writer`].
#[derive(Clone, Debug, Default)]
pub struct WriterOptions {
    /// What the status shows.
    pub status_address: StatusAddress,
    /// Whether the first Ingress of a group gets the stack as an annotation.
    pub dry_run_plan: bool,
    /// Whether elbow takes the place of EKS Auto Mode's controllers.
    pub serves_auto_mode: bool,
    /// The name of this process among its replicas, for events.
    pub instance: String,
}

/// Writes to the API server.
#[derive(Clone)]
pub struct Writer(Arc<Inner>);

struct Inner {
    api: Api,
    options: WriterOptions,
    known: Known,
    events: Events,
    announced: Announced,
    other_writers: OtherWriters,
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    tasks: HashMap<String, Arc<Task>>,
    owners: HashMap<Name, String>,
    bindings: BTreeMap<Name, BindingState>,
    groups: Option<Arc<Groups>>,
    queue: Queue<Job>,
    /// Whether the served model changed, so that gates may be outdated.
    model_changed: bool,
    /// Who else writes to the cluster.
    neighbours: Neighbours,
    /// Whether this replica writes.
    leads: bool,
}

/// A unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Job {
    /// By the stack's key.
    Stack(String),
    /// A TargetGroupBinding.
    Binding(Name),
    /// A pod.
    Pod(Name),
}

impl Writer {
    /// Creates a writer; it writes nothing before [`Self::run`].
    pub fn new(client: Client, options: WriterOptions, counter: Counter) -> Self {
        let api = Api::new(client, counter);
        let state = State {
            tasks: HashMap::new(),
            owners: HashMap::new(),
            bindings: BTreeMap::new(),
            groups: None,
            queue: Queue::new(),
            model_changed: false,
            neighbours: Neighbours::default(),
            leads: false,
        };
        Self(Arc::new(Inner {
            events: Events::new(api.clone(), options.instance.clone()),
            api,
            options,
            known: Known::default(),
            announced: Announced::default(),
            other_writers: OtherWriters::default(),
            state: Mutex::new(state),
            wake: Notify::new(),
        }))
    }

    /// Records an object as the API server has it, with its metadata and status. Kinds that elbow does not write are
    /// ignored. If somebody changed what elbow wrote, it is written again.
    pub fn see(&self, object: &Value) {
        let Some(name) = self.0.known.see(object) else {
            return;
        };
        let now = Instant::now();
        let mut state = self.0.state();
        match name.kind {
            Kind::Pod => state.queue.put(Job::Pod(name), now),
            Kind::Binding | Kind::AutoBinding => state.queue.put(Job::Binding(name), now),
            Kind::Ingress | Kind::Service => {
                let Some(key) = state.owners.get(&name).cloned() else {
                    return;
                };
                let facts = self.0.known.get(&name);
                let at = facts.and_then(|facts| self.0.other_writers.saw(&name, &facts.addresses));
                state.queue.put(Job::Stack(key), at.unwrap_or(now));
            }
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Records which other controllers write to the cluster.
    pub fn meet(&self, neighbours: Neighbours) {
        self.0.state().neighbours = neighbours;
    }

    /// Announces to the members of a stack that another controller serves them from now on. Their status and finalizers are
    /// that controller's.
    pub fn hand_over(&self, reconciled: &Reconciled) {
        let message = format!(
            "AWS Load Balancer Controller runs in this cluster, and elbow leaves this object to it; use {OWN_CONTROLLER} as \
             the controller of the IngressClass, or loadBalancerClass {OWN_LOAD_BALANCER_CLASS}, to be served by elbow"
        );
        let text = EventText::warning("LeftToAnotherController", message);
        let leads = self.0.state().leads;
        for (name, uid) in names(&reconciled.members) {
            if leads {
                self.0
                    .announce(uid.to_owned(), &name, uid, &text, Cause::State);
            }
        }
    }

    /// Records that an object was deleted.
    pub fn gone(&self, identity: &Identity) {
        let Some(kind) = Kind::parse(&identity.group, &identity.kind) else {
            return;
        };
        let name = Name {
            kind,
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
        };
        if let Some(facts) = self.0.known.get(&name) {
            self.0.announced.forget_object(&facts.uid);
        }
        self.0.known.forget(&name);
        self.0.other_writers.forget(&name);
        self.0.state().owners.remove(&name);
    }

    /// Queues the result of a stack for writing, once the stack is applied. `served` is where its load balancer serves,
    /// `deploy_failure` why it does not.
    pub fn submit(
        &self,
        reconciled: Reconciled,
        served: Option<Served>,
        deploy_failure: Option<String>,
    ) {
        let mut state = self.0.state();
        let key = reconciled.key.clone();
        let is_binding = key.starts_with(BINDING_KEY);
        for (name, _) in names(&reconciled.members) {
            state.owners.insert(name, key.clone());
        }
        let task = Task {
            reconciled,
            served,
            deploy_failure,
        };
        state.tasks.insert(key.clone(), Arc::new(task));
        // TargetGroupBindings are queued together, by [`Self::serving`].
        if !is_binding {
            state.queue.put(Job::Stack(key), Instant::now());
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Records the applied model, first when everything has been listed: readiness gates and TargetGroupBindings follow from it.
    pub fn serving(&self, model: &Model, inventory: &Inventory) {
        let now = Instant::now();
        let mut state = self.0.state();
        let problem = |path: &str| match &state.tasks.get(path)?.reconciled.outcome {
            Outcome::Refused(found) if found.is_error() => Some(found.clone()),
            _ => None,
        };
        let bindings = bindings::states(inventory, problem);
        let refused = |task: &&Arc<Task>| matches!(task.reconciled.outcome, Outcome::Refused(_));
        let refused = state.tasks.values().filter(refused);
        let members = refused.flat_map(|task| &task.reconciled.members);
        let incomplete: HashSet<String> = members.map(|member| member.namespace.clone()).collect();
        let Neighbours { lbc, eks } = state.neighbours;
        let has_auto_mode = eks || !self.0.options.serves_auto_mode;
        let others = [lbc.then_some(&LBC), has_auto_mode.then_some(&AUTO_MODE)];
        let others = others.into_iter().flatten().collect();
        let groups = Groups::new(model, bindings::groups(&bindings), incomplete, others);
        state.groups = Some(Arc::new(groups));
        let before = std::mem::replace(&mut state.bindings, bindings);
        let State {
            bindings, queue, ..
        } = &mut *state;
        for (name, one) in bindings {
            if before.get(name) != Some(one) {
                queue.put(Job::Binding(name.clone()), now);
            }
        }
        state.model_changed = true;
        drop(state);
        self.0.wake.notify_one();
    }

    /// Writes while `leading` is true; ends when its sender is gone.
    pub async fn run(self, balancers: Arc<dyn LoadBalancers>, mut leading: watch::Receiver<bool>) {
        let mut health = balancers.health_changes();
        let mut running = JoinSet::new();
        let mut led = false;
        loop {
            let leads = *leading.borrow_and_update();
            if leads != led {
                running.abort_all();
                self.0.start_over(leads);
                led = leads;
            }
            if leads && std::mem::take(&mut self.0.state().model_changed) {
                self.0.queue_outdated_pods(&*balancers);
            }
            while leads && running.len() < MAX_RUNNING {
                if let Some(job) = self.0.state().queue.take(Instant::now()) {
                    running.spawn(self.0.clone().work(job, balancers.clone()));
                } else if let Some(event) = self.0.events.take() {
                    running.spawn(self.0.clone().publish(event));
                } else {
                    break;
                }
            }
            let room = leads && running.len() < MAX_RUNNING;
            let next = room.then(|| self.0.state().queue.next()).flatten();
            tokio::select! {
                changed = leading.changed() => if changed.is_err() {
                    return;
                },
                () = self.0.wake.notified() => {}
                Some(done) = running.join_next() => if let Ok(Some((job, result))) = done {
                    self.0.finished(job, result);
                },
                () = at(next) => {}
                Ok(()) = health.changed(), if leads => self.0.queue_outdated_pods(&*balancers),
            }
        }
    }
}

/// Waits until `instant`, or for ever without one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn groups(&self) -> Option<Arc<Groups>> {
        self.state().groups.clone()
    }

    /// Clears the queue; a new leader then queues everything that may have to be written.
    fn start_over(&self, leads: bool) {
        self.events.forget();
        self.announced.clear();
        let now = Instant::now();
        let pods = self.known.pods();
        let mut state = self.state();
        let State {
            tasks,
            bindings,
            queue,
            leads: is_leading,
            ..
        } = &mut *state;
        queue.clear();
        *is_leading = leads;
        if leads {
            let stacks = tasks.keys().filter(|key| !key.starts_with(BINDING_KEY));
            let stacks = stacks.cloned().map(Job::Stack);
            let bindings = bindings.keys().cloned().map(Job::Binding);
            let pods = pods.into_iter().map(|(name, _)| Job::Pod(name));
            for job in stacks.chain(bindings).chain(pods) {
                queue.put(job, now);
            }
        }
    }

    fn queue_outdated_pods(&self, balancers: &dyn LoadBalancers) {
        let now = Instant::now();
        for name in self.outdated_pods(balancers) {
            self.state().queue.put(Job::Pod(name), now);
        }
    }

    async fn work(
        self: Arc<Self>,
        job: Job,
        balancers: Arc<dyn LoadBalancers>,
    ) -> Option<(Job, Result<(), JobError>)> {
        let result = match &job {
            Job::Stack(key) => {
                let task = self.state().tasks.get(key).cloned();
                match task {
                    Some(task) => self.write(&task).await.map(drop),
                    None => Ok(()),
                }
            }
            Job::Binding(name) => {
                let binding = self.state().bindings.get(name).cloned();
                match binding {
                    Some(binding) => self
                        .write_binding(name, &binding)
                        .await
                        .map_err(JobError::from),
                    None => Ok(()),
                }
            }
            Job::Pod(name) => self.gate(name, &*balancers).await.map_err(JobError::from),
        };
        Some((job, result))
    }

    /// Publishes an event, which is never retried.
    async fn publish(self: Arc<Self>, event: Pending) -> Option<(Job, Result<(), JobError>)> {
        self.events.publish(&event).await;
        None
    }

    fn finished(&self, job: Job, result: Result<(), JobError>) {
        let now = Instant::now();
        let what = match &job {
            Job::Stack(key) => key.clone(),
            Job::Binding(name) | Job::Pod(name) => name.to_string(),
        };
        let mut state = self.state();
        match result {
            Ok(()) => {
                if let Job::Stack(key) = &job {
                    let gone = |task: &Arc<Task>| matches!(task.reconciled.outcome, Outcome::Gone);
                    // Unless another result was submitted meanwhile.
                    if !state.queue.holds(&job) && state.tasks.get(key).is_some_and(gone) {
                        state.tasks.remove(key);
                    }
                }
                state.queue.done(&job);
            }
            Err(JobError::Failed(error)) => {
                warn!(%what, "write failed, will be retried: {}", reason(&error));
                state.queue.failed(job, now);
            }
            Err(JobError::Rejected(error)) => {
                warn!(%what, "the API server rejects the write: {}", reason(&error));
                state.queue.postponed(job, now + REFUSED_WAIT);
            }
            Err(JobError::Postponed(until)) => state.queue.postponed(job, until),
        }
    }

    /// The known state of an object, or the API server's answer; `None` if it is gone or another object has its name.
    async fn facts(&self, name: &Name, uid: &str) -> Result<Option<Arc<Facts>>, Error> {
        let of_same = |facts: &Arc<Facts>| facts.uid == uid;
        if let Some(facts) = self.known.get(name).filter(of_same) {
            return Ok(Some(facts));
        }
        self.refresh(name).await?;
        Ok(self.known.get(name).filter(of_same))
    }

    async fn refresh(&self, name: &Name) -> Result<(), Error> {
        match self.api.get(name).await {
            Ok(object) => drop(self.known.see(&object)),
            Err(error) if code(&error) == Some(404) => self.known.forget(name),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Announces `text` for an object unless it was the last announcement about `topic`.
    fn announce(&self, topic: String, name: &Name, uid: &str, text: &EventText, cause: Cause) {
        if let Some(again) = self.announced.note(topic, text, cause) {
            self.events.put(name, uid, text, again);
            self.wake.notify_one();
        }
    }

    /// Forgets the last announcement about `topic`, so that the next one is published.
    fn forget_announced(&self, topic: &str) {
        self.announced.forget(topic);
    }
}
