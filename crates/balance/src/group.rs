use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use elbow_model::personality::NoHealthyTarget;
use elbow_model::{Algorithm, MinimumHealthy, Personality, TargetGroup, TargetState};

use crate::Target;
use crate::target::mix;

/// An active target group: its configuration and its resolved targets.
#[derive(Debug)]
pub struct Group {
    /// As configured.
    pub config: Arc<TargetGroup>,
    /// Registered targets, followed by draining ones.
    pub targets: Vec<Arc<Target>>,
    /// The kind of load balancer that uses it.
    pub personality: &'static Personality,
    /// The round-robin position of each worker; only that worker writes it.
    cursors: Vec<Cursor>,
}

/// Has its own cache line, because another worker writes the next cursor.
#[derive(Debug)]
#[repr(align(128))]
struct Cursor(AtomicUsize);

/// The result of [`Group::choose`].
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The target.
    pub target: &'a Arc<Target>,
    /// Whether all registered targets are used because too few, usually none, are healthy (fail-open).
    pub fail_open: bool,
}

impl Group {
    /// Creates a group for `workers` workers. Its protocol determines the kind of load balancer.
    pub fn new(config: Arc<TargetGroup>, targets: Vec<Arc<Target>>, workers: usize) -> Self {
        // Each worker starts at a different target, so that the first requests are spread.
        let cursor = |worker| Cursor(AtomicUsize::new(worker));
        Self {
            personality: config.protocol.personality(),
            config,
            targets,
            cursors: (0..workers.max(1)).map(cursor).collect(),
        }
    }

    /// Whether `target` sees the address of `client`: the group keeps it, the families agree, and the target's answers come back
    /// (NLB guide: edit target group attributes).
    pub fn shows_client(&self, target: &Target, client: SocketAddr) -> bool {
        target.answers_clients()
            && client.is_ipv4() == target.address.is_ipv4()
            && self.config.preserves_client_address()
    }

    /// Makes the group behave like one of another kind of load balancer.
    #[must_use]
    pub fn with_personality(self, personality: &'static Personality) -> Self {
        Self {
            personality,
            ..self
        }
    }

    /// The same group with only the targets that `keep` selects; they keep their state.
    #[must_use]
    pub fn with_targets(&self, keep: impl Fn(&Target) -> bool) -> Self {
        let targets = self.targets.iter().filter(|target| keep(target));
        let group = Self::new(
            Arc::clone(&self.config),
            targets.cloned().collect(),
            self.cursors.len(),
        );
        group.with_personality(self.personality)
    }

    /// Whether the targets meet `minimum`.
    pub fn meets(&self, minimum: MinimumHealthy) -> bool {
        let (healthy, registered) = self.counts();
        minimum.is_met(healthy, registered)
    }

