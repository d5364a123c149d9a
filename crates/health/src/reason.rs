use std::borrow::Cow;

use elbow_model::TargetState;

/// `TargetHealth.Reason` and `.Description` of `DescribeTargetHealth`, in AWS's words (parity: 1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// E.g. `Target.Timeout`.
    pub code: &'static str,
    /// E.g. `Request timed out`.
    pub description: Cow<'static, str>,
}

impl Reason {
    /// No check has ended yet.
    pub const REGISTRATION_IN_PROGRESS: Self = Self::new(
        "Elb.RegistrationInProgress",
        "Target registration is in progress",
    );
    /// Too few checks have ended to tell.
    pub const INITIAL_HEALTH_CHECKING: Self = Self::new(
        "Elb.InitialHealthChecking",
        "Initial health checks in progress",
    );
    /// No answer in time.
    pub const TIMEOUT: Self = Self::new("Target.Timeout", "Request timed out");
    /// No connection, or no answer that can be read.
    pub const FAILED_HEALTH_CHECKS: Self =
        Self::new("Target.FailedHealthChecks", "Health checks failed");
    /// Deregistered, the delay is running.
    pub const DEREGISTRATION_IN_PROGRESS: Self = Self::new(
        "Target.DeregistrationInProgress",
        "Target deregistration is in progress",
    );
    /// Health checks are off.
    pub const HEALTH_CHECK_DISABLED: Self =
        Self::new("Target.HealthCheckDisabled", "Health checks are disabled");
    /// The group is in no rule.
    pub const NOT_IN_USE: Self = Self::new(
        "Target.NotInUse",
        "Target group is not configured to receive traffic from the load balancer",
    );
    /// The target is not, or no longer, in the group.
    pub const NOT_REGISTERED: Self = Self::new(
        "Target.NotRegistered",
        "Target is not registered to the target group",
    );

    /// `InstanceState.ReasonCode` and `.Description` of `DescribeInstanceHealth`, for an instance of a
    /// Classic load balancer; none while it is in service.
    pub fn of_instance(state: TargetState) -> Option<Self> {
        Some(match state {
            TargetState::Healthy => return None,
            TargetState::Initial => Self::new("ELB", "Instance registration is still in progress."),
            TargetState::Unhealthy => Self::new(
                "Instance",
                "Instance has failed at least the UnhealthyThreshold number of health checks \
                 consecutively.",
            ),
            TargetState::Draining => {
                Self::new("N/A", "Instance deregistration currently in progress.")
            }
            TargetState::Unused | TargetState::Unavailable => {
                Self::new("ELB", "A transient error occurred. Please try again later.")
            }
        })
    }

    /// The answer had another code than the matcher wants.
    pub fn response_code_mismatch(code: u16) -> Self {
        Self {
            code: "Target.ResponseCodeMismatch",
            description: format!("Health checks failed with these codes: [{code}]").into(),
        }
    }

    const fn new(code: &'static str, description: &'static str) -> Self {
        Self {
            code,
            description: Cow::Borrowed(description),
        }
    }
}
