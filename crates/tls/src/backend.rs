//! The security policies of connections to targets.

use crate::policy::Policy;

#[cfg(test)]
mod tests;

/// The security policy of connections to targets, which the policy of the listener decides (ALB guide: security policies,
/// backend connections).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendPolicy {
    /// With the suites of RFC 9151.
    Rfc9151,
    /// With the suites for FIPS and hybrid groups.
    FipsPostQuantum,
    /// With the suites for FIPS.
    Fips,
    /// With hybrid groups.
    PostQuantum,
    /// With TLS 1.3; also the policy of listeners without TLS.
    #[default]
    Tls13,
    /// Up to TLS 1.2.
    Tls12,
}

impl BackendPolicy {
    /// The policy behind listeners with `policy`.
    pub fn behind(policy: &Policy) -> Self {
        let has = |part| policy.name().contains(part);
        match (has("-FIPS-"), has("-PQ-")) {
            _ if has("-RFC9151-") => Self::Rfc9151,
            (true, true) => Self::FipsPostQuantum,
            (true, false) => Self::Fips,
            (false, true) => Self::PostQuantum,
            (false, false) if policy.tls13() => Self::Tls13,
            (false, false) => Self::Tls12,
        }
    }

    /// AWS's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rfc9151 => "ELBSecurityPolicy-TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07",
            Self::FipsPostQuantum => "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
            Self::Fips => "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04",
            Self::PostQuantum => "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09",
            Self::Tls13 => "ELBSecurityPolicy-TLS13-1-0-2021-06",
            Self::Tls12 => "ELBSecurityPolicy-2016-08",
        }
    }
}
