//! MinIO Tenants, where MinIO's operator does not run.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Cluster;
use super::uses::{Depth, Unit};
use crate::inventory::{Key, Typed};
use crate::objects::{Endpoints, Service};
use crate::scope::{Reads, Scope};

impl Cluster {
    /// Makes the Services of a Tenant anew that are not there. What was made before and is there now, or is nobody's,
    /// goes.
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
            facts.extend(match endpoints {
                Some(endpoints) => self.inventory.put(Typed::Endpoints(endpoints)),
                None => self.inventory.remove("", "Endpoints", &service),
            });
            self.assumed.insert(service.clone(), key.clone());
            self.follow("Service", service, facts);
        }
    }

    /// The Services of a Tenant that nobody has made; of two Tenants that want one the first has it.
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

    /// A Service that was assumed is no longer: it is there, or nobody wants it.
    pub(super) fn withdraw(&mut self, service: &Key) {
        if self.assumed.remove(service).is_some() {
            let facts = self.inventory.remove("", "Endpoints", service);
            self.uses.changed(facts);
        }
    }
}
