//! The state that the threads of a plane share.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use elbow_http::Providers;
use elbow_model::addresses::Preferred;
use elbow_net::networks::Networks;
use elbow_net::open_files::{self, Budget, Needs};
use elbow_telemetry::Telemetry;
use elbow_tls::{BackendPolicy, Originator, Tickets};
use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use crate::clients::Clients;
use crate::flows::{self, UdpFlow};
use crate::inheritance::Inheritance;
use crate::logs::Logs;
use crate::message::{Command, Sockets, Update};
use crate::names::Resolved;
use crate::options::Options;
use crate::snapshot::{self, Built, Changes, ListenerState, Parts, Snapshot};

/// The state that the threads of a plane share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) snapshot: ArcSwap<Snapshot>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) logs: Logs,
    /// Increases when the state of a target or its reason changes.
    pub(crate) health_changes: watch::Sender<u64>,
    /// Sockets of configured listeners that were left out of the model.
    pub(crate) left_out: ArcSwap<Vec<String>>,
    pub(crate) originators: Originators,
    /// The descriptor budget of traffic.
    pub(crate) budget: Arc<Budget>,
    /// The networks of this machine, as they were when the model was applied last.
    pub(crate) networks: Arc<ArcSwap<Networks>>,
    /// Who is behind connections from one listener to another.
    pub(crate) clients: Arc<Clients>,
    /// Set when the plane starts draining.
    pub(crate) draining: AtomicBool,
    state: Mutex<State>,
    pub(crate) tickets: Tickets,
    pub(crate) providers: Providers,
}

/// TLS originators that verify nothing, one for each security policy of connections to targets.
pub(crate) struct Originators {
    rfc9151: Originator,
    fips_post_quantum: Originator,
    fips: Originator,
    post_quantum: Originator,
    tls13: Originator,
    tls12: Originator,
}

impl Originators {
    fn new() -> io::Result<Self> {
        let with = |policy| Originator::new(policy).map_err(io::Error::other);
        Ok(Self {
            rfc9151: with(BackendPolicy::Rfc9151)?,
            fips_post_quantum: with(BackendPolicy::FipsPostQuantum)?,
            fips: with(BackendPolicy::Fips)?,
            post_quantum: with(BackendPolicy::PostQuantum)?,
            tls13: with(BackendPolicy::Tls13)?,
            tls12: with(BackendPolicy::Tls12)?,
        })
    }

    /// The originator for the targets of `listener`.
    pub(crate) fn of<'a>(&'a self, listener: &'a ListenerState) -> &'a Originator {
        match &listener.authentication {
            Some(authentication) => &authentication.originator,
            None => self.with(listener.backend()),
        }
    }

    /// The originator that offers targets what `policy` has, and verifies nothing.
    pub(crate) fn with(&self, policy: BackendPolicy) -> &Originator {
        match policy {
            BackendPolicy::Rfc9151 => &self.rfc9151,
            BackendPolicy::FipsPostQuantum => &self.fips_post_quantum,
            BackendPolicy::Fips => &self.fips,
            BackendPolicy::PostQuantum => &self.post_quantum,
            BackendPolicy::Tls13 => &self.tls13,
            BackendPolicy::Tls12 => &self.tls12,
        }
    }
}

/// State changed by one thread at a time, and not used in the data path.
#[derive(Default)]
pub(crate) struct State {
    resolved: FxHashMap<Arc<str>, Resolved>,
    /// The addresses that load balancers should have.
    pub(crate) preferred: Preferred,
    pub(crate) workers: Vec<mpsc::UnboundedSender<Command>>,
    pub(crate) control: Option<mpsc::UnboundedSender<Update>>,
    /// What another process passed, until this one accepts connections.
    pub(crate) inheritance: Option<Inheritance>,
}

impl State {
    /// Lets the workers accept connections from `opened`, and serve the UDP `flows` that arrive there.
    pub(crate) fn listen(&self, opened: Vec<Sockets>, flows: Vec<UdpFlow>) {
        let mut flows = flows::by_listener(flows);
        for Sockets { key, sockets } in opened {
            for (worker, socket) in self.workers.iter().cycle().zip(sockets) {
                let identity = flows::identity(&socket).ok();
                let flows = identity.and_then(|identity| flows.remove(&identity));
                let flows = flows.unwrap_or_default();
                let _ = worker.send(Command::Listen { key, socket, flows });
            }
        }
    }
}

