//! Actions of rules and listeners (ALB guide: action types; NLB guide: listeners).

use std::fmt;
use std::sync::Arc;

use crate::invalid::{Checked, Findings, Place};
use crate::kinds::{ContentType, LoadBalancerType, Protocol};
use crate::read::one_of;
use crate::spec::{ActionSpec, FixedResponseSpec};

pub use authenticate::{AuthenticateCognito, AuthenticateOidc, OnUnauthenticated};
pub use endpoint::is_provider_url;
pub use forward::{Forward, WeightedTargetGroup};
pub use jwt::{AdditionalClaim, ClaimFormat, JwtValidation};
pub(crate) use owner::Owner;
pub use redirect::Redirect;

mod authenticate;
mod endpoint;
mod forward;
mod jwt;
mod owner;
mod redirect;

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to a target group.
    Forward(Forward),
    /// Answer 301 or 302.
    Redirect(Redirect),
    /// Answer with a fixed body.
    FixedResponse(FixedResponse),
    /// Let only requests with a valid JSON Web Token through to the action that follows.
    JwtValidation(JwtValidation),
    /// Let only users that an OpenID Connect provider knows through to the action that follows.
    AuthenticateOidc(Box<AuthenticateOidc>),
    /// Let only users of an Amazon Cognito user pool through to the action that follows.
    AuthenticateCognito(Box<AuthenticateCognito>),
}

/// `FixedResponseConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2XX, 4XX or 5XX.
    pub status: u16,
    /// Of the body.
    pub content_type: ContentType,
    /// 0-1024 bytes.
    pub body: Arc<str>,
}

/// Bytes of a fixed body.
const MAX_BODY: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Forward,
    Redirect,
    FixedResponse,
    JwtValidation,
    AuthenticateOidc,
    AuthenticateCognito,
}

const KINDS: &[(&str, Kind)] = &[
    ("forward", Kind::Forward),
    ("redirect", Kind::Redirect),
    ("fixed-response", Kind::FixedResponse),
    ("jwt-validation", Kind::JwtValidation),
    ("authenticate-oidc", Kind::AuthenticateOidc),
    ("authenticate-cognito", Kind::AuthenticateCognito),
];

impl Kind {
    fn config(self) -> &'static str {
        match self {
            Self::Forward => "forwardConfig",
            Self::Redirect => "redirectConfig",
            Self::FixedResponse => "fixedResponseConfig",
            Self::JwtValidation => "jwtValidationConfig",
            Self::AuthenticateOidc => "authenticateOIDCConfig",
            Self::AuthenticateCognito => "authenticateCognitoConfig",
        }
    }

    fn is_configured(self, spec: &ActionSpec) -> bool {
        match self {
            Self::Forward => spec.forward_config.is_some(),
            Self::Redirect => spec.redirect_config.is_some(),
            Self::FixedResponse => spec.fixed_response_config.is_some(),
            Self::JwtValidation => spec.jwt_validation_config.is_some(),
            Self::AuthenticateOidc => spec.authenticate_oidc_config.is_some(),
            Self::AuthenticateCognito => spec.authenticate_cognito_config.is_some(),
        }
    }

    /// Whether another action follows it.
    fn is_gate(self) -> bool {
        matches!(
            self,
            Self::JwtValidation | Self::AuthenticateOidc | Self::AuthenticateCognito
        )
    }
}

