//! A live cluster: objects come and go one by one, and what they ask for is made anew where it changed.
//!
//! ```
//! use elbow_manifest::cluster::{Change, Cluster, Outcome};
//! use elbow_manifest::{Context, Object};
//! use serde_json::json;
//!
//! let mut cluster = Cluster::new(Context::default());
//! cluster.take(Change::Set(Object::from_json(json!({
//!     "apiVersion": "v1", "kind": "Service", "metadata": {"name": "minio", "namespace": "a"},
//!     "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "ports": [{"port": 443}]}
//! }))?));
//! let reconciled = cluster.reconcile();
//! assert_eq!(reconciled[0].key, "a/minio (Service)");
//! assert!(matches!(&reconciled[0].outcome, Outcome::Made(made) if made.ports == [(443, "TCP".to_owned())]));
//! assert_eq!(cluster.model().load_balancers.len(), 1);
//! assert!(cluster.reconcile().is_empty());
//! # Ok::<(), elbow_model::diagnostic::Diagnostic>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elbow_model::Model;
use elbow_model::diagnostic::Diagnostic;

use crate::inventory::{Inventory, Key};
use crate::object::Object;
use crate::objects::Meta;
use crate::serve::{Serving, serve};
use crate::service::{Owner, owner_of};
use crate::stack::Stack;
use crate::{Context, ingress};

/// The finalizer of an Ingress that is in no named group.
pub const INGRESS_FINALIZER: &str = "ingress.k8s.aws/resources";
/// What the finalizer of the members of a named IngressGroup starts with.
pub const GROUP_FINALIZER: &str = "group.ingress.k8s.aws/";
/// The finalizer of a Service with a Network Load Balancer of the AWS Load Balancer Controller.
pub const SERVICE_FINALIZER: &str = "service.k8s.aws/resources";
/// The finalizer of a Service with a load balancer of the cluster's provider.
pub const CLEANUP_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

/// Which object: what an API server knows it by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The API group: `networking.k8s.io`; empty for the core.
    pub group: String,
    /// `Service`.
    pub kind: String,
    /// Its namespace; empty for kinds that have none.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl From<&Object> for Identity {
    fn from(object: &Object) -> Self {
        Self {
            group: object.group().to_owned(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }
}

/// What happened to an object.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is there, or is different now.
    Set(Object),
    /// It is there no longer.
    Gone(Identity),
}

/// An object that a load balancer is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// `Service` or `Ingress`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

/// What became of a stack, or of an object that is in none.
#[derive(Clone, Debug)]
pub struct Reconciled {
    /// [`Stack::key`]; `kind/namespace/name` of an object that is in no stack.
    pub key: String,
    /// [`Stack::id`]: the name of the group, or `namespace/name`.
    pub id: String,
    /// What members carry while the load balancer may exist; empty where there is no stack.
    pub finalizer: String,
    /// The objects that it is made of, in the group's order.
    pub members: Vec<Member>,
    /// Objects that carry the finalizer and are members no longer: deleted, of another class or another group.
    pub leaving: Vec<Member>,
    /// What became of it.
    pub outcome: Outcome,
    /// Warnings and notes.
    pub diagnostics: Vec<Diagnostic>,
}

/// What became of a stack.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It serves.
    Made(Arc<Made>),
    /// It serves what it served before, if anything: what is asked for now is wrong.
    Refused(Diagnostic),
    /// Nobody asks for it any longer.
    Gone,
}

/// A stack that serves.
#[derive(Clone, Debug)]
pub struct Made {
    /// What AWS would make.
    pub stack: Stack,
    /// The name of the load balancer, as in the model.
    pub load_balancer: Arc<str>,
    /// Port and protocol of each listener, by port.
    pub ports: Vec<(u16, String)>,
}

/// The objects of a cluster, and the load balancers that they ask for.
#[derive(Debug)]
pub struct Cluster {
    context: Context,
    objects: BTreeMap<Identity, Object>,
    inventory: Inventory,
    serving: Serving,
    known: BTreeSet<String>,
    dirty: bool,
}

