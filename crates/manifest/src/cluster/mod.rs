//! The engine: objects are set and deleted one by one, and only the load balancers that a change affects are built again.
//!
//! A [`Cluster`] is fed by the watches of an API server, or by [`Files`] with what stands in manifests.
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

mod files;
mod marks;
mod members;
mod native;
mod protection;
mod result;
mod stacks;
mod tenants;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use elbow_desired::Merged;
use elbow_model::diagnostic::{Diagnostic, Severity};
use elbow_model::{Model, Origin};
use elbow_yaml::{Node, Value};

use crate::Context;
use crate::annotations::ingress::DRY_RUN_PLAN;
use crate::ingress::GroupId;
use crate::inventory::{Inventory, Key, Typed};
use crate::object::{Object, path};
use crate::objects::{Binding, QUIC_ENABLED_CONTAINERS};
use crate::scope::{Fact, Reads, Scope};
use crate::serve::{Catalog, misbound, stray_endpoints};
use crate::stack::Stack;
use crate::strict::{joined, refusals};
use crate::tenant::{TENANT, Tenant};
use crate::versions;

pub use files::{Content, Files, Update};
pub use marks::{AUTO_MODE, CLEANUP_FINALIZER, LBC, Marks, OWN};
use members::{Claim, Membership, member, object_result};
use native::Native;
pub use result::{Made, Member, Outcome, Reconciled};
use stacks::State;
use uses::{Depth, Unit, Uses};

const BINDING: &str = "TargetGroupBinding";

/// What identifies an object at an API server.
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
    /// It was created or changed.
    Set(Object),
    /// It was deleted.
    Gone(Identity),
}

/// A TargetGroupBinding with a finding.
#[derive(Debug)]
struct Misbound {
    found: Diagnostic,
    /// Whether the controller of AWS made it.
    is_made: bool,
}

impl Misbound {
    /// The error of a binding that a person wrote.
    fn refusal(&self) -> Option<Diagnostic> {
        (!self.is_made).then(|| Diagnostic {
            severity: Severity::Error,
            ..self.found.clone()
        })
    }
}

/// The objects of a cluster, and the load balancers that they ask for.
#[derive(Debug, Default)]
pub struct Cluster {
    context: Context,
    inventory: Inventory,
    /// What was found in reading objects; those without findings are not here.
    findings: BTreeMap<Identity, Vec<Diagnostic>>,
    /// The errors of objects that cannot be read. Their last valid version still counts.
    unread: BTreeMap<Identity, Diagnostic>,
    /// Which group each Ingress belongs to.
    claims: BTreeMap<Key, Claim>,
    groups: BTreeMap<GroupId, Membership>,
    /// Services that do not exist, each with the Tenant that MinIO's operator would make it of.
    assumed: BTreeMap<Key, Key>,
    /// Assumed Services whose endpoints are derived from the Tenant's pods.
    derived: BTreeSet<Key>,
    catalog: Catalog,
    states: BTreeMap<Arc<Unit>, State>,
    /// What was found about TargetGroupBindings.
    misbound: BTreeMap<Key, Misbound>,
    native: Native,
    merged: Merged,
    uses: Uses,
    results: Vec<Reconciled>,
    /// How many stacks were planned so far.
    planned: u64,
}

impl Cluster {
    /// A cluster without objects.
    pub fn new(context: Context) -> Self {
        let inventory = Inventory {
            serving: true,
            ownership: context.defaults.ownership.clone(),
            ..Inventory::default()
        };
        Self {
            context,
            inventory,
            ..Self::default()
        }
    }

    /// As [`Self::new`], for the plan alone: no models are made, and certificates are those of AWS.
    pub(crate) fn to_plan(context: Context) -> Self {
        let mut cluster = Self::new(context);
        cluster.inventory.serving = false;
        cluster
    }

    /// Replaces what the objects do not say. [`Self::reconcile`] plans every stack again; what is refused then serves on
    /// as it is. A new name of the variable with QUIC server IDs counts for pods that are taken afterwards.
    pub fn set_context(&mut self, context: Context) {
        if self.context == context {
            return;
        }
        self.inventory
            .ownership
            .clone_from(&context.defaults.ownership);
        self.context = context;
        let keys = |keys: &mut dyn Iterator<Item = &Key>| keys.cloned().collect::<Vec<Key>>();
        for key in keys(&mut self.inventory.ingresses.keys()) {
            self.uses.mark(Unit::Claim(key), Depth::Plan);
        }
        for key in keys(&mut self.inventory.services.keys()) {
            self.uses.mark(Unit::Service(key), Depth::Plan);
        }
        for id in self.groups.keys().cloned().collect::<Vec<GroupId>>() {
            self.uses.mark(Unit::Group(id), Depth::Plan);
        }
        for key in keys(&mut self.inventory.bindings.keys()) {
            self.uses.mark(Unit::Binding(key), Depth::Plan);
        }
        self.uses.mark(Unit::Native, Depth::Model);
        let reads = Reads::default();
        let scope = Scope::new(&self.inventory, &reads);
        let facts = self.catalog.refresh(scope, &self.context);
        self.uses.changed(facts);
    }

