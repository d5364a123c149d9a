//! The control loop: watch events update the cluster state, which is reconciled to a model that is served and a status
//! that is written back.

mod deploy;
mod shown;
mod state;

use std::sync::Arc;
use std::time::Duration;

use elbow_model::Model;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::backoff::BackOff;
use crate::client::{self, Server};
use crate::lease::{self, LeaseOptions};
use crate::neighbours;
use crate::watch::{Settings, Watches};
use crate::webhook;
use crate::write::{Counter, Writer, WriterOptions};
use crate::{Error, LeaderElection, LoadBalancers, Metrics, Options};
use state::State;

/// The time limit for releasing the Lease at the end.
const RELEASE: Duration = Duration::from_secs(2);
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
            auto_mode: self.options.serves_auto_mode(),
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
            let defaults = &self.options.context.defaults;
            let options = webhook::Options::new(&client, &defaults.quic_environment_variable_name);
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
            serves_auto_mode: self.options.serves_auto_mode(),
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
