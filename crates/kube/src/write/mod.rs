//! Everything that elbow writes to the API server: finalizers, status, events, the plan of a dry run, readiness gates of pods.
//!
//! [`Writer`] is told what the API server has ([`Writer::see`]) and what became of stacks ([`Writer::submit`]), and writes the
//! difference: nothing when nothing changed, nothing after a restart that finds all as it was. Only the leader writes
//! ([`Writer::run`]); the others know what they would write, and start with it when they come to lead. What fails is tried again,
//! later and later; what the API server refuses waits for a change.
//!
//! Server-side apply is used with the field manager [`FIELD_MANAGER`](crate::FIELD_MANAGER), and overwrites what others wrote
//! to the same fields. Finalizers are removed, and the conditions of pods written, by patches: see the modules for why.

mod api;
mod bindings;
mod events;
mod facts;
mod finalizers;
mod gates;
mod plan;
mod queue;
mod stack;
mod status;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elbow_manifest::cluster::{Identity, Outcome, Reconciled};
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
use bindings::Bound;
use events::{Events, Since, Tale, Told};
use facts::{Facts, Known};
use gates::Groups;
use queue::Queue;
pub(crate) use queue::jittered;
use stack::{Task, Undone, names};
use status::Rivals;

/// Jobs at work at a time: enough to be limited by the API server, few enough for it to serve others.
const AT_ONCE: usize = 16;
/// What the keys of TargetGroupBindings start with.
const BOUND: &str = "TargetGroupBinding/";
/// The wait before what the API server refused is tried again without a change.
const REFUSED_WAIT: Duration = Duration::from_secs(300);

/// How it is written.
#[derive(Clone, Debug, Default)]
pub struct WriterOptions {
    /// What the status names.
    pub status_address: StatusAddress,
    /// Whether the first Ingress of a group carries the stack as an annotation.
    pub dry_run_plan: bool,
    /// This process among its replicas, as events name it.
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
    told: Told,
    rivals: Rivals,
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    tasks: HashMap<String, Arc<Task>>,
    owners: HashMap<Name, String>,
    bound: BTreeMap<Name, Bound>,
    groups: Option<Arc<Groups>>,
    queue: Queue<Job>,
    /// Whether gates may have to follow what is served now.
    pulse: bool,
}

