use elbow_model::{HealthCheck, TargetState};

use crate::{Outcome, Reason};

#[cfg(test)]
mod tests;

/// The health of one target (ALB guide: health checks; parity: 1.9). A pure state machine: results in,
/// states out.
#[derive(Clone, Debug)]
pub struct Tracker {
    state: TargetState,
    reason: Option<Reason>,
    passes: u32,
    failures: u32,
    healthy_threshold: u32,
    unhealthy_threshold: u32,
}

impl Tracker {
    /// Creates the tracker of a newly registered target.
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

    /// Creates the tracker of a target that was checked before: by the previous process, or for another listener.
    pub fn resume(check: &HealthCheck, state: TargetState, reason: Option<Reason>) -> Self {
        Self {
            state,
            reason,
            ..Self::new(check)
        }
    }

    /// Changes the thresholds and keeps the state, for a target that stays when its group changes.
    pub fn reconfigure(&mut self, check: &HealthCheck) {
        self.healthy_threshold = check.healthy_threshold;
        self.unhealthy_threshold = check.unhealthy_threshold;
    }

    /// Applies the result of one check and returns whether the state changed. The reason can change without the state. A
    /// skipped check changes nothing.
    pub fn on_result(&mut self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Pass { .. } => self.on_pass(),
            Outcome::Mismatch(code) => self.on_failure(Reason::response_code_mismatch(*code)),
            Outcome::Timeout => self.on_failure(Reason::TIMEOUT),
            Outcome::Failed(_) => self.on_failure(Reason::FAILED_HEALTH_CHECKS),
            Outcome::Skipped(_) => false,
        }
    }

    /// A passive check has failed: a healthy target is unhealthy at once. Returns whether the state changed.
    pub fn on_passive_failure(&mut self) -> bool {
        let was_healthy = self.state == TargetState::Healthy;
        if was_healthy {
            self.passes = 0;
            self.enter(TargetState::Unhealthy, Some(Reason::FAILED_HEALTH_CHECKS));
        }
        was_healthy
    }

    /// `TargetHealth.State`.
    pub fn state(&self) -> TargetState {
        self.state
    }

    /// The reason for not being healthy.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    fn on_pass(&mut self) -> bool {
        self.failures = 0;
        self.passes = self.passes.saturating_add(1);
        let needed = match self.state {
            // The first pass is enough, regardless of the threshold (ALB guide: health checks).
            TargetState::Initial => 1,
            TargetState::Unhealthy => self.healthy_threshold,
            _ => return false,
        };
        if self.passes >= needed {
            self.enter(TargetState::Healthy, None);
        }
        self.state == TargetState::Healthy
    }

    fn on_failure(&mut self, reason: Reason) -> bool {
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        let enough = self.failures >= self.unhealthy_threshold;
        match self.state {
            TargetState::Initial | TargetState::Healthy if enough => {
                self.enter(TargetState::Unhealthy, Some(reason));
                return true;
            }
            TargetState::Initial => self.reason = Some(Reason::INITIAL_HEALTH_CHECKING),
            TargetState::Unhealthy => self.reason = Some(reason),
            _ => {}
        }
        false
    }

    fn enter(&mut self, state: TargetState, reason: Option<Reason>) {
        self.state = state;
        self.reason = reason;
    }
}
