//! What a part of the translation looks at: whoever makes it anew when something changes must know what it was
//! made from, things that were looked for and not there included.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::{Inventory, Key};
use crate::objects::{
    Binding, EndpointSet, Ingress, IngressClass, IngressClassParams, Node, Pod, Secret, Service,
};

/// The class that the chart of AWS's controller makes, which manifests therefore leave out.
const CHART_CLASS: &str = "alb";

/// Something that can be looked at and can change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Fact {
    /// A Service.
    Service(Key),
    /// An Ingress.
    Ingress(Key),
    /// An IngressClass.
    Class(String),
    /// Which IngressClasses are the default.
    DefaultClass,
    /// IngressClassParams.
    Params(String),
    /// The labels of a namespace.
    Namespace(String),
    /// A Secret.
    Secret(Key),
    /// The Secret that an ARN stands for.
    Arn(String),
    /// The host names of all certificates.
    CertificateNames,
    /// The endpoints of a Service.
    Endpoints(Key),
    /// A node.
    Node(String),
    /// Which nodes there are, and what they are like.
    Nodes,
    /// A Pod.
    Pod(Key),
    /// A MinIO Tenant.
    Tenant(Key),
    /// The Pods of a Tenant.
    TenantPods(Key),
    /// The TargetGroupBindings for a target group.
    Bindings(String),
    /// Whether an Ingress leads to a Service.
    Backend(Key),
    /// Whether a Service of a namespace asks clients who they are.
    Authentication(String),
    /// Whose the target group of a name is, and what it is like.
    TargetGroup(String),
    /// The hosts that a certificate is wanted for, by ARN.
    Hosts(String),
}

/// What was looked at.
pub(crate) type Reads = RefCell<BTreeSet<Fact>>;

/// The objects, with a note of each that is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    inventory: &'a Inventory,
    reads: &'a Reads,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(inventory: &'a Inventory, reads: &'a Reads) -> Self {
        Self { inventory, reads }
    }

    /// Takes note that something is looked at.
    pub(crate) fn note(self, fact: Fact) {
        self.reads.borrow_mut().insert(fact);
    }

    /// Whether load balancers are to serve: then Secrets stand in for the certificates of AWS.
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

    pub(crate) fn class(self, name: &str) -> Option<&'a IngressClass> {
        self.note(Fact::Class(name.to_owned()));
        self.inventory.classes.get(name)
    }

    /// The class that is ours without an IngressClass.
    pub(crate) fn own_class(self) -> &'a str {
        match &*self.inventory.ingress_class {
            "" => CHART_CLASS,
            class => class,
        }
    }

    /// Every IngressClass that is the default.
    pub(crate) fn default_classes(self) -> impl Iterator<Item = &'a IngressClass> {
        self.note(Fact::DefaultClass);
        let classes = self.inventory.classes.values();
        classes.filter(|class| class.is_default())
    }

    pub(crate) fn params(self, name: &str) -> Option<&'a IngressClassParams> {
        self.note(Fact::Params(name.to_owned()));
        self.inventory.params.get(name)
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

    /// Whether an Ingress leads to the Service, whoever it belongs to.
    pub(crate) fn is_backend(self, service: &Key) -> bool {
        self.note(Fact::Backend(service.clone()));
        self.inventory.indexes.backends.contains_key(service)
    }

    /// Whether a Service of the namespace asks clients who they are: its Ingress may say how.
    pub(crate) fn authenticates(self, namespace: &str) -> bool {
        self.note(Fact::Authentication(namespace.to_owned()));
        self.inventory.indexes.asking.contains_key(namespace)
    }

    /// The names of the Services of a namespace, for advice that need not be up to date.
    pub(crate) fn services_of(self, namespace: &str) -> impl Iterator<Item = &'a str> {
        self.inventory.services_of(namespace)
    }
}
