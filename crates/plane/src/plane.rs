use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use elbow_model::addresses::{self, Addresses, Ipv4Net, PoolFull};
use elbow_model::{Change, DnsZone, Model, changed, summary};
use elbow_net::open_files::{Budget, Needs};
use elbow_net::{listen, open_files};
use elbow_telemetry::{AccessLog, Telemetry};
use elbow_tls::{Originator, Tickets};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::control::{self, ControlHandle, Update};
use crate::error::{ApplyError, BindError};
use crate::names::Resolved;
use crate::snapshot::{Changes, Parts, Snapshot};
use crate::view::View;
use crate::worker::{self, Command, WorkerHandle};

/// The changes of one model that have a line of their own in the log.
const CHANGES_TOLD: usize = 20;

/// How a plane runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Where load balancers without an address get one.
    pub address_pool: Ipv4Net,
    /// Added to every listener's port, for users who may not bind below 1024.
    pub port_offset: u16,
    /// Which system calls carry bytes.
    pub data_path: DataPath,
    /// What DNS names end in.
    pub dns: DnsZone,
    /// Client connections that may be open at a time, at least 1; `None`: as many as there are descriptors for.
    pub max_connections: Option<u64>,
    /// Whether targets are sockets of this process, as the pods of a demo are: a connection to one takes two
    /// descriptors then.
    pub targets_within: bool,
    /// How long a peer may take to get what the other side of its flow sent before a reset; the same as the time that
    /// [`Plane::drain`] gives.
    pub drain_timeout: Duration,
}

/// Which system calls carry bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPath {
    /// The fastest that the kernel has: `splice(2)` for bulk.
    #[default]
    Auto,
    /// Read and write alone.
    Portable,
}

/// Running load balancers.
pub struct Plane {
    pub(crate) shared: Arc<Shared>,
    workers: Vec<WorkerHandle>,
    control: ControlHandle,
}

/// What is bound at an address, one for each worker.
type Sockets = (SocketAddr, Vec<TcpListener>);

/// What the threads of a plane share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) log: Option<Arc<AccessLog>>,
    /// Rises when the state of a target changes, or its reason.
    pub(crate) health_changes: watch::Sender<u64>,
    pub(crate) originators: Originators,
    /// Descriptors of traffic.
    pub(crate) budget: Arc<Budget>,
    /// Set once, when the plane begins to drain.
    pub(crate) draining: AtomicBool,
    state: Mutex<State>,
    tickets: Tickets,
}

/// TLS towards targets, by what the listener's policy allows (ALB guide: security policies).
pub(crate) struct Originators {
    pub(crate) tls13: Originator,
    pub(crate) tls12: Originator,
}

/// Changed by one thread at a time; never touched on the path of a byte.
#[derive(Default)]
struct State {
    resolved: FxHashMap<Arc<str>, Resolved>,
    workers: Vec<mpsc::UnboundedSender<Command>>,
    control: Option<mpsc::UnboundedSender<Update>>,
}

