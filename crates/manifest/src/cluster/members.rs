//! Who is a member of what, and who leaves.

use std::collections::BTreeSet;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;

use super::uses::{Depth, Unit};
use super::{
    CLEANUP_FINALIZER, Cluster, GROUP_FINALIZER, INGRESS_FINALIZER, Member, Outcome, Reconciled,
    SERVICE_FINALIZER,
};
use crate::annotations::{parse_bool, parse_map};
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
    /// Why nobody can tell which group it belongs to.
    refusal: Option<Diagnostic>,
}

/// The Ingresses that have to do with a group.
#[derive(Debug, Default)]
pub(super) struct Membership {
    active: BTreeSet<Key>,
    carrying: BTreeSet<Key>,
}

/// The part of a stack's objects that goes by one finalizer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Roll {
    pub(super) key: String,
    pub(super) finalizer: String,
    pub(super) members: Vec<Member>,
    pub(super) leaving: Vec<Member>,
}

impl Cluster {
    /// Finds out anew which group an Ingress belongs to.
    pub(super) fn claim(&mut self, unit: &Arc<Unit>, key: &Key) -> Option<Reconciled> {
        let reads = Reads::default();
        let mut new = Claim::default();
        if let Some(ingress) = self.inventory.ingresses.get(key) {
            new.carried = carried(&ingress.meta);
            match ingress::claim(ingress, Scope::new(&self.inventory, &reads)) {
                Ok(group) => new.group = group,
                Err(found) => new.refusal = Some(*found).filter(Diagnostic::is_error),
            }
        }
        self.uses.note(unit, Depth::Plan, reads.into_inner());
        let old = self.claims.remove(key).unwrap_or_default();
        let moved = old.group != new.group;
        for id in old.group.iter().chain(&new.group) {
            self.touch(id, moved);
        }
        let refused = old.refusal != new.refusal;
        for id in old.carried.union(&new.carried) {
            self.touch(id, refused);
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
        let told = refused.then(|| {
            let ingress = self.inventory.ingresses.get(key);
            let member = ingress.map(|ingress| member("Ingress", &ingress.meta));
            stranger(
                path("Ingress", &key.0, &key.1),
                key,
                member,
                new.refusal.clone(),
            )
        });
        if self.inventory.ingresses.contains_key(key) {
            self.claims.insert(key.clone(), new);
        }
        told
    }

    /// Has a group done anew. What its last members say about its deletion is part of its plan.
    fn touch(&mut self, id: &GroupId, plan: bool) {
        let active = self
            .groups
            .get(id)
            .is_some_and(|one| !one.active.is_empty());
        let depth = match plan || !active {
            true => Depth::Plan,
            false => Depth::Members,
        };
        self.uses.mark(Unit::Group(id.clone()), depth);
    }

    /// The members of a group, in no order.
    pub(super) fn active(&self, id: &GroupId) -> Vec<Key> {
        let membership = self.groups.get(id).into_iter();
        let active = membership.flat_map(|membership| &membership.active);
        active.cloned().collect()
    }

    /// Those that carry the group's finalizer and are no members.
    pub(super) fn leaving(&self, id: &GroupId) -> Vec<Key> {
        let membership = self.groups.get(id).into_iter();
        let leaving = membership.flat_map(|one| one.carrying.difference(&one.active));
        leaving.cloned().collect()
    }

    /// Why nobody can tell who is in a group: an Ingress carries its finalizer and may be in any.
    pub(super) fn unclear(&self, id: &GroupId) -> Option<Diagnostic> {
        let mut leaving = self.leaving(id).into_iter();
        leaving.find_map(|key| self.claims.get(&key)?.refusal.clone())
    }

    /// Who is in a stack, and who leaves it; a Service that changed hands leaves another.
    pub(super) fn rolls(&self, unit: &Unit) -> Vec<Roll> {
        match unit {
            Unit::Group(id) => vec![self.group_roll(id)],
            Unit::Service(key) => self.service_rolls(key),
            _ => Vec::new(),
        }
    }

    fn group_roll(&self, id: &GroupId) -> Roll {
        let ingresses = |keys: Vec<Key>| {
            let keys = keys.into_iter();
            let ingresses = keys.filter_map(|key| self.inventory.ingresses.get(&key));
            let mut ingresses: Vec<&Ingress> = ingresses.collect();
            ingress::sort(&mut ingresses);
            let ingresses = ingresses.into_iter();
            ingresses.map(|one| member("Ingress", &one.meta)).collect()
        };
        Roll {
            key: Stack::key_of_group(&id.to_string()),
            finalizer: finalizer(id),
            members: ingresses(self.active(id)),
            leaving: ingresses(self.leaving(id)),
        }
    }

    fn service_rolls(&self, key: &Key) -> Vec<Roll> {
        let stack = Stack::key_of_service(&format!("{}/{}", key.0, key.1));
        let main = Roll {
            key: stack,
            ..Roll::default()
        };
        let Some(service) = self.inventory.services.get(key) else {
            return vec![main];
        };
        // MinIO's operator would have made it: there is nothing to write to.
        if self.assumed.contains_key(key) {
            return vec![main];
        }
        let meta = &service.meta;
        let own = self.owner(service).and_then(finalizer_of);
        let mut rolls = Vec::new();
        if let Some(finalizer) = own {
            rolls.push(Roll {
                finalizer: finalizer.to_owned(),
                members: vec![member("Service", meta)],
                ..main.clone()
            });
        }
        for finalizer in [SERVICE_FINALIZER, CLEANUP_FINALIZER] {
            if own == Some(finalizer)
                || !carries(meta, finalizer)
                || !self.is_ours(service, finalizer)
            {
                continue;
            }
            let key = match rolls.is_empty() {
                true => main.key.clone(),
                false => format!("{} ({finalizer})", main.key),
            };
            rolls.push(Roll {
                key,
                finalizer: finalizer.to_owned(),
                members: Vec::new(),
                leaving: vec![member("Service", meta)],
            });
        }
        if rolls.is_empty() {
            rolls.push(main);
        }
        rolls
    }

    /// Who answers for a Service, if it is there to stay.
    pub(super) fn owner(&self, service: &Service) -> Option<Owner> {
        let owner = owner_of(service, &self.context);
        (owner != Owner::Nobody && !service.meta.deleting).then_some(owner)
    }

    /// Whether a finalizer of a Service can be one that was set for a load balancer of ours: the class
    /// of a load balancer stays as long as the type does, so under another class it is another controller's.
    fn is_ours(&self, service: &Service, finalizer: &str) -> bool {
        let class = service.load_balancer_class.as_deref().unwrap_or_default();
        let own = &self.context.defaults.load_balancer_class;
        let foreign =
            service.kind == ServiceType::LoadBalancer && !class.is_empty() && class != own;
        let other =
            finalizer == SERVICE_FINALIZER && self.context.personality == Personality::InTree;
        !foreign && !other
    }

    /// The error that the load balancer of a stack without members is protected.
    pub(super) fn protection(&self, unit: &Unit) -> Option<Diagnostic> {
        match unit {
            Unit::Group(id) => self.leaving(id).iter().find_map(|key| {
                let ingress = self.inventory.ingresses.get(key)?;
                protection(&ingress.meta, INGRESS_ATTRIBUTES)
            }),
            Unit::Service(key) => {
                let meta = &self.inventory.services.get(key)?.meta;
                let leaving = carries(meta, SERVICE_FINALIZER);
                leaving.then(|| protection(meta, SERVICE_ATTRIBUTES))?
            }
            _ => None,
        }
    }
}

const INGRESS_ATTRIBUTES: &str = "alb.ingress.kubernetes.io/load-balancer-attributes";
const SERVICE_ATTRIBUTES: &str = "service.beta.kubernetes.io/aws-load-balancer-attributes";

fn protection(meta: &Meta, key: &str) -> Option<Diagnostic> {
    let attributes = parse_map(&meta.annotations.get(key)?.value)?;
    let protected = attributes.get("deletion_protection.enabled");
    if protected.and_then(|value| parse_bool(value)) != Some(true) {
        return None;
    }
    let message = format!(
        "the load balancer stays: its deletion protection is on, which {} asks for",
        meta.path()
    );
    let refusal = Diagnostic::error("deletion-protection", message)
        .field(format!("metadata.annotations.{key}"))
        .hint("take deletion_protection.enabled out of the annotation, or set it to false");
    Some(meta.found(refusal))
}

fn finalizer_of(owner: Owner) -> Option<&'static str> {
    match owner {
        Owner::Lbc => Some(SERVICE_FINALIZER),
        Owner::Classic | Owner::ProviderNlb => Some(CLEANUP_FINALIZER),
        Owner::Nobody => None,
    }
}

fn finalizer(id: &GroupId) -> String {
    match id {
        GroupId::Explicit(name) => format!("{GROUP_FINALIZER}{name}"),
        GroupId::Implicit { .. } => INGRESS_FINALIZER.to_owned(),
    }
}

/// The groups whose finalizers an Ingress carries.
fn carried(meta: &Meta) -> BTreeSet<GroupId> {
    let finalizers = meta.finalizers.iter();
    let groups = finalizers.filter_map(|finalizer| match &**finalizer {
        INGRESS_FINALIZER => Some(GroupId::Implicit {
            namespace: meta.namespace.clone(),
            name: meta.name.clone(),
        }),
        other => Some(GroupId::Explicit(
            other.strip_prefix(GROUP_FINALIZER)?.to_owned(),
        )),
    });
    groups.collect()
}

fn carries(meta: &Meta, finalizer: &str) -> bool {
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

/// What is told of an object that is in no stack.
pub(super) fn stranger(
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
