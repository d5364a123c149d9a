//! Which objects are members of which stack, and which leave one.

use std::collections::BTreeSet;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;

use super::uses::{Depth, Unit};
use super::{
    CLEANUP_FINALIZER, Cluster, GROUP_FINALIZER, INGRESS_FINALIZER, Member, OWN_FINALIZER,
    OWN_GROUP_FINALIZER, Outcome, Reconciled, SERVICE_FINALIZER,
};
use crate::context::Personality;
use crate::ingress::{self, GroupId};
use crate::inventory::Key;
use crate::object::path;
use crate::objects::{Ingress, Meta, Service, ServiceType};
use crate::scope::{Reads, Scope};
use crate::service::{Owner, owner_of};
use crate::stack::Stack;

/// What an Ingress belongs to.
#[derive(Debug, Default)]
pub(super) struct Claim {
    group: Option<GroupId>,
    /// The groups whose finalizers it carries.
    carried: BTreeSet<GroupId>,
    /// Why it belongs to no group: an error when its group cannot be determined.
    pub(super) found: Option<Diagnostic>,
}

impl Claim {
    /// Why its group cannot be determined.
    fn refusal(&self) -> Option<&Diagnostic> {
        self.found.as_ref().filter(|found| found.is_error())
    }
}

/// The Ingresses that have to do with a group.
#[derive(Debug, Default)]
pub(super) struct Membership {
    active: BTreeSet<Key>,
    carrying: BTreeSet<Key>,
}

/// The objects of a stack that share one finalizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StackMembers {
    pub(super) key: String,
    pub(super) finalizer: String,
    pub(super) members: Vec<Member>,
    pub(super) leaving: Vec<Member>,
}

impl Cluster {
    /// Determines which group an Ingress belongs to.
    pub(super) fn claim(&mut self, unit: &Arc<Unit>, key: &Key) -> Option<Reconciled> {
        let reads = Reads::default();
        let mut new = Claim::default();
        if let Some(ingress) = self.inventory.ingresses.get(key) {
            new.carried = carried(&ingress.meta, self.has_own_finalizers());
            match ingress::claim(ingress, Scope::new(&self.inventory, &reads), &self.context) {
                Ok(group) => new.group = group,
                Err(found) => new.found = Some(*found),
            }
        }
        self.uses.note(unit, Depth::Plan, reads.into_inner());
        let old = self.claims.remove(key).unwrap_or_default();
        let moved = old.group != new.group;
        for id in old.group.iter().chain(&new.group) {
            self.mark_group(id, moved);
        }
        let refused = old.refusal() != new.refusal();
        for id in old.carried.union(&new.carried) {
            self.mark_group(id, refused);
        }
        for id in old.group.iter().chain(&old.carried) {
            if let Some(membership) = self.groups.get_mut(id) {
                membership.active.remove(key);
                membership.carrying.remove(key);
            }
        }
        if let Some(id) = &new.group {
            let membership = self.groups.entry(id.clone()).or_default();
            membership.active.insert(key.clone());
        }
        for id in &new.carried {
            let membership = self.groups.entry(id.clone()).or_default();
            membership.carrying.insert(key.clone());
        }
        for id in old.group.iter().chain(&old.carried) {
            let empty = |one: &Membership| one.active.is_empty() && one.carrying.is_empty();
            if self.groups.get(id).is_some_and(empty) {
                self.groups.remove(id);
            }
        }
        let result = refused.then(|| {
            let ingress = self.inventory.ingresses.get(key);
            let member = ingress.map(|ingress| member("Ingress", &ingress.meta));
            object_result(
                path("Ingress", &key.0, &key.1),
                key,
                member,
                new.refusal().cloned(),
            )
        });
        if self.inventory.ingresses.contains_key(key) {
            self.claims.insert(key.clone(), new);
        }
        result
    }

