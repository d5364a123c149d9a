//! The models of all stacks as one, kept stack by stack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::file::Origin;
use elbow_model::{Certificate, LoadBalancer, Model, TargetGroup};

use crate::serve::Merged as Merging;

/// What two stacks may both have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Balancer(Arc<str>),
    Group(Arc<str>),
}

/// The load balancers and target groups of a stack, and where they come from.
#[derive(Clone, Debug, Default)]
struct Part {
    balancers: Vec<Arc<LoadBalancer>>,
    groups: Vec<Arc<TargetGroup>>,
    certificates: Vec<Arc<Certificate>>,
    origin: Origin,
}

impl Part {
    fn names(&self) -> impl Iterator<Item = Name> {
        let balancers = self.balancers.iter();
        let balancers = balancers.map(|one| Name::Balancer(one.name.clone()));
        let groups = self.groups.iter();
        balancers.chain(groups.map(|one| Name::Group(one.name.clone())))
    }
}

/// All models, by the key of the stack.
#[derive(Debug, Default)]
pub(super) struct Merged {
    parts: BTreeMap<String, Part>,
    owners: BTreeMap<Name, BTreeSet<String>>,
    /// Names that several stacks have.
    shared: BTreeSet<Name>,
    /// Whether something changed about these.
    unsettled: bool,
    /// What the stacks with such names have after the first ones took theirs.
    settled: BTreeMap<String, Result<Part, Diagnostic>>,
    /// By name, and by the stack that wants it.
    certificates: BTreeMap<Arc<str>, BTreeMap<String, Arc<Certificate>>>,
}

impl Merged {
    /// Puts the model of a stack in the place of what it had. Parts that are what they were stay as they were, by
    /// pointer.
    pub(super) fn put(&mut self, key: &str, model: Model, origin: Origin) {
        let before = self.take(key);
        let mut certificates = Vec::with_capacity(model.certificates.len());
        for certificate in model.certificates {
            let users = self.certificates.entry(certificate.name.clone());
            let users = users.or_default();
            let mut same = users.values().chain(&before.certificates);
            let same = same.find(|one| **one == certificate).cloned();
            let certificate = same.unwrap_or(certificate);
            users.insert(key.to_owned(), certificate.clone());
            certificates.push(certificate);
        }
        let shared = |name: &str| certificates.iter().find(|one| &*one.name == name);
        let mut balancers = model.load_balancers;
        for balancer in &mut balancers {
            balancer.replace_certificates(shared);
        }
        let part = Part {
            balancers: kept(balancers, &before.balancers),
            groups: kept(model.target_groups, &before.groups),
            certificates,
            origin,
        };
        for name in part.names() {
            let owners = self.owners.entry(name.clone()).or_default();
            owners.insert(key.to_owned());
            if owners.len() > 1 {
                self.shared.insert(name);
                self.unsettled = true;
            }
        }
        self.parts.insert(key.to_owned(), part);
    }

    /// Takes out what a stack has.
    pub(super) fn remove(&mut self, key: &str) {
        self.take(key);
    }

    fn take(&mut self, key: &str) -> Part {
        let part = self.parts.remove(key).unwrap_or_default();
        for name in part.names() {
            let Some(owners) = self.owners.get_mut(&name) else {
                continue;
            };
            owners.remove(key);
            self.unsettled |= !owners.is_empty();
            match owners.len() {
                0 => drop(self.owners.remove(&name)),
                1 => drop(self.shared.remove(&name)),
                _ => {}
            }
        }
        for Certificate { name, .. } in part.certificates.iter().map(|one| &**one) {
            if let Some(users) = self.certificates.get_mut(name) {
                users.remove(key);
                if users.is_empty() {
                    self.certificates.remove(name);
                }
            }
        }
        part
    }

    /// Sees to it that each name is had once: of two stacks that want one the first has it. Gives the stacks that
    /// are left out or no longer are.
    pub(super) fn settle(&mut self) -> BTreeSet<String> {
        if !std::mem::take(&mut self.unsettled) {
            return BTreeSet::new();
        }
        let names = self.shared.iter();
        let keys = names.filter_map(|name| self.owners.get(name)).flatten();
        let keys: BTreeSet<&String> = keys.collect();
        let mut merging = Merging::default();
        let mut settled = BTreeMap::new();
        for key in keys {
            let Some(part) = self.parts.get(key) else {
                continue;
            };
            let model = Model {
                load_balancers: part.balancers.clone(),
                target_groups: part.groups.clone(),
                certificates: Vec::new(),
            };
            let groups = merging.model.target_groups.len();
            let mut found = Vec::new();
            merging.add(model, &part.origin, &mut found);
            let added = merging.model.target_groups.get(groups..);
            let part = Part {
                groups: added.unwrap_or_default().to_vec(),
                ..part.clone()
            };
            settled.insert(key.clone(), found.pop().map_or(Ok(part), Err));
        }
        let before = std::mem::replace(&mut self.settled, settled);
        let keys = before.keys().chain(self.settled.keys());
        let of = |settled: &BTreeMap<String, Result<Part, Diagnostic>>, key: &String| {
            settled
                .get(key)
                .and_then(|part| part.as_ref().err().cloned())
        };
        keys.filter(|key| of(&before, key) != of(&self.settled, key))
            .cloned()
            .collect()
    }

    /// Why a stack is left out, if it is.
    pub(super) fn left_out(&self, key: &str) -> Option<&Diagnostic> {
        self.settled.get(key)?.as_ref().err()
    }

    /// The load balancer of a stack.
    pub(super) fn balancer(&self, key: &str) -> Option<&Arc<LoadBalancer>> {
        self.parts.get(key)?.balancers.first()
    }

    /// Everything.
    pub(super) fn model(&self) -> Model {
        let mut model = Model::default();
        for (key, part) in &self.parts {
            let part = match self.settled.get(key) {
                None => part,
                Some(Ok(part)) => part,
                Some(Err(_)) => continue,
            };
            model.load_balancers.extend(part.balancers.iter().cloned());
            model.target_groups.extend(part.groups.iter().cloned());
        }
        let certificates = self.certificates.values();
        let certificates = certificates.filter_map(|users| users.values().next());
        model.certificates.extend(certificates.cloned());
        model
    }
}

/// `new`, with what is the same as `before` by pointer.
fn kept<T: PartialEq>(new: Vec<Arc<T>>, before: &[Arc<T>]) -> Vec<Arc<T>> {
    let same = |one: Arc<T>| {
        let same = before.iter().find(|before| ***before == *one);
        same.cloned().unwrap_or(one)
    };
    new.into_iter().map(same).collect()
}
