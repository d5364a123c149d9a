//! Access to the objects that records which facts were read.

use std::collections::BTreeMap;

use crate::context::Ownership;
pub(crate) use crate::inventory::{Fact, Reads};
use crate::inventory::{Inventory, Key};
use crate::objects::{
    Binding, EndpointSet, Ingress, IngressClass, IngressClassParams, Node, Pod, Secret, Service,
};

/// The objects, with a record of the facts that are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    inventory: &'a Inventory,
    reads: &'a Reads,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(inventory: &'a Inventory, reads: &'a Reads) -> Self {
        Self { inventory, reads }
    }

    /// Records that a fact is read.
    pub(crate) fn note(self, fact: Fact) {
        self.reads.borrow_mut().insert(fact);
    }

    /// Whether load balancers will serve, in which case Secrets stand in for the certificates of AWS.
    pub(crate) fn is_serving(self) -> bool {
        self.inventory.serving
    }

    pub(crate) fn service(self, namespace: &str, name: &str) -> Option<&'a Service> {
        let key = (namespace.to_owned(), name.to_owned());
        let service = self.inventory.services.get(&key);
        self.note(Fact::Service(key));
        service
    }

    pub(crate) fn ingress(self, key: &Key) -> Option<&'a Ingress> {
        self.note(Fact::Ingress(key.clone()));
        self.inventory.ingresses.get(key)
    }

    /// Whether a namespace has an Ingress that cannot be read, so that its backends are not known.
    pub(crate) fn has_unread_ingress(self, namespace: &str) -> bool {
        self.note(Fact::UnreadIngress(namespace.to_owned()));
        self.inventory.unread_ingresses.contains_key(namespace)
    }

    pub(crate) fn class(self, name: &str) -> Option<&'a IngressClass> {
        self.note(Fact::Class(name.to_owned()));
        self.inventory.classes.get(name)
    }

    /// By which names objects ask for a load balancer.
    pub(crate) fn ownership(self) -> &'a Ownership {
        &self.inventory.ownership
    }

    /// Every IngressClass that is marked as default.
    pub(crate) fn default_classes(self) -> impl Iterator<Item = &'a IngressClass> {
        self.note(Fact::DefaultClass);
        let classes = self.inventory.classes.values();
        classes.filter(|class| class.is_default())
    }

    /// IngressClassParams; those of EKS Auto Mode are of another API group.
    pub(crate) fn params(self, is_auto: bool, name: &str) -> Option<&'a IngressClassParams> {
        let key = IngressClassParams::key_of(is_auto, name);
        self.note(Fact::Params(key.clone()));
        self.inventory.params.get(&key)
    }

    /// The labels of a namespace.
    pub(crate) fn namespace(self, name: &str) -> Option<&'a BTreeMap<String, String>> {
        self.note(Fact::Namespace(name.to_owned()));
        self.inventory.namespaces.get(name)
    }

    pub(crate) fn secret(self, key: &Key) -> Option<&'a Secret> {
        self.note(Fact::Secret(key.clone()));
        self.inventory.secrets.get(key)
    }

    /// The Secret that carries an ARN. Of two, the first by name counts.
    pub(crate) fn secret_of(self, arn: &str) -> Option<&'a Secret> {
        self.note(Fact::Arn(arn.to_owned()));
        let key = self.inventory.indexes.secrets.get(arn)?.first()?;
        self.inventory.secrets.get(key)
    }

    /// The host names of the certificates in Secrets that carry an ARN, by that ARN.
    pub(crate) fn certificate_names(self) -> &'a BTreeMap<String, Vec<String>> {
        self.note(Fact::CertificateNames);
        &self.inventory.certificate_names
    }

    /// The endpoints of a Service: from its EndpointSlices, else from its Endpoints object.
    pub(crate) fn endpoints(self, service: &Service) -> Vec<&'a EndpointSet> {
        let key = (service.meta.namespace.clone(), service.meta.name.clone());
        let sets = match self.inventory.indexes.slices.get(&key) {
            Some(slices) => {
                let slices = slices.iter();
                let slices = slices.filter_map(|slice| self.inventory.slices.get(slice));
                slices.map(|slice| &slice.set).collect()
            }
            None => {
                let endpoints = self.inventory.endpoints.get(&key).into_iter();
                endpoints.flat_map(|endpoints| &endpoints.sets).collect()
            }
        };
        self.note(Fact::Endpoints(key));
        sets
    }

    pub(crate) fn node(self, name: &str) -> Option<&'a Node> {
        self.note(Fact::Node(name.to_owned()));
        self.inventory.nodes.get(name)
    }

    /// All nodes by name.
    pub(crate) fn nodes(self) -> &'a BTreeMap<String, Node> {
        self.note(Fact::Nodes);
        &self.inventory.nodes
    }

    pub(crate) fn pod(self, key: &Key) -> Option<&'a Pod> {
        self.note(Fact::Pod(key.clone()));
        self.inventory.pods.get(key)
    }

    /// The Pods of a Tenant.
    pub(crate) fn pods_of(self, tenant: &Key) -> impl Iterator<Item = &'a Pod> {
        self.note(Fact::TenantPods(tenant.clone()));
        let pods = self.inventory.indexes.tenant_pods.get(tenant);
        let pods = pods.into_iter().flatten();
        pods.filter_map(move |pod| self.inventory.pods.get(pod))
    }

    /// The TargetGroupBindings for the target group called `group`.
    pub(crate) fn bindings(self, group: &str) -> impl Iterator<Item = &'a Binding> {
        self.note(Fact::Bindings(group.to_owned()));
        let bindings = self.inventory.indexes.bindings.get(group);
        let bindings = bindings.into_iter().flatten();
        bindings.filter_map(move |binding| self.inventory.bindings.get(binding))
    }

    /// Whether an Ingress has the Service as its backend, whichever controller it belongs to.
    pub(crate) fn is_backend(self, service: &Key) -> bool {
        self.note(Fact::Backend(service.clone()));
        self.inventory.indexes.backends.contains_key(service)
    }

    /// Whether a Service of the namespace turns authentication on, which its Ingress may configure.
    pub(crate) fn authenticates(self, namespace: &str) -> bool {
        self.note(Fact::Authentication(namespace.to_owned()));
        self.inventory.indexes.asking.contains_key(namespace)
    }

    /// The names of the Services of a namespace.
    pub(crate) fn services_of(self, namespace: &str) -> impl Iterator<Item = &'a str> {
        self.note(Fact::ServiceNames(namespace.to_owned()));
        self.inventory.services_of(namespace)
    }
}
