use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Instant, SystemTime};

use crate::lcu::Meter;
use crate::{
    AccessLog, DeliveryCounts, GroupMetrics, ListenerLabels, ListenerMetrics, SharedCounter, Shed,
    SurgeQueue,
};

/// Current open-file numbers of a process; 0 is unknown.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// The limit of the process.
    pub limit: AtomicU64,
    /// Descriptors that traffic uses, including those reserved for clients.
    pub traffic: AtomicU64,
    /// Descriptors that traffic may use.
    pub max_traffic: AtomicU64,
    /// The limit of open client connections.
    pub max_connections: AtomicU64,
}

/// All metrics of one process.
#[derive(Debug)]
pub struct Telemetry {
    workers: usize,
    started: SystemTime,
    listeners: Mutex<BTreeMap<ListenerLabels, Arc<ListenerMetrics>>>,
    groups: Mutex<BTreeMap<Arc<str>, Arc<GroupMetrics>>>,
    surge_queues: Mutex<BTreeMap<Arc<str>, Arc<SurgeQueue>>>,
    access_log: OnceLock<Arc<AccessLog>>,
    generation: AtomicU64,
    last_reload_ok: AtomicBool,
    reloads_ok: SharedCounter,
    reloads_failed: SharedCounter,
    /// Failed calls of `accept`, for example for lack of file descriptors.
    pub accept_errors: SharedCounter,
    /// Open files of the process.
    pub open_files: OpenFiles,
    /// Delivered log files.
    pub log_delivery: Arc<DeliveryCounts>,
    lcus: Mutex<Meter>,
    /// Shed work; every [`ListenerMetrics`] counts into it as well.
    pub shed: Arc<Shed>,
}

impl Telemetry {
    /// Creates the metrics for `workers` workers, with the IDs 0..workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            started: SystemTime::now(),
            listeners: Mutex::default(),
            groups: Mutex::default(),
            surge_queues: Mutex::default(),
            access_log: OnceLock::new(),
            generation: AtomicU64::new(0),
            last_reload_ok: AtomicBool::new(true),
            reloads_ok: SharedCounter::default(),
            reloads_failed: SharedCounter::default(),
            accept_errors: SharedCounter::default(),
            open_files: OpenFiles::default(),
            log_delivery: Arc::default(),
            lcus: Mutex::default(),
            shed: Arc::default(),
        })
    }

    /// The metrics of a listener. The same arguments give the same metrics, across reloads.
    pub fn listener(
        &self,
        load_balancer: &str,
        kind: &'static str,
        port: u16,
        protocol: &'static str,
    ) -> Arc<ListenerMetrics> {
        let key = ListenerLabels {
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

    /// The metrics of a target group. The same name gives the same metrics, across reloads.
    pub fn group(&self, name: &str) -> Arc<GroupMetrics> {
        let mut groups = lock(&self.groups);
        if let Some(metrics) = groups.get(name) {
            return Arc::clone(metrics);
        }
        let name: Arc<str> = name.into();
        let metrics = Arc::new(GroupMetrics::new(Arc::clone(&name), self.workers));
        groups.insert(name, Arc::clone(&metrics));
        metrics
    }

    /// The surge queue of a Classic load balancer. The same name gives the same queue, across reloads.
    pub fn surge_queue(&self, load_balancer: &Arc<str>) -> Arc<SurgeQueue> {
        let mut queues = lock(&self.surge_queues);
        let queue = queues
            .entry(Arc::clone(load_balancer))
            .or_insert_with(|| Arc::new(SurgeQueue::new(Arc::clone(load_balancer))));
        Arc::clone(queue)
    }

    /// Removes listeners and groups that are no longer used, so that they do not accumulate over many
    /// configurations. Call this once a new snapshot is active and holds its metrics.
    pub fn prune(&self) {
        lock(&self.listeners).retain(|_, metrics| Arc::strong_count(metrics) > 1);
        lock(&self.groups).retain(|_, metrics| Arc::strong_count(metrics) > 1);
        lock(&self.surge_queues).retain(|_, queue| Arc::strong_count(queue) > 1);
    }

    /// Computes the capacity units of the time since the last call. Call this once a minute, as AWS does.
    pub fn sample_lcus(&self, now: Instant) {
        let listeners = self.listeners();
        lock(&self.lcus).sample(&listeners, now);
    }

    /// The capacity units of the last minute.
    pub(crate) fn lcus(&self) -> MutexGuard<'_, Meter> {
        lock(&self.lcus)
    }

    /// Exposes the line counts of `log`. Only the first call has an effect.
    pub fn set_access_log(&self, log: Arc<AccessLog>) {
        // A process has one access log; the counts of a second one would just not be exposed.
        let _ = self.access_log.set(log);
    }

    /// Counts a configuration that was applied or rejected; `generation` is the active one afterwards.
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

    /// Generation of the active configuration.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the last configuration was applied.
    pub(crate) fn last_reload_ok(&self) -> bool {
        self.last_reload_ok.load(Ordering::Relaxed)
    }

    /// The numbers of configurations applied and rejected so far.
    pub fn reloads(&self) -> (u64, u64) {
        (self.reloads_ok.get(), self.reloads_failed.get())
    }

    /// When this was created, approximately the start of the process.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// All listeners, sorted by labels.
    pub fn listeners(&self) -> Vec<Arc<ListenerMetrics>> {
        lock(&self.listeners).values().map(Arc::clone).collect()
    }

    /// All surge queues, sorted by name.
    pub(crate) fn surge_queues(&self) -> Vec<Arc<SurgeQueue>> {
        lock(&self.surge_queues).values().map(Arc::clone).collect()
    }

    /// All groups, sorted by name.
    pub fn groups(&self) -> Vec<Arc<GroupMetrics>> {
        lock(&self.groups).values().map(Arc::clone).collect()
    }

    /// The access log whose line counts are exposed.
    pub fn access_log(&self) -> Option<&Arc<AccessLog>> {
        self.access_log.get()
    }
}

/// Locks a value, which is consistent even if a thread panicked while it held the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
