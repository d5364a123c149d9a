//! Serves as much of the desired model as possible, and retries failures.

use std::collections::BTreeSet;
use std::sync::Arc;

use elbow_desired::{Desired, Retry};
use elbow_model::Model;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::LoadBalancers;

/// Applies models to the load balancers.
pub(super) struct Deploy {
    balancers: Arc<dyn LoadBalancers>,
    desired: Desired,
    retry: Retry,
    due: Option<Instant>,
}

impl Deploy {
    pub(super) fn new(balancers: Arc<dyn LoadBalancers>) -> Self {
        Self {
            balancers,
            desired: Desired::default(),
            retry: Retry::default(),
            due: None,
        }
    }

    /// The model that serves.
    pub(super) fn in_force(&self) -> &Model {
        self.desired.in_force()
    }

    /// When to retry failures; `None` without any.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the retry is due.
    pub(super) fn is_due(&self) -> bool {
        self.due.is_some_and(|at| at <= Instant::now())
    }

    /// Why the load balancer is not served as configured.
    pub(super) fn failure(&self, load_balancer: &str) -> Option<String> {
        self.desired.failure(load_balancer)
    }

    /// Serves `wanted`; returns the load balancers that fail now or recovered.
    pub(super) fn apply(&mut self, wanted: &Model) -> BTreeSet<Arc<str>> {
        let again = self.is_due();
        let balancers = &self.balancers;
        let attempt = self
            .desired
            .serve(wanted, again, |model| balancers.apply(model));
        balancers.set_left_out(self.desired.not_serving());
        if attempt.is_complete {
            self.retry.reset();
            self.due = None;
        } else if again || self.due.is_none() {
            self.due = Some(Instant::now() + self.retry.next());
        }
        for failure in &attempt.new {
            let message = failure.message();
            match failure.load_balancer.as_deref() {
                Some(name) => warn!(
                    load_balancer = name,
                    "not served as configured, other load balancers are unaffected: {message}"
                ),
                None => warn!("the change is not served: {message}"),
            }
        }
        for failure in &attempt.over {
            let name = failure.load_balancer.as_deref().unwrap_or_default();
            info!(
                load_balancer = name,
                "no longer fails: {}",
                failure.message()
            );
        }
        let changed = attempt.new.iter().chain(&attempt.over);
        let changed: Option<BTreeSet<Arc<str>>> = changed
            .map(|failure| failure.load_balancer.clone())
            .collect();
        changed.unwrap_or_else(|| {
            let all = wanted.load_balancers.iter();
            all.map(|lb| lb.name.clone()).collect()
        })
    }
}
