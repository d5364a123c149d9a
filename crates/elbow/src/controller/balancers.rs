//! A plane, as a controller of a cluster sees it.

use std::sync::Arc;

use elbow_kube::{ApplyFailure, LoadBalancers, Served, TargetHealth};
use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;
use elbow_plane::{Plane, View};
use tokio::sync::watch;

use crate::{cert, run};

/// Serves models with a plane.
pub(super) struct Balancers {
    plane: Arc<Plane>,
    view: View,
}

impl Balancers {
    pub(super) fn new(plane: Arc<Plane>) -> Self {
        Self {
            view: plane.view(),
            plane,
        }
    }
}

impl LoadBalancers for Balancers {
    fn apply(&self, model: Model) -> Result<(), Vec<ApplyFailure>> {
        let wanted = model.clone();
        let model = cert::resolve(model).map_err(|refused| rejected(&wanted, &refused))?;
        self.plane.apply(model).map_err(|failure| {
            let hint = run::hint(&failure);
            let failures = failure.failures().into_iter();
            let told = failures.map(|one| ApplyFailure {
                load_balancer: one.load_balancer.map(|name| name.to_string()),
                message: format!("{}; {hint}", one.message),
            });
            told.collect()
        })
    }

    fn served(&self, load_balancer: &str) -> Option<Served> {
        let served = self.view.load_balancer(load_balancer)?;
        Some(Served {
            dns_name: served.dns_name.to_lowercase(),
            addresses: served.addresses,
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

/// Whose certificates cannot be issued.
fn rejected(model: &Model, refused: &[Diagnostic]) -> Vec<ApplyFailure> {
    let mut failures = Vec::new();
    for found in refused {
        let name = found.object.strip_prefix("certificate/");
        let uses = |lb: &&Arc<elbow_model::LoadBalancer>| {
            let mut certificates = lb.listeners.iter().flat_map(|l| &l.certificates);
            certificates.any(|one| name == Some(&*one.name))
        };
        let before = failures.len();
        let culprits = model.load_balancers.iter().filter(uses);
        failures.extend(culprits.map(|lb| ApplyFailure {
            load_balancer: Some(lb.name.to_string()),
            message: found.message.clone(),
        }));
        if failures.len() == before {
            failures.push(ApplyFailure {
                load_balancer: None,
                message: found.message.clone(),
            });
        }
    }
    failures
}