impl Plane {
    /// Starts the threads; nothing listens until [`Plane::apply`]. Descriptors are divided by the limit of open files
    /// that the process has now.
    ///
    /// # Errors
    /// When the system refuses a thread or a runtime.
    pub fn start(
        options: Options,
        telemetry: Arc<Telemetry>,
        log: Option<Arc<AccessLog>>,
    ) -> io::Result<Self> {
        let per_target = if options.targets_within { 2 } else { 1 };
        let budget = Budget::new(options.max_connections, per_target);
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::default(),
            health_changes: watch::Sender::default(),
            draining: AtomicBool::new(false),
            state: Mutex::default(),
            tickets: Tickets::new(),
            originators: Originators {
                tls13: Originator::new(true).map_err(io::Error::other)?,
                tls12: Originator::new(false).map_err(io::Error::other)?,
            },
            budget,
            options,
            telemetry,
            log,
        });
        shared.share_descriptors(&Snapshot::default());
        let workers = (0..shared.options.workers)
            .map(|id| worker::spawn(id, Arc::clone(&shared)))
            .collect::<io::Result<Vec<_>>>()?;
        let control = control::spawn(Arc::clone(&shared))?;
        let mut state = shared.lock();
        state.workers = workers.iter().map(|w| w.commands.clone()).collect();
        state.control = Some(control.updates.clone());
        drop(state);
        Ok(Self {
            shared,
            workers,
            control,
        })
    }

    /// Serves `model` from now on. Listeners that stay are not closed, connections are not cut, and
    /// targets that stay keep their health.
    ///
    /// # Errors
    /// Nothing changes then, and what served before serves on.
    pub fn apply(&self, model: Model) -> Result<(), ApplyError> {
        let result = self.shared.apply(Arc::new(model));
        let generation = self.shared.snapshot.load().generation;
        self.shared
            .telemetry
            .config_reload(result.is_ok(), generation);
        result
    }

    /// What is in force, for those who only look.
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.shared))
    }

    /// Counts a reload that did not come as far as [`Plane::apply`].
    pub fn reload_failed(&self) {
        let generation = self.shared.snapshot.load().generation;
        self.shared.telemetry.config_reload(false, generation);
    }

    /// Stops accepting, lets what is in progress finish, and returns when it has or when `timeout`
    /// is over; then everything that is left is cut. Health checks go on meanwhile. Serves nothing
    /// afterwards.
    pub fn drain(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        self.shared.draining.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            worker.send(Command::Drain);
        }
        let running: Vec<_> = self.workers.iter().filter_map(|w| w.running()).collect();
        for worker in &running {
            worker.wait(deadline.saturating_duration_since(Instant::now()));
        }
        self.stop();
        for worker in running {
            worker.join();
        }
        self.control.stop();
        if let Some(log) = &self.shared.log {
            log.close();
        }
    }

    /// Ends a [`Plane::drain`] that runs on another thread.
    pub fn stop(&self) {
        for worker in &self.workers {
            worker.send(Command::Stop);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the values whole: each is replaced in one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parts<'a>(&'a self, previous: &'a Snapshot, state: &'a State) -> Parts<'a> {
        Parts {
            previous,
            resolved: &state.resolved,
            telemetry: &self.telemetry,
            tickets: &self.tickets,
            workers: self.options.workers,
            port_offset: self.options.port_offset,
            dns: &self.options.dns,
        }
    }

    fn apply(&self, model: Arc<Model>) -> Result<(), ApplyError> {
        let state = self.lock();
        let previous = self.snapshot.load_full();
        let addresses = self.addresses(&previous, &model)?;
        let parts = self.parts(&previous, &state);
        let (next, changes) = Snapshot::build(Arc::clone(&model), &addresses, &parts)
            .map_err(ApplyError::Rejected)?;
        let sockets = self.bind_new(&next, &changes)?;
        tell(next.generation, &elbow_model::diff(&previous.model, &model));
        self.publish(&state, next, changes, sockets);
        Ok(())
    }

    /// Where everything listens, when anything may listen elsewhere than before.
    fn addresses(&self, previous: &Snapshot, model: &Model) -> Result<Addresses, PoolFull> {
        let (old, new) = (&previous.model.load_balancers, &model.load_balancers);
        let mut set = changed(old, new, |lb| &lb.name).set.into_iter();
        if set.all(|(before, lb)| before.is_some_and(|b| b.addresses == lb.addresses)) {
            return Ok(Addresses::new());
        }
        addresses::assign(model, self.options.address_pool, |name| {
            Some(&previous.balancers.get(name)?.addresses)
        })
    }

    /// Takes what the look-up of `name` gave.
    pub(crate) fn resolve(&self, name: &Arc<str>, found: Resolved) {
        let mut state = self.lock();
        match (state.resolved.get(name), &found) {
            // A resolver that is away does not take targets away.
            (Some(Ok(_)), Err(_)) => {}
            _ => {
                state.resolved.insert(Arc::clone(name), found);
                let groups = self.snapshot.load().groups_of_host(name);
                self.refresh(&state, groups);
            }
        }
    }

    /// Lets targets of `group` go that have drained.
    pub(crate) fn drained(&self, group: &Arc<str>) {
        self.refresh(&self.lock(), vec![Arc::clone(group)]);
    }

    /// Makes `groups` anew.
    fn refresh(&self, state: &State, groups: Vec<Arc<str>>) {
        let previous = self.snapshot.load_full();
        match Snapshot::refreshed(groups, &self.parts(&previous, state)) {
            Ok((next, changes)) => self.publish(state, next, changes, Vec::new()),
            Err(errors) => {
                for error in errors {
                    warn!(error = %error.diagnostic, "targets could not be refreshed");
                }
            }
        }
    }

    /// What the last look-up of `name` gave.
    pub(crate) fn resolved(&self, name: &str) -> Option<Resolved> {
        self.lock().resolved.get(name).cloned()
    }

    /// Has every worker look at its connections once: a target was cut.
    pub(crate) fn wake_workers(&self) {
        for worker in &self.lock().workers {
            // A worker that has ended has no connections.
            let _ = worker.send(Command::Wake);
        }
    }

    /// Sockets for the listeners that `next` adds: one a worker, so that the kernel spreads
    /// connections.
    fn bind_new(&self, next: &Snapshot, changes: &Changes) -> Result<Vec<Sockets>, ApplyError> {
        let mut sockets = Vec::new();
        let mut errors = Vec::new();
        let opened = changes.opened.iter();
        for (address, listener) in opened.filter_map(|a| Some((a, next.listeners.get(a)?))) {
            match self.bind(*address) {
                Ok(bound) => sockets.push((*address, bound)),
                Err(source) => errors.push(BindError {
                    load_balancer: Arc::clone(&listener.load_balancer),
                    port: listener.port,
                    address: *address,
                    source,
                }),
            }
        }
        match errors.is_empty() {
            true => Ok(sockets),
            false => Err(ApplyError::Bind(errors)),
        }
    }

    fn bind(&self, address: SocketAddr) -> io::Result<Vec<TcpListener>> {
        exclusive(address)?;
        let workers = 0..self.options.workers;
        workers.map(|_| listen::bind(address)).collect()
    }

    /// Has those told who follow the health of targets.
    pub(crate) fn health_changed(&self) {
        self.health_changes.send_modify(|n| *n += 1);
    }

    /// Gives traffic the descriptors that nothing else needs while `snapshot` is in force.
    fn share_descriptors(&self, snapshot: &Snapshot) {
        let Some(limit) = open_files::limit() else {
            return;
        };
        let targets = snapshot.groups.values().map(|g| g.registered().len());
        let needs = Needs {
            workers: self.options.workers as u64,
            listening: (snapshot.listeners.len() * self.options.workers) as u64,
            targets: targets.sum::<usize>() as u64,
        };
        self.budget.set_most(needs.left_for_traffic(limit));
    }

    /// Notes for a scrape how many descriptors there are.
    pub(crate) fn count_descriptors(&self) {
        let files = &self.telemetry.open_files;
        let set = |number: &AtomicU64, value| number.store(value, Ordering::Relaxed);
        set(&files.limit, open_files::limit().unwrap_or_default());
        set(&files.traffic, self.budget.used());
        set(&files.max_traffic, self.budget.most());
        set(&files.max_connections, self.budget.max_clients());
    }

    fn publish(&self, state: &State, next: Snapshot, changes: Changes, sockets: Vec<Sockets>) {
        next.activate(&changes);
        self.share_descriptors(&next);
        let next = Arc::new(next);
        self.snapshot.store(Arc::clone(&next));
        for (address, listeners) in sockets {
            for (worker, listener) in state.workers.iter().zip(listeners) {
                let _ = worker.send(Command::Listen { address, listener });
            }
        }
        for address in &changes.handed_over {
            for worker in &state.workers {
                let _ = worker.send(Command::HandOver(*address));
            }
        }
        for address in &changes.closed {
            for worker in &state.workers {
                let _ = worker.send(Command::Unlisten(*address));
            }
        }
        let is_gone = |name| !next.groups.contains_key(name);
        let gone = !changes.closed.is_empty() || changes.groups.iter().any(is_gone);
        if let Some(control) = &state.control {
            let _ = control.send(Update {
                snapshot: next,
                changes,
            });
        }
        if gone {
            self.telemetry.prune();
        }
    }
}

/// Says what changes; of many changes the first ones, and how many there are.
fn tell(generation: u64, changes: &[Change]) {
    for change in changes.iter().take(CHANGES_TOLD) {
        info!(generation, "{change}");
    }
    if changes.len() > CHANGES_TOLD {
        let all = summary(changes);
        info!(
            generation,
            "and {} more: {all}",
            changes.len() - CHANGES_TOLD
        );
    }
}

/// Fails when anything listens on `address` already: sockets that share a port by `SO_REUSEPORT`
/// would otherwise share it silently with another process of the same user.
fn exclusive(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}
