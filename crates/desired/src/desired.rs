//! As much of a model as can be served.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{LoadBalancer, Model};

/// Why a load balancer, or one of its listeners, cannot be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The load balancer at fault; `None`: leaving one out does not help.
    pub load_balancer: Option<Arc<str>>,
    /// The port of the listener at fault; `None`: the whole load balancer.
    pub listener: Option<u16>,
    /// The socket that cannot be bound.
    pub socket: Option<SocketAddr>,
    /// Who has to act.
    pub cause: Cause,
    /// What is wrong, and what to do.
    pub diagnostic: Diagnostic,
}

/// Who has to act on a [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The author of the configuration.
    Input,
    /// Whoever runs elbow: a port is busy, or a permission is missing.
    Environment,
}

impl Failure {
    /// Of a whole load balancer.
    pub fn new(load_balancer: Option<Arc<str>>, cause: Cause, diagnostic: Diagnostic) -> Self {
        Self {
            load_balancer,
            listener: None,
            socket: None,
            cause,
            diagnostic,
        }
    }

    /// What is wrong and what to do, in one line.
    pub fn message(&self) -> String {
        match &self.diagnostic.hint {
            Some(hint) => format!("{}; {hint}", self.diagnostic.message),
            None => self.diagnostic.message.clone(),
        }
    }
}

/// What one [`Desired::serve`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Whether everything that is wanted serves.
    pub is_complete: bool,
    /// Whether nothing of what is wanted could be put in force: what served before serves on.
    pub is_refused: bool,
    /// Failures that did not exist before.
    pub new: Vec<Failure>,
    /// Failures that are over.
    pub over: Vec<Failure>,
}

/// The model that is wanted, and the part of it that serves.
///
/// ```
/// use elbow_desired::Desired;
/// use elbow_model::Model;
///
/// let mut desired = Desired::default();
/// let attempt = desired.serve(&Model::default(), false, |_| Ok(()));
/// assert!(attempt.is_complete);
/// ```
#[derive(Debug, Default)]
pub struct Desired {
    wanted: Model,
    in_force: Model,
    left_out: BTreeMap<Arc<str>, LeftOut>,
    /// Why nothing of what is wanted serves, when no load balancer is at fault.
    refused: Option<Failure>,
}

/// A load balancer that is not served as it is wanted.
#[derive(Debug)]
struct LeftOut {
    wanted: Arc<LoadBalancer>,
    failures: Vec<Failure>,
    instead: Instead,
}

/// What serves instead of a load balancer.
#[derive(Clone, Debug)]
enum Instead {
    /// The same without the listeners on these ports.
    Without(BTreeSet<u16>, Option<Arc<LoadBalancer>>),
    /// What served before; nothing when nothing did.
    Before,
    Nothing,
}

impl Desired {
    /// What serves.
    pub fn in_force(&self) -> &Model {
        &self.in_force
    }

    /// Why a load balancer is not served as it is wanted, in one line.
    pub fn failure(&self, load_balancer: &str) -> Option<String> {
        let own = self.left_out.get(load_balancer);
        let own = own.and_then(|one| one.failures.first());
        own.or(self.refused.as_ref()).map(Failure::message)
    }