impl Shared {
    /// Creates the state with an empty snapshot.
    ///
    /// # Errors
    /// If the TLS library cannot be set up.
    pub(crate) fn new(
        options: Options,
        telemetry: Arc<Telemetry>,
        logs: Logs,
    ) -> io::Result<Arc<Self>> {
        let per_target = if options.targets_within { 2 } else { 1 };
        let shared = Self {
            snapshot: ArcSwap::default(),
            health_changes: watch::Sender::default(),
            left_out: ArcSwap::default(),
            networks: Arc::default(),
            clients: Arc::default(),
            draining: AtomicBool::new(false),
            state: Mutex::default(),
            tickets: Tickets::new(),
            providers: Providers::default(),
            originators: Originators::new()?,
            budget: Budget::new(options.max_connections, per_target),
            options,
            telemetry,
            logs,
        };
        shared.share_descriptors(&Snapshot::default());
        Ok(Arc::new(shared))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave the values inconsistent: each is replaced in a single step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn parts<'a>(&'a self, previous: &'a Snapshot, state: &'a State) -> Parts<'a> {
        Parts {
            previous,
            resolved: &state.resolved,
            telemetry: &self.telemetry,
            tickets: &self.tickets,
            logs: &self.logs,
            providers: &self.providers,
            workers: self.options.workers,
            port_offset: self.options.port_offset,
            dns: &self.options.dns,
        }
    }

    /// Applies the result of a lookup of `name`.
    pub(crate) fn resolve(&self, name: &Arc<str>, found: Resolved) {
        let mut state = self.lock();
        match (state.resolved.get(name), &found) {
            // A failed lookup does not remove targets.
            (Some(Ok(_)), Err(_)) => {}
            _ => {
                state.resolved.insert(Arc::clone(name), found);
                let groups = self.snapshot.load().groups_of_host(name);
                self.refresh(&mut state, groups);
            }
        }
    }

    /// Removes targets of `group` that have drained.
    pub(crate) fn drained(&self, group: &Arc<str>) {
        self.refresh(&mut self.lock(), vec![Arc::clone(group)]);
    }

    /// Rebuilds `groups`.
    fn refresh(&self, state: &mut State, groups: Vec<Arc<str>>) {
        let previous = self.snapshot.load_full();
        let Built {
            snapshot,
            changes,
            failures,
        } = snapshot::refresh(groups, &self.parts(&previous, state));
        for failure in &failures {
            warn!(error = %failure, "cannot refresh targets");
        }
        if failures.is_empty() {
            self.publish(state, snapshot, changes, Vec::new());
        }
    }

    /// The result of the last lookup of `name`.
    pub(crate) fn resolved(&self, name: &str) -> Option<Resolved> {
        self.lock().resolved.get(name).cloned()
    }

    /// Makes every worker poll its connections once, because connections to a target were terminated.
    pub(crate) fn wake_workers(&self) {
        for worker in &self.lock().workers {
            // A worker that has ended has no connections.
            let _ = worker.send(Command::Wake);
        }
    }

    /// Notifies subscribers that the health of targets changed.
    pub(crate) fn health_changed(&self) {
        self.health_changes.send_modify(|n| *n += 1);
    }

    /// Sets the descriptor budget of traffic for `snapshot`.
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

    /// Updates the descriptor metrics before a scrape.
    pub(crate) fn count_descriptors(&self) {
        let files = &self.telemetry.open_files;
        let set = |number: &AtomicU64, value| number.store(value, Ordering::Relaxed);
        set(&files.limit, open_files::limit().unwrap_or_default());
        set(&files.traffic, self.budget.used());
        set(&files.max_traffic, self.budget.most());
        set(&files.max_connections, self.budget.max_clients());
    }

    /// Publishes `next`.
    pub(crate) fn publish(
        &self,
        state: &mut State,
        next: Snapshot,
        changes: Changes,
        opened: Vec<Sockets>,
    ) {
        next.activate(&changes);
        if let Some(inheritance) = &state.inheritance {
            inheritance.restore_health(&next, &changes);
        }
        self.share_descriptors(&next);
        let next = Arc::new(next);
        self.snapshot.store(Arc::clone(&next));
        match &mut state.inheritance {
            Some(inheritance) => inheritance.hold(opened, &changes.closed),
            None => state.listen(opened, Vec::new()),
        }
        for key in &changes.handed_over {
            for worker in &state.workers {
                let _ = worker.send(Command::HandOver(*key));
            }
        }
        for key in &changes.closed {
            for worker in &state.workers {
                let _ = worker.send(Command::Unlisten(*key));
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