    /// Marks a group. Its plan includes what its last members say about its deletion.
    fn mark_group(&mut self, id: &GroupId, plan: bool) {
        let active = self
            .groups
            .get(id)
            .is_some_and(|one| !one.active.is_empty());
        let depth = if plan || !active {
            Depth::Plan
        } else {
            Depth::Members
        };
        self.uses.mark(Unit::Group(id.clone()), depth);
    }

    /// The group that an Ingress is a member of.
    pub(super) fn group_of(&self, key: &Key) -> Option<&GroupId> {
        self.claims.get(key)?.group.as_ref()
    }

    /// The members of a group, in no order.
    pub(super) fn active(&self, id: &GroupId) -> Vec<Key> {
        let membership = self.groups.get(id).into_iter();
        let active = membership.flat_map(|membership| &membership.active);
        active.cloned().collect()
    }

    /// The Ingresses that carry the group's finalizer and are not members.
    pub(super) fn leaving(&self, id: &GroupId) -> Vec<Key> {
        let membership = self.groups.get(id).into_iter();
        let leaving = membership.flat_map(|one| one.carrying.difference(&one.active));
        leaving.cloned().collect()
    }

    /// Why the members of a group are unknown: an Ingress carries its finalizer, and its own group cannot be determined.
    pub(super) fn ambiguity(&self, id: &GroupId) -> Option<Diagnostic> {
        let mut leaving = self.leaving(id).into_iter();
        leaving.find_map(|key| self.claims.get(&key)?.refusal().cloned())
    }

    /// The members of a stack and those that leave it. A Service that changed its controller leaves another stack.
    pub(super) fn members_of(&self, unit: &Unit) -> Vec<StackMembers> {
        match unit {
            Unit::Group(id) => vec![self.group_members(id)],
            Unit::Service(key) => self.service_members(key),
            _ => Vec::new(),
        }
    }

    fn group_members(&self, id: &GroupId) -> StackMembers {
        let ingresses = |keys: Vec<Key>| {
            let keys = keys.into_iter();
            let ingresses = keys.filter_map(|key| self.inventory.ingresses.get(&key));
            let mut ingresses: Vec<&Ingress> = ingresses.collect();
            ingress::sort(&mut ingresses);
            let ingresses = ingresses.into_iter();
            ingresses.map(|one| member("Ingress", &one.meta)).collect()
        };
        StackMembers {
            key: Stack::key_of_group(&id.to_string()),
            finalizer: finalizer(id, self.has_own_finalizers()),
            members: ingresses(self.active(id)),
            leaving: ingresses(self.leaving(id)),
        }
    }

    fn service_members(&self, key: &Key) -> Vec<StackMembers> {
        let stack = Stack::key_of_service(&format!("{}/{}", key.0, key.1));
        let main = StackMembers {
            key: stack,
            ..StackMembers::default()
        };
        let Some(service) = self.inventory.services.get(key) else {
            return vec![main];
        };
        // The Service is assumed: there is no object to write to.
        if self.assumed.contains_key(key) {
            return vec![main];
        }
        let meta = &service.meta;
        let is_own = self.has_own_finalizers();
        let own = self
            .owner(service)
            .and_then(|owner| finalizer_of(owner, is_own));
        let mut all = Vec::new();
        if let Some(finalizer) = own {
            all.push(StackMembers {
                finalizer: finalizer.to_owned(),
                members: vec![member("Service", meta)],
                ..main.clone()
            });
        }
        let ours = [SERVICE_FINALIZER, CLEANUP_FINALIZER, OWN_FINALIZER];
        for finalizer in ours {
            if own == Some(finalizer)
                || !carries(meta, finalizer)
                || !self.is_ours(service, finalizer)
            {
                continue;
            }
            let key = if all.is_empty() {
                main.key.clone()
            } else {
                format!("{} ({finalizer})", main.key)
            };
            all.push(StackMembers {
                key,
                finalizer: finalizer.to_owned(),
                members: Vec::new(),
                leaving: vec![member("Service", meta)],
            });
        }
        if all.is_empty() {
            all.push(main);
        }
        all
    }

