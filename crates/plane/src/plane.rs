//! Running load balancers.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use elbow_logs::Buckets;
use elbow_model::Model;
use elbow_model::addresses::Preferred;
use elbow_telemetry::Telemetry;

use crate::apply::Applied;
use crate::control::{self, ControlHandle};
use crate::error::ApplyError;
use crate::logs::Logs;
use crate::message::Command;
use crate::options::Options;
use crate::shared::Shared;
use crate::view::View;
use crate::worker::{self, WorkerHandle};

/// Running load balancers.
pub struct Plane {
    pub(crate) shared: Arc<Shared>,
    pub(crate) workers: Vec<WorkerHandle>,
    control: ControlHandle,
}

impl Plane {
    /// Starts the threads. Nothing listens until [`Plane::apply`]. The descriptor budget is based on the current limit of
    /// open files.
    ///
    /// # Errors
    /// If a thread or a runtime cannot be started.
    pub fn start(options: Options, telemetry: Arc<Telemetry>, logs: Logs) -> io::Result<Self> {
        let shared = Shared::new(options, telemetry, logs)?;
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

    /// Applies `model`. Listeners that stay are not closed, open connections continue, and targets that
    /// stay keep their health.
    ///
    /// # Errors
    /// All failures at once; nothing changes then, and the previous model keeps serving. A retry without the load balancers
    /// at fault costs as much as this attempt, in proportion to what the model changes.
    pub fn apply(&self, model: Model) -> Result<Applied, ApplyError> {
        let result = self.shared.apply(Arc::new(model));
        let generation = self.shared.snapshot.load().generation;
        self.shared
            .telemetry
            .config_reload(result.is_ok(), generation);
        result
    }

    /// Sets the pool addresses that load balancers should have from the next [`Plane::apply`] on. One that is taken or not
    /// of the pool has no effect.
    pub fn prefer(&self, preferred: Preferred) {
        self.shared.lock().preferred = preferred;
    }

    /// Trusts the identity providers whose certificates `root`, in PEM, issues.
    ///
    /// # Errors
    /// It is not a certificate in PEM.
    pub fn trust_identity_providers(&self, root: &str) -> io::Result<()> {
        self.shared.providers.trust(root)
    }

    /// Sets where the buckets of logs are, from now on.
    pub fn set_log_buckets(&self, buckets: Buckets) {
        self.shared.logs.set_buckets(buckets);
    }

    /// A read-only view of the active configuration and its state.
    pub fn view(&self) -> View {
        View::new(Arc::clone(&self.shared))
    }

    /// Sets the sockets of configured listeners that were left out of the model, so that they count as not serving.
    pub fn set_left_out(&self, sockets: Vec<String>) {
        self.shared.left_out.store(Arc::new(sockets));
    }

    /// Whether the files of a certificate or trust store cannot be used any more, so that it keeps its previous content.
    pub fn is_stale(&self) -> bool {
        let snapshot = self.shared.snapshot.load();
        snapshot.stale().next().is_some()
    }

    /// Counts a reload that failed before [`Plane::apply`].
    pub fn reload_failed(&self) {
        let generation = self.shared.snapshot.load().generation;
        self.shared.telemetry.config_reload(false, generation);
    }

    /// Stops accepting and waits until open connections have finished, for at most `timeout`; then ends
    /// the rest. Health checks continue meanwhile. The plane serves nothing afterwards.
    pub fn drain(&self, timeout: Duration) {
        self.drain_workers(timeout, false);
    }

    /// As [`Plane::drain`], after another process has taken over the sockets: an idle HTTP/1.1 connection stays until its
    /// next request, because the request may already be on its way.
    pub fn drain_after_hand_over(&self, timeout: Duration) {
        self.drain_workers(timeout, true);
    }

    fn drain_workers(&self, timeout: Duration, has_successor: bool) {
        let deadline = Instant::now() + timeout;
        self.shared.draining.store(true, Ordering::Relaxed);
        for worker in &self.workers {
            worker.send(Command::Drain { has_successor });
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
        self.shared.logs.close();
    }

    /// Whether every worker responds within `timeout`.
    pub fn responds(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let (sender, answers) = mpsc::channel();
        for worker in &self.workers {
            worker.send(Command::Answer(sender.clone()));
        }
        let mut answered = self.workers.iter().map(|_| {
            let left = deadline.saturating_duration_since(Instant::now());
            answers.recv_timeout(left)
        });
        answered.all(|answer| answer.is_ok())
    }

    /// Ends a [`Plane::drain`] running on another thread at once.
    pub fn stop(&self) {
        for worker in &self.workers {
            worker.send(Command::Stop);
        }
    }
}
