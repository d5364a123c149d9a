//! All objects of a cluster, sorted by what they are.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::object::Object;
use crate::objects::{
    Binding, EndpointSlice, Endpoints, Ingress, IngressClass, IngressClassParams, Node, Pod,
    Secret, Service,
};
use crate::secret;
use crate::tenant::Tenant;
use crate::view::View;

/// Namespace and name.
pub type Key = (String, String);

/// The objects that decide about load balancers, by namespace and name.
#[derive(Debug, Default)]
pub struct Inventory {
    /// Services.
    pub services: BTreeMap<Key, Service>,
    /// Ingresses.
    pub ingresses: BTreeMap<Key, Ingress>,
    /// IngressClasses, by name.
    pub classes: BTreeMap<String, IngressClass>,
    /// IngressClassParams, by name.
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
    /// Whether load balancers are to serve: then Secrets stand in for the certificates of AWS.
    pub serving: bool,
    /// Objects, as `kind/namespace/name`, that the API server would refuse.
    pub rejected: BTreeSet<String>,
    /// The host names of the certificates in Secrets that carry an ARN, by that ARN.
    pub certificate_names: BTreeMap<String, Vec<String>>,
    /// MinIO Tenants.
    pub tenants: BTreeMap<Key, Tenant>,
}

/// Kinds that are known and say nothing about load balancers: nothing on AWS reads them for one.
const SILENT: &[&str] = &["ConfigMap"];

impl Inventory {
    /// Sorts `objects`. An object that the apiserver would refuse is reported and left out; of two
    /// with the same name the first counts.
    pub fn new(objects: &[Object], found: &mut Vec<Diagnostic>) -> Self {
        let mut inventory = Self::default();
        let mut seen = BTreeSet::new();
        let mut skipped: BTreeMap<(&str, &str), (usize, &Object)> = BTreeMap::new();
        for object in objects {
            if !seen.insert((
                object.group(),
                &*object.kind,
                &*object.namespace,
                &*object.name,
            )) {
                found.push(twice(object));
                continue;
            }
            let log = object.log();
            let known = inventory.add(object, &object.view(&log), || log.is_refused());
            if log.is_refused() {
                inventory.rejected.insert(object.path());
            }
            found.extend(log.into_found());
            if !known {
                let entry = skipped.entry((object.group(), &object.kind));
                entry.or_insert((0, object)).0 += 1;
            }
        }
        let secrets = inventory.secrets.values();
        let named = secrets.filter_map(|secret| Some((secret.arn()?, secret::names(secret))));
        let named = named.map(|(arn, names)| (arn.to_owned(), names));
        inventory.certificate_names = named.collect();
        found.extend(
            skipped
                .into_values()
                .map(|(count, object)| skip(count, object)),
        );
        inventory
    }

    /// Whether the kind is one that is read.
    fn add(&mut self, object: &Object, view: &View<'_>, refused: impl Fn() -> bool) -> bool {
        let key = (object.namespace.clone(), object.name.clone());
        match (object.group(), &*object.kind) {
            ("", "Service") => keep(
                &mut self.services,
                key,
                Service::read(object, view),
                refused,
            ),
            ("networking.k8s.io" | "extensions", "Ingress") => {
                keep(
                    &mut self.ingresses,
                    key,
                    Ingress::read(object, view),
                    refused,
                );
            }
            ("networking.k8s.io", "IngressClass") => {
                keep(
                    &mut self.classes,
                    key.1,
                    IngressClass::read(object, view),
                    refused,
                );
            }
            ("elbv2.k8s.aws", "IngressClassParams") => {
                keep(
                    &mut self.params,
                    key.1,
                    IngressClassParams::read(object, view),
                    refused,
                );
            }
            ("", "Secret") => keep(&mut self.secrets, key, Secret::read(object, view), refused),
            ("", "Namespace") => {
                let labels = crate::objects::Meta::read(object, view).labels;
                self.namespaces.insert(key.1, labels);
            }
            ("minio.min.io", "Tenant") => {
                keep(&mut self.tenants, key, Tenant::read(object, view), refused);
            }
            ("", "Node") => keep(&mut self.nodes, key.1, Node::read(object, view), refused),
            ("", "Pod") => keep(&mut self.pods, key, Pod::read(object, view), refused),
            ("", "Endpoints") => keep(
                &mut self.endpoints,
                key,
                Endpoints::read(object, view),
                refused,
            ),
            ("discovery.k8s.io", "EndpointSlice") => {
                keep(
                    &mut self.slices,
                    key,
                    EndpointSlice::read(object, view),
                    refused,
                );
            }
            ("elbv2.k8s.aws", "TargetGroupBinding") => {
                keep(
                    &mut self.bindings,
                    key,
                    Binding::read(object, view),
                    refused,
                );
            }
            (_, kind) => return SILENT.contains(&kind),
        }
        true
    }

    /// The Service called `name` in `namespace`.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(&(namespace.to_owned(), name.to_owned()))
    }
}

fn keep<K: Ord, T>(map: &mut BTreeMap<K, T>, key: K, value: T, refused: impl Fn() -> bool) {
    if !refused() {
        map.insert(key, value);
    }
}

fn twice(object: &Object) -> Diagnostic {
    let message = format!("{} is given twice; the first counts", object.path());
    let at = object.node.at;
    Diagnostic::warning("duplicate-object", message)
        .at(&*object.file, at.line, at.column)
        .object(object.path())
}

fn skip(count: usize, first: &Object) -> Diagnostic {
    let message = format!(
        "{count} of kind {} ({}) skipped: no load balancer is made of them",
        first.kind, first.api_version
    );
    let at = first.node.at;
    Diagnostic::new(Severity::Note, "skipped-kind", message)
        .at(&*first.file, at.line, at.column)
        .object(first.path())
}