impl Action {
    /// `type` of each kind of action.
    pub const TYPES: &'static [&'static str] = &[
        "forward",
        "redirect",
        "fixed-response",
        "jwt-validation",
        "authenticate-oidc",
        "authenticate-cognito",
    ];

    /// The action that `spec` describes, by itself: what depends on the listener that it belongs to is checked with
    /// that listener.
    pub fn new(spec: &ActionSpec) -> Checked<Self> {
        let alone = Owner {
            kind: None,
            protocol: None,
            port: None,
            rule: None,
            scope: None,
        };
        Findings::of(|at| Self::build(spec, alone, at))
    }

    /// The actions of a rule or listener: one that decides what becomes of the request, after at most one that
    /// authenticates it (`CreateRule`, Actions).
    pub(crate) fn build_all(specs: &[ActionSpec], owner: Owner<'_>, at: &Place<'_>) -> Vec<Self> {
        let (mut gate, mut last) = (false, false);
        for (i, spec) in specs.iter().enumerate() {
            if is_gate(spec) {
                let reason = match (gate, last) {
                    (true, _) => {
                        "a rule or listener authenticates once; this is the second action that does"
                    }
                    (false, true) => "an action that authenticates comes first",
                    (false, false) => "",
                };
                gate = true;
                if !reason.is_empty() {
                    at.index(i).error("invalid-combination", reason);
                }
            } else if std::mem::replace(&mut last, true) {
                at.index(i).error(
                    "too-many",
                    "a rule or listener has one action; this is another one",
                );
            }
        }
        if specs.is_empty() {
            at.error("missing-field", "an action is missing");
        } else if !last {
            let reason = "an action that forwards, redirects or answers is missing";
            at.error("missing-field", reason);
        }
        let actions = specs.iter().enumerate();
        actions
            .filter_map(|(i, spec)| Self::build(spec, owner, &at.index(i)))
            .collect()
    }

    fn build(spec: &ActionSpec, owner: Owner<'_>, at: &Place<'_>) -> Option<Self> {
        let Some(name) = &spec.kind else {
            at.missing("type");
            return None;
        };
        let at_type = at.field("type");
        let kind = one_of(name, KINDS, &at_type)?;
        if kind.is_gate() && owner.protocol.is_some_and(|p| p != Protocol::Https) {
            let reason = format!("{name} belongs to HTTPS listeners");
            at_type.error("invalid-combination", reason);
        } else if kind != Kind::Forward && owner.kind == Some(LoadBalancerType::Network) {
            at_type.error(
                "invalid-combination",
                "a network load balancer can only forward",
            );
        }
        for (name, other) in KINDS.iter().filter(|(_, other)| *other != kind) {
            if other.is_configured(spec) {
                let config = other.config();
                at.field(config).error(
                    "invalid-combination",
                    format!("{config} belongs to actions of type {name}"),
                );
            }
        }
        if !kind.is_configured(spec) {
            at.missing(kind.config());
            return None;
        }
        let at = at.field(kind.config());
        match kind {
            Kind::Forward => {
                Forward::build(spec.forward_config.as_ref()?, owner, &at).map(Self::Forward)
            }
            Kind::Redirect => {
                Redirect::build(spec.redirect_config.as_ref()?, owner, &at).map(Self::Redirect)
            }
            Kind::FixedResponse => {
                let spec = spec.fixed_response_config.as_ref()?;
                FixedResponse::build(spec, &at).map(Self::FixedResponse)
            }
            Kind::JwtValidation => {
                let spec = spec.jwt_validation_config.as_ref()?;
                JwtValidation::build(spec, &at).map(Self::JwtValidation)
            }
            Kind::AuthenticateOidc => {
                let spec = spec.authenticate_oidc_config.as_ref()?;
                let built = AuthenticateOidc::build(spec, &at)?;
                Some(Self::AuthenticateOidc(Box::new(built)))
            }
            Kind::AuthenticateCognito => {
                let spec = spec.authenticate_cognito_config.as_ref()?;
                let built = AuthenticateCognito::build(spec, owner, &at)?;
                Some(Self::AuthenticateCognito(Box::new(built)))
            }
        }
    }
}

/// Whether an action authenticates requests, so that another one follows it.
fn is_gate(spec: &ActionSpec) -> bool {
    let Some(name) = spec.kind.as_deref() else {
        return false;
    };
    let mut known = KINDS.iter().filter(|(_, kind)| kind.is_gate());
    known.any(|(known, _)| *known == name)
}

impl FixedResponse {
    fn build(spec: &FixedResponseSpec, at: &Place<'_>) -> Option<Self> {
        let status = match &spec.status_code {
            Some(text) => status_code(text, &at.field("statusCode")),
            None => {
                at.missing("statusCode");
                None
            }
        };
        let content_type = match &spec.content_type {
            Some(text) => one_of(text, ContentType::NAMES, &at.field("contentType")),
            None => Some(ContentType::default()),
        };
        let body = spec.message_body.as_deref().unwrap_or_default();
        if body.len() > MAX_BODY {
            at.field("messageBody").error(
                "out-of-range",
                format!("the body has {} bytes; {MAX_BODY} are allowed", body.len()),
            );
        }
        Some(Self {
            status: status?,
            content_type: content_type?,
            body: body.into(),
        })
    }
}

fn status_code(text: &str, at: &Place<'_>) -> Option<u16> {
    let is_valid =
        |status: &u16| text.len() == 3 && matches!(status, 200..=299 | 400..=499 | 500..=599);
    let status = text.parse().ok().filter(is_valid);
    if status.is_none() {
        at.error("out-of-range", format!("{text:?} is not 2XX, 4XX or 5XX"));
    }
    status
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(forward) => forward.fmt(f),
            Self::Redirect(redirect) => redirect.fmt(f),
            Self::FixedResponse(response) => write!(f, "fixed response {}", response.status),
            Self::JwtValidation(jwt) => jwt.fmt(f),
            Self::AuthenticateOidc(oidc) => oidc.fmt(f),
            Self::AuthenticateCognito(cognito) => cognito.fmt(f),
        }
    }
}