    /// As [`Self::new`], beside the load balancers of a native file. TargetGroupBindings may name its target groups and
    /// add targets to them. When a stack uses a name of the file, the file keeps it.
    #[must_use]
    pub fn with_native(context: Context, model: Model) -> Self {
        let mut cluster = Self::new(context);
        cluster.set_native(model);
        cluster
    }

    /// Replaces the native file; [`Self::reconcile`] applies what follows from it.
    pub fn set_native(&mut self, model: Model) {
        self.native = Native::new(model);
        self.uses.mark(Unit::Native, Depth::Model);
        for key in self.inventory.bindings.keys() {
            self.uses.mark(Unit::Binding(key.clone()), Depth::Plan);
        }
    }

    /// Takes note of a change; [`Self::reconcile`] applies what follows from it.
    pub fn take(&mut self, change: Change) {
        match change {
            Change::Set(object) => self.set(object),
            Change::Gone(identity) => {
                let key = (identity.namespace.clone(), identity.name.clone());
                self.findings.remove(&identity);
                self.read(&identity, None, None);
                self.withdraw_named(&identity.kind, &key);
                let facts = self.inventory.remove(&identity.group, &identity.kind, &key);
                self.follow(&identity.kind, key, facts);
            }
        }
    }

    fn set(&mut self, mut object: Object) {
        // Before it is trimmed: an API server sees all of it.
        let refusals = match versions::refuse(&object) {
            // The fields of another version are not wrong.
            Some(_) => Vec::new(),
            None => refusals(&object, self.context.reading),
        };
        trim(&mut object);
        let identity = Identity::from(&object);
        let key = (object.namespace.clone(), object.name.clone());
        let quic_variable = &self.context.defaults.quic_environment_variable_name;
        let (typed, found) = Typed::read(&object, quic_variable);
        let found = joined(refusals, found);
        let refusal = found.iter().find(|one| one.is_error()).cloned();
        if found.is_empty() {
            self.findings.remove(&identity);
        } else {
            self.findings.insert(identity.clone(), found);
        }
        let Some(mut typed) = typed else { return };
        let refused = refusal.is_some();
        self.read(&identity, typed.member(), refusal);
        // An object that is being deleted is not read any further.
        if refused && !typed.is_deleting() {
            // Without an earlier state, load balancers that need a broken Secret are refused: none serves a stand-in.
            let is_new_secret =
                matches!(typed, Typed::Secret(_)) && !self.inventory.secrets.contains_key(&key);
            match self.inventory.known(&typed) {
                Some(known) => typed = known,
                None if is_new_secret => {}
                None => return,
            }
        }
        self.withdraw_named(&identity.kind, &key);
        // Most changes of an object are changes of its status, which is not read.
        let same = self.inventory.finalizers(&typed) == typed.finalizers();
        let facts = self.inventory.put(typed);
        if !same || !facts.is_empty() {
            self.follow(&identity.kind, key, facts);
        }
    }

    /// Takes note of whether an object could be read.
    fn read(&mut self, identity: &Identity, member: Option<Member>, refusal: Option<Diagnostic>) {
        if self.unread.get(identity) == refusal.as_ref() {
            return;
        }
        let key = (identity.namespace.clone(), identity.name.clone());
        let path = path(&identity.kind, &key.0, &key.1);
        self.results
            .push(object_result(path, &key, member, refusal.clone()));
        if identity.kind == "Ingress" {
            let facts = self.inventory.note_unread(&key, refusal.is_some());
            self.uses.changed(facts);
        }
        match refusal {
            Some(refusal) => self.unread.insert(identity.clone(), refusal),
            None => self.unread.remove(identity),
        };
    }

    /// Objects that exist replace those that were assumed for a Tenant.
    fn withdraw_named(&mut self, kind: &str, key: &Key) {
        match kind {
            "Service" => self.withdraw(key),
            "Endpoints" => self.endpoints_given(key),
            _ => {}
        }
    }