impl Cluster {
    /// A cluster without objects.
    pub fn new(context: Context) -> Self {
        Self {
            context,
            objects: BTreeMap::new(),
            inventory: Inventory::default(),
            serving: Serving::default(),
            known: BTreeSet::new(),
            dirty: false,
        }
    }

    /// Takes note of a change; [`Self::reconcile`] does what follows from it.
    pub fn take(&mut self, change: Change) {
        match change {
            Change::Set(object) => self.objects.insert(Identity::from(&object), object),
            Change::Gone(identity) => self.objects.remove(&identity),
        };
        self.dirty = true;
    }

    /// Makes anew the stacks that changes had a part in. A stack that is refused serves on as it was.
    pub fn reconcile(&mut self) -> Vec<Reconciled> {
        if !std::mem::take(&mut self.dirty) {
            return Vec::new();
        }
        let objects: Vec<Object> = self.objects.values().cloned().collect();
        self.inventory = Inventory::new(&objects, &mut Vec::new());
        let serving = serve(&objects, &self.context);
        let before = std::mem::take(&mut self.serving);
        let mut all = self.services(&serving);
        all.extend(self.groups(&serving));
        all.extend(self.strangers(&serving));
        self.serving = serving.keeping(&before);
        let known = all.iter().map(|one| one.key.clone()).collect();
        let gone = std::mem::replace(&mut self.known, known);
        for key in gone.difference(&self.known) {
            all.push(Reconciled {
                key: key.clone(),
                id: key.split(' ').next().unwrap_or_default().to_owned(),
                finalizer: String::new(),
                members: Vec::new(),
                leaving: Vec::new(),
                outcome: Outcome::Gone,
                diagnostics: Vec::new(),
            });
        }
        all
    }

    /// The load balancers of all stacks. What did not change is what it was before, by pointer.
    pub fn model(&self) -> Model {
        self.serving.clone().into_model().0
    }

    /// The objects, typed.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    fn services(&self, serving: &Serving) -> Vec<Reconciled> {
        let mut all = Vec::new();
        for service in self.inventory.services.values() {
            let meta = &service.meta;
            let owner = owner_of(service, &self.context);
            let active = owner != Owner::Nobody && !meta.deleting;
            let carried = [SERVICE_FINALIZER, CLEANUP_FINALIZER];
            let carried = carried.into_iter().find(|one| carries(meta, one));
            let finalizer = match owner {
                Owner::Lbc => SERVICE_FINALIZER,
                Owner::Classic | Owner::ProviderNlb => CLEANUP_FINALIZER,
                Owner::Nobody => carried.unwrap_or_default(),
            };
            if !active && carried.is_none() {
                continue;
            }
            let member = vec![member("Service", meta)];
            let (members, leaving) = match active {
                true => (member, Vec::new()),
                false => (Vec::new(), member),
            };
            let key = Stack::key_of_service(&meta.key());
            all.push(reconciled(
                serving,
                (key, meta.key(), finalizer.to_owned()),
                members,
                leaving,
            ));
        }
        all
    }

    fn groups(&self, serving: &Serving) -> Vec<Reconciled> {
        let active = ingress::members(&self.inventory);
        let mut ids: BTreeSet<String> = active.keys().cloned().collect();
        for ingress in self.inventory.ingresses.values() {
            for finalizer in &ingress.meta.finalizers {
                ids.extend(finalizer.strip_prefix(GROUP_FINALIZER).map(str::to_owned));
                if finalizer == INGRESS_FINALIZER {
                    ids.insert(ingress.meta.key());
                }
            }
        }
        let group = |id: String| {
            let key = Stack::key_of_group(&id);
            let stack = serving.stacks.iter().find(|stack| stack.key() == key);
            let unordered = active.get(&id).cloned().unwrap_or_default();
            let members = stack.map_or(unordered, |stack| stack.members.clone());
            let finalizer = match id.contains('/') {
                true => INGRESS_FINALIZER.to_owned(),
                false => format!("{GROUP_FINALIZER}{id}"),
            };
            let leaves = |(key, ingress): &(&Key, &crate::objects::Ingress)| {
                carries(&ingress.meta, &finalizer)
                    && !members.contains(key)
                    && (finalizer != INGRESS_FINALIZER || ingress.meta.key() == id)
            };
            let leaving = self.inventory.ingresses.iter().filter(leaves);
            let leaving = leaving
                .map(|(_, one)| member("Ingress", &one.meta))
                .collect();
            let members = members.iter();
            let members = members.filter_map(|key| self.inventory.ingresses.get(key));
            let members = members.map(|one| member("Ingress", &one.meta)).collect();
            reconciled(serving, (key, id, finalizer), members, leaving)
        };
        ids.into_iter().map(group).collect()
    }

    /// Errors about objects that are in no stack.
    fn strangers(&self, serving: &Serving) -> Vec<Reconciled> {
        let ingresses = self.inventory.ingresses.values();
        let ingresses = ingresses.map(|one| member("Ingress", &one.meta));
        let groups = ingress::members(&self.inventory);
        let alone = ingresses.filter(|one| {
            let key = (one.namespace.clone(), one.name.clone());
            !groups.values().any(|members| members.contains(&key))
        });
        let stranger = |member: Member| {
            let key = crate::object::path(member.kind, &member.namespace, &member.name);
            let of_it = |found: &&Diagnostic| found.is_error() && found.object == key;
            let refusal = serving.found.iter().find(of_it)?.clone();
            Some(Reconciled {
                id: format!("{}/{}", member.namespace, member.name),
                key,
                finalizer: String::new(),
                members: vec![member],
                leaving: Vec::new(),
                outcome: Outcome::Refused(refusal),
                diagnostics: Vec::new(),
            })
        };
        alone.filter_map(stranger).collect()
    }
}

