//! What stacks have to do with each other: target groups that one names and another has, certificates that stand
//! in for several.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::certificates::wanted;
use crate::Context;
use crate::scope::{Fact, Scope};
use crate::stack::Stack;

/// All stacks, with what one of them can know of the others.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    /// By key.
    stacks: BTreeMap<String, Arc<Stack>>,
    /// The key of the stack and the id of the target group, by the group's name. Of two groups the first counts.
    groups: BTreeMap<String, BTreeSet<(String, String)>>,
    /// The hosts that each stack wants a certificate for, by ARN and by the stack's key.
    hosts: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// The ARNs of these certificates, by the stack's key.
    wanted: BTreeMap<String, BTreeSet<String>>,
}

impl Catalog {
    /// The stacks as they come of objects. Those of Tenants, which have no load balancer, are none.
    pub(super) fn new(stacks: Vec<Stack>, scope: Scope<'_>, context: &Context) -> Self {
        let mut catalog = Self::default();
        let serving = |stack: &Stack| !stack.load_balancers.is_empty() || stack.classic.is_some();
        for stack in stacks.into_iter().filter(serving) {
            catalog.put(Arc::new(stack), scope, context);
        }
        catalog
    }

    /// All stacks by key.
    pub(super) fn stacks(&self) -> &BTreeMap<String, Arc<Stack>> {
        &self.stacks
    }

    pub(crate) fn stack(&self, key: &str) -> Option<&Arc<Stack>> {
        self.stacks.get(key)
    }

    /// Adds a stack, or puts it in the place of the one of that key; what is different now for the others.
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

    /// Takes a stack out; what is different now for the others.
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

    /// Notes the hosts that a stack wants certificates for.
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

    /// The hosts that a certificate is wanted for, by whichever stack.
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

/// Whether a target group and what it is filled from are the same in both.
fn is_same(old: &Stack, new: &Stack, id: &str) -> bool {
    old.target_groups.get(id) == new.target_groups.get(id)
        && old.bindings.get(id) == new.bindings.get(id)
}
