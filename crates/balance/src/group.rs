use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use elbow_model::{Algorithm, TargetGroup, TargetState};

use crate::Target;
use crate::target::mix;

/// A target group in force: its configuration and its resolved targets.
#[derive(Debug)]
pub struct Group {
    /// As configured.
    pub config: Arc<TargetGroup>,
    /// Registered targets, then draining ones.
    pub targets: Vec<Arc<Target>>,
    /// Where each worker's round robin stands; a worker writes its own alone.
    cursors: Vec<Cursor>,
}

/// On a cache line of its own, since another worker writes the next one.
#[derive(Debug)]
#[repr(align(128))]
struct Cursor(AtomicUsize);

/// What [`Group::choose`] found.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The target.
    pub target: &'a Arc<Target>,
    /// Too few targets are healthy, as a rule none, so that all are used (fail-open).
    pub fail_open: bool,
}

impl Group {
    /// A group for `workers` workers.
    pub fn new(config: Arc<TargetGroup>, targets: Vec<Arc<Target>>, workers: usize) -> Self {
        // Each worker starts elsewhere, so that the first requests do not all meet one target.
        let cursor = |worker| Cursor(AtomicUsize::new(worker));
        Self {
            config,
            targets,
            cursors: (0..workers.max(1)).map(cursor).collect(),
        }
    }

    /// Chooses a target for a request by the group's algorithm; `None` when no target is
    /// registered. `worker` < workers; `random` is used by weighted_random alone.
    ///
    /// Targets that drain or are unused never get one. When none of the rest is healthy, all of them
    /// are used (ALB guide: target groups, fail-open), unless they are instances of a Classic load
    /// balancer: then none is (CLB guide: HTTP errors, 503). Health may change at any moment, so the
    /// answer holds for the moment it was made.
    pub fn choose(&self, worker: usize, random: u64) -> Option<Chosen<'_>> {
        let (eligible, count) = self.eligible()?;
        let target = match self.config.attributes.algorithm {
            Algorithm::RoundRobin => self.in_turn(worker, eligible),
            Algorithm::LeastOutstandingRequests => self.least_outstanding(worker, eligible),
            Algorithm::WeightedRandom => self.at_random(eligible, count, random),
        };
        self.chosen(target, eligible)
    }

    /// Chooses, in turn, a target for a request that none of those with the serials `tried` could be
    /// reached for; `None` when there is no other.
    pub fn choose_other(&self, worker: usize, tried: &[u64]) -> Option<Chosen<'_>> {
        let (eligible, _) = self.eligible()?;
        let is_other = |t: &Target| eligible.has(t) && !tried.contains(&t.serial);
        let (index, target) = self.ring(worker).find(|(_, target)| is_other(target))?;
        self.advance(worker, index);
        Some(eligible.chosen(target))
    }

    /// Chooses a target for a flow: the same hash gives the same target while the healthy ones
    /// stay the same (NLB guide: introduction). When one comes or goes, only flows to it move.
    pub fn choose_flow(&self, hash: u64) -> Option<Chosen<'_>> {
        let (eligible, _) = self.eligible()?;
        // Rendezvous hashing: each target draws a number for the flow, and the highest wins.
        let target = self
            .targets
            .iter()
            .filter(|target| eligible.has(target))
            .max_by_key(|target| mix(hash ^ target.key()));
        self.chosen(target, eligible)
    }

    /// The target with this [`Target::key`], while it may be chosen: it is healthy, or none is.
    pub fn choose_known(&self, key: u64) -> Option<Chosen<'_>> {
        let (eligible, _) = self.eligible()?;
        let mut known = self.targets.iter().filter(|target| target.key() == key);
        let target = known.find(|target| eligible.has(target))?;
        Some(eligible.chosen(target))
    }

    /// `target`; or, when the last eligible one was lost between counting and choosing, any that is
    /// registered.
    fn chosen<'a>(
        &'a self,
        target: Option<&'a Arc<Target>>,
        eligible: Eligible,
    ) -> Option<Chosen<'a>> {
        let registered = || self.targets.iter().find(|t| Eligible::Registered.has(t));
        match target {
            Some(target) => Some(eligible.chosen(target)),
            None if self.config.attributes.of_classic => None,
            None => Some(Eligible::Registered.chosen(registered()?)),
        }
    }

    /// Which targets may be chosen now, and how many those are.
    fn eligible(&self) -> Option<(Eligible, usize)> {
        let (mut healthy, mut registered) = (0, 0);
        for target in &self.targets {
            let state = target.state();
            healthy += usize::from(is_healthy(state));
            registered += usize::from(is_registered(state));
        }
        let attributes = &self.config.attributes;
        let minimum = attributes.minimum_healthy;
        let suffices = healthy >= minimum.count as usize
            && healthy * 100 >= registered * minimum.percentage as usize;
        match (healthy, registered) {
            (_, 0) => None,
            (1.., _) if suffices => Some((Eligible::Healthy, healthy)),
            (0, _) if attributes.of_classic => None,
            _ => Some((Eligible::Registered, registered)),
        }
    }

    /// The next one after the one this worker chose last.
    fn in_turn(&self, worker: usize, eligible: Eligible) -> Option<&Arc<Target>> {
        let (index, target) = self.ring(worker).find(|(_, target)| eligible.has(target))?;
        self.advance(worker, index);
        Some(target)
    }

    /// The one with the fewest in progress; of several, the next in turn.
    fn least_outstanding(&self, worker: usize, eligible: Eligible) -> Option<&Arc<Target>> {
        // `min_by_key` keeps the first of equals.
        let (index, target) = self
            .ring(worker)
            .filter(|(_, target)| eligible.has(target))
            .min_by_key(|(_, target)| target.in_flight())?;
        self.advance(worker, index);
        Some(target)
    }

    fn at_random(&self, eligible: Eligible, count: usize, random: u64) -> Option<&Arc<Target>> {
        let eligible = || self.targets.iter().filter(|t| eligible.has(t));
        let index = random.checked_rem(count as u64)?;
        // One less than was counted may be left by now.
        eligible()
            .nth(usize::try_from(index).ok()?)
            .or_else(|| eligible().next())
    }

    /// All targets with their index, from where the worker's round robin stands.
    fn ring(&self, worker: usize) -> impl Iterator<Item = (usize, &Arc<Target>)> {
        let start = self
            .cursors
            .get(worker)
            .map_or(0, |cursor| cursor.0.load(Ordering::Relaxed))
            .checked_rem(self.targets.len())
            .unwrap_or(0);
        let (before, after) = self.targets.split_at(start);
        let after = after.iter().enumerate().map(move |(i, t)| (start + i, t));
        after.chain(before.iter().enumerate())
    }

    fn advance(&self, worker: usize, chosen: usize) {
        if let Some(cursor) = self.cursors.get(worker) {
            cursor.0.store(chosen + 1, Ordering::Relaxed);
        }
    }
}

