//! What each unit of work was made from, and so which units a change affects.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::ingress::GroupId;
use crate::inventory::Key;
use crate::scope::Fact;

/// A part of the work that is redone as a whole. The order is that of the work.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Unit {
    /// The Services of a MinIO Tenant.
    Tenant(Key),
    /// Which group an Ingress belongs to.
    Claim(Key),
    /// The stack of an IngressGroup.
    Group(GroupId),
    /// The stack of a Service.
    Service(Key),
    /// The load balancers of the native file.
    Native,
    /// Whether the target group and the Service of a TargetGroupBinding exist.
    Binding(Key),
}

impl Unit {
    /// Whether it has load balancers.
    pub(super) fn is_stack(&self) -> bool {
        matches!(self, Self::Group(_) | Self::Service(_) | Self::Native)
    }
}

/// How much of a unit is redone; each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Its members.
    Members,
    /// The model, with its targets and certificates.
    Model,
    /// What AWS would make.
    Plan,
}

/// Which units read which facts.
#[derive(Debug, Default)]
pub(super) struct Uses {
    readers: HashMap<Fact, BTreeSet<(Arc<Unit>, Depth)>>,
    reads: BTreeMap<(Arc<Unit>, Depth), BTreeSet<Fact>>,
    dirty: BTreeMap<Arc<Unit>, Depth>,
}

impl Uses {
    /// Marks a unit, to be redone at least this far.
    pub(super) fn mark(&mut self, unit: Unit, depth: Depth) {
        raise(&mut self.dirty, Arc::new(unit), depth);
    }

    /// Marks every unit that read one of the changed facts.
    pub(super) fn changed(&mut self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            for (unit, depth) in self.readers.get(&fact).into_iter().flatten() {
                raise(&mut self.dirty, unit.clone(), *depth);
            }
        }
    }

    /// Records the facts that a unit read in a part of its work, instead of those that it read before.
    pub(super) fn note(&mut self, unit: &Arc<Unit>, depth: Depth, facts: BTreeSet<Fact>) {
        let reader = (unit.clone(), depth);
        let before = self.reads.remove(&reader).unwrap_or_default();
        for fact in before.difference(&facts) {
            if let Some(readers) = self.readers.get_mut(fact) {
                readers.remove(&reader);
                if readers.is_empty() {
                    self.readers.remove(fact);
                }
            }
        }
        for fact in facts.difference(&before) {
            let readers = self.readers.entry(fact.clone()).or_default();
            readers.insert(reader.clone());
        }
        if !facts.is_empty() {
            self.reads.insert(reader, facts);
        }
    }

    /// Takes the next marked unit in the order of the work, if `wanted`.
    pub(super) fn next(&mut self, wanted: impl Fn(&Unit) -> bool) -> Option<Arc<Unit>> {
        let (unit, _) = self.dirty.first_key_value()?;
        let unit = unit.clone();
        wanted(&unit).then(|| {
            self.dirty.remove(&unit);
            unit
        })
    }

    /// Takes all marked stacks.
    pub(super) fn stacks(&mut self) -> BTreeMap<Arc<Unit>, Depth> {
        let mut stacks = BTreeMap::new();
        let dirty = std::mem::take(&mut self.dirty);
        for (unit, depth) in dirty {
            if unit.is_stack() {
                stacks.insert(unit, depth);
            } else {
                self.dirty.insert(unit, depth);
            }
        }
        stacks
    }

    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }
}

/// Marks a unit, unless it is marked that far already.
pub(super) fn raise(dirty: &mut BTreeMap<Arc<Unit>, Depth>, unit: Arc<Unit>, depth: Depth) {
    let marked = dirty.entry(unit).or_insert(depth);
    *marked = (*marked).max(depth);
}