/// What is done at a time.
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
    /// Writes nothing before [`Self::run`].
    pub fn new(client: Client, options: WriterOptions, counter: Counter) -> Self {
        let api = Api::new(client, counter);
        let state = State {
            tasks: HashMap::new(),
            owners: HashMap::new(),
            bound: BTreeMap::new(),
            groups: None,
            queue: Queue::new(),
            pulse: false,
        };
        Self(Arc::new(Inner {
            events: Events::new(api.clone(), options.instance.clone()),
            api,
            options,
            known: Known::default(),
            told: Told::default(),
            rivals: Rivals::default(),
            state: Mutex::new(state),
            wake: Notify::new(),
        }))
    }

    /// Takes note of an object as the API server has it, with its metadata and status; kinds that are not written are passed
    /// over. When somebody undid what was written here, it is written again.
    pub fn see(&self, object: &Value) {
        let Some(name) = self.0.known.see(object) else {
            return;
        };
        let now = Instant::now();
        let mut state = self.0.state();
        match name.kind {
            Kind::Pod => state.queue.put(Job::Pod(name), now),
            Kind::Binding => state.queue.put(Job::Binding(name), now),
            Kind::Ingress | Kind::Service => {
                let Some(key) = state.owners.get(&name).cloned() else {
                    return;
                };
                let facts = self.0.known.get(&name);
                let at = facts.and_then(|facts| self.0.rivals.saw(&name, &facts.addresses));
                state.queue.put(Job::Stack(key), at.unwrap_or(now));
            }
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Takes note that an object is there no longer.
    pub fn gone(&self, identity: &Identity) {
        let Some(kind) = Kind::parse(&identity.kind) else {
            return;
        };
        let name = Name {
            kind,
            namespace: identity.namespace.clone(),
            name: identity.name.clone(),
        };
        if let Some(facts) = self.0.known.get(&name) {
            self.0.told.forget_object(&facts.uid);
        }
        self.0.known.forget(&name);
        self.0.rivals.forget(&name);
        self.0.state().owners.remove(&name);
    }

    /// Has written what became of a stack, once it is applied: `served` is where its load balancer serves, `deploy_failure` why
    /// it does not.
    pub fn submit(
        &self,
        reconciled: Reconciled,
        served: Option<Served>,
        deploy_failure: Option<String>,
    ) {
        let mut state = self.0.state();
        let key = reconciled.key.clone();
        let bound = key.starts_with(BOUND);
        for (name, _) in names(&reconciled.members) {
            state.owners.insert(name, key.clone());
        }
        let task = Task {
            reconciled,
            served,
            deploy_failure,
        };
        state.tasks.insert(key.clone(), Arc::new(task));
        // What is said of a TargetGroupBinding is said at once ([`Self::serving`]).
        if !bound {
            state.queue.put(Job::Stack(key), Instant::now());
        }
        drop(state);
        self.0.wake.notify_one();
    }

    /// Takes note of what is applied, first when everything has been listed: readiness gates and TargetGroupBindings follow it.
    pub fn serving(&self, model: &Model, inventory: &Inventory) {
        let now = Instant::now();
        let mut state = self.0.state();
        let wrong = |path: &str| match &state.tasks.get(path)?.reconciled.outcome {
            Outcome::Refused(found) if found.is_error() => Some(found.clone()),
            _ => None,
        };
        let bound = bindings::bound(inventory, wrong);
        let refused = |task: &&Arc<Task>| matches!(task.reconciled.outcome, Outcome::Refused(_));
        let refused = state.tasks.values().filter(refused);
        let unsure = refused.flat_map(|task| &task.reconciled.members);
        let unsure: HashSet<String> = unsure.map(|member| member.namespace.clone()).collect();
        let groups = Groups::new(model, bindings::groups(&bound), unsure);
        state.groups = Some(Arc::new(groups));
        let before = std::mem::replace(&mut state.bound, bound);
        let State { bound, queue, .. } = &mut *state;
        for (name, one) in bound {
            if before.get(name) != Some(one) {
                queue.put(Job::Binding(name.clone()), now);
            }
        }
        state.pulse = true;
        drop(state);
        self.0.wake.notify_one();
    }

    /// Writes what is to be written while `leading` says so, and ends when nobody can say so any longer.
    pub async fn run(self, balancers: Arc<dyn LoadBalancers>, mut leading: watch::Receiver<bool>) {
        let mut health = balancers.health_changes();
        let mut works = JoinSet::new();
        let mut led = false;
        loop {
            let leads = *leading.borrow_and_update();
            if leads != led {
                works.abort_all();
                self.0.start_over(leads);
                led = leads;
            }
            if leads && std::mem::take(&mut self.0.state().pulse) {
                self.0.take_pulse(&*balancers);
            }
            while leads && works.len() < AT_ONCE {
                let Some(job) = self.0.state().queue.take(Instant::now()) else {
                    break;
                };
                works.spawn(self.0.clone().work(job, balancers.clone()));
            }
            let room = leads && works.len() < AT_ONCE;
            let next = room.then(|| self.0.state().queue.next()).flatten();
            tokio::select! {
                changed = leading.changed() => if changed.is_err() {
                    return;
                },
                () = self.0.wake.notified() => {}
                Some(done) = works.join_next() => if let Ok((job, result)) = done {
                    self.0.finished(job, result);
                },
                () = at(next) => {}
                Ok(()) = health.changed(), if leads => self.0.take_pulse(&*balancers),
            }
        }
    }
}

/// Ends at `instant`, if there is one.
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

    /// Puts everything into the queue that may have to be written, or nothing.
    fn start_over(&self, leads: bool) {
        self.events.forget();
        self.told.clear();
        let now = Instant::now();
        let pods = self.known.pods();
        let mut state = self.state();
        let State {
            tasks,
            bound,
            queue,
            ..
        } = &mut *state;
        queue.clear();
        if leads {
            let stacks = tasks.keys().filter(|key| !key.starts_with(BOUND));
            let stacks = stacks.cloned().map(Job::Stack);
            let bindings = bound.keys().cloned().map(Job::Binding);
            let pods = pods.into_iter().map(|(name, _)| Job::Pod(name));
            for job in stacks.chain(bindings).chain(pods) {
                queue.put(job, now);
            }
        }
    }

    fn take_pulse(&self, balancers: &dyn LoadBalancers) {
        let now = Instant::now();
        for name in self.pods_to_tell(balancers) {
            self.state().queue.put(Job::Pod(name), now);
        }
    }

    async fn work(
        self: Arc<Self>,
        job: Job,
        balancers: Arc<dyn LoadBalancers>,
    ) -> (Job, Result<(), Undone>) {
        let result = match &job {
            Job::Stack(key) => {
                let task = self.state().tasks.get(key).cloned();
                match task {
                    Some(task) => self.write(&task).await.map(drop),
                    None => Ok(()),
                }
            }
            Job::Binding(name) => {
                let bound = self.state().bound.get(name).cloned();
                match bound {
                    Some(bound) => self.bind(name, &bound).await.map_err(Undone::from),
                    None => Ok(()),
                }
            }
            Job::Pod(name) => self.gate(name, &*balancers).await.map_err(Undone::from),
        };
        (job, result)
    }

    fn finished(&self, job: Job, result: Result<(), Undone>) {
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
                    // Unless more was submitted meanwhile.
                    if !state.queue.holds(&job) && state.tasks.get(key).is_some_and(gone) {
                        state.tasks.remove(key);
                    }
                }
                state.queue.done(&job);
            }
            Err(Undone::Failed(error)) => {
                warn!(%what, "not written, will be tried again: {}", reason(&error));
                state.queue.failed(job, now);
            }
            Err(Undone::Refused(error)) => {
                warn!(%what, "not written, the API server refuses it: {}", reason(&error));
                state.queue.postponed(job, now + REFUSED_WAIT);
            }
            Err(Undone::Postponed(until)) => state.queue.postponed(job, until),
        }
    }

    /// What is known of an object, or what the API server says when asked; none when it has gone, or is another by now.
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

    /// Tells `tale` of an object unless it was the last word about `topic`.
    async fn announce(&self, topic: String, name: &Name, uid: &str, tale: &Tale, since: Since) {
        if let Some(again) = self.told.note(topic, tale, since) {
            self.events.tell(name, uid, tale, again).await;
        }
    }

    /// Has the next word about `topic` told.
    fn silence(&self, topic: &str) {
        self.told.forget(topic);
    }
}
