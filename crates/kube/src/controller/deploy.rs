//! A model is served as far as it can be: a load balancer that cannot be leaves the others alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elbow_model::{LoadBalancer, Model};
use tokio::time::Instant;
use tracing::warn;

use crate::backoff::BackOff;
use crate::{ApplyFailure, LoadBalancers};

/// Brings models into force.
pub(super) struct Deploy {
    balancers: Arc<dyn LoadBalancers>,
    in_force: Model,
    wanted: Model,
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
            wanted: Model::default(),
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

    /// Whether `model` is what was to be served last, by pointer.
    pub(super) fn wants(&self, model: &Model) -> bool {
        let wanted = &self.wanted;
        is_shared(&wanted.load_balancers, &model.load_balancers)
            && is_shared(&wanted.target_groups, &model.target_groups)
            && is_shared(&wanted.certificates, &model.certificates)
    }

    /// When what failed is to be tried again.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Whether that is now.
    pub(super) fn is_due(&self) -> bool {
        self.retry.is_some_and(|at| at <= Instant::now())
    }

    /// Why the load balancer is not served as it is wanted.
    pub(super) fn failure(&self, load_balancer: &str) -> Option<&String> {
        let failed = self.failed.get(load_balancer);
        failed.map(|failed| &failed.message).or(self.stuck.as_ref())
    }

    /// Serves `wanted`; the load balancers whose failure came or went.
    pub(super) fn apply(&mut self, wanted: &Model) -> BTreeSet<Arc<str>> {
        self.wanted = wanted.clone();
        let again = self.is_due();
        let before = self.messages();
        let stuck = self.stuck.clone();
        if again {
            self.failed.clear();
        }
        // What failed just now fails again; what has changed since may not.
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
        if self.stuck != stuck {
            let all = wanted.load_balancers.iter();
            return all.map(|lb| lb.name.clone()).collect();
        }
        let after = self.messages();
        let names = before.keys().chain(after.keys());
        let changed = names.filter(|name| before.get(*name) != after.get(*name));
        changed.cloned().collect()
    }

    fn messages(&self) -> BTreeMap<Arc<str>, String> {
        let failed = self.failed.iter();
        failed
            .map(|(name, failed)| (name.clone(), failed.message.clone()))
            .collect()
    }

    fn bring(&mut self, wanted: &Model) {
        self.stuck = None;
        // Those that can be served neither as they are wanted nor as they were.
        let mut dropped: BTreeSet<Arc<str>> = BTreeSet::new();
        loop {
            let model = self.without_failed(wanted, &dropped);
            let Err(failures) = self.balancers.apply(model.clone()) else {
                self.in_force = model;
                return;
            };
            let mut helps = false;
            for failure in &failures {
                helps |= self.leave_out(wanted, failure, &mut dropped);
            }
            if !helps {
                let message = failures.first().map_or("", |failure| &failure.message);
                warn!("nothing of this change is served: {message}");
                self.stuck = Some(message.to_owned());
                return;
            }
        }
    }

    /// Leaves the load balancer at fault as it is in force, or out; whether there is anything left to try.
    fn leave_out(
        &mut self,
        wanted: &Model,
        failure: &ApplyFailure,
        dropped: &mut BTreeSet<Arc<str>>,
    ) -> bool {
        let name = failure.load_balancer.as_deref();
        let mut balancers = wanted.load_balancers.iter();
        let Some(culprit) = balancers.find(|lb| Some(&*lb.name) == name) else {
            return false;
        };
        if self.failed.contains_key(&culprit.name) {
            return dropped.insert(culprit.name.clone());
        }
        let message = failure.message.clone();
        warn!(
            load_balancer = name,
            "not served as it is wanted; the others are: {message}"
        );
        let wanted = culprit.clone();
        self.failed
            .insert(culprit.name.clone(), Failed { wanted, message });
        true
    }

    /// `wanted`, with what is in force in the place of what fails.
    fn without_failed(&self, wanted: &Model, dropped: &BTreeSet<Arc<str>>) -> Model {
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

fn is_shared<T>(one: &[Arc<T>], other: &[Arc<T>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(a, b)| Arc::ptr_eq(a, b))
}
