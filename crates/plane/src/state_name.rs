//! The names of target states in the AWS APIs.

use elbow_model::personality::HealthUnit;
use elbow_model::{Personality, TargetState};

/// The name of `state` in the API of load balancers with `personality`.
pub(crate) fn state_name(personality: &Personality, state: TargetState) -> &'static str {
    match personality.health_unit {
        HealthUnit::Target => state.as_str(),
        HealthUnit::Instance => state.as_instance_state(),
    }
}
