use std::borrow::Cow;

use elbow_model::TargetState;

/// `TargetHealth.Reason` and `.Description` of `DescribeTargetHealth`, in AWS's words (parity: 1.9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// For example `Target.Timeout`.
    pub code: &'static str,
    /// For example `Request timed out`.
    pub description: Cow<'static, str>,
    /// The status code of the response, or the code of gRPC, if that is the reason.
    status: Option<u16>,
}

/// All reasons; the index of each is its number.
const KNOWN: [Reason; 7] = [
    Reason::REGISTRATION_IN_PROGRESS,
    Reason::INITIAL_HEALTH_CHECKING,
    Reason::TIMEOUT,
    Reason::FAILED_HEALTH_CHECKS,
    Reason::DEREGISTRATION_IN_PROGRESS,
    Reason::NOT_IN_USE,
    Reason::ZONE_NOT_ENABLED,
];

impl Reason {
    /// No check has completed yet.
    pub const REGISTRATION_IN_PROGRESS: Self = Self::new(
        "Elb.RegistrationInProgress",
        "Target registration is in progress",
    );
    /// Too few checks have completed.
    pub const INITIAL_HEALTH_CHECKING: Self = Self::new(
        "Elb.InitialHealthChecking",
        "Initial health checks in progress",
    );
    /// No response in time.
    pub const TIMEOUT: Self = Self::new("Target.Timeout", "Request timed out");
    /// No connection, or a response that is not valid HTTP.
    pub const FAILED_HEALTH_CHECKS: Self =
        Self::new("Target.FailedHealthChecks", "Health checks failed");
    /// Deregistered; the deregistration delay has not passed.
    pub const DEREGISTRATION_IN_PROGRESS: Self = Self::new(
        "Target.DeregistrationInProgress",
        "Target deregistration is in progress",
    );
    /// No listener forwards to the group.
    pub const NOT_IN_USE: Self = Self::new(
        "Target.NotInUse",
        "Target group is not configured to receive traffic from the load balancer",
    );
    /// The load balancer has no node in its zone.
    pub const ZONE_NOT_ENABLED: Self = Self::new(
        "Target.NotInUse",
        "Target is in an Availability Zone that is not enabled for the load balancer",
    );

    /// `InstanceState.ReasonCode` and `.Description` of `DescribeInstanceHealth` for an instance of a
    /// Classic load balancer; `None` while it is in service.
    pub fn of_instance(state: TargetState) -> Option<Self> {
        Some(match state {
            TargetState::Healthy => return None,
            TargetState::Initial => Self::new("ELB", "Instance registration is still in progress."),
            TargetState::Unhealthy | TargetState::UnhealthyDraining => Self::new(
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

    /// The response had a status code, or a code of gRPC, that the matcher does not allow.
    pub fn response_code_mismatch(code: u16) -> Self {
        Self {
            code: "Target.ResponseCodeMismatch",
            description: format!("Health checks failed with these codes: [{code}]").into(),
            status: Some(code),
        }
    }

    /// Encodes the reason as a number for an atomic; 0 means no reason.
    ///
    /// ```
    /// use elbow_health::Reason;
    ///
    /// let mismatch = |code| Some(Reason::response_code_mismatch(code));
    /// let outside = Some(Reason::ZONE_NOT_ENABLED);
    /// for reason in [None, Some(Reason::TIMEOUT), outside, mismatch(503), mismatch(0)] {
    ///     assert_eq!(Reason::from_bits(Reason::to_bits(reason.as_ref())), reason);
    /// }
    /// ```
    pub fn to_bits(reason: Option<&Self>) -> u32 {
        let Some(reason) = reason else { return 0 };
        let number = KNOWN.iter().position(|known| known == reason);
        let number = number.and_then(|n| u16::try_from(n + 1).ok());
        // The code 0 of gRPC is a reason, too.
        let status = reason.status.map_or(0, |status| u32::from(status) + 1);
        status << 16 | u32::from(number.unwrap_or_default())
    }

    /// Decodes a number from [`Reason::to_bits`].
    pub fn from_bits(bits: u32) -> Option<Self> {
        if let Some(status) = (bits >> 16).checked_sub(1) {
            return Some(Self::response_code_mismatch(status as u16));
        }
        KNOWN.get((bits as usize).checked_sub(1)?).cloned()
    }

    const fn new(code: &'static str, description: &'static str) -> Self {
        Self {
            code,
            description: Cow::Borrowed(description),
            status: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // ELB API reference 2012-06-01, InstanceState.
    #[test]
    fn instances_have_the_reasons_of_the_classic_api() {
        let code = |state| Reason::of_instance(state).map(|reason| reason.code);
        for (state, want) in [
            (TargetState::Healthy, None),
            (TargetState::Initial, Some("ELB")),
            (TargetState::Unhealthy, Some("Instance")),
            (TargetState::Draining, Some("N/A")),
            (TargetState::Unused, Some("ELB")),
            (TargetState::Unavailable, Some("ELB")),
        ] {
            assert_eq!(code(state), want, "{state:?}");
        }
    }
}
