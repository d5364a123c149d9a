//! A plane as the load balancers of a cluster controller.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use elbow_desired::Failure;
use elbow_kube::{LoadBalancers, Served, TargetHealth};
use elbow_model::Model;
use elbow_model::addresses::{Ipv4Net, Preferred};
use elbow_plane::{Plane, View};
use tokio::sync::watch;

use crate::{deploy, placed};

/// Serves models with a plane.
pub(super) struct Balancers {
    plane: Arc<Plane>,
    view: View,
    /// Addresses from before a restart. What the status of objects shows takes precedence.
    recorded: BTreeMap<Arc<str>, IpAddr>,
}

impl Balancers {
    pub(super) fn new(plane: Arc<Plane>) -> Self {
        Self {
            view: plane.view(),
            recorded: placed::recorded(plane.view().address_pool()),
            plane,
        }
    }
}

impl LoadBalancers for Balancers {
    fn apply(&self, model: Model) -> Result<(), Vec<Failure>> {
        deploy::apply(&self.plane, model)
    }

    fn prefer(&self, preferred: Preferred) {
        let mut all = self.recorded.clone();
        all.extend(preferred.addresses);
        self.plane.prefer(Preferred {
            addresses: all,
            ..preferred
        });
    }

    fn address_pool(&self) -> Option<Ipv4Net> {
        Some(self.view.address_pool())
    }

    fn set_left_out(&self, sockets: Vec<String>) {
        self.plane.set_left_out(sockets);
    }

    fn served(&self, load_balancer: &str) -> Option<Served> {
        let served = self.view.load_balancer(load_balancer)?;
        Some(Served {
            dns_name: served.dns_name.to_lowercase(),
            addresses: served.addresses,
            front: None,
        })
    }

    fn health(&self, target_group: &str, id: &str) -> Option<TargetHealth> {
        let (id, port) = id.rsplit_once(':')?;
        let id = id.trim_start_matches('[').trim_end_matches(']');
        let port = port.parse().ok()?;
        let health = self.view.target_health(target_group, id, port)?;
        Some(TargetHealth {
            state: health.state.to_owned(),
            reason: health.reason.map(str::to_owned),
            description: health.description.map(String::from),
        })
    }

    fn health_changes(&self) -> watch::Receiver<u64> {
        self.view.health_changes()
    }
}