    /// Chooses a target for a request with the algorithm of the group; `None` if no target is registered.
    /// `worker` is the number of the calling worker. Only weighted_random and slow start use `random`.
    ///
    /// Draining and unused targets are never chosen. If none of the others is healthy, all of them are
    /// used (ALB guide: target groups, fail-open), except with a Classic load balancer, which then uses
    /// none (CLB guide: HTTP errors, 503). Health can change at any time; the result reflects the state
    /// at the time of the call.
    pub fn choose(&self, worker: usize, random: u64) -> Option<Chosen<'_>> {
        let (eligible, count) = self.eligible()?;
        let target = match self.config.attributes.algorithm {
            Algorithm::RoundRobin => self.round_robin(worker, eligible, random),
            Algorithm::LeastOutstandingRequests => self.least_outstanding(worker, eligible),
            Algorithm::WeightedRandom => self.weighted_random(eligible, count, random),
        };
        self.chosen(target, eligible)
    }

    /// Chooses the next target by round robin for a retry, excluding those with the serials `tried`;
    /// `None` if there is no other.
    pub fn choose_other(&self, worker: usize, tried: &[u64]) -> Option<Chosen<'_>> {
        let (eligible, _) = self.eligible()?;
        let is_other = |t: &Target| eligible.has(t) && !tried.contains(&t.serial);
        let (index, target) = self.ring(worker).find(|(_, target)| is_other(target))?;
        self.advance(worker, index);
        Some(eligible.chosen(target))
    }

    /// Chooses a target for a flow: the same hash gives the same target as long as the set of healthy
    /// targets does not change (NLB guide: introduction). When a target is added or removed, only the
    /// flows of that target move.
    pub fn choose_flow(&self, hash: u64) -> Option<Chosen<'_>> {
        let (eligible, _) = self.eligible()?;
        // Rendezvous hashing: the target with the highest hash for this flow wins.
        let target = self
            .targets
            .iter()
            .filter(|target| eligible.has(target))
            .max_by_key(|target| mix(hash ^ target.key()));
        self.chosen(target, eligible)
    }

    /// The target with this [`Target::key`] if it is eligible: it is healthy, or all targets are used.
    pub fn choose_by_key(&self, key: u64) -> Option<Chosen<'_>> {
        let (eligible, _) = self.eligible()?;
        let mut matching = self.targets.iter().filter(|target| target.key() == key);
        let target = matching.find(|target| eligible.has(target))?;
        Some(eligible.chosen(target))
    }

    /// Returns `target`, or any registered one if the last eligible target became ineligible between
    /// counting and choosing.
    fn chosen<'a>(
        &'a self,
        target: Option<&'a Arc<Target>>,
        eligible: Eligible,
    ) -> Option<Chosen<'a>> {
        let registered = || self.targets.iter().find(|t| Eligible::Registered.has(t));
        match target {
            Some(target) => Some(eligible.chosen(target)),
            None if self.personality.no_healthy_target == NoHealthyTarget::Refuse => None,
            None => Some(Eligible::Registered.chosen(registered()?)),
        }
    }

    /// Which targets are eligible now, and their number.
    fn eligible(&self) -> Option<(Eligible, usize)> {
        let (healthy, registered) = self.counts();
        let minimum = self.config.attributes.minimum_healthy;
        let is_enough = minimum.is_met(healthy, registered);
        match (healthy, registered) {
            (_, 0) => None,
            (1.., _) if is_enough => Some((Eligible::Healthy, healthy)),
            (0, _) if self.personality.no_healthy_target == NoHealthyTarget::Refuse => None,
            _ => Some((Eligible::Registered, registered)),
        }
    }

    /// The numbers of healthy and of registered targets.
    fn counts(&self) -> (usize, usize) {
        let (mut healthy, mut registered) = (0, 0);
        for target in &self.targets {
            let state = target.state();
            healthy += usize::from(is_healthy(state));
            registered += usize::from(state.is_registered());
        }
        (healthy, registered)
    }

    /// The next eligible target after the one this worker chose last. A target in slow start skips turns, which do not
    /// go to the target behind it: that one has its own turn next.
    fn round_robin(&self, worker: usize, eligible: Eligible, random: u64) -> Option<&Arc<Target>> {
        let ring = || self.ring(worker).filter(|(_, target)| eligible.has(target));
        let takes_turn = |target: &Target| target.share().takes(mix(random ^ target.key()));
        let next = if self.config.attributes.slow_start.is_some() && eligible == Eligible::Healthy {
            // Without a target at its full share, all may skip.
            ring()
                .find(|(_, target)| takes_turn(target))
                .or_else(|| ring().next())
        } else {
            ring().next()
        };
        let (index, target) = next?;
        self.advance(worker, index);
        Some(target)
    }

    /// Whether requests are chosen by [`Target::share`].
    pub fn uses_shares(&self) -> bool {
        let attributes = &self.config.attributes;
        attributes.slow_start.is_some() || attributes.anomaly_mitigation
    }

    /// Whether `target`, which is about to become healthy, starts slowly: another healthy target gets its full share
    /// (ALB guide: edit target group attributes, slow start).
    pub fn starts_slowly(&self, target: &Target) -> bool {
        let takes_load = |other: &Target| {
            other.serial != target.serial && is_healthy(other.state()) && other.share().is_full()
        };
        self.config.attributes.slow_start.is_some()
            && !target.skips_slow_start()
            && self.targets.iter().any(|other| takes_load(other))
    }

    /// The eligible target with the fewest requests in progress; among equals, the next by round robin.
    fn least_outstanding(&self, worker: usize, eligible: Eligible) -> Option<&Arc<Target>> {
        // `min_by_key` returns the first of equal elements.
        let (index, target) = self
            .ring(worker)
            .filter(|(_, target)| eligible.has(target))
            .min_by_key(|(_, target)| target.in_flight())?;
        self.advance(worker, index);
        Some(target)
    }

    fn weighted_random(
        &self,
        eligible: Eligible,
        count: usize,
        random: u64,
    ) -> Option<&Arc<Target>> {
        let candidates = || self.targets.iter().filter(|t| eligible.has(t));
        let index = if self.uses_shares() && eligible == Eligible::Healthy {
            choose_weighted(candidates().map(|target| target.share().parts()), random)
        } else {
            let index = random.checked_rem(count as u64);
            index.and_then(|index| usize::try_from(index).ok())
        };
        // A target may have become ineligible since they were counted.
        candidates().nth(index?).or_else(|| candidates().next())
    }

    /// All targets with their index, starting at the round-robin position of the worker.
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

/// Which targets get new requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eligible {
    Healthy,
    /// All registered targets, because too few are healthy.
    Registered,
}

impl Eligible {
    fn has(self, target: &Target) -> bool {
        let state = target.state();
        match self {
            Self::Healthy => is_healthy(state),
            Self::Registered => state.is_registered(),
        }
    }

    fn chosen(self, target: &Arc<Target>) -> Chosen<'_> {
        Chosen {
            target,
            fail_open: self == Self::Registered,
        }
    }
}

/// A target without health checks counts as healthy.
pub(crate) fn is_healthy(state: TargetState) -> bool {
    matches!(state, TargetState::Healthy | TargetState::Unavailable)
}

/// An index into `weights`, chosen with probability weight / sum; `None` if all are 0.
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