/// Which targets take new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eligible {
    Healthy,
    /// None is healthy: all that are registered.
    Registered,
}

impl Eligible {
    fn has(self, target: &Target) -> bool {
        let state = target.state();
        match self {
            Self::Healthy => is_healthy(state),
            Self::Registered => is_registered(state),
        }
    }

    fn chosen(self, target: &Arc<Target>) -> Chosen<'_> {
        Chosen {
            target,
            fail_open: self == Self::Registered,
        }
    }
}

/// A target whose checks are off counts as healthy, since nothing ever makes it so.
fn is_healthy(state: TargetState) -> bool {
    matches!(state, TargetState::Healthy | TargetState::Unavailable)
}

fn is_registered(state: TargetState) -> bool {
    !matches!(state, TargetState::Unused | TargetState::Draining)
}

/// Index into `weights` with probability weight / sum; `None` when all are 0.
///
/// ```
/// let index = elbow_balance::choose_weighted([1, 0, 3].into_iter(), 5);
/// assert_eq!(index, Some(2));
/// ```
pub fn choose_weighted(weights: impl Iterator<Item = u32> + Clone, random: u64) -> Option<usize> {
    let sum: u64 = weights.clone().map(u64::from).sum();
    let mut point = random.checked_rem(sum)?;
    weights
        .enumerate()
        .find_map(|(i, w)| match point.checked_sub(u64::from(w)) {
            Some(rest) => {
                point = rest;
                None
            }
            None => Some(i),
        })
}

#[cfg(test)]
mod tests;