fn carries(meta: &Meta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|one| one == finalizer)
}

fn member(kind: &'static str, meta: &Meta) -> Member {
    Member {
        kind,
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
    }
}

fn reconciled(
    serving: &Serving,
    (key, id, finalizer): (String, String, String),
    members: Vec<Member>,
    leaving: Vec<Member>,
) -> Reconciled {
    let about = |found: &&Diagnostic| {
        let mut members = members.iter().chain(&leaving);
        members.any(|one| found.object == crate::object::path(one.kind, &one.namespace, &one.name))
    };
    let found = serving.found.iter().filter(about);
    let (errors, diagnostics): (Vec<_>, Vec<_>) = found.cloned().partition(Diagnostic::is_error);
    let stack = serving.stacks.iter().find(|stack| stack.key() == key);
    let model = serving.models.get(&key);
    let balancer = model.and_then(|(model, _)| model.load_balancers.first());
    let outcome = match (stack, balancer) {
        _ if members.is_empty() => Outcome::Gone,
        (Some(stack), Some(balancer)) => Outcome::Made(Arc::new(Made {
            stack: stack.clone(),
            load_balancer: balancer.name.clone(),
            ports: ports(stack),
        })),
        _ => {
            let refused = || Diagnostic::error("refused", "the stack is refused");
            Outcome::Refused(errors.into_iter().next().unwrap_or_else(refused))
        }
    };
    Reconciled {
        key,
        id,
        finalizer,
        members,
        leaving,
        outcome,
        diagnostics,
    }
}

/// Port and protocol of each listener.
fn ports(stack: &Stack) -> Vec<(u16, String)> {
    let listeners = stack.listeners.values();
    let mut ports: Vec<(u16, String)> = listeners
        .map(|listener| (listener.port, listener.protocol.clone()))
        .collect();
    let classic = stack.classic.iter().flat_map(|classic| &classic.listeners);
    ports.extend(classic.map(|one| (one.load_balancer_port, one.protocol.to_owned())));
    ports.sort();
    ports
}
