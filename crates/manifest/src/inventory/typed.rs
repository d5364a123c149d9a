//! An object of one of the kinds that load balancers depend on.

use std::collections::BTreeMap;

use elbow_model::diagnostic::Diagnostic;

use super::fact::Fact;
use super::{Inventory, Key};
use crate::auto_mode;
use crate::object::Object;
use crate::objects::{
    Binding, EndpointSlice, Endpoints, Ingress, IngressClass, IngressClassParams, Meta, Node, Pod,
    Secret, Service, Tenant,
};
use crate::versions;

/// An object, read.
pub(crate) enum Typed {
    Service(Service),
    Ingress(Ingress),
    Class(IngressClass),
    Params(Box<IngressClassParams>),
    Secret(Secret),
    /// Name and labels.
    Namespace(String, BTreeMap<String, String>),
    Slice(EndpointSlice),
    Endpoints(Endpoints),
    Node(Node),
    Pod(Pod),
    Binding(Binding),
    Tenant(Box<Tenant>),
}

impl Typed {
    /// Whether objects of a kind are read, if only to refuse their version.
    pub(crate) fn is_read(group: &str, kind: &str) -> bool {
        matches!(
            (group, kind),
            (
                "",
                "Service" | "Secret" | "Namespace" | "Node" | "Pod" | "Endpoints"
            ) | ("networking.k8s.io", "Ingress" | "IngressClass")
                | ("extensions", "Ingress")
                | (
                    "elbv2.k8s.aws" | auto_mode::GROUP,
                    "IngressClassParams" | "TargetGroupBinding"
                )
                | ("minio.min.io", "Tenant")
                | ("discovery.k8s.io", "EndpointSlice")
        )
    }

    /// Reads an object, and what is wrong with it; `None` for kinds that are not read. An object with an error is
    /// unreliable. The QUIC server IDs of pods are in the environment variable `quic_variable`.
    pub(crate) fn read(object: &Object, quic_variable: &str) -> (Option<Self>, Vec<Diagnostic>) {
        let log = object.log();
        let view = &object.view(&log);
        let typed = match (object.group(), &*object.kind) {
            ("", "Service") => Self::Service(Service::read(object, view)),
            ("networking.k8s.io" | "extensions", "Ingress") => {
                Self::Ingress(Ingress::read(object, view))
            }
            ("networking.k8s.io", "IngressClass") => Self::Class(IngressClass::read(object, view)),
            ("elbv2.k8s.aws" | auto_mode::GROUP, "IngressClassParams") => {
                Self::Params(Box::new(IngressClassParams::read(object, view)))
            }
            ("", "Secret") => Self::Secret(Secret::read(object, view)),
            ("", "Namespace") => {
                Self::Namespace(object.name.clone(), Meta::read(object, view).labels)
            }
            ("minio.min.io", "Tenant") => Self::Tenant(Box::new(Tenant::read(object, view))),
            ("", "Node") => Self::Node(Node::read(object, view)),
            ("", "Pod") => Self::Pod(Pod::read(object, view, quic_variable)),
            ("", "Endpoints") => Self::Endpoints(Endpoints::read(object, view)),
            ("discovery.k8s.io", "EndpointSlice") => Self::Slice(EndpointSlice::read(object, view)),
            ("elbv2.k8s.aws" | auto_mode::GROUP, "TargetGroupBinding") => {
                Self::Binding(Binding::read(object, view))
            }
            _ => return (None, versions::refuse(object).into_iter().collect()),
        };
        let found = match versions::refuse(object) {
            // The fields of another version are not wrong.
            Some(refusal) => vec![refusal],
            None => log.into_found(),
        };
        (Some(typed), found)
    }

    /// Whether it can have a load balancer and is being deleted.
    pub(crate) fn is_deleting(&self) -> bool {
        match self {
            Self::Service(service) => service.meta.deleting,
            Self::Ingress(ingress) => ingress.meta.deleting,
            _ => false,
        }
    }

    /// The finalizers of an object that can have a load balancer.
    pub(crate) fn finalizers(&self) -> Option<&Vec<String>> {
        match self {
            Self::Service(service) => Some(&service.meta.finalizers),
            Self::Ingress(ingress) => Some(&ingress.meta.finalizers),
            _ => None,
        }
    }
}

impl Inventory {
    /// The known finalizers of an object.
    pub(crate) fn finalizers(&self, of: &Typed) -> Option<&Vec<String>> {
        match of {
            Typed::Service(now) => Some(&self.services.get(&key(&now.meta))?.meta.finalizers),
            Typed::Ingress(now) => Some(&self.ingresses.get(&key(&now.meta))?.meta.finalizers),
            _ => None,
        }
    }

    /// The last known state of an object that can no longer be read, with its current finalizers.
    pub(crate) fn known(&self, now: &Typed) -> Option<Typed> {
        match now {
            Typed::Service(now) => {
                let mut known = self.services.get(&key(&now.meta))?.clone();
                known.meta.finalizers.clone_from(&now.meta.finalizers);
                Some(Typed::Service(known))
            }
            Typed::Ingress(now) => {
                let mut known = self.ingresses.get(&key(&now.meta))?.clone();
                known.meta.finalizers.clone_from(&now.meta.finalizers);
                Some(Typed::Ingress(known))
            }
            _ => None,
        }
    }

