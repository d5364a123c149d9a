//! Everything that describes the load balancers of one process.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::invalid::{Checked, Findings, Place};
use crate::kinds::LoadBalancerType;
use crate::load_balancer::LoadBalancer;
use crate::public_key_file::PublicKeyFile;
use crate::scope::Scope;
use crate::seen::Seen;
use crate::spec::ModelSpec;
use crate::target_group::{TargetGroup, TargetId};
use crate::trust_store::TrustStore;

/// Everything that describes the load balancers of one process; names in it resolve.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// In the order of the input. Shared with the models before and after, where it stayed as it was.
    pub load_balancers: Vec<Arc<LoadBalancer>>,
    /// In the order of the input; names are unique.
    pub target_groups: Vec<Arc<TargetGroup>>,
    /// In the order of the input; names are unique.
    pub certificates: Vec<Arc<Certificate>>,
}

impl Model {
    /// The model that `spec` describes, or everything that is wrong with any part of it.
    pub fn new(spec: &ModelSpec) -> Checked<Self> {
        Findings::of(|at| Some(Self::build(spec, at)))
    }

    /// Refuses target groups of type `alb` whose target is no Application Load Balancer of this model, or has no
    /// listener at the target's port (`RegisterTargets`). A part of a model may lead to load balancers outside of it.
    pub fn check_balancers(&self) -> Checked<()> {
        Findings::of(|at| {
            let groups = at.field("targetGroups");
            for (index, group) in self.target_groups.iter().enumerate() {
                let at = groups.index(index);
                self.check_alb_targets(group, &at.field("targets"));
            }
            Some(())
        })
    }

    fn check_alb_targets(&self, group: &TargetGroup, at: &Place<'_>) {
        for (index, target) in group.targets.iter().enumerate() {
            let TargetId::Alb(name) = &target.id else {
                continue;
            };
            let at = at.index(index);
            let mut balancers = self.load_balancers.iter();
            let is_alb = |one: &&Arc<LoadBalancer>| {
                one.name == *name && one.kind == LoadBalancerType::Application
            };
            let Some(balancer) = balancers.find(is_alb) else {
                let reason = format!("there is no Application Load Balancer \"{name}\"");
                at.field("id").error("unknown-load-balancer", reason);
                continue;
            };
            if !balancer.listeners.iter().any(|one| one.port == target.port) {
                let reason = format!("\"{name}\" has no listener at port {}", target.port);
                at.error("unknown-listener", reason);
            }
        }
    }

    /// Values that were built one by one, when their names are unique, those that they refer to are among them and no
    /// two listen on one socket.
    ///
    /// ```
    /// use elbow_model::Model;
    ///
    /// let model = Model::of(Vec::new(), Vec::new(), Vec::new());
    /// assert_eq!(model.value.unwrap(), Model::default());
    /// ```
    pub fn of(
        load_balancers: Vec<Arc<LoadBalancer>>,
        target_groups: Vec<Arc<TargetGroup>>,
        certificates: Vec<Arc<Certificate>>,
    ) -> Checked<Self> {
        let model = Self {
            load_balancers,
            target_groups,
            certificates,
        };
        Findings::of(|at| {
            model.check_names(at);
            model.check_references(at);
            let balancers = model.load_balancers.iter().map(|lb| Some(&**lb));
            check_sockets(balancers.clone(), at);
            warn_of_shared_groups(balancers, at);
            Some(model)
        })
    }

    fn build(spec: &ModelSpec, at: &Place<'_>) -> Self {
        let mut model = Self::default();
        let mut scope = Scope::default();
        scope.set_environment(&spec.environment);
        let place = at.field("targetGroups");
        let mut names = Seen::new("target group");
        for (i, spec) in spec.target_groups.iter().enumerate() {
            let at = place.index(i);
            check_name(spec.name.as_deref(), &mut names, &at);
            match (TargetGroup::build(spec, &at), &spec.name) {
                (Some(group), _) => {
                    let group = Arc::new(group);
                    scope.add_target_group(&group);
                    model.target_groups.push(group);
                }
                (None, Some(name)) => scope.add_refused_target_group(name),
                (None, None) => {}
            }
        }
        let place = at.field("certificates");
        let mut names = Seen::new("certificate");
        for (i, spec) in spec.certificates.iter().enumerate() {
            let at = place.index(i);
            check_name(spec.name.as_deref(), &mut names, &at);
            match (Certificate::build(spec, &at), &spec.name) {
                (Some(certificate), _) => {
                    let certificate = Arc::new(certificate);
                    scope.add_certificate(&certificate);
                    model.certificates.push(certificate);
                }
                (None, Some(name)) => scope.add_refused_certificate(name),
                (None, None) => {}
            }
        }
        add_trust_stores(spec, &mut scope, &at.field("trustStores"));
        let place = at.field("loadBalancers");
        let mut names = Seen::new("load balancer");
        let mut built = Vec::with_capacity(spec.load_balancers.len());
        for (i, spec) in spec.load_balancers.iter().enumerate() {
            let at = place.index(i);
            check_name(spec.name.as_deref(), &mut names, &at);
            built.push(LoadBalancer::build(spec, &scope, &at));
        }
        let balancers = built.iter().map(Option::as_ref);
        check_sockets(balancers.clone(), at);
        warn_of_shared_groups(balancers, at);
        model.load_balancers = built.into_iter().flatten().map(Arc::new).collect();
        model
    }

