use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use elbow_model::{DnsZone, Model};
use elbow_telemetry::Telemetry;
use tokio::sync::watch;

use crate::plane::Shared;
use crate::status::{self, Status, TargetHealth};

/// A look at a running [`Plane`](crate::Plane); cheap to clone.
#[derive(Clone)]
pub struct View(Arc<Shared>);

/// Where a load balancer serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// In AWS's shape under a local suffix.
    pub dns_name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

impl View {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// What is in force, with live numbers.
    pub fn status(&self) -> Status {
        status::of(&self.0)
    }

    /// Whether it takes no new connections any more, and ends ([`Plane::drain`](crate::Plane::drain)).
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// The model in force.
    pub fn model(&self) -> Arc<Model> {
        Arc::clone(&self.0.snapshot.load().model)
    }

    /// The numbers of the plane.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.0.telemetry
    }

    /// Writes every metric in OpenMetrics' text, without the mark of the end.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_metrics(&self, out: &mut impl fmt::Write) -> fmt::Result {
        // What nobody held any more a moment ago is not shown.
        self.0.telemetry.prune();
        self.0.count_descriptors();
        let groups = status::group_rows(&self.0);
        let certificates = status::certificate_rows(&self.0);
        self.0.telemetry.write(groups, certificates, out)
    }

    /// The generation in force, and the sockets that are to be listened on and do not serve.
    pub fn not_serving(&self) -> (u64, Vec<String>) {
        status::not_serving(&self.0)
    }

    /// What the DNS names of load balancers end in.
    pub fn dns_zone(&self) -> &DnsZone {
        &self.0.options.dns
    }

    /// Where the load balancer called `name` serves; `None` when there is none.
    pub fn load_balancer(&self, name: &str) -> Option<Served> {
        status::served(&self.0, name)
    }

    /// The health of the target that is registered as `id` at `port` in `target_group`; `None` when there is no such
    /// target.
    pub fn target_health(&self, target_group: &str, id: &str, port: u16) -> Option<TargetHealth> {
        status::target_health(&self.0, target_group, id, port)
    }

    /// A number that rises when the state of any target changes, or the reason for it.
    pub fn health_changes(&self) -> watch::Receiver<u64> {
        self.0.health_changes.subscribe()
    }
}