    /// Adds an object or replaces the one of that name, and returns the facts that changed.
    pub(crate) fn put(&mut self, typed: Typed) -> Vec<Fact> {
        match typed {
            Typed::Service(new) => self.put_service(new),
            Typed::Ingress(new) => self.put_ingress(new),
            Typed::Class(new) => {
                let name = new.meta.name.clone();
                let default = new.is_default();
                let was = self
                    .classes
                    .get(&name)
                    .is_some_and(IngressClass::is_default);
                let facts = insert(&mut self.classes, name, new, Fact::Class);
                with(facts, default || was, Fact::DefaultClass)
            }
            Typed::Params(new) => {
                let key = IngressClassParams::key_of(new.is_auto, &new.meta.name);
                insert(&mut self.params, key, *new, Fact::Params)
            }
            Typed::Secret(new) => {
                let key = key(&new.meta);
                if self.secrets.get(&key) == Some(&new) {
                    return Vec::new();
                }
                let mut facts = self.unlist_secret(&key);
                facts.extend(self.list_secret(&key, &new));
                self.secrets.insert(key.clone(), new);
                facts.push(Fact::Secret(key));
                facts
            }
            Typed::Namespace(name, labels) => {
                insert(&mut self.namespaces, name, labels, Fact::Namespace)
            }
            Typed::Slice(new) => {
                let key = key(&new.meta);
                if self.slices.get(&key) == Some(&new) {
                    return Vec::new();
                }
                let mut facts = self.remove_slice(&key);
                facts.extend(self.indexes.list_slice(&key, &new));
                self.slices.insert(key, new);
                facts
            }
            Typed::Endpoints(new) => {
                insert(&mut self.endpoints, key(&new.meta), new, Fact::Endpoints)
            }
            Typed::Node(new) => {
                let facts = insert(&mut self.nodes, new.meta.name.clone(), new, Fact::Node);
                with(facts, true, Fact::Nodes)
            }
            Typed::Pod(new) => {
                let key = key(&new.meta);
                if self.pods.get(&key) == Some(&new) {
                    return Vec::new();
                }
                let mut facts = self.remove_pod(&key);
                facts.extend(self.indexes.list_pod(&key, &new));
                self.pods.insert(key.clone(), new);
                facts.push(Fact::Pod(key));
                facts
            }
            Typed::Binding(new) => {
                let key = key(&new.meta);
                if self.bindings.get(&key) == Some(&new) {
                    return Vec::new();
                }
                let mut facts = self.remove_binding(&key);
                facts.extend(self.indexes.list_binding(&key, &new));
                self.bindings.insert(key, new);
                facts
            }
            Typed::Tenant(new) => {
                let key = (new.namespace.clone(), new.name.clone());
                insert(&mut self.tenants, key, *new, Fact::Tenant)
            }
        }
    }

    /// Removes an object, and returns the facts that changed.
    pub(crate) fn remove(&mut self, group: &str, kind: &str, key: &Key) -> Vec<Fact> {
        match (group, kind) {
            ("", "Service") => self.remove_service(key),
            ("networking.k8s.io" | "extensions", "Ingress") => self.remove_ingress(key),
            ("networking.k8s.io", "IngressClass") => {
                let was = self
                    .classes
                    .get(&key.1)
                    .is_some_and(IngressClass::is_default);
                let facts = remove(&mut self.classes, key.1.clone(), Fact::Class);
                with(facts, was, Fact::DefaultClass)
            }
            ("elbv2.k8s.aws" | auto_mode::GROUP, "IngressClassParams") => {
                let key = IngressClassParams::key_of(group == auto_mode::GROUP, &key.1);
                remove(&mut self.params, key, Fact::Params)
            }
            ("", "Secret") => {
                let mut facts = self.unlist_secret(key);
                facts.extend(remove(&mut self.secrets, key.clone(), Fact::Secret));
                facts
            }
            ("", "Namespace") => remove(&mut self.namespaces, key.1.clone(), Fact::Namespace),
            ("minio.min.io", "Tenant") => remove(&mut self.tenants, key.clone(), Fact::Tenant),
            ("", "Node") => {
                let facts = remove(&mut self.nodes, key.1.clone(), Fact::Node);
                with(facts, true, Fact::Nodes)
            }
            ("", "Pod") => self.remove_pod(key),
            ("", "Endpoints") => remove(&mut self.endpoints, key.clone(), Fact::Endpoints),
            ("discovery.k8s.io", "EndpointSlice") => self.remove_slice(key),
            ("elbv2.k8s.aws" | auto_mode::GROUP, "TargetGroupBinding") => self.remove_binding(key),
            _ => Vec::new(),
        }
    }
}

/// Namespace and name.
pub(super) fn key(meta: &Meta) -> Key {
    (meta.namespace.clone(), meta.name.clone())
}

/// Inserts `new`, and returns its fact if it differs from the previous value.
fn insert<K: Ord + Clone, T: PartialEq>(
    map: &mut BTreeMap<K, T>,
    key: K,
    new: T,
    fact: impl Fn(K) -> Fact,
) -> Vec<Fact> {
    if map.get(&key) == Some(&new) {
        return Vec::new();
    }
    map.insert(key.clone(), new);
    vec![fact(key)]
}

/// Removes the value of `key`, and returns its fact if it was there.
pub(super) fn remove<K: Ord, T>(
    map: &mut BTreeMap<K, T>,
    key: K,
    fact: impl Fn(K) -> Fact,
) -> Vec<Fact> {
    match map.remove(&key) {
        Some(_) => vec![fact(key)],
        None => Vec::new(),
    }
}

/// Adds a fact if any other changed.
fn with(mut facts: Vec<Fact>, too: bool, fact: Fact) -> Vec<Fact> {
    if too && !facts.is_empty() {
        facts.push(fact);
    }
    facts
}
