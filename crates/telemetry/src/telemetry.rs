use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use crate::render::{self, CertificateRow, GroupRow};
use crate::{AccessLog, GroupMetrics, ListenerKey, ListenerMetrics, SharedCounter, Shed};

/// Open files of a process as they are at the moment of a scrape; 0 is unknown.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// What it may have at most.
    pub limit: AtomicU64,
    /// What traffic uses, with what is promised to clients.
    pub traffic: AtomicU64,
    /// What traffic may use.
    pub max_traffic: AtomicU64,
    /// Client connections that may be open.
    pub max_connections: AtomicU64,
}

/// Every number of one process.
#[derive(Debug)]
pub struct Telemetry {
    workers: usize,
    started: SystemTime,
    listeners: Mutex<BTreeMap<ListenerKey, Arc<ListenerMetrics>>>,
    groups: Mutex<BTreeMap<Arc<str>, Arc<GroupMetrics>>>,
    access_log: OnceLock<Arc<AccessLog>>,
    generation: AtomicU64,
    last_reload_ok: AtomicBool,
    reloads_ok: SharedCounter,
    reloads_failed: SharedCounter,
    /// `accept` failed, e.g. for want of file descriptors.
    pub accept_errors: SharedCounter,
    /// Open files of the process.
    pub open_files: OpenFiles,
    /// Work that was turned away; also at hand in every [`ListenerMetrics`].
    pub shed: Arc<Shed>,
}

impl Telemetry {
    /// Numbers for `workers` workers, whose ids are 0..workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            started: SystemTime::now(),
            listeners: Mutex::default(),
            groups: Mutex::default(),
            access_log: OnceLock::new(),
            generation: AtomicU64::new(0),
            last_reload_ok: AtomicBool::new(true),
            reloads_ok: SharedCounter::default(),
            reloads_failed: SharedCounter::default(),
            accept_errors: SharedCounter::default(),
            open_files: OpenFiles::default(),
            shed: Arc::default(),
        })
    }

    /// The numbers of a listener; the same ones for the same arguments, across reloads.
    pub fn listener(
        &self,
        load_balancer: &str,
        kind: &'static str,
        port: u16,
        protocol: &'static str,
    ) -> Arc<ListenerMetrics> {
        let key = ListenerKey {
            load_balancer: load_balancer.into(),
            kind,
            port,
            protocol,
        };
        let mut listeners = lock(&self.listeners);
        let metrics = listeners.entry(key.clone()).or_insert_with(|| {
            Arc::new(ListenerMetrics::new(
                key,
                self.workers,
                Arc::clone(&self.shed),
            ))
        });
        Arc::clone(metrics)
    }

    /// The numbers of a target group; the same ones for the same name, across reloads.
    pub fn group(&self, name: &str) -> Arc<GroupMetrics> {
        let mut groups = lock(&self.groups);
        if let Some(metrics) = groups.get(name) {
            return Arc::clone(metrics);
        }
        let name: Arc<str> = name.into();
        let metrics = Arc::new(GroupMetrics::new(Arc::clone(&name)));
        groups.insert(name, Arc::clone(&metrics));
        metrics
    }

    /// Forgets listeners and groups that nobody holds any more, so that a process which sees many
    /// configurations does not expose every name it ever knew. To be called once a new snapshot is
    /// in force and holds its own.
    pub fn prune(&self) {
        lock(&self.listeners).retain(|_, metrics| Arc::strong_count(metrics) > 1);
        lock(&self.groups).retain(|_, metrics| Arc::strong_count(metrics) > 1);
    }

    /// Exposes how many lines `log` wrote and dropped; the first log given stays.
    pub fn set_access_log(&self, log: Arc<AccessLog>) {
        // There is one access log in a process; a second one is a mistake of the caller that costs
        // two series and nothing else.
        let _ = self.access_log.set(log);
    }

    /// A configuration was taken (`generation` is in force now) or refused (`generation` still is).
    pub fn config_reload(&self, ok: bool, generation: u64) {
        let counter = if ok {
            &self.reloads_ok
        } else {
            &self.reloads_failed
        };
        counter.increment();
        self.last_reload_ok.store(ok, Ordering::Relaxed);
        self.generation.store(generation, Ordering::Relaxed);
    }

    /// Generation of the configuration in force.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the last configuration was taken.
    pub fn last_reload_ok(&self) -> bool {
        self.last_reload_ok.load(Ordering::Relaxed)
    }

    /// (taken, refused) configurations so far.
    pub fn reloads(&self) -> (u64, u64) {
        (self.reloads_ok.get(), self.reloads_failed.get())
    }

    /// When the process started, near enough.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Every listener known, in the order of their keys.
    pub fn listeners(&self) -> Vec<Arc<ListenerMetrics>> {
        lock(&self.listeners).values().map(Arc::clone).collect()
    }

    /// Every group known, in the order of their names.
    pub fn groups(&self) -> Vec<Arc<GroupMetrics>> {
        lock(&self.groups).values().map(Arc::clone).collect()
    }

    /// The access log whose lines are counted.
    pub fn access_log(&self) -> Option<&Arc<AccessLog>> {
        self.access_log.get()
    }

    /// Writes everything in OpenMetrics' text, without the mark of the end: [`Exposition`](crate::Exposition) makes the
    /// answer to a scrape of it. `groups` are target groups as they are now, `certificates` those in force.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(
        self: &Arc<Self>,
        groups: Vec<GroupRow>,
        certificates: Vec<CertificateRow>,
        out: &mut impl fmt::Write,
    ) -> fmt::Result {
        render::write(Arc::clone(self), groups, certificates, out)
    }
}

/// A map under a lock is whole even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
