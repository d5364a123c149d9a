//! The Services of MinIO Tenants, where MinIO's operator does not run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Cluster;
use super::uses::{Depth, Unit};
use crate::inventory::{Key, Typed};
use crate::objects::{Endpoints, Service};
use crate::scope::{Fact, Reads, Scope};

impl Cluster {
    /// Assumes the Services of a Tenant that do not exist. Assumed Services that exist now, or that no Tenant asks for
    /// any more, are withdrawn.
    pub(super) fn expand(&mut self, unit: &Arc<Unit>, key: &Key) {
        let reads = Reads::default();
        let wanted = self.missing(key, &reads);
        self.uses.note(unit, Depth::Plan, reads.into_inner());
        let before = self.assumed.iter().filter(|(_, tenant)| *tenant == key);
        let before: Vec<Key> = before.map(|(service, _)| service.clone()).collect();
        for service in before {
            if !wanted.contains_key(&service) {
                let facts = self.inventory.remove("", "Service", &service);
                self.follow("Service", service.clone(), facts);
                self.withdraw(&service);
            }
        }
        for (service, (made, endpoints)) in wanted {
            let mut facts = self.inventory.put(Typed::Service(made));
            let is_given =
                self.inventory.endpoints.contains_key(&service) && !self.derived.contains(&service);
            if !is_given {
                facts.extend(self.derive(&service, endpoints));
            }
            self.assumed.insert(service.clone(), key.clone());
            self.follow("Service", service, facts);
        }
    }

    /// Puts the endpoints of an assumed Service in the place of those that were derived before.
    fn derive(&mut self, service: &Key, endpoints: Option<Endpoints>) -> Vec<Fact> {
        match endpoints {
            Some(endpoints) => {
                self.derived.insert(service.clone());
                self.inventory.put(Typed::Endpoints(endpoints))
            }
            None if self.derived.remove(service) => self.inventory.remove("", "Endpoints", service),
            None => Vec::new(),
        }
    }

    /// The Services of a Tenant that do not exist. Of two Tenants that ask for one Service, the first by name gets it.
    fn missing(&self, key: &Key, reads: &Reads) -> BTreeMap<Key, (Service, Option<Endpoints>)> {
        let mut missing = BTreeMap::new();
        let Some(tenant) = self.inventory.tenants.get(key) else {
            return missing;
        };
        let scope = Scope::new(&self.inventory, reads);
        for service in tenant.services() {
            let name = &service.metadata.name;
            let there = scope.service(&tenant.namespace, name).is_some();
            let id = (tenant.namespace.clone(), name.clone());
            let free = match self.assumed.get(&id) {
                Some(owner) => key <= owner,
                None => !there,
            };
            if let Some(made) = tenant.expand(&service).filter(|_| free) {
                missing.insert(id, (made, tenant.endpoints(&service, scope)));
            }
        }
        missing
    }

    /// Takes back the assumption of a Service: it exists now, or no Tenant asks for it.
    pub(super) fn withdraw(&mut self, service: &Key) {
        if self.assumed.remove(service).is_some() {
            let facts = self.derive(service, None);
            self.uses.changed(facts);
        }
    }

    /// Takes note that an Endpoints object was written or deleted: those that exist count instead of derived ones.
    pub(super) fn endpoints_given(&mut self, service: &Key) {
        self.derived.remove(service);
        if let Some(tenant) = self.assumed.get(service) {
            self.uses.mark(Unit::Tenant(tenant.clone()), Depth::Plan);
        }
    }
}