    /// The controller that is responsible for a Service; none when the Service is being deleted.
    pub(super) fn owner(&self, service: &Service) -> Option<Owner> {
        let owner = owner_of(service, &self.context);
        (owner != Owner::Nobody && !service.meta.deleting).then_some(owner)
    }

    /// Whether a finalizer of a Service may have been set for a load balancer of elbow. The class of a Service cannot
    /// change while it has type LoadBalancer, so under another class the finalizer is another controller's.
    fn is_ours(&self, service: &Service, finalizer: &str) -> bool {
        if finalizer == OWN_FINALIZER {
            return true;
        }
        let names = &self.context.defaults.ownership;
        if names.only_by_class() {
            return !names.has_own_finalizers() && finalizer == SERVICE_FINALIZER;
        }
        let class = service.load_balancer_class.as_deref().unwrap_or_default();
        let foreign = service.kind == ServiceType::LoadBalancer
            && !class.is_empty()
            && !names.owns_load_balancer_class(class);
        let other =
            finalizer == SERVICE_FINALIZER && self.context.personality == Personality::InTree;
        !foreign && !other
    }

    /// Whether finalizers have elbow's own names.
    pub(super) fn has_own_finalizers(&self) -> bool {
        self.context.defaults.ownership.has_own_finalizers()
    }

    pub(super) fn service_finalizer(&self) -> &'static str {
        if self.has_own_finalizers() {
            OWN_FINALIZER
        } else {
            SERVICE_FINALIZER
        }
    }
}

fn finalizer_of(owner: Owner, is_own: bool) -> Option<&'static str> {
    match owner {
        Owner::Lbc if is_own => Some(OWN_FINALIZER),
        Owner::Lbc => Some(SERVICE_FINALIZER),
        Owner::Classic | Owner::ProviderNlb => Some(CLEANUP_FINALIZER),
        Owner::Nobody => None,
    }
}

pub(super) fn finalizer(id: &GroupId, is_own: bool) -> String {
    match id {
        GroupId::Explicit(name) if is_own => format!("{OWN_GROUP_FINALIZER}{name}"),
        GroupId::Implicit { .. } if is_own => OWN_FINALIZER.to_owned(),
        GroupId::Explicit(name) => format!("{GROUP_FINALIZER}{name}"),
        GroupId::Implicit { .. } => INGRESS_FINALIZER.to_owned(),
    }
}

/// The groups whose finalizers an Ingress carries. With finalizers of its own, elbow leaves the others to their controller.
fn carried(meta: &Meta, is_own: bool) -> BTreeSet<GroupId> {
    let finalizers = meta.finalizers.iter();
    let groups = finalizers.filter_map(|finalizer| match &**finalizer {
        INGRESS_FINALIZER if is_own => None,
        INGRESS_FINALIZER | OWN_FINALIZER => Some(GroupId::Implicit {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }),
        other => {
            let shared = other.strip_prefix(GROUP_FINALIZER).filter(|_| !is_own);
            let name = shared.or_else(|| other.strip_prefix(OWN_GROUP_FINALIZER))?;
            Some(GroupId::Explicit(name.to_owned()))
        }
    });
    groups.collect()
}

pub(super) fn carries(meta: &Meta, finalizer: &str) -> bool {
    meta.finalizers.iter().any(|one| one == finalizer)
}

pub(super) fn member(kind: &'static str, meta: &Meta) -> Member {
    Member {
        kind,
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
    }
}

/// The result for an object that is in no stack.
pub(super) fn object_result(
    path: String,
    (namespace, name): &Key,
    member: Option<Member>,
    refusal: Option<Diagnostic>,
) -> Reconciled {
    Reconciled {
        key: path,
        id: format!("{namespace}/{name}"),
        finalizer: String::new(),
        members: member.into_iter().filter(|_| refusal.is_some()).collect(),
        leaving: Vec::new(),
        outcome: refusal.map_or(Outcome::Gone, Outcome::Refused),
        diagnostics: Vec::new(),
    }
}
