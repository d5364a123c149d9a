//! The parts of all owners as one model.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Certificate, LoadBalancer, Model, Origin, TargetGroup};

/// A name that two owners may ask for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Balancer(Arc<str>),
    Group(Arc<str>),
}

/// What one owner asks for.
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

    /// Whether it asks for the same values, compared by pointer.
    fn is_same(&self, other: &Self) -> bool {
        is_shared(&self.balancers, &other.balancers)
            && is_shared(&self.groups, &other.groups)
            && is_shared(&self.certificates, &other.certificates)
    }
}

/// The parts of all owners. An owner is a stack of manifests, or the native file; it is known by its key. Of two owners
/// that ask for one name, the one with the lesser key gets it, and the other is left out.
#[derive(Debug, Default)]
pub struct Merged {
    parts: BTreeMap<String, Part>,
    owners: BTreeMap<Name, BTreeSet<String>>,
    /// Names that several owners ask for.
    shared: BTreeSet<Name>,
    /// Whether such names have changed since they were settled.
    is_unsettled: bool,
    /// What the owners of such names get.
    settled: BTreeMap<String, Result<Part, Diagnostic>>,
    /// By name, and by the owner that asks for it.
    certificates: BTreeMap<Arc<str>, BTreeMap<String, Arc<Certificate>>>,
    version: u64,
}

impl Merged {
    /// A number that is another one whenever [`Self::model`] may be.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Replaces what an owner asks for, and returns whether that changes anything. Values that did not change stay the
    /// same allocation.
    pub fn put(&mut self, key: &str, model: Model, origin: Origin) -> bool {
        let before = self.take(key);
        let mut certificates = Vec::with_capacity(model.certificates.len());
        for certificate in model.certificates {
            let users = self.certificates.entry(certificate.name.clone());
            let users = users.or_default();
            // Stacks share a certificate wherever each of them asks for it.
            let shared = users.values().find(|one| one.source == certificate.source);
            let mut own = before.certificates.iter();
            let same = shared.or_else(|| own.find(|one| **one == certificate));
            let same = same.cloned();
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
                self.is_unsettled = true;
            }
        }
        let is_changed = !part.is_same(&before);
        self.version += u64::from(is_changed);
        self.parts.insert(key.to_owned(), part);
        is_changed
    }

    /// Removes an owner.
    pub fn remove(&mut self, key: &str) {
        self.take(key);
        self.version += 1;
    }

    fn take(&mut self, key: &str) -> Part {
        let part = self.parts.remove(key).unwrap_or_default();
        for name in part.names() {
            let Some(owners) = self.owners.get_mut(&name) else {
                continue;
            };
            owners.remove(key);
            self.is_unsettled |= !owners.is_empty();
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

    /// Decides who gets the names that several owners ask for. Returns the owners whose outcome changed.
    pub fn settle(&mut self) -> BTreeSet<String> {
        if !std::mem::take(&mut self.is_unsettled) {
            return BTreeSet::new();
        }
        self.version += 1;
        let names = self.shared.iter();
        let keys = names.filter_map(|name| self.owners.get(name)).flatten();
        let keys: BTreeSet<&String> = keys.collect();
        let mut taken = Taken::default();
        let mut settled = BTreeMap::new();
        for key in keys {
            if let Some(part) = self.parts.get(key) {
                settled.insert(key.clone(), taken.admit(part));
            }
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

    /// Why an owner is left out, if it is.
    pub fn left_out(&self, key: &str) -> Option<&Diagnostic> {
        self.settled.get(key)?.as_ref().err()
    }

    /// Why owners are left out.
    pub fn conflicts(&self) -> impl Iterator<Item = &Diagnostic> {
        self.settled.values().filter_map(|part| part.as_ref().err())
    }

    /// Where the load balancer of this name is asked for.
    pub fn origin(&self, load_balancer: &str) -> Option<&Origin> {
        let owners = self.owners.get(&Name::Balancer(load_balancer.into()))?;
        Some(&self.parts.get(owners.first()?)?.origin)
    }

    /// The load balancer of an owner.
    pub fn balancer(&self, key: &str) -> Option<&Arc<LoadBalancer>> {
        self.parts.get(key)?.balancers.first()
    }

    /// The model of all owners.
    pub fn model(&self) -> Model {
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

fn is_shared<T>(these: &[Arc<T>], those: &[Arc<T>]) -> bool {
    let mut pairs = these.iter().zip(those);
    these.len() == those.len() && pairs.all(|(this, that)| Arc::ptr_eq(this, that))
}

/// The names that were given out.
#[derive(Default)]
struct Taken<'a> {
    balancers: HashSet<&'a str>,
    groups: HashMap<&'a str, &'a TargetGroup>,
}

impl<'a> Taken<'a> {
    /// What an owner gets after those before it. Equal target groups are shared: the first owner has them.
    fn admit(&mut self, part: &'a Part) -> Result<Part, Diagnostic> {
        let mut balancers = part.balancers.iter();
        let balancer = balancers.find(|one| self.balancers.contains(&*one.name));
        let mut groups = part.groups.iter();
        let group = groups.find(|one| {
            let first = self.groups.get(&*one.name);
            first.is_some_and(|first| *first != &***one)
        });
        let balancer = balancer.map(|one| format!("load balancer {}", one.name));
        let group = group.map(|one| format!("target group {}", one.name));
        if let Some(what) = group.or(balancer) {
            let message = format!("there is another {what} already; this one is left out");
            let conflict = Diagnostic::error("duplicate-name", message);
            return Err(part
                .origin
                .place(conflict)
                .hint("give it a name of its own"));
        }
        self.balancers
            .extend(part.balancers.iter().map(|one| &*one.name));
        let is_new = |one: &&'a Arc<TargetGroup>| self.groups.insert(&one.name, one).is_none();
        let groups = part.groups.iter().filter(is_new).cloned().collect();
        Ok(Part {
            groups,
            ..part.clone()
        })
    }
}

/// `new`, with the allocations of `before` for values that did not change.
fn kept<T: PartialEq>(new: Vec<Arc<T>>, before: &[Arc<T>]) -> Vec<Arc<T>> {
    let same = |one: Arc<T>| {
        let same = before.iter().find(|before| ***before == *one);
        same.cloned().unwrap_or(one)
    };
    new.into_iter().map(same).collect()
}
