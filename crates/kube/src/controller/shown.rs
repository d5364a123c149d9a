//! The addresses in the statuses of objects. A load balancer adopts its own after a restart, and a replica that does not
//! write adopts those that the leader wrote.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use elbow_manifest::cluster::{Identity, Made, Member, Outcome, Reconciled};
use elbow_model::addresses::{Preferred, is_host};
use elbow_model::diagnostic::Diagnostic;
use serde_json::Value;

use crate::{LoadBalancers, Served};

/// Kind, namespace and name of an object.
type Name = (String, String, String);

/// The addresses in the statuses of Ingresses and Services, and what load balancers should have.
#[derive(Default)]
pub(super) struct Shown {
    by_object: HashMap<Name, IpAddr>,
    /// The key of the stack that an object is a member of.
    stacks: HashMap<Name, String>,
    /// The stacks with another address in a status since [`Self::prefer`].
    changed: BTreeSet<String>,
    preferred: BTreeMap<Arc<str>, IpAddr>,
}

impl Shown {
    /// Records the status of an object of the API server.
    pub(super) fn see(&mut self, object: &Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kind = text(&object["kind"]);
        if kind != "Ingress" && kind != "Service" {
            return;
        }
        let metadata = &object["metadata"];
        let name = (kind, text(&metadata["namespace"]), text(&metadata["name"]));
        let entries = object["status"]["loadBalancer"]["ingress"].as_array();
        let mut entries = entries.into_iter().flatten();
        let address = entries.find_map(|entry| entry["ip"].as_str()?.parse().ok());
        let before = match address {
            Some(address) => self.by_object.insert(name.clone(), address),
            None => self.by_object.remove(&name),
        };
        if before != address
            && let Some(stack) = self.stacks.get(&name)
        {
            self.changed.insert(stack.clone());
        }
    }

    /// Records that an object was deleted.
    pub(super) fn gone(&mut self, identity: &Identity) {
        let Identity {
            kind,
            namespace,
            name,
            ..
        } = identity;
        let name = (kind.clone(), namespace.clone(), name.clone());
        self.by_object.remove(&name);
        self.stacks.remove(&name);
    }

    /// Whether a replica that follows the statuses has to look at them again.
    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Says which addresses load balancers should have, before a model is applied: those in the statuses of the
    /// `reconciled` stacks, and of those `known` ones whose status changed. If `follows`, what serves moves to the address in
    /// its status; returns whether anything may move.
    pub(super) fn prefer(
        &mut self,
        reconciled: &[Reconciled],
        known: &BTreeMap<String, Reconciled>,
        follows: bool,
        balancers: &dyn LoadBalancers,
    ) -> bool {
        let changed = std::mem::take(&mut self.changed);
        let changed = changed.iter().filter_map(|key| known.get(key));
        let mut differs = false;
        for one in changed.chain(reconciled) {
            let Outcome::Made(made) = &one.outcome else {
                continue;
            };
            for member in &one.members {
                self.stacks.insert(name_of(member), one.key.clone());
            }
            if let Some(address) = self.of(&one.members) {
                let name = &made.load_balancer;
                differs |= self.preferred.insert(name.clone(), address) != Some(address);
            }
        }
        if differs {
            balancers.prefer(Preferred {
                addresses: self.preferred.clone(),
                moves: follows,
            });
        }
        differs && follows
    }

    /// Keeps later applies from moving what serves.
    pub(super) fn settle(&self, balancers: &dyn LoadBalancers) {
        balancers.prefer(Preferred {
            addresses: self.preferred.clone(),
            moves: false,
        });
    }

    /// A warning if a load balancer does not have the address in the status of its objects.
    pub(super) fn replaced(
        &self,
        one: &Reconciled,
        made: &Made,
        served: &Served,
        balancers: &dyn LoadBalancers,
    ) -> Option<Diagnostic> {
        let shown = self.of(&one.members)?;
        let now = served.addresses.first()?;
        if served.addresses.contains(&shown) {
            return None;
        }
        let name = &made.load_balancer;
        let why = match balancers.address_pool() {
            Some(pool) if !is_host(pool, shown) => {
                format!("is not in the address pool {pool}")
            }
            _ => "belongs to another load balancer".to_owned(),
        };
        let message =
            format!("the address {shown} of load balancer {name} {why}; the new address is {now}");
        Some(Diagnostic::warning("address-replaced", message))
    }

    /// The address in the status of the first member that has one.
    fn of(&self, members: &[Member]) -> Option<IpAddr> {
        let mut members = members.iter();
        members.find_map(|member| self.by_object.get(&name_of(member)).copied())
    }
}

fn name_of(member: &Member) -> Name {
    let Member {
        kind,
        namespace,
        name,
        ..
    } = member;
    ((*kind).to_owned(), namespace.clone(), name.clone())
}
