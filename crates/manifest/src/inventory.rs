//! All objects of a cluster, sorted by what they are.

use std::collections::{BTreeMap, BTreeSet};

use elbow_model::diagnostic::{Diagnostic, Severity};

use crate::object::Object;
use crate::objects::{
    Binding, EndpointSlice, Endpoints, Ingress, IngressClass, IngressClassParams, Node, Pod,
    Secret, Service,
};
use crate::tenant::Tenant;

mod index;
mod typed;

use index::Indexes;
pub(crate) use typed::Typed;

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
    /// The class that stands for the controller without an IngressClass; empty: that of its chart.
    pub ingress_class: String,
    /// Objects, as `kind/namespace/name`, that the API server would refuse.
    pub rejected: BTreeSet<String>,
    /// The host names of the certificates in Secrets that carry an ARN, by that ARN.
    pub certificate_names: BTreeMap<String, Vec<String>>,
    /// MinIO Tenants.
    pub tenants: BTreeMap<Key, Tenant>,
    pub(crate) indexes: Indexes,
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
            let (read, log) = Typed::read(object);
            let silent = SILENT.contains(&&*object.kind);
            if log.iter().any(Diagnostic::is_error) {
                inventory.rejected.insert(object.path());
            } else if let Some(read) = read {
                inventory.put(read);
            } else if !silent {
                let entry = skipped.entry((object.group(), &object.kind));
                entry.or_insert((0, object)).0 += 1;
            }
            found.extend(log);
        }
        found.extend(
            skipped
                .into_values()
                .map(|(count, object)| skip(count, object)),
        );
        inventory
    }

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
