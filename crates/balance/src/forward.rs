use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Group, choose_weighted, flow};

#[cfg(test)]
mod tests;

/// What a listener of layer 4 forwards new flows to: its rules may tell clients with IPv4 and IPv6 addresses apart (NLB
/// guide: listener rules).
#[derive(Clone, Debug, Default)]
pub struct Forwards {
    /// For clients with IPv4 addresses.
    pub ipv4: Forward,
    /// For clients with IPv6 addresses.
    pub ipv6: Forward,
}

/// The target groups that an action of layer 4 forwards to (NLB guide: listeners).
#[derive(Clone, Debug, Default)]
pub struct Forward {
    /// The groups in their order.
    pub groups: Vec<Weighted>,
    /// Whether all flows of one client address go to the same group.
    sticky: bool,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Weighted {
    /// The group.
    pub group: Arc<Group>,
    /// Its share of the flows, 0 to 999.
    pub weight: u32,
    /// Ends its flows. A new version of the listener takes it over.
    pub cutoff: Cutoff,
}

impl Forwards {
    /// The one for flows of `client`.
    pub fn of(&self, client: IpAddr) -> &Forward {
        match client.to_canonical() {
            IpAddr::V4(_) => &self.ipv4,
            IpAddr::V6(_) => &self.ipv6,
        }
    }

    /// What ends the flows to the groups whose weight is 0 in `next`, the new version.
    pub fn cut_by<'f>(&'f self, next: &'f Self) -> impl Iterator<Item = Cutoff> + 'f {
        let cut = self.ipv4.cut_by(&next.ipv4);
        cut.chain(self.ipv6.cut_by(&next.ipv6))
    }
}

impl Forward {
    /// Forwards to `groups` by their weights. `before` is what the same listener forwarded to until now, for the same
    /// transport and clients.
    pub fn new(
        groups: impl IntoIterator<Item = (Arc<Group>, u32)>,
        sticky: bool,
        before: Option<&Self>,
    ) -> Self {
        let weighted = |(group, weight): (Arc<Group>, u32)| {
            // A group that gets flows again gets a new one.
            let before = before.and_then(|before| before.with_flows(&group.config.name));
            let cutoff = || Cutoff::new(Arc::clone(&group.config.name));
            Weighted {
                cutoff: before.map_or_else(cutoff, |before| before.cutoff.clone()),
                group,
                weight,
            }
        };
        Self {
            groups: groups.into_iter().map(weighted).collect(),
            sticky,
        }
    }

    /// Chooses the group of a new flow of `client`; `None` if no group gets flows. `random` spreads flows, unless they are sticky.
    pub fn choose(&self, client: IpAddr, random: impl FnOnce() -> u64) -> Option<&Weighted> {
        let weights = self.groups.iter().map(|weighted| weighted.weight);
        let random = if self.sticky {
            flow::source_hash(client)
        } else {
            random()
        };
        self.groups.get(choose_weighted(weights, random)?)
    }

    /// The group `name` if it gets flows.
    pub fn with_flows(&self, name: &str) -> Option<&Weighted> {
        let mut groups = self.all_with_flows();
        groups.find(|weighted| *weighted.group.config.name == *name)
    }

    /// The groups that get flows.
    pub fn all_with_flows(&self) -> impl Iterator<Item = &Weighted> {
        self.groups.iter().filter(|weighted| weighted.weight > 0)
    }

    fn cut_by<'f>(&'f self, next: &'f Self) -> impl Iterator<Item = Cutoff> + 'f {
        let is_out = |name: &str| {
            let mut groups = next.groups.iter();
            groups.any(|one| *one.group.config.name == *name && one.weight == 0)
        };
        let cut = self.all_with_flows();
        let cut = cut.filter(move |weighted| is_out(&weighted.group.config.name));
        cut.map(|weighted| weighted.cutoff.clone())
    }
}

/// Ends the flows of a listener to one of its groups, after the weight of the group became 0.
#[derive(Clone, Debug)]
pub struct Cutoff(Arc<GroupFlows>);

/// The flows of a listener to one of its groups.
#[derive(Debug)]
struct GroupFlows {
    group: Arc<str>,
    is_cut: AtomicBool,
}

impl Cutoff {
    fn new(group: Arc<str>) -> Self {
        Self(Arc::new(GroupFlows {
            group,
            is_cut: AtomicBool::new(false),
        }))
    }

    /// The name of the group.
    pub fn group(&self) -> &Arc<str> {
        &self.0.group
    }

    /// Ends the flows. They see it when polled next; the caller wakes the workers.
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Relaxed);
    }

    /// Whether the flows end.
    pub fn is_cut(&self) -> bool {
        self.0.is_cut.load(Ordering::Relaxed)
    }
}
