use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use elbow_model::addresses::{Ipv4Net, home};
use elbow_model::{DnsZone, Model, ZoneName};
use elbow_telemetry::{Rows, Telemetry};
use tokio::sync::watch;

use crate::shared::Shared;
use crate::status::{self, Served, Status, TargetHealth};

/// A read-only view of a running [`Plane`](crate::Plane); cheap to clone.
#[derive(Clone)]
pub struct View(Arc<Shared>);

impl View {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The active configuration with its current state.
    pub fn status(&self) -> Status {
        status::of(&self.0)
    }

    /// Whether the plane is draining ([`Plane::drain`](crate::Plane::drain)) and accepts no new connections.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// The active model.
    pub fn model(&self) -> Arc<Model> {
        Arc::clone(&self.0.snapshot.load().model)
    }

    /// The public key that the `kid` of `x-amzn-oidc-data` names, as PEM.
    pub fn public_key(&self, id: &str) -> Option<String> {
        self.0.providers.public_key(id).map(str::to_owned)
    }

    /// The metrics of the plane.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.0.telemetry
    }

    /// Writes all metrics as OpenMetrics text, without the final `# EOF`.
    ///
    /// # Errors
    /// Errors of `out`.
    pub fn write_metrics(&self, out: &mut impl fmt::Write) -> fmt::Result {
        // Series that are no longer used are not exposed.
        self.0.telemetry.prune();
        self.0.count_descriptors();
        let rows = Rows {
            groups: status::group_rows(&self.0),
            zones: status::zone_rows(&self.0),
            certificates: status::certificate_rows(&self.0),
        };
        self.0.telemetry.write(rows, out)
    }

    /// The generation of the active configuration, which increases with every change.
    pub fn generation(&self) -> u64 {
        self.0.snapshot.load().generation
    }

    /// The active generation, and the sockets of its listeners that do not accept connections.
    pub fn not_serving(&self) -> (u64, Vec<String>) {
        status::not_serving(&self.0)
    }

    /// The region and suffix of DNS names.
    pub fn dns_zone(&self) -> &DnsZone {
        &self.0.options.dns
    }

    /// The pool of addresses of load balancers.
    pub fn address_pool(&self) -> Ipv4Net {
        self.0.options.address_pool
    }

    /// The load balancers with an address of the pool that does not follow from their name, and these addresses.
    pub fn displaced(&self) -> Vec<(Arc<str>, IpAddr)> {
        let pool = self.address_pool();
        let snapshot = self.0.snapshot.load();
        let balancers = snapshot.balancers.values();
        let pooled = balancers.filter(|state| state.config.addresses.is_empty());
        let displaced = pooled.filter_map(|state| {
            let (name, address) = (&state.config.name, *state.addresses.first()?);
            (home(name, pool) != Some(address)).then(|| (Arc::clone(name), address))
        });
        displaced.collect()
    }

    /// The DNS name and addresses of the load balancer `name`, if it exists.
    pub fn load_balancer(&self, name: &str) -> Option<Served> {
        status::served(&self.0, name)
    }

    /// The addresses in DNS of the load balancer `name` for `client`, if it exists. Zones with too few healthy targets are left
    /// out, unless all have too few. `turn` counts queries, some of which are answered with the client's own zone alone.
    pub fn dns_addresses(&self, name: &str, client: IpAddr, turn: u64) -> Option<Vec<IpAddr>> {
        status::dns_addresses(&self.0, name, client, turn)
    }

    /// The addresses of the node in `zone` of the load balancer `name`, if it exists.
    pub fn zonal_addresses(&self, name: &str, zone: &ZoneName) -> Option<Vec<IpAddr>> {
        status::zonal_addresses(&self.0, name, zone)
    }

    /// The health of the target registered as `id` with `port` in `target_group`, if it exists.
    pub fn target_health(&self, target_group: &str, id: &str, port: u16) -> Option<TargetHealth> {
        status::target_health(&self.0, target_group, id, port)
    }

    /// A number that increases whenever the state of a target or its reason changes.
    pub fn health_changes(&self) -> watch::Receiver<u64> {
        self.0.health_changes.subscribe()
    }
}
