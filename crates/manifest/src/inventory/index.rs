//! Indexes of the relations between objects, updated with each object.

use std::collections::{BTreeMap, BTreeSet};

use super::fact::Fact;
use super::links::{asks, led_to};
use super::typed::{key, remove};
use super::{Inventory, Key};
use crate::objects::{Binding, EndpointSlice, Ingress, Pod, Secret, Service, TENANT};
use crate::secret;

/// Objects by the object that they belong to.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    /// EndpointSlices, by their Service.
    pub(crate) slices: BTreeMap<Key, BTreeSet<Key>>,
    /// TargetGroupBindings, by the name of the target group.
    pub(crate) bindings: BTreeMap<String, BTreeSet<Key>>,
    /// Secrets, by the ARN that they carry.
    pub(crate) secrets: BTreeMap<String, BTreeSet<Key>>,
    /// Ingresses, by the Services that are their backends.
    pub(crate) backends: BTreeMap<Key, BTreeSet<Key>>,
    /// Services that turn authentication on, by namespace.
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
        let is_new = !self.services.contains_key(&key);
        if let Some(old) = self.services.get_mut(&key) {
            // A finalizer changes no load balancer.
            old.meta.finalizers.clone_from(&new.meta.finalizers);
            if *old == new {
                return Vec::new();
            }
        }
        let mut facts = self.replace_service(&key);
        if asks(&new.meta) {
            facts.extend(self.start_asking(&key));
        }
        self.services.insert(key.clone(), new);
        if is_new {
            facts.push(Fact::ServiceNames(key.0.clone()));
        }
        facts.push(Fact::Service(key));
        facts
    }

    pub(super) fn remove_service(&mut self, key: &Key) -> Vec<Fact> {
        let mut facts = self.replace_service(key);
        if !facts.is_empty() {
            facts.push(Fact::ServiceNames(key.0.clone()));
        }
        facts
    }

    /// Takes a Service out for another version of it.
    fn replace_service(&mut self, key: &Key) -> Vec<Fact> {
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

    /// Notes whether an Ingress cannot be read.
    pub(crate) fn note_unread(&mut self, ingress: &Key, is_unread: bool) -> Option<Fact> {
        let namespace = &ingress.0;
        let unread = &mut self.unread_ingresses;
        let turns = if is_unread {
            list(unread, namespace.clone(), ingress)
        } else {
            unlist(unread, namespace, ingress)
        };
        turns.then(|| Fact::UnreadIngress(namespace.clone()))
    }

    pub(super) fn list_secret(&mut self, key: &Key, secret: &Secret) -> Vec<Fact> {
        let Some(arn) = secret.arn().map(str::to_owned) else {
            return Vec::new();
        };
        list(&mut self.indexes.secrets, arn.clone(), key);
        self.name_certificate(&arn, Some(secret));
        vec![Fact::Arn(arn), Fact::CertificateNames]
    }

    /// Removes a Secret from the indexes, before it is removed or replaced.
    pub(super) fn unlist_secret(&mut self, key: &Key) -> Vec<Fact> {
        let arn = self.secrets.get(key).and_then(Secret::arn);
        let Some(arn) = arn.map(str::to_owned) else {
            return Vec::new();
        };
        unlist(&mut self.indexes.secrets, &arn, key);
        self.name_certificate(&arn, None);
        vec![Fact::Arn(arn), Fact::CertificateNames]
    }

    /// Updates the host names of the certificate with this ARN; `new` is a Secret that will be added.
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

/// Adds an object to an index, and returns whether it is the first there.
fn list<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Key>>, of: K, key: &Key) -> bool {
    let entry = index.entry(of).or_default();
    entry.insert(key.clone());
    entry.len() == 1
}

/// Removes an object from an index, and returns whether it was the last there.
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
