//! All objects of a cluster, by kind.

use std::collections::{BTreeMap, BTreeSet};

use crate::context::Ownership;
use crate::objects::{
    Binding, EndpointSlice, Endpoints, Ingress, IngressClass, IngressClassParams, Node, Pod,
    Secret, Service, Tenant,
};

mod fact;
mod index;
mod links;
mod typed;

pub(crate) use fact::{Fact, Reads};
use index::Indexes;
pub(crate) use links::{asks, backends};
pub(crate) use typed::Typed;

/// Namespace and name.
pub type Key = (String, String);

/// The objects that load balancers depend on, by namespace and name.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Services.
    pub services: BTreeMap<Key, Service>,
    /// Ingresses.
    pub ingresses: BTreeMap<Key, Ingress>,
    /// IngressClasses, by name.
    pub classes: BTreeMap<String, IngressClass>,
    /// IngressClassParams, by [`IngressClassParams::key_of`].
    pub params: BTreeMap<String, IngressClassParams>,
    /// Secrets.
    pub secrets: BTreeMap<Key, Secret>,
    /// Labels of namespaces, by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// EndpointSlices, by their own names.
    pub slices: BTreeMap<Key, EndpointSlice>,
    /// Endpoints objects, by the names of their Services.
    pub endpoints: BTreeMap<Key, Endpoints>,
    /// Nodes, by name.
    pub nodes: BTreeMap<String, Node>,
    /// Pods.
    pub pods: BTreeMap<Key, Pod>,
    /// TargetGroupBindings.
    pub bindings: BTreeMap<Key, Binding>,
    /// Whether load balancers will serve, in which case Secrets stand in for the certificates of AWS.
    pub serving: bool,
    /// By which names objects ask for a load balancer.
    pub ownership: Ownership,
    /// The host names of the certificates in Secrets that carry an ARN, by that ARN.
    pub certificate_names: BTreeMap<String, Vec<String>>,
    /// MinIO Tenants.
    pub tenants: BTreeMap<Key, Tenant>,
    /// Ingresses that exist and cannot be read, by namespace.
    pub(crate) unread_ingresses: BTreeMap<String, BTreeSet<Key>>,
    pub(crate) indexes: Indexes,
}

impl Inventory {
    /// The Service called `name` in `namespace`.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The names of the Services of a namespace.
    pub(crate) fn services_of(&self, namespace: &str) -> impl Iterator<Item = &str> {
        let from = (namespace.to_owned(), String::new());
        let services = self.services.range(from..);
        let services = services.take_while(move |((of, _), _)| of == namespace);
        services.map(|((_, name), _)| &**name)
    }
}
