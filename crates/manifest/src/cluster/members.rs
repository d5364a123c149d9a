//! Which objects are members of which stack, and which leave one.

use std::collections::BTreeSet;
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;

use super::uses::{Depth, Unit};
use super::{AUTO_MODE, CLEANUP_FINALIZER, Cluster, LBC, Marks, Member, OWN, Outcome, Reconciled};
use crate::auto_mode;
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
    /// Whether its class is one of EKS Auto Mode.
    is_auto: bool,
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
            new.carried = self.carried(&ingress.meta);
            match ingress::claim(ingress, Scope::new(&self.inventory, &reads), &self.context) {
                Ok(Some((group, is_auto))) => {
                    new.group = Some(group);
                    new.is_auto = is_auto;
                }
                Ok(None) => {}
                Err(found) => new.found = Some(*found),
            }
        }
        self.uses.note(unit, Depth::Plan, reads.into_inner());
        let old = self.claims.remove(key).unwrap_or_default();
        let moved = (&old.group, old.is_auto) != (&new.group, new.is_auto);
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
            Unit::Group(id) => self.group_members(id),
            Unit::Service(key) => self.service_members(key),
            _ => Vec::new(),
        }
    }

    fn group_members(&self, id: &GroupId) -> Vec<StackMembers> {
        let key = Stack::key_of_group(&id.to_string());
        let ingresses = |keys: &[Key]| {
            let ingresses = keys.iter();
            let ingresses = ingresses.filter_map(|key| self.inventory.ingresses.get(key));
            let mut ingresses: Vec<&Ingress> = ingresses.collect();
            ingress::sort(&mut ingresses);
            let ingresses = ingresses.into_iter();
            ingresses.map(|one| member("Ingress", &one.meta)).collect()
        };
        let marks = self.marks_of_group(id);
        let mut leaving = self.leaving(id);
        let mut all = Vec::new();
        // Its class was one of the other controller.
        let other = if marks == &LBC { &AUTO_MODE } else { &LBC };
        let other = other.of_group(id);
        let is_of_other = |key: &mut Key| marks != &OWN && self.ingress_carries(key, &other);
        let elsewhere: Vec<Key> = leaving.extract_if(.., is_of_other).collect();
        if !elsewhere.is_empty() {
            all.push(StackMembers {
                key: format!("{key} ({other})"),
                members: Vec::new(),
                leaving: ingresses(&elsewhere),
                finalizer: other,
            });
        }
        all.push(StackMembers {
            key,
            finalizer: marks.of_group(id),
            members: ingresses(&self.active(id)),
            leaving: ingresses(&leaving),
        });
        all
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
        let owner = self.owner(service);
        let own = owner.and_then(|owner| finalizer_of(owner, self.marks_of_service(service)));
        let mut all = Vec::new();
        if let Some(finalizer) = own {
            all.push(StackMembers {
                finalizer: finalizer.to_owned(),
                members: vec![member("Service", meta)],
                ..main.clone()
            });
        }
        let ours = [
            LBC.service,
            AUTO_MODE.service,
            CLEANUP_FINALIZER,
            OWN.service,
        ];
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
        if finalizer == OWN.service {
            return true;
        }
        if finalizer == AUTO_MODE.service {
            return self.serves_auto_mode();
        }
        let names = &self.context.defaults.ownership;
        if names.only_by_class() {
            return !names.has_own_finalizers() && finalizer == LBC.service;
        }
        let class = service.load_balancer_class.as_deref().unwrap_or_default();
        let foreign = service.kind == ServiceType::LoadBalancer
            && !class.is_empty()
            && !names.owns_load_balancer_class(class);
        let other = finalizer == LBC.service && self.context.personality == Personality::InTree;
        !foreign && !other
    }

    /// Whether finalizers have elbow's own names.
    fn has_own_finalizers(&self) -> bool {
        self.context.defaults.ownership.has_own_finalizers()
    }

    /// Whether elbow takes the place of EKS Auto Mode's controllers.
    fn serves_auto_mode(&self) -> bool {
        auto_mode::is_served(&self.context) && !self.context.defaults.ownership.neighbours.eks
    }

    fn marks(&self, is_auto: bool) -> &'static Marks {
        if self.has_own_finalizers() {
            &OWN
        } else if is_auto {
            &AUTO_MODE
        } else {
            &LBC
        }
    }

    /// The marks of a group's members: those of the class of the first, and of a group without members those that its last
    /// members carry.
    pub(super) fn marks_of_group(&self, id: &GroupId) -> &'static Marks {
        let active = self.active(id);
        let mut claims = active.iter().filter_map(|key| self.claims.get(key));
        if let Some(claim) = claims.next() {
            return self.marks(claim.is_auto);
        }
        let finalizer = AUTO_MODE.of_group(id);
        let leaving = self.leaving(id);
        let mut leaving = leaving.iter();
        self.marks(leaving.any(|key| self.ingress_carries(key, &finalizer)))
    }

    fn ingress_carries(&self, key: &Key, finalizer: &str) -> bool {
        let ingress = self.inventory.ingresses.get(key);
        ingress.is_some_and(|ingress| carries(&ingress.meta, finalizer))
    }

    pub(super) fn marks_of_service(&self, service: &Service) -> &'static Marks {
        self.marks(auto_mode::owns(service, self.context.personality))
    }

    /// The groups whose finalizers an Ingress carries, except for those of a controller that serves beside elbow.
    fn carried(&self, meta: &Meta) -> BTreeSet<GroupId> {
        let shared = (!self.has_own_finalizers()).then_some(&LBC);
        let auto_mode = self.serves_auto_mode().then_some(&AUTO_MODE);
        let ours = || [Some(&OWN), shared, auto_mode].into_iter().flatten();
        let group = |finalizer: &String| {
            ours().find_map(|marks| {
                if *finalizer == marks.ingress {
                    return Some(GroupId::Implicit {
                        namespace: meta.namespace.clone(),
                        name: meta.name.clone(),
                    });
                }
                let name = finalizer.strip_prefix(marks.group)?;
                Some(GroupId::Explicit(name.to_owned()))
            })
        };
        meta.finalizers.iter().filter_map(group).collect()
    }
}

fn finalizer_of(owner: Owner, marks: &Marks) -> Option<&'static str> {
    match owner {
        Owner::Lbc => Some(marks.service),
        Owner::Classic | Owner::ProviderNlb => Some(CLEANUP_FINALIZER),
        Owner::Nobody => None,
    }
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
