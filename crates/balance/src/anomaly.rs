//! Anomaly detection (ALB guide: target groups, automatic target weights): targets that fail more requests than the
//! others. AWS says what is compared and how often; the thresholds are elbow's.

use std::collections::HashMap;
use std::time::Duration;

use crate::group::is_healthy;
use crate::{Group, Share, Target};

/// How often targets are compared, and shares adjusted.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// How many healthy targets it takes to tell which one differs.
const MIN_TARGETS: usize = 3;
/// The failures that it takes to call a target anomalous.
const MIN_FAILURES: u64 = 5;
/// The difference of failure rates below which no target is anomalous.
const MIN_DIFFERENCE: f64 = 0.05;
/// How many times as high as that of the others the failure rate of an anomalous target is.
const MIN_RATIO: f64 = 2.0;
/// How many standard errors the difference of failure rates is above 0, so that it is not by chance.
const MIN_ERRORS: f64 = 3.0;
/// The lowest share of a mitigated target. Its requests show when it recovers.
const MIN_SHARE: u32 = Share::FULL.parts() / 16;

/// Requests and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub requests: u64,
    /// Those that ended with a status of 500 or more, or without a response.
    pub failures: u64,
}

impl Tally {
    /// Whether a target with this tally is anomalous beside `peers`, the tally of all others.
    ///
    /// ```
    /// use elbow_balance::Tally;
    ///
    /// let tally = |requests, failures| Tally { requests, failures };
    /// assert!(tally(100, 50).is_anomalous(tally(200, 2)));
    /// assert!(!tally(100, 50).is_anomalous(tally(200, 100)));
    /// ```
    pub fn is_anomalous(self, peers: Self) -> bool {
        if self.failures < MIN_FAILURES || peers.requests == 0 {
            return false;
        }
        let (own_rate, peer_rate) = (self.rate(), peers.rate());
        let difference = own_rate - peer_rate;
        let both = self.plus(peers);
        let variance = both.rate() * (1.0 - both.rate());
        let error = (variance * (1.0 / self.requests as f64 + 1.0 / peers.requests as f64)).sqrt();
        difference >= MIN_DIFFERENCE
            && own_rate >= MIN_RATIO * peer_rate
            && difference > MIN_ERRORS * error
    }

    fn rate(self) -> f64 {
        self.failures as f64 / self.requests as f64
    }

    fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            failures: self.failures + other.failures,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            failures: self.failures.saturating_sub(other.failures),
        }
    }

    /// Half of it: what happened counts less with every interval.
    fn aged(self) -> Self {
        Self {
            requests: self.requests / 2,
            failures: self.failures / 2,
        }
    }
}

/// Finds the anomalous targets of one group.
#[derive(Debug, Default)]
pub struct Detector {
    targets: HashMap<u64, Window>,
}

/// What is known of one target.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    /// All that was counted at the last comparison.
    counted: Tally,
    /// The last intervals, older ones with less weight.
    recent: Tally,
}

impl Window {
    fn next(before: Option<Self>, target: &Target) -> Self {
        let counted = Tally {
            requests: target.requests(),
            failures: target.failures(),
        };
        let Some(before) = before else {
            return Self {
                counted,
                recent: Tally::default(),
            };
        };
        let mut new = counted.minus(before.counted);
        // A request is counted when it begins, and its failure when it ends.
        new.requests = new.requests.max(new.failures);
        Self {
            counted,
            recent: before.recent.aged().plus(new),
        }
    }
}

impl Detector {
    /// Compares the targets of `group`, marks the anomalous ones and, with anomaly mitigation, adjusts their shares.
    /// Call it once per [`INTERVAL`]. Calls `changed` for each target that became anomalous or normal.
    pub fn compare(&mut self, group: &Group, mut changed: impl FnMut(&Target)) {
        let mut before = std::mem::take(&mut self.targets);
        for target in &group.targets {
            let window = Window::next(before.remove(&target.serial), target);
            self.targets.insert(target.serial, window);
        }
        let recent = |target: &Target| self.targets.get(&target.serial).map(|window| window.recent);
        let healthy = || group.targets.iter().filter(|t| is_healthy(t.state()));
        let all = healthy()
            .filter_map(|target| recent(target))
            .fold(Tally::default(), Tally::plus);
        let is_enough = healthy().count() >= MIN_TARGETS;
        for target in &group.targets {
            let is_compared = is_enough && is_healthy(target.state());
            let own = recent(target).filter(|_| is_compared);
            let is_anomalous = own.is_some_and(|own| own.is_anomalous(all.minus(own)));
            if target.set_anomalous(is_anomalous) != is_anomalous {
                changed(target);
            }
            if group.config.attributes.anomaly_mitigation {
                target.set_share(adjusted(target.share(), is_anomalous));
            }
        }
    }
}

/// The next share of a target: half of it down to the lowest, or twice as much up to all of it.
fn adjusted(share: Share, is_anomalous: bool) -> Share {
    let parts = share.parts();
    Share::from_parts(if is_anomalous {
        (parts / 2).max(MIN_SHARE)
    } else {
        parts.saturating_mul(2).max(MIN_SHARE)
    })
}

#[cfg(test)]
mod tests;
