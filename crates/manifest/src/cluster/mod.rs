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

mod members;
mod merged;
mod native;
mod stacks;
mod tenants;
mod uses;

use std::collections::BTreeMap;
use std::sync::Arc;

use elbow_model::Model;
use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::yaml::{Node, Value};

use crate::Context;
use crate::ingress::GroupId;
use crate::inventory::{Inventory, Key, Typed};
use crate::object::{Object, path};
use crate::scope::{Fact, Reads, Scope};
use crate::serve::{Catalog, misbound};
use crate::stack::Stack;
use crate::tenant::TENANT;

use members::{Claim, Membership, member, stranger};
use merged::Merged;
use native::Native;
use stacks::State;
use uses::{Depth, Unit, Uses};

/// The finalizer of an Ingress that is in no named group.
pub const INGRESS_FINALIZER: &str = "ingress.k8s.aws/resources";
/// What the finalizer of the members of a named IngressGroup starts with.
pub const GROUP_FINALIZER: &str = "group.ingress.k8s.aws/";
/// The finalizer of a Service with a Network Load Balancer of the AWS Load Balancer Controller.
pub const SERVICE_FINALIZER: &str = "service.k8s.aws/resources";
/// The finalizer of a Service with a load balancer of the cluster's provider.
pub const CLEANUP_FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

const BINDING: &str = "TargetGroupBinding";

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
    /// `Service` or `Ingress`; `TargetGroupBinding` of one that cannot be followed.
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
    pub stack: Arc<Stack>,
    /// The name of the load balancer, as in the model.
    pub load_balancer: Arc<str>,
    /// Port and protocol of each listener, by port.
    pub ports: Vec<(u16, String)>,
}

/// The objects of a cluster, and the load balancers that they ask for.
#[derive(Debug, Default)]
pub struct Cluster {
    context: Context,
    inventory: Inventory,
    /// Objects that cannot be read. What was known of them before still counts.
    unread: BTreeMap<Identity, Diagnostic>,
    /// Which group each Ingress belongs to.
    claims: BTreeMap<Key, Claim>,
    groups: BTreeMap<GroupId, Membership>,
    /// Services that nobody has made, each with the Tenant that MinIO's operator would make it of.
    assumed: BTreeMap<Key, Key>,
    catalog: Catalog,
    states: BTreeMap<Arc<Unit>, State>,
    /// What is wrong with TargetGroupBindings.
    misbound: BTreeMap<Key, Diagnostic>,
    native: Native,
    merged: Merged,
    uses: Uses,
    told: Vec<Reconciled>,
}

impl Cluster {
    /// A cluster without objects.
    pub fn new(context: Context) -> Self {
        let inventory = Inventory {
            serving: true,
            ingress_class: context.defaults.ingress_class.clone(),
            ..Inventory::default()
        };
        Self {
            context,
            inventory,
            ..Self::default()
        }
    }

    /// As [`Self::new`], beside the load balancers of a native file. TargetGroupBindings may name its target groups, whose
    /// targets then come to those of the file; where a stack has one of its names, the file goes first.
    #[must_use]
    pub fn with_native(context: Context, model: Model) -> Self {
        let mut cluster = Self::new(context);
        cluster.set_native(model);
        cluster
    }

    /// Takes another native file in the place of the one before; [`Self::reconcile`] does what follows from it.
    pub fn set_native(&mut self, model: Model) {
        self.native = Native::new(model);
        self.uses.mark(Unit::Native, Depth::Model);
        for key in self.inventory.bindings.keys() {
            self.uses.mark(Unit::Binding(key.clone()), Depth::Plan);
        }
    }

    /// Takes note of a change; [`Self::reconcile`] does what follows from it.
    pub fn take(&mut self, change: Change) {
        match change {
            Change::Set(object) => self.set(object),
            Change::Gone(identity) => {
                let key = (identity.namespace.clone(), identity.name.clone());
                self.read(&identity, None, None);
                self.withdraw_named(&identity.kind, &key);
                let facts = self.inventory.remove(&identity.group, &identity.kind, &key);
                self.follow(&identity.kind, key, facts);
            }
        }
    }

    fn set(&mut self, mut object: Object) {
        trim(&mut object);
        let identity = Identity::from(&object);
        let key = (object.namespace.clone(), object.name.clone());
        let (typed, found) = Typed::read(&object);
        let Some(mut typed) = typed else { return };
        let refusal = found.into_iter().find(Diagnostic::is_error);
        let refused = refusal.is_some();
        self.read(&identity, typed.member(), refusal);
        // Of what is about to go, nothing counts but that it goes.
        if refused && !typed.is_deleting() {
            let Some(known) = self.inventory.known(&typed) else {
                return;
            };
            typed = known;
        }
        self.withdraw_named(&identity.kind, &key);
        // Most changes of an object are of its status, which says nothing.
        let same = self.inventory.finalizers(&typed) == typed.finalizers();
        let facts = self.inventory.put(typed);
        if !same || !facts.is_empty() {
            self.follow(&identity.kind, key, facts);
        }
    }

