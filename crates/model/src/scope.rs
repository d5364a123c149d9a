//! What the listeners of a load balancer may name.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::environment::Environment;
use crate::target_group::TargetGroup;
use crate::trust_store::TrustStore;

/// Target groups, certificates and trust stores by their names, for the load balancers that refer to them.
///
/// ```
/// use elbow_model::{ActionSpec, ListenerSpec, LoadBalancer, LoadBalancerSpec, Scope};
///
/// let listener = ListenerSpec {
///     port: Some(80),
///     protocol: Some("HTTP".into()),
///     default_actions: Some(vec![ActionSpec::forward("pods")]),
///     ..ListenerSpec::default()
/// };
/// let spec = LoadBalancerSpec {
///     name: Some("web".into()),
///     kind: Some("application".into()),
///     listeners: vec![listener],
///     ..LoadBalancerSpec::default()
/// };
/// let faults = LoadBalancer::new(&spec, &Scope::default()).value.unwrap_err();
/// assert_eq!(faults[0].code, "unknown-target-group");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scope {
    // Sorted, so that the same mistake gets the same hint every time.
    target_groups: BTreeMap<Arc<str>, Option<Arc<TargetGroup>>>,
    certificates: BTreeMap<Arc<str>, Option<Arc<Certificate>>>,
    trust_stores: BTreeMap<Arc<str>, Option<Arc<TrustStore>>>,
    environment: Arc<Environment>,
}

/// What a name stands for.
pub(crate) enum Lookup<T> {
    Found(T),
    /// It exists, and something is wrong with it.
    Refused,
    Unknown,
}

impl Scope {
    /// Adds a target group; the first of a name stays.
    pub fn add_target_group(&mut self, group: &Arc<TargetGroup>) {
        let entry = self.target_groups.entry(Arc::clone(&group.name));
        entry.or_insert_with(|| Some(Arc::clone(group)));
    }

    /// Adds a target group that could not be built. Who refers to it is at no fault.
    pub fn add_refused_target_group(&mut self, name: &str) {
        self.target_groups.entry(name.into()).or_insert(None);
    }

    /// Adds a certificate; the first of a name stays.
    pub fn add_certificate(&mut self, certificate: &Arc<Certificate>) {
        let entry = self.certificates.entry(Arc::clone(&certificate.name));
        entry.or_insert_with(|| Some(Arc::clone(certificate)));
    }

    /// Adds a certificate that could not be built. Who refers to it is at no fault.
    pub fn add_refused_certificate(&mut self, name: &str) {
        self.certificates.entry(name.into()).or_insert(None);
    }

    /// Adds a trust store; the first of a name stays.
    pub fn add_trust_store(&mut self, store: &Arc<TrustStore>) {
        let entry = self.trust_stores.entry(Arc::clone(&store.name));
        entry.or_insert_with(|| Some(Arc::clone(store)));
    }

    /// Adds a trust store that could not be built. Who refers to it is at no fault.
    pub fn add_refused_trust_store(&mut self, name: &str) {
        self.trust_stores.entry(name.into()).or_insert(None);
    }

    pub(crate) fn set_environment(&mut self, environment: &Arc<Environment>) {
        self.environment = Arc::clone(environment);
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    pub(crate) fn target_group(&self, name: &str) -> Lookup<&TargetGroup> {
        match self.target_groups.get(name) {
            Some(Some(group)) => Lookup::Found(group),
            Some(None) => Lookup::Refused,
            None => Lookup::Unknown,
        }
    }

    pub(crate) fn certificate(&self, name: &str) -> Lookup<&Arc<Certificate>> {
        match self.certificates.get(name) {
            Some(Some(certificate)) => Lookup::Found(certificate),
            Some(None) => Lookup::Refused,
            None => Lookup::Unknown,
        }
    }

    pub(crate) fn trust_store(&self, name: &str) -> Lookup<&Arc<TrustStore>> {
        match self.trust_stores.get(name) {
            Some(Some(store)) => Lookup::Found(store),
            Some(None) => Lookup::Refused,
            None => Lookup::Unknown,
        }
    }

    pub(crate) fn trust_store_names(&self) -> impl Iterator<Item = &str> {
        self.trust_stores.keys().map(|name| &**name)
    }

    pub(crate) fn target_group_names(&self) -> impl Iterator<Item = &str> {
        self.target_groups.keys().map(|name| &**name)
    }

    pub(crate) fn certificate_names(&self) -> impl Iterator<Item = &str> {
        self.certificates.keys().map(|name| &**name)
    }
}
