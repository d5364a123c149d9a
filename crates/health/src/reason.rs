use std::borrow::Cow;

use elbow_model::TargetState;

/// `TargetHealth.Reason` and `.Description` of `DescribeTargetHealth`, in AWS's words (parity: 1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// E.g. `Target.Timeout`.
    pub code: &'static str,
    /// E.g. `Request timed out`.
    pub description: Cow<'static, str>,
    /// The code that the answer had, where that is the reason.
    status: u16,
}

/// What a target that is checked can have for a reason; the place of each is its number.
const KNOWN: [Reason; 8] = [
    Reason::REGISTRATION_IN_PROGRESS,
    Reason::INITIAL_HEALTH_CHECKING,
    Reason::TIMEOUT,
    Reason::FAILED_HEALTH_CHECKS,
    Reason::DEREGISTRATION_IN_PROGRESS,
    Reason::HEALTH_CHECK_DISABLED,
    Reason::NOT_IN_USE,
    Reason::NOT_REGISTERED,
];

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
            status: code,
        }
    }

    /// A reason of a target as a number, for where a lock would be too much; 0 is none.
    ///
    /// ```
    /// use elbow_health::Reason;
    ///
    /// for reason in [None, Some(Reason::TIMEOUT), Some(Reason::response_code_mismatch(503))] {
    ///     assert_eq!(Reason::from_bits(Reason::to_bits(reason.as_ref())), reason);
    /// }
    /// ```
    pub fn to_bits(reason: Option<&Self>) -> u32 {
        let Some(reason) = reason else { return 0 };
        let number = KNOWN.iter().position(|known| known == reason);
        let number = number.and_then(|n| u16::try_from(n + 1).ok());
        u32::from(reason.status) << 16 | u32::from(number.unwrap_or_default())
    }

    /// The reason that [`Reason::to_bits`] made a number of.
    pub fn from_bits(bits: u32) -> Option<Self> {
        let status = (bits >> 16) as u16;
        if status != 0 {
            return Some(Self::response_code_mismatch(status));
        }
        KNOWN.get((bits as usize).checked_sub(1)?).cloned()
    }

    const fn new(code: &'static str, description: &'static str) -> Self {
        Self {
            code,
            description: Cow::Borrowed(description),
            status: 0,
        }
    }
}