    /// Marks the unit of an object, and everything that was made from the object.
    fn follow(&mut self, kind: &str, key: Key, facts: Vec<Fact>) {
        let depth = if facts.is_empty() {
            Depth::Members
        } else {
            Depth::Plan
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

    /// Builds the stacks again that changes affect. A stack that is refused serves on as it was.
    pub fn reconcile(&mut self) -> Vec<Reconciled> {
        let mut results = std::mem::take(&mut self.results);
        while let Some(unit) = self
            .uses
            .next(|unit| matches!(unit, Unit::Tenant(_) | Unit::Claim(_)))
        {
            match &*unit {
                Unit::Tenant(key) => self.expand(&unit, key),
                Unit::Claim(key) => results.extend(self.claim(&unit, key)),
                _ => {}
            }
        }
        self.stacks(&mut results);
        while let Some(unit) = self.uses.next(|_| true) {
            if let Unit::Binding(key) = &*unit {
                results.extend(self.bind(&unit, key));
            }
        }
        results
    }

    /// Checks whether the target group and the Service of a TargetGroupBinding exist.
    fn bind(&mut self, unit: &Arc<Unit>, key: &Key) -> Option<Reconciled> {
        let reads = Reads::default();
        let scope = Scope::new(&self.inventory, &reads);
        let binding = self.inventory.bindings.get(key);
        let found = binding.and_then(|binding| {
            let planned = self.catalog.has_group(&binding.group, scope);
            let known = planned || self.native.has_group(&binding.group);
            misbound(binding, known, scope)
        });
        self.uses.note(unit, Depth::Plan, reads.into_inner());
        // Bindings that the controller of AWS made may outlive their target groups.
        let is_made = binding.is_some_and(Binding::is_made);
        let now = found.map(|found| Misbound { found, is_made });
        let refusal = now.as_ref().and_then(Misbound::refusal);
        let before = match now {
            Some(now) => self.misbound.insert(key.clone(), now),
            None => self.misbound.remove(key),
        };
        let before = before.as_ref().and_then(Misbound::refusal);
        (before != refusal).then(|| {
            let member = binding.map(|binding| member(BINDING, &binding.meta));
            object_result(path(BINDING, &key.0, &key.1), key, member, refusal)
        })
    }

    /// Everything that is wrong or worth knowing about all objects, by file and line; a finding that several resources
    /// share is listed once.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut found: Vec<Diagnostic> = self.findings.values().flatten().cloned().collect();
        found.extend(self.claims.values().filter_map(|claim| claim.found.clone()));
        for state in self.states.values() {
            found.extend(state.findings().cloned());
        }
        if self.inventory.serving {
            found.extend(self.merged.conflicts().cloned());
            found.extend(self.misbound.values().map(|one| one.found.clone()));
            found.extend_from_slice(self.native.found());
            stray_endpoints(&self.inventory, &mut found);
        }
        crate::sort(&mut found);
        found.dedup();
        found
    }

    /// How many stacks were planned since the start; a stack that is planned twice counts twice.
    pub fn planned(&self) -> u64 {
        self.planned
    }

    /// What the models of stacks are built from; what is looked at is added to `reads`.
    #[cfg(test)]
    pub(crate) fn surroundings<'a>(&'a self, reads: &'a Reads) -> crate::serve::Surroundings<'a> {
        crate::serve::Surroundings {
            context: &self.context,
            scope: Scope::new(&self.inventory, reads),
            catalog: &self.catalog,
        }
    }

    /// All planned stacks by key.
    pub(crate) fn stacks_by_key(&self) -> impl Iterator<Item = &Stack> {
        self.catalog.stacks().values().map(|stack| &**stack)
    }

    /// The stacks of MinIO Tenants, which have no load balancer.
    pub(crate) fn tenant_stacks(&self) -> Vec<Stack> {
        self.inventory.tenants.values().map(Tenant::stack).collect()
    }

    /// The keys of the stacks whose objects cannot be planned.
    pub(crate) fn refused(&self) -> BTreeSet<String> {
        let refused = self.states.iter().filter(|(_, state)| state.is_refused());
        refused.map(|(unit, _)| stacks::key_of(unit)).collect()
    }

    /// Whether [`Self::reconcile`] has nothing to do.
    pub fn is_reconciled(&self) -> bool {
        self.uses.is_clean() && self.results.is_empty()
    }

    /// A number that is another one whenever [`Self::model`] may be.
    pub fn version(&self) -> u64 {
        self.merged.version()
    }

    /// The load balancers of all stacks. Parts that did not change are shared with earlier models.
    pub fn model(&self) -> Model {
        self.merged.model()
    }

    /// Where a load balancer of the model comes from.
    pub fn origin(&self, load_balancer: &str) -> Option<&Origin> {
        self.merged.origin(load_balancer)
    }

    /// The objects, typed.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }
}

impl Typed {
    /// The object as a member, for kinds whose objects have a status or events.
    fn member(&self) -> Option<Member> {
        match self {
            Self::Service(service) => Some(member("Service", &service.meta)),
            Self::Ingress(ingress) => Some(member("Ingress", &ingress.meta)),
            Self::Binding(binding) => Some(member(BINDING, &binding.meta)),
            _ => None,
        }
    }
}

/// Annotations that no load balancer depends on: those that elbow writes, and the copy of the object by kubectl.
const WRITTEN: &[&str] = &[
    DRY_RUN_PLAN.key,
    "kubectl.kubernetes.io/last-applied-configuration",
];

/// Kinds whose annotations no load balancer depends on, with one exception, and which change often.
const BARE: &[&str] = &["Node", "Pod", "EndpointSlice", "Endpoints", "Namespace"];

/// Removes what is not read, so that it takes no memory and is not a change.
fn trim(object: &mut Object) {
    let bare = BARE.contains(&&*object.kind);
    let Some(metadata) = field(&mut object.node, "metadata") else {
        return;
    };
    if let Some(Value::Mapping(annotations)) =
        field(metadata, "annotations").map(|one| &mut one.value)
    {
        annotations.retain(|(key, _)| match &*key.name {
            QUIC_ENABLED_CONTAINERS => true,
            key => !bare && !WRITTEN.contains(&key),
        });
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
