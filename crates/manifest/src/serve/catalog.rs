//! What stacks know of each other: target groups that one refers to and another has, and the hosts of shared
//! certificates.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hosts::wanted;
use crate::Context;
use crate::scope::{Fact, Scope};
use crate::stack::Stack;

/// All stacks, with what they know of each other.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By key.
    stacks: BTreeMap<String, Arc<Stack>>,
    /// The keys of stacks and the ids of their target groups, by the group's name. The first of a name counts.
    groups: BTreeMap<String, BTreeSet<(String, String)>>,
    /// The hosts that each stack wants a certificate for, by ARN and by the stack's key.
    hosts: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// The ARNs of these certificates, by the stack's key.
    wanted: BTreeMap<String, BTreeSet<String>>,
}

impl Catalog {
    /// All stacks by key.
    pub(crate) fn stacks(&self) -> &BTreeMap<String, Arc<Stack>> {
        &self.stacks
    }

    pub(crate) fn stack(&self, key: &str) -> Option<&Arc<Stack>> {
        self.stacks.get(key)
    }

    /// Adds a stack or replaces the one with its key. Returns what changed for the others.
    pub(crate) fn put(
        &mut self,
        stack: Arc<Stack>,
        scope: Scope<'_>,
        context: &Context,
    ) -> BTreeSet<Fact> {
        let key = stack.key();
        let mut hosts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (arn, more) in wanted(&stack, scope, context) {
            hosts.entry(arn).or_default().extend(more);
        }
        let mut facts = self.want(&key, hosts);
        let old = self.stacks.insert(key.clone(), stack.clone());
        let old = old.unwrap_or_default();
        for (id, group) in &old.target_groups {
            if !is_same(&old, &stack, id) {
                facts.insert(self.drop_group(&key, id, &group.name));
            }
        }
        for (id, group) in &stack.target_groups {
            if !is_same(&old, &stack, id) {
                let named = self.groups.entry(group.name.clone()).or_default();
                named.insert((key.clone(), id.clone()));
                facts.insert(Fact::TargetGroup(group.name.clone()));
            }
        }
        facts
    }

    /// Adds every stack again, in another context. Returns what changed for the others.
    pub(crate) fn refresh(&mut self, scope: Scope<'_>, context: &Context) -> BTreeSet<Fact> {
        let stacks: Vec<Arc<Stack>> = self.stacks.values().cloned().collect();
        let facts = stacks.into_iter();
        facts
            .flat_map(|stack| self.put(stack, scope, context))
            .collect()
    }

    /// Removes a stack. Returns what changed for the others.
    pub(crate) fn remove(&mut self, key: &str) -> BTreeSet<Fact> {
        let old = self.stacks.remove(key).unwrap_or_default();
        let mut facts = self.want(key, BTreeMap::new());
        for (id, group) in &old.target_groups {
            facts.insert(self.drop_group(key, id, &group.name));
        }
        facts
    }

    fn drop_group(&mut self, key: &str, id: &str, name: &str) -> Fact {
        if let Some(named) = self.groups.get_mut(name) {
            named.remove(&(key.to_owned(), id.to_owned()));
            if named.is_empty() {
                self.groups.remove(name);
            }
        }
        Fact::TargetGroup(name.to_owned())
    }

    /// Records the hosts that a stack wants certificates for. Returns what changed for the others.
    fn want(&mut self, key: &str, hosts: BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Fact> {
        let mut facts = BTreeSet::new();
        let wanted = hosts.keys().cloned().collect();
        let before = self.wanted.insert(key.to_owned(), wanted);
        for arn in before.into_iter().flatten() {
            let by_stack = self.hosts.get_mut(&arn);
            let by_stack = by_stack.filter(|by_stack| by_stack.get(key) != hosts.get(&arn));
            let Some(by_stack) = by_stack else { continue };
            by_stack.remove(key);
            if by_stack.is_empty() {
                self.hosts.remove(&arn);
            }
            facts.insert(Fact::Hosts(arn));
        }
        for (arn, new) in hosts {
            let by_stack = self.hosts.entry(arn.clone()).or_default();
            if by_stack.get(key) != Some(&new) {
                by_stack.insert(key.to_owned(), new);
                facts.insert(Fact::Hosts(arn));
            }
        }
        facts
    }

    /// The stack that has the target group called `name`, and the group's id there.
    pub(super) fn group(&self, name: &str, scope: Scope<'_>) -> Option<(&Arc<Stack>, &str)> {
        scope.note(Fact::TargetGroup(name.to_owned()));
        let (key, id) = self.groups.get(name)?.first()?;
        Some((self.stacks.get(key)?, id))
    }

    /// Whether a stack has the target group called `name`.
    pub(crate) fn has_group(&self, name: &str, scope: Scope<'_>) -> bool {
        self.group(name, scope).is_some()
    }

    /// The hosts that any stack wants a certificate for.
    pub(super) fn hosts(&self, arn: &str, scope: Scope<'_>) -> BTreeSet<String> {
        scope.note(Fact::Hosts(arn.to_owned()));
        let hosts = self.hosts.get(arn).into_iter();
        hosts
            .flat_map(BTreeMap::values)
            .flatten()
            .cloned()
            .collect()
    }
}

/// Whether a target group and its binding are the same in both.
fn is_same(old: &Stack, new: &Stack, id: &str) -> bool {
    old.target_groups.get(id) == new.target_groups.get(id)
        && old.bindings.get(id) == new.bindings.get(id)
}
