//! Which groups change, and which load balancers forward to them.

use std::sync::Arc;

use elbow_model::LoadBalancer;
use rustc_hash::FxHashMap;

use super::group::GroupSpec;
use super::listener::forwarded_groups;
use super::state::Snapshot;

/// Load balancers that change.
pub(super) type Changed<'a> = elbow_model::Changed<'a, LoadBalancer>;

/// Changes of groups, by name.
#[derive(Default)]
pub(super) struct GroupChanges {
    /// The spec of a group to build; `None` removes it.
    pub(super) specs: FxHashMap<Arc<str>, Option<GroupSpec>>,
    /// Sorted names of the load balancers that now forward to it.
    pub(super) users: FxHashMap<Arc<str>, Vec<Arc<str>>>,
}

impl GroupChanges {
    /// Records which groups the `changed` load balancers forward to.
    pub(super) fn move_users(&mut self, changed: &Changed<'_>, previous: &Snapshot) {
        let before = changed.set.iter().filter_map(|(before, _)| *before);
        for balancer in changed.gone.iter().copied().chain(before) {
            for group in forwarded(balancer) {
                self.users_of(group, previous)
                    .retain(|user| *user != balancer.name);
            }
        }
        for (_, balancer) in &changed.set {
            for group in forwarded(balancer) {
                let users = self.users_of(group, previous);
                if let Err(place) = users.binary_search(&balancer.name) {
                    users.insert(place, Arc::clone(&balancer.name));
                }
            }
        }
    }

    fn users_of(&mut self, group: &Arc<str>, previous: &Snapshot) -> &mut Vec<Arc<str>> {
        self.users.entry(Arc::clone(group)).or_insert_with(|| {
            let state = previous.groups.get(group);
            state.map(|state| state.users.clone()).unwrap_or_default()
        })
    }
}

/// The groups that listeners of `balancer` forward to, with repetitions.
pub(super) fn forwarded(balancer: &LoadBalancer) -> impl Iterator<Item = &Arc<str>> {
    balancer.listeners.iter().flat_map(forwarded_groups)
}
