//! A live cluster: what its API server says is watched and translated, and what serves is written back.
//!
//! ```text
//!   API server --watch--> Cluster (elbow-manifest) --Model--> LoadBalancers (what serves)
//!        ^                      |                                   |
//!        +------ write <--Reconciled--------- served, health -------+
//! ```
//!
//! Nothing here listens: who embeds this crate gives it something that serves a model, as
//! [`LoadBalancers`].

mod backoff;
mod check;
pub mod client;
mod controller;
pub mod crd;
mod error;
pub mod inside;
pub mod lease;
mod metrics;
pub mod token;
mod watch;
pub mod webhook;
pub mod write;

use std::net::IpAddr;

use elbow_manifest::Context;
use elbow_model::Model;

pub use check::check;
pub use controller::Controller;
pub use error::Error;
pub use metrics::Metrics;
pub use watch::{Listing, list};

/// Who writes what to the cluster: the field manager of every write.
pub const FIELD_MANAGER: &str = "elbow";

/// What a controller is told besides what stands in the cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// What AWS knows and manifests do not say, with the flags that go before the environment file.
    pub context: Context,
    /// The only namespace whose objects count; `None`: all.
    pub watch_namespace: Option<String>,
    /// What the status of an Ingress or a Service names.
    pub status_address: StatusAddress,
    /// Whether the stack is written to the annotation `dry-run-plan` instead of being served.
    pub dry_run_plan: bool,
    /// Which of several replicas writes.
    pub leader_election: LeaderElection,
}

/// What the status of an Ingress or a Service names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusAddress {
    /// The DNS name, as on AWS.
    #[default]
    Hostname,
    /// The addresses.
    Ip,
    /// Both.
    Both,
}

/// Which of several replicas writes: the one that holds a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// Off: this one writes, whoever else does.
    pub enabled: bool,
    /// Where the Lease is; `None`: the namespace of the client.
    pub namespace: Option<String>,
    /// The name of the Lease.
    pub id: String,
}

impl Default for LeaderElection {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: None,
            id: "elbow-leader".to_owned(),
        }
    }
}

/// What serves the load balancers.
pub trait LoadBalancers: Send + Sync + 'static {
    /// Serves `model`, whole.
    ///
    /// # Errors
    /// What cannot be served, all of it that is known; then all is as before.
    fn apply(&self, model: Model) -> Result<(), Vec<ApplyFailure>>;

    /// Where a load balancer serves; `None` when there is none called so.
    fn served(&self, load_balancer: &str) -> Option<Served>;

    /// The health of a target, `None` when it is not registered; `id` as it is registered, with its
    /// port: `10.0.0.1:8080`, `i-0123:30080`.
    fn health(&self, target_group: &str, id: &str) -> Option<TargetHealth>;

    /// A number that changes when the health of any target does.
    fn health_changes(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// Where a load balancer serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// In lower case.
    pub dns_name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// The health of a target, in the words of `DescribeTargetHealth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// `healthy`, `unhealthy`, `initial`, …
    pub state: String,
    /// `Target.ResponseCodeMismatch`, …
    pub reason: Option<String>,
    /// The reason for a person.
    pub description: Option<String>,
}

/// Why a model is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApplyFailure {
    /// The load balancer without which the rest can be served, where it is known.
    pub load_balancer: Option<String>,
    /// What is wrong and what to do, in one line.
    pub message: String,
}
