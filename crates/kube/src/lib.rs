//! Follows a live cluster: watches and translates its objects, and writes the results back.
//!
//! ```text
//!   API server --watch--> Cluster (elbow-manifest) --Model--> LoadBalancers (what serves)
//!        ^                      |                                   |
//!        +------ write <--Reconciled--------- served, health -------+
//! ```
//!
//! This crate opens no listener: the embedding program provides something that serves a model, as
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
mod neighbours;
mod role;
pub mod token;
mod watch;
pub mod webhook;
pub mod write;

use std::net::IpAddr;

use elbow_desired::Failure;
use elbow_manifest::Context;
use elbow_manifest::context::Personality;
use elbow_model::Model;
use elbow_model::addresses::{Ipv4Net, Preferred};

pub use check::check;
pub use controller::Controller;
pub use error::Error;
pub use metrics::Metrics;
pub use watch::{Listing, list};

/// The field manager of every write.
pub const FIELD_MANAGER: &str = "elbow";

/// A controller's settings, besides the objects in the cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// The environment, with the flags that override the environment file.
    pub context: Context,
    /// The only namespace that elbow watches; `None`: all.
    pub watch_namespace: Option<String>,
    /// What the status of an Ingress or a Service shows.
    pub status_address: StatusAddress,
    /// Whether to write the stack to the annotation `dry-run-plan` instead of serving it.
    pub dry_run_plan: bool,
    /// Which replica writes.
    pub leader_election: LeaderElection,
}

impl Options {
    /// Whether elbow takes the place of EKS Auto Mode's controllers.
    fn serves_auto_mode(&self) -> bool {
        self.context.personality == Personality::EksAuto
    }
}

/// What the status of an Ingress or a Service shows.
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

/// Leader election: the replica that holds a Lease writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// If false, this replica always writes.
    pub enabled: bool,
    /// The namespace of the Lease; `None`: that of the client.
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

/// Serves load balancers.
pub trait LoadBalancers: Send + Sync + 'static {
    /// Replaces the served model with `model`.
    ///
    /// # Errors
    /// Every known reason why the model cannot be served. The previous model then stays in force.
    fn apply(&self, model: Model) -> Result<(), Vec<Failure>>;

    /// Sets the addresses that load balancers should have from the next [`Self::apply`] on.
    fn prefer(&self, preferred: Preferred) {
        let _ = preferred;
    }

    /// The pool of addresses of load balancers, if there is one.
    fn address_pool(&self) -> Option<Ipv4Net> {
        None
    }

    /// Takes note of the sockets of listeners that are wanted and do not serve.
    fn set_left_out(&self, sockets: Vec<String>) {
        let _ = sockets;
    }

    /// Where a load balancer serves; `None` if there is none of this name.
    fn served(&self, load_balancer: &str) -> Option<Served>;

    /// The health of a target; `None` if it is not registered. `id` is the registered id with its
    /// port: `10.0.0.1:8080`, `i-0123:30080`.
    fn health(&self, target_group: &str, id: &str) -> Option<TargetHealth>;

    /// A number that changes when the health of any target does.
    fn health_changes(&self) -> tokio::sync::watch::Receiver<u64>;
}

/// The addresses of a serving load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Its DNS name, in lower case.
    pub dns_name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Those of the Network Load Balancer in front of it, if there is one.
    pub front: Option<Box<Self>>,
}

/// The health of a target, in terms of `DescribeTargetHealth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetHealth {
    /// `healthy`, `unhealthy`, `initial`, …
    pub state: String,
    /// `Target.ResponseCodeMismatch`, …
    pub reason: Option<String>,
    /// The reason in words.
    pub description: Option<String>,
}