    /// Every failure, by load balancer.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        let own = self.left_out.values().flat_map(|one| &one.failures);
        own.chain(&self.refused)
    }

    /// The listeners that are wanted and do not serve: their sockets, else `name:port`.
    pub fn not_serving(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (name, one) in &self.left_out {
            for listener in &one.wanted.listeners {
                if self.serves(name, listener.port) {
                    continue;
                }
                let mut failures = one.failures.iter();
                let socket = failures.find(|failure| failure.listener == Some(listener.port));
                let socket = socket.and_then(|failure| failure.socket);
                missing.push(socket.map_or_else(
                    || format!("{name}:{}", listener.port),
                    |socket| socket.to_string(),
                ));
            }
        }
        missing
    }

    /// Serves as much of `wanted` as `apply` accepts. A load balancer that failed before is left out from the start, as
    /// long as it is the same, unless all is tried `again`. A listener that fails is left out; when it served before,
    /// or when the load balancer fails, the load balancer stays as it was.
    pub fn serve(
        &mut self,
        wanted: &Model,
        again: bool,
        mut apply: impl FnMut(Model) -> Result<(), Vec<Failure>>,
    ) -> Attempt {
        self.wanted = wanted.clone();
        let before: Vec<Failure> = self.failures().cloned().collect();
        if again {
            self.left_out.clear();
        }
        let is_wanted = |one: &LeftOut| {
            let mut all = wanted.load_balancers.iter();
            all.any(|lb| Arc::ptr_eq(lb, &one.wanted))
        };
        self.left_out.retain(|_, one| is_wanted(one));
        self.refused = None;
        let mut has_failed = false;
        loop {
            let candidate = self.candidate();
            // What is in force needs no second application.
            if has_failed && candidate == self.in_force {
                break;
            }
            let Err(failures) = apply(candidate.clone()) else {
                self.in_force = candidate;
                break;
            };
            has_failed = true;
            let mut is_news = false;
            for failure in &failures {
                is_news |= self.leave_out(failure);
            }
            if !is_news {
                self.refused = failures.into_iter().next();
                break;
            }
        }
        self.attempt(&before)
    }

    fn attempt(&self, before: &[Failure]) -> Attempt {
        let now: Vec<&Failure> = self.failures().collect();
        let over = before.iter().filter(|failure| !now.contains(failure));
        let new = now.iter().filter(|failure| !before.contains(failure));
        Attempt {
            is_complete: now.is_empty(),
            is_refused: self.refused.is_some(),
            new: new.map(|failure| (*failure).clone()).collect(),
            over: over.cloned().collect(),
        }
    }

    /// Leaves out what is at fault; false when there is nothing left to try.
    fn leave_out(&mut self, failure: &Failure) -> bool {
        let name = failure.load_balancer.as_ref();
        let mut balancers = self.wanted.load_balancers.iter();
        let Some(culprit) = balancers.find(|lb| Some(&lb.name) == name) else {
            return false;
        };
        let new_port = failure
            .listener
            .filter(|port| !self.serves(&culprit.name, *port));
        let Some(one) = self.left_out.get_mut(&culprit.name) else {
            let instead = match new_port {
                Some(port) => Instead::without(culprit, BTreeSet::from([port])),
                None => Instead::Before,
            };
            let one = LeftOut {
                wanted: Arc::clone(culprit),
                failures: vec![failure.clone()],
                instead,
            };
            self.left_out.insert(Arc::clone(&culprit.name), one);
            return true;
        };
        if !one.failures.contains(failure) {
            one.failures.push(failure.clone());
        }
        let next = match (&one.instead, new_port) {
            (Instead::Without(ports, _), Some(port)) if !ports.contains(&port) => {
                let mut ports = ports.clone();
                ports.insert(port);
                Instead::without(culprit, ports)
            }
            (Instead::Without(..), _) => Instead::Before,
            (Instead::Before, _) => Instead::Nothing,
            (Instead::Nothing, _) => return false,
        };
        one.instead = next;
        true
    }

    /// Whether a listener is in force.
    fn serves(&self, load_balancer: &str, port: u16) -> bool {
        let mut balancers = self.in_force.load_balancers.iter();
        let balancer = balancers.find(|lb| &*lb.name == load_balancer);
        balancer.is_some_and(|lb| lb.listeners.iter().any(|listener| listener.port == port))
    }

    /// What is wanted, with what serves instead of what is left out.
    fn candidate(&self) -> Model {
        let mut model = self.wanted.clone();
        if self.left_out.is_empty() {
            return model;
        }
        let mut kept = Vec::new();
        model.load_balancers = self
            .wanted
            .load_balancers
            .iter()
            .filter_map(
                |lb| match self.left_out.get(&lb.name).map(|one| &one.instead) {
                    None => Some(Arc::clone(lb)),
                    Some(Instead::Without(_, rest)) => rest.clone(),
                    Some(Instead::Nothing) => None,
                    Some(Instead::Before) => {
                        let mut in_force = self.in_force.load_balancers.iter();
                        let before = in_force.find(|before| before.name == lb.name).cloned();
                        kept.extend(before.clone());
                        before
                    }
                },
            )
            .collect();
        for balancer in kept {
            self.keep_parts(&balancer, &mut model);
        }
        model
    }

    /// Adds the target groups and certificates that a load balancer in force needs and `model` lacks.
    fn keep_parts(&self, balancer: &LoadBalancer, model: &mut Model) {
        for name in balancer.target_groups() {
            if model.target_group(name).is_none() {
                let group = self.in_force.target_group(name).cloned();
                model.target_groups.extend(group);
            }
        }
        let listeners = balancer.listeners.iter();
        for certificate in listeners.flat_map(|listener| &listener.certificates) {
            if model.certificate(&certificate.name).is_none() {
                model.certificates.push(Arc::clone(certificate));
            }
        }
    }
}

impl Instead {
    /// The load balancer without the listeners on `ports`; nothing of one that has no others.
    fn without(balancer: &LoadBalancer, ports: BTreeSet<u16>) -> Self {
        let mut rest = balancer.clone();
        rest.listeners
            .retain(|listener| !ports.contains(&listener.port));
        let rest = (!rest.listeners.is_empty()).then(|| Arc::new(rest));
        Self::Without(ports, rest)
    }
}

#[cfg(test)]
mod tests;
