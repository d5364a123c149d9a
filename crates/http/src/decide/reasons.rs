//! Why a request was treated as it was: what the access log, the metrics and an explanation say.

pub use crate::action::transform::TransformFailure;
pub use elbow_auth::Reason as AuthReason;

/// Why a request was treated as it was. Small, and without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// Of the rule that took the request; 0 for the default action; `None` when the request was
    /// refused before its rules were looked at.
    pub priority: Option<u32>,
    /// How many rules were looked at, without the default rule.
    pub evaluations: u32,
    /// What the action that authenticates did; `None` without one, or while a provider is asked.
    pub authentication: Option<Authentication>,
    /// `None` also when the action could not be carried out.
    pub action: Option<ActionKind>,
    /// `None` when the rule has no transforms, or none that matched.
    pub transform: Option<TransformStatus>,
    /// Of a forward action.
    pub group: Option<GroupReason>,
    /// Of a group that can serve the request, also when none of its targets can be used.
    pub target: Option<TargetReason>,
    /// Too few targets were healthy, so that any registered one could be chosen.
    pub fail_open: bool,
}

/// What came of the action that authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// It let a request with a valid token through.
    Token,
    /// It let a request through: a user's, or one that needs no user.
    Admitted,
    /// As [`Self::Admitted`], after the provider gave the session another access token.
    Refreshed,
    /// It sent the user to the provider; the session that it had is of no use for this reason.
    Challenged(Option<AuthReason>),
    /// It ended a login.
    LoggedIn,
    /// It did not let the request through.
    Refused(AuthReason),
}

/// The kinds of action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionKind {
    /// To a target.
    Forward,
    /// 301 or 302.
    Redirect,
    /// With a fixed body.
    FixedResponse,
}

/// What came of the transforms of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransformStatus {
    /// At least one matched, and was applied.
    Success,
    /// One matched, and its result is of no use.
    Failure(TransformFailure),
}

/// Why a group was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupReason {
    /// By weight.
    Weight,
    /// By weight, since the client's cookie is damaged or too old.
    InvalidCookie,
    /// The client's cookie names it.
    Cookie,
}

/// Why a target was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetReason {
    /// By the group's algorithm.
    Algorithm,
    /// By the group's algorithm; the group is sticky, and no cookie named a target that may be chosen.
    NewSession,
    /// The client's cookie names it.
    Cookie,
}

impl Reasons {
    /// `actions_executed` of the access log.
    pub fn actions_executed(&self) -> Option<&'static str> {
        let rewrites = self.transform == Some(TransformStatus::Success);
        Some(match (self.authentication.is_some(), self.action) {
            (false, Some(ActionKind::Forward)) if rewrites => "rewrite,forward",
            (false, Some(ActionKind::Forward)) => "forward",
            (false, Some(ActionKind::Redirect)) => "redirect",
            (false, Some(ActionKind::FixedResponse)) => "fixed-response",
            (false, None) => return None,
            (true, Some(ActionKind::Forward)) if rewrites => "authenticate,rewrite,forward",
            (true, Some(ActionKind::Forward)) => "authenticate,forward",
            (true, Some(ActionKind::Redirect)) => "authenticate,redirect",
            (true, Some(ActionKind::FixedResponse)) => "authenticate,fixed-response",
            (true, None) => "authenticate",
        })
    }

    /// `request_transform_status` of the access log.
    pub fn transform_status(&self) -> Option<&'static str> {
        Some(match self.transform? {
            TransformStatus::Success => "TransformSuccess",
            TransformStatus::Failure(failure) => failure.as_str(),
        })
    }

    /// `error_reason` of the access log, when no error has another one.
    pub fn log_reason(&self) -> Option<&'static str> {
        match self.authentication {
            Some(Authentication::Refused(reason) | Authentication::Challenged(Some(reason))) => {
                Some(reason.as_str())
            }
            _ => {
                (self.group == Some(GroupReason::InvalidCookie)).then_some("AWSALBTGCookieInvalid")
            }
        }
    }
}
