//! Who belongs to whom, kept up to date object by object.

use std::collections::{BTreeMap, BTreeSet};

use super::typed::{key, remove};
use super::{Inventory, Key};
use crate::ingress::{asks, led_to};
use crate::objects::{Binding, EndpointSlice, Ingress, Pod, Secret, Service};
use crate::scope::Fact;
use crate::secret;
use crate::tenant::TENANT;

/// The objects that something has, by what has them.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    /// EndpointSlices, by their Service.
    pub(crate) slices: BTreeMap<Key, BTreeSet<Key>>,
    /// TargetGroupBindings, by the name of the target group.
    pub(crate) bindings: BTreeMap<String, BTreeSet<Key>>,
    /// Secrets, by the ARN that they carry.
    pub(crate) secrets: BTreeMap<String, BTreeSet<Key>>,
    /// Ingresses, by the Services that they lead to.
    pub(crate) backends: BTreeMap<Key, BTreeSet<Key>>,
    /// Services that ask clients who they are, by namespace.
    pub(crate) asking: BTreeMap<String, BTreeSet<Key>>,
    /// Pods, by their MinIO Tenant.
    pub(crate) tenant_pods: BTreeMap<Key, BTreeSet<Key>>,
}

impl Indexes {
    pub(super) fn list_slice(&mut self, key: &Key, slice: &EndpointSlice) -> Option<Fact> {
        let service = service_of(slice)?;
        list(&mut self.slices, service.clone(), key);
        Some(Fact::Endpoints(service))
    }

    pub(super) fn list_binding(&mut self, key: &Key, binding: &Binding) -> [Fact; 1] {
        list(&mut self.bindings, binding.group.clone(), key);
        [Fact::Bindings(binding.group.clone())]
    }

    pub(super) fn list_pod(&mut self, key: &Key, pod: &Pod) -> Option<Fact> {
        let tenant = tenant_of(pod)?;
        list(&mut self.tenant_pods, tenant.clone(), key);
        Some(Fact::TenantPods(tenant))
    }
}

impl Inventory {
    pub(super) fn put_service(&mut self, new: Service) -> Vec<Fact> {
        let key = key(&new.meta);
        if let Some(old) = self.services.get_mut(&key) {
            // No load balancer is different for a finalizer.
            old.meta.finalizers.clone_from(&new.meta.finalizers);
            if *old == new {
                return Vec::new();
            }
        }
        let mut facts = self.remove_service(&key);
        if asks(&new.meta) {
            facts.extend(self.start_asking(&key));
        }
        self.services.insert(key.clone(), new);
        facts.push(Fact::Service(key));
        facts
    }

    pub(super) fn remove_service(&mut self, key: &Key) -> Vec<Fact> {
        let Some(old) = self.services.remove(key) else {
            return Vec::new();
        };
        let mut facts = vec![Fact::Service(key.clone())];
        if asks(&old.meta) && unlist(&mut self.indexes.asking, &key.0, key) {
            facts.push(Fact::Authentication(key.0.clone()));
        }
        facts
    }

    fn start_asking(&mut self, key: &Key) -> Option<Fact> {
        let first = list(&mut self.indexes.asking, key.0.clone(), key);
        first.then(|| Fact::Authentication(key.0.clone()))
    }

    pub(super) fn put_ingress(&mut self, new: Ingress) -> Vec<Fact> {
        let key = key(&new.meta);
        if let Some(old) = self.ingresses.get_mut(&key) {
            old.meta.finalizers.clone_from(&new.meta.finalizers);
            if *old == new {
                return Vec::new();
            }
        }
        let mut facts = self.remove_ingress(&key);
        for service in led_to(&new) {
            if list(&mut self.indexes.backends, service.clone(), &key) {
                facts.push(Fact::Backend(service));
            }
        }
        self.ingresses.insert(key.clone(), new);
        facts.push(Fact::Ingress(key));
        facts
    }

    pub(super) fn remove_ingress(&mut self, key: &Key) -> Vec<Fact> {
        let Some(old) = self.ingresses.remove(key) else {
            return Vec::new();
        };
        let mut facts = vec![Fact::Ingress(key.clone())];
        for service in led_to(&old) {
            if unlist(&mut self.indexes.backends, &service, key) {
                facts.push(Fact::Backend(service));
            }
        }
        facts
    }

    pub(super) fn list_secret(&mut self, key: &Key, secret: &Secret) -> Vec<Fact> {
        let Some(arn) = secret.arn().map(str::to_owned) else {
            return Vec::new();
        };
        list(&mut self.indexes.secrets, arn.clone(), key);
        self.name_certificate(&arn, Some(secret));
        vec![Fact::Arn(arn), Fact::CertificateNames]
    }

    /// Takes a Secret off the lists, before it goes or changes.
    pub(super) fn unlist_secret(&mut self, key: &Key) -> Vec<Fact> {
        let arn = self.secrets.get(key).and_then(Secret::arn);
        let Some(arn) = arn.map(str::to_owned) else {
            return Vec::new();
        };
        unlist(&mut self.indexes.secrets, &arn, key);
        self.name_certificate(&arn, None);
        vec![Fact::Arn(arn), Fact::CertificateNames]
    }

    /// Notes the host names of the certificate that `arn` stands for; `new` is a Secret that is about to come.
    fn name_certificate(&mut self, arn: &str, new: Option<&Secret>) {
        let first = self.indexes.secrets.get(arn).and_then(BTreeSet::first);
        let secret = match (first, new) {
            (Some(first), Some(new)) if *first == key(&new.meta) => Some(new),
            (Some(first), _) => self.secrets.get(first),
            (None, _) => None,
        };
        match secret.map(secret::names) {
            Some(names) => self.certificate_names.insert(arn.to_owned(), names),
            None => self.certificate_names.remove(arn),
        };
    }

    pub(super) fn remove_slice(&mut self, key: &Key) -> Vec<Fact> {
        let old = self.slices.remove(key);
        let Some(service) = old.as_ref().and_then(service_of) else {
            return Vec::new();
        };
        unlist(&mut self.indexes.slices, &service, key);
        vec![Fact::Endpoints(service)]
    }

    pub(super) fn remove_binding(&mut self, key: &Key) -> Vec<Fact> {
        let Some(old) = self.bindings.remove(key) else {
            return Vec::new();
        };
        unlist(&mut self.indexes.bindings, &old.group, key);
        vec![Fact::Bindings(old.group)]
    }

    pub(super) fn remove_pod(&mut self, key: &Key) -> Vec<Fact> {
        let tenant = self.pods.get(key).and_then(tenant_of);
        let mut facts = remove(&mut self.pods, key.clone(), Fact::Pod);
        if let Some(tenant) = tenant {
            unlist(&mut self.indexes.tenant_pods, &tenant, key);
            facts.push(Fact::TenantPods(tenant));
        }
        facts
    }
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    Some((slice.meta.namespace.clone(), slice.service()?.clone()))
}

fn tenant_of(pod: &Pod) -> Option<Key> {
    let tenant = pod.meta.labels.get(TENANT)?;
    Some((pod.meta.namespace.clone(), tenant.clone()))
}

/// Adds an object to a list; whether it is the first there.
fn list<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Key>>, of: K, key: &Key) -> bool {
    let entry = index.entry(of).or_default();
    entry.insert(key.clone());
    entry.len() == 1
}

/// Takes an object off a list; whether it was the last there.
fn unlist<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Key>>, of: &K, key: &Key) -> bool {
    let Some(entry) = index.get_mut(of) else {
        return false;
    };
    entry.remove(key);
    let last = entry.is_empty();
    if last {
        index.remove(of);
    }
    last
}