    /// The target group called `name`.
    pub fn target_group(&self, name: &str) -> Option<&Arc<TargetGroup>> {
        self.target_groups.iter().find(|g| &*g.name == name)
    }

    /// The certificate called `name`.
    pub fn certificate(&self, name: &str) -> Option<&Arc<Certificate>> {
        self.certificates.iter().find(|c| &*c.name == name)
    }

    /// The trust stores that listeners use, each once, in the order of their listeners.
    pub fn trust_stores(&self) -> Vec<&Arc<TrustStore>> {
        let mut seen = HashSet::new();
        let listeners = self.load_balancers.iter().flat_map(|lb| &lb.listeners);
        let stores = listeners.filter_map(|one| one.mutual_authentication.trust_store());
        stores.filter(|store| seen.insert(*store)).collect()
    }

    /// The public keys that instances authenticate with, each file once, in the order of their names.
    pub fn public_keys(&self) -> impl Iterator<Item = &PublicKeyFile> {
        let classic = self
            .load_balancers
            .iter()
            .filter_map(|lb| lb.classic.as_ref());
        let policies = classic.flat_map(|one| one.backend_server_authentication.values());
        let keys = policies.flat_map(|policy| &policy.public_keys);
        let by_file: BTreeMap<_, _> = keys.map(|key| (&key.file, key)).collect();
        by_file.into_values()
    }

    fn check_names(&self, at: &Place<'_>) {
        let balancers = self.load_balancers.iter().map(|lb| &*lb.name);
        let groups = self.target_groups.iter().map(|group| &*group.name);
        let certificates = self.certificates.iter().map(|one| &*one.name);
        check_all_names("load balancer", balancers, &at.field("loadBalancers"));
        check_all_names("target group", groups, &at.field("targetGroups"));
        check_all_names("certificate", certificates, &at.field("certificates"));
    }

    fn check_references(&self, at: &Place<'_>) {
        let groups = self.target_groups.iter();
        let groups: HashMap<&str, ()> = groups.map(|group| (&*group.name, ())).collect();
        let place = at.field("loadBalancers");
        for (i, balancer) in self.load_balancers.iter().enumerate() {
            let formed: Vec<Arc<str>> = balancer
                .instance_ends()
                .iter()
                .map(|end| end.group_name(&balancer.name))
                .collect();
            let is_known = |name: &str| {
                groups.contains_key(name) || formed.iter().any(|formed| &**formed == name)
            };
            let names = balancer.target_groups().into_iter();
            for name in names.filter(|name| !is_known(name)) {
                place.index(i).error(
                    "unknown-target-group",
                    format!(
                        "{} forwards to {name:?}, which no target group is called",
                        balancer.name
                    ),
                );
            }
        }
    }
}

/// A trust store is part of the listeners that use it; the model has no other.
fn add_trust_stores(spec: &ModelSpec, scope: &mut Scope, at: &Place<'_>) {
    let mut names = Seen::new("trust store");
    for (i, spec) in spec.trust_stores.iter().enumerate() {
        let at = at.index(i);
        check_name(spec.name.as_deref(), &mut names, &at);
        match (TrustStore::build(spec, &at), &spec.name) {
            (Some(store), _) => scope.add_trust_store(&Arc::new(store)),
            (None, Some(name)) => scope.add_refused_trust_store(name),
            (None, None) => {}
        }
    }
}

fn check_all_names<'a>(what: &'static str, names: impl Iterator<Item = &'a str>, at: &Place<'_>) {
    let mut seen = Seen::new(what);
    for (i, name) in names.enumerate() {
        check_name(Some(name), &mut seen, &at.index(i));
    }
}

fn check_name<'a>(name: Option<&'a str>, seen: &mut Seen<&'a str>, at: &Place<'_>) {
    if let Some(name) = name {
        seen.check(name, &at.field("name"), "duplicate-name");
    }
}

/// Two load balancers cannot listen on one address and port.
fn check_sockets<'a>(balancers: impl Iterator<Item = Option<&'a LoadBalancer>>, at: &Place<'_>) {
    let place = at.field("loadBalancers");
    let mut sockets = Seen::new("socket");
    for (i, balancer) in balancers.enumerate() {
        let Some(balancer) = balancer else { continue };
        let at = place.index(i);
        let at = at.field("addresses");
        for listener in &balancer.listeners {
            for (i, address) in balancer.addresses.iter().enumerate() {
                let socket = match address {
                    IpAddr::V4(ip) => format!("{ip}:{}", listener.port),
                    IpAddr::V6(ip) => format!("[{ip}]:{}", listener.port),
                };
                sockets.check(socket, &at.index(i), "address-in-use");
            }
        }
    }
}

/// On AWS a target group serves one load balancer alone (ALB guide: quotas).
fn warn_of_shared_groups<'a>(
    balancers: impl Iterator<Item = Option<&'a LoadBalancer>>,
    at: &Place<'_>,
) {
    let place = at.field("loadBalancers");
    let mut users: HashMap<&str, &str> = HashMap::new();
    for (i, balancer) in balancers.enumerate() {
        let Some(balancer) = balancer else { continue };
        for group in balancer.target_groups() {
            let first = *users.entry(group).or_insert(&balancer.name);
            if first != &*balancer.name {
                place.index(i).warn(
                    "shared-target-group",
                    format!(
                        "target group \"{group}\" also serves {first}; on AWS a target group serves one \
                         load balancer"
                    ),
                );
            }
        }
    }
}