    /// Takes note of whether an object can be read.
    fn read(&mut self, identity: &Identity, member: Option<Member>, refusal: Option<Diagnostic>) {
        if self.unread.get(identity) == refusal.as_ref() {
            return;
        }
        let key = (identity.namespace.clone(), identity.name.clone());
        let path = path(&identity.kind, &key.0, &key.1);
        self.told
            .push(stranger(path, &key, member, refusal.clone()));
        match refusal {
            Some(refusal) => self.unread.insert(identity.clone(), refusal),
            None => self.unread.remove(identity),
        };
    }

    /// A Service that is there need not be assumed.
    fn withdraw_named(&mut self, kind: &str, key: &Key) {
        if kind == "Service" {
            self.withdraw(key);
        }
    }

    /// Marks what an object is, and what else was made from it.
    fn follow(&mut self, kind: &str, key: Key, facts: Vec<Fact>) {
        let depth = match facts.is_empty() {
            true => Depth::Members,
            false => Depth::Plan,
        };
        self.uses.changed(facts);
        let unit = match kind {
            "Service" => Unit::Service(key),
            "Ingress" => Unit::Claim(key),
            "Tenant" => Unit::Tenant(key),
            BINDING => Unit::Binding(key),
            _ => return,
        };
        self.uses.mark(unit, depth);
    }

    /// Makes anew the stacks that changes had a part in. A stack that is refused serves on as it was.
    pub fn reconcile(&mut self) -> Vec<Reconciled> {
        let mut told = std::mem::take(&mut self.told);
        while let Some(unit) = self
            .uses
            .next(|unit| matches!(unit, Unit::Tenant(_) | Unit::Claim(_)))
        {
            match &*unit {
                Unit::Tenant(key) => self.expand(&unit, key),
                Unit::Claim(key) => told.extend(self.claim(&unit, key)),
                _ => {}
            }
        }
        self.stacks(&mut told);
        while let Some(unit) = self.uses.next(|_| true) {
            if let Unit::Binding(key) = &*unit {
                told.extend(self.bind(&unit, key));
            }
        }
        told
    }

    /// Finds out whether a TargetGroupBinding can be followed.
    fn bind(&mut self, unit: &Arc<Unit>, key: &Key) -> Option<Reconciled> {
        let reads = Reads::default();
        let scope = Scope::new(&self.inventory, &reads);
        let binding = self.inventory.bindings.get(key);
        let binding = binding.filter(|binding| !binding.is_made());
        let wrong = binding.and_then(|binding| {
            let planned = self.catalog.has_group(&binding.group, scope);
            let known = planned || self.native.has_group(&binding.group);
            misbound(binding, known, scope)
        });
        let wrong = wrong.map(|wrong| Diagnostic {
            severity: Severity::Error,
            ..wrong
        });
        self.uses.note(unit, Depth::Plan, reads.into_inner());
        let before = match wrong.clone() {
            Some(wrong) => self.misbound.insert(key.clone(), wrong),
            None => self.misbound.remove(key),
        };
        (before != wrong).then(|| {
            let binding = self.inventory.bindings.get(key);
            let member = binding.map(|binding| member(BINDING, &binding.meta));
            stranger(path(BINDING, &key.0, &key.1), key, member, wrong)
        })
    }

    /// Whether [`Self::reconcile`] has nothing to do.
    pub fn is_reconciled(&self) -> bool {
        self.uses.is_clean() && self.told.is_empty()
    }

    /// The load balancers of all stacks. What did not change is what it was before, by pointer.
    pub fn model(&self) -> Model {
        self.merged.model()
    }

    /// The objects, typed.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }
}

impl Typed {
    /// The object as one that something can be told about.
    fn member(&self) -> Option<Member> {
        match self {
            Self::Service(service) => Some(member("Service", &service.meta)),
            Self::Ingress(ingress) => Some(member("Ingress", &ingress.meta)),
            Self::Binding(binding) => Some(member(BINDING, &binding.meta)),
            _ => None,
        }
    }
}

/// Annotations that nothing is made from: what elbow writes itself, and what is as long as the object.
const WRITTEN: &[&str] = &[
    "alb.ingress.kubernetes.io/dry-run-plan",
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// Kinds whose annotations say nothing about load balancers, and change often.
const BARE: &[&str] = &["Node", "Pod", "EndpointSlice", "Endpoints", "Namespace"];

/// Leaves out what nobody reads, so that it takes no memory and is no change.
fn trim(object: &mut Object) {
    let bare = BARE.contains(&&*object.kind);
    let Some(metadata) = field(&mut object.node, "metadata") else {
        return;
    };
    if let Some(Value::Mapping(annotations)) =
        field(metadata, "annotations").map(|one| &mut one.value)
    {
        annotations.retain(|(key, _)| !bare && !WRITTEN.contains(&&*key.name));
    }
    if object.kind == "Pod"
        && let Some(Value::Mapping(labels)) = field(metadata, "labels").map(|one| &mut one.value)
    {
        labels.retain(|(key, _)| key.name == TENANT);
    }
}

fn field<'a>(node: &'a mut Node, name: &str) -> Option<&'a mut Node> {
    let Value::Mapping(fields) = &mut node.value else {
        return None;
    };
    let mut fields = fields.iter_mut();
    fields.find_map(|(key, field)| (key.name == name).then_some(field))
}
