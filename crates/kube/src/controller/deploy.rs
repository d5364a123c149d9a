//! A model is served as far as it can be: a load balancer that cannot be leaves the others alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::{LoadBalancer, Model};
use tokio::time::Instant;
use tracing::warn;

use crate::LoadBalancers;
use crate::backoff::BackOff;

/// Brings models into force.
pub(super) struct Deploy {
    balancers: Arc<dyn LoadBalancers>,
    in_force: Model,
    failed: BTreeMap<Arc<str>, Failed>,
    /// Why nothing new is in force, where no load balancer is to blame.
    stuck: Option<String>,
    back_off: BackOff,
    retry: Option<Instant>,
}

/// A load balancer that cannot be served as it is wanted.
struct Failed {
    wanted: Arc<LoadBalancer>,
    message: String,
}

impl Deploy {
    pub(super) fn new(balancers: Arc<dyn LoadBalancers>) -> Self {
        Self {
            balancers,
            in_force: Model::default(),
            failed: BTreeMap::new(),
            stuck: None,
            back_off: BackOff::default(),
            retry: None,
        }
    }

    /// What serves.
    pub(super) fn in_force(&self) -> &Model {
        &self.in_force
    }

    /// When what failed is to be tried again.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Why the load balancer is not served as it is wanted.
    pub(super) fn failure(&self, load_balancer: &str) -> Option<&String> {
        let failed = self.failed.get(load_balancer);
        failed.map(|failed| &failed.message).or(self.stuck.as_ref())
    }

    /// Serves `wanted`; the load balancers whose failure came or went.
    pub(super) fn apply(&mut self, wanted: &Model) -> Vec<Arc<str>> {
        let again = self.retry.is_some_and(|at| at <= Instant::now());
        let before: BTreeMap<Arc<str>, String> = self.messages();
        let known = if again {
            BTreeMap::new()
        } else {
            std::mem::take(&mut self.failed)
        };
        // What failed just now fails again; what has changed since may not.
        self.failed = known;
        let is_wanted = |failed: &Failed| {
            let mut all = wanted.load_balancers.iter();
            all.any(|lb| Arc::ptr_eq(lb, &failed.wanted))
        };
        self.failed.retain(|_, failed| is_wanted(failed));
        self.bring(wanted);
        if self.failed.is_empty() && self.stuck.is_none() {
            self.back_off.reset();
            self.retry = None;
        } else if again || self.retry.is_none() {
            self.retry = Some(Instant::now() + self.back_off.next());
        }
        let after = self.messages();
        let names = before.keys().chain(after.keys());
        let mut changed: Vec<Arc<str>> = names
            .filter(|name| before.get(*name) != after.get(*name))
            .cloned()
            .collect();
        changed.sort();
        changed.dedup();
        changed
    }

    fn messages(&self) -> BTreeMap<Arc<str>, String> {
        let failed = self.failed.iter();
        failed
            .map(|(name, failed)| (name.clone(), failed.message.clone()))
            .collect()
    }

    fn bring(&mut self, wanted: &Model) {
        self.stuck = None;
        // Those that serve as they did before, and those that do not serve at all.
        let mut dropped: Vec<Arc<str>> = Vec::new();
        loop {
            let model = self.without_failed(wanted, &dropped);
            let failure = match self.balancers.apply(model.clone()) {
                Ok(()) => {
                    self.in_force = model;
                    return;
                }
                Err(failure) => failure,
            };
            let name = failure.load_balancer.as_deref().unwrap_or_default();
            let culprit = wanted.load_balancers.iter().find(|lb| &*lb.name == name);
            let Some(culprit) = culprit.filter(|lb| !dropped.contains(&lb.name)) else {
                warn!("nothing of this change is served: {}", failure.message);
                self.stuck = Some(failure.message);
                return;
            };
            if self.failed.contains_key(&culprit.name) {
                dropped.push(culprit.name.clone());
                continue;
            }
            warn!(
                load_balancer = name,
                "not served as it is wanted; the others are: {}", failure.message
            );
            let failed = Failed {
                wanted: culprit.clone(),
                message: failure.message,
            };
            self.failed.insert(culprit.name.clone(), failed);
        }
    }

    /// `wanted`, with what is in force in the place of what fails.
    fn without_failed(&self, wanted: &Model, dropped: &[Arc<str>]) -> Model {
        let mut model = wanted.clone();
        if self.failed.is_empty() {
            return model;
        }
        model
            .load_balancers
            .retain(|lb| !self.failed.contains_key(&lb.name));
        let kept = self.in_force.load_balancers.iter();
        for balancer in
            kept.filter(|lb| self.failed.contains_key(&lb.name) && !dropped.contains(&lb.name))
        {
            for name in balancer.target_groups() {
                if model.target_group(name).is_none() {
                    model
                        .target_groups
                        .extend(self.in_force.target_group(name).cloned());
                }
            }
            let certificates = balancer
                .listeners
                .iter()
                .flat_map(|listener| &listener.certificates);
            for certificate in certificates {
                if model.certificate(&certificate.name).is_none() {
                    model.certificates.push(certificate.clone());
                }
            }
            model.load_balancers.push(balancer.clone());
        }
        model
    }
}
