use elbow_model::{HealthCheck, TargetState};

use crate::{Outcome, Reason};

#[cfg(test)]
mod tests;

/// The health of one target (ALB guide: health checks; parity: 1.9). Pure: results go in, states
/// come out.
#[derive(Clone, Debug)]
pub struct Tracker {
    state: TargetState,
    reason: Option<Reason>,
    passes: u32,
    failures: u32,
    healthy_threshold: u32,
    unhealthy_threshold: u32,
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Before.
    pub from: TargetState,
    /// After.
    pub to: TargetState,
    /// Why; nothing when it is healthy.
    pub reason: Option<Reason>,
}

impl Tracker {
    /// A target that was just registered.
    pub fn new(check: &HealthCheck) -> Self {
        Self {
            state: TargetState::Initial,
            reason: Some(Reason::REGISTRATION_IN_PROGRESS),
            passes: 0,
            failures: 0,
            healthy_threshold: check.healthy_threshold,
            unhealthy_threshold: check.unhealthy_threshold,
        }
    }

    /// Takes new thresholds and keeps the state, for a target that stays while its group changes.
    pub fn reconfigure(&mut self, check: &HealthCheck) {
        self.healthy_threshold = check.healthy_threshold;
        self.unhealthy_threshold = check.unhealthy_threshold;
    }

    /// The result of one check. Nothing when the state stays, though the reason may change. One that was skipped
    /// changes nothing.
    pub fn on_result(&mut self, outcome: &Outcome) -> Option<Transition> {
        match outcome {
            Outcome::Pass { .. } => self.on_pass(),
            Outcome::Mismatch(code) => self.on_failure(Reason::response_code_mismatch(*code)),
            Outcome::Timeout => self.on_failure(Reason::TIMEOUT),
            Outcome::Failed(_) => self.on_failure(Reason::FAILED_HEALTH_CHECKS),
            Outcome::Skipped(_) => None,
        }
    }

    /// The target was deregistered; checks no longer count.
    pub fn on_deregister(&mut self) -> Option<Transition> {
        self.enter(
            TargetState::Draining,
            Some(Reason::DEREGISTRATION_IN_PROGRESS),
        )
    }

    /// `TargetHealth.State`.
    pub fn state(&self) -> TargetState {
        self.state
    }

    /// Why it is not healthy.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    fn on_pass(&mut self) -> Option<Transition> {
        self.failures = 0;
        self.passes = self.passes.saturating_add(1);
        let needed = match self.state {
            // The first pass is enough, whatever the threshold.
            TargetState::Initial => 1,
            TargetState::Unhealthy => self.healthy_threshold,
            _ => return None,
        };
        if self.passes < needed {
            return None;
        }
        self.enter(TargetState::Healthy, None)
    }

    fn on_failure(&mut self, reason: Reason) -> Option<Transition> {
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        let enough = self.failures >= self.unhealthy_threshold;
        match self.state {
            TargetState::Initial | TargetState::Healthy if enough => {
                self.enter(TargetState::Unhealthy, Some(reason))
            }
            TargetState::Initial => {
                self.reason = Some(Reason::INITIAL_HEALTH_CHECKING);
                None
            }
            TargetState::Unhealthy => {
                self.reason = Some(reason);
                None
            }
            _ => None,
        }
    }

    fn enter(&mut self, to: TargetState, reason: Option<Reason>) -> Option<Transition> {
        if self.state == to {
            return None;
        }
        let from = std::mem::replace(&mut self.state, to);
        self.reason.clone_from(&reason);
        Some(Transition { from, to, reason })
    }
}
