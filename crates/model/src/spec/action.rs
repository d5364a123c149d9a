use std::collections::BTreeMap;
use std::fmt;

/// For an [`Action`](crate::Action).
///
/// ```
/// use elbow_model::{Action, ActionSpec};
///
/// let action = Action::new(&ActionSpec::fixed_response(404)).value.unwrap();
/// assert_eq!(action.to_string(), "fixed response 404");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActionSpec {
    /// Required, `type`: one of [`Action::TYPES`](crate::Action::TYPES).
    pub kind: Option<String>,
    /// Required for `forward`.
    pub forward_config: Option<ForwardSpec>,
    /// Required for `redirect`.
    pub redirect_config: Option<RedirectSpec>,
    /// Required for `fixed-response`.
    pub fixed_response_config: Option<FixedResponseSpec>,
    /// Required for `jwt-validation`.
    pub jwt_validation_config: Option<JwtValidationSpec>,
    /// Required for `authenticate-oidc`.
    pub authenticate_oidc_config: Option<AuthenticateOidcSpec>,
    /// Required for `authenticate-cognito`.
    pub authenticate_cognito_config: Option<AuthenticateCognitoSpec>,
}

impl ActionSpec {
    /// All to one group.
    pub fn forward(target_group: impl Into<String>) -> Self {
        let group = WeightedTargetGroupSpec {
            target_group: Some(target_group.into()),
            weight: None,
        };
        Self::weighted(ForwardSpec {
            target_groups: Some(vec![group]),
            target_group_stickiness_config: None,
        })
    }

    /// To groups by weight.
    pub fn weighted(forward_config: ForwardSpec) -> Self {
        Self {
            kind: Some("forward".to_owned()),
            forward_config: Some(forward_config),
            ..Self::default()
        }
    }

    /// A validation of JSON Web Tokens.
    pub fn jwt_validation(jwt_validation_config: JwtValidationSpec) -> Self {
        Self {
            kind: Some("jwt-validation".to_owned()),
            jwt_validation_config: Some(jwt_validation_config),
            ..Self::default()
        }
    }

    /// An authentication of users.
    pub fn authenticate_oidc(authenticate_oidc_config: AuthenticateOidcSpec) -> Self {
        Self {
            kind: Some("authenticate-oidc".to_owned()),
            authenticate_oidc_config: Some(authenticate_oidc_config),
            ..Self::default()
        }
    }

    /// A redirect.
    pub fn redirect(redirect_config: RedirectSpec) -> Self {
        Self {
            kind: Some("redirect".to_owned()),
            redirect_config: Some(redirect_config),
            ..Self::default()
        }
    }

    /// A response without a body.
    pub fn fixed_response(status: u16) -> Self {
        Self {
            kind: Some("fixed-response".to_owned()),
            fixed_response_config: Some(FixedResponseSpec {
                status_code: Some(status.to_string()),
                ..FixedResponseSpec::default()
            }),
            ..Self::default()
        }
    }
}

/// For a [`Forward`](crate::Forward) (`ForwardActionConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardSpec {
    /// Required: 1 to 5.
    pub target_groups: Option<Vec<WeightedTargetGroupSpec>>,
    /// How long a client stays with its group.
    pub target_group_stickiness_config: Option<ForwardStickinessSpec>,
}

/// `TargetGroupStickinessConfig` of a forward action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardStickinessSpec {
    /// Default: false.
    pub enabled: Option<bool>,
    /// Seconds, 1 to 604800; required when enabled, but for an NLB.
    pub duration_seconds: Option<u32>,
}

/// For a [`WeightedTargetGroup`](crate::WeightedTargetGroup) (`TargetGroupTuple`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightedTargetGroupSpec {
    /// Required: the name of a target group.
    pub target_group: Option<String>,
    /// 0 to 999; default 1.
    pub weight: Option<u32>,
}

/// For a [`Redirect`](crate::Redirect) (`RedirectActionConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedirectSpec {
    /// `HTTP`, `HTTPS` or `#{protocol}` (the default).
    pub protocol: Option<String>,
    /// 1 to 65535 or `#{port}` (the default).
    pub port: Option<String>,
    /// Default: `#{host}`.
    pub host: Option<String>,
    /// Default: `/#{path}`.
    pub path: Option<String>,
    /// Default: `#{query}`.
    pub query: Option<String>,
    /// Required: `HTTP_301` or `HTTP_302`.
    pub status_code: Option<String>,
}

/// For a [`FixedResponse`](crate::FixedResponse) (`FixedResponseActionConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FixedResponseSpec {
    /// Required: 2XX, 4XX or 5XX.
    pub status_code: Option<String>,
    /// Default: `text/plain`.
    pub content_type: Option<String>,
    /// Up to 1024 bytes.
    pub message_body: Option<String>,
}

/// For a [`JwtValidation`](crate::JwtValidation) (`JwtValidationActionConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwtValidationSpec {
    /// Required: an HTTPS URL of up to 256 characters.
    pub jwks_endpoint: Option<String>,
    /// Required: up to 256 characters.
    pub issuer: Option<String>,
    /// Up to 10.
    pub additional_claims: Vec<AdditionalClaimSpec>,
}

/// For an [`AdditionalClaim`](crate::AdditionalClaim) (`JwtValidationActionAdditionalClaim`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AdditionalClaimSpec {
    /// Required.
    pub name: Option<String>,
    /// Required: `single-string`, `string-array` or `space-separated-values`.
    pub format: Option<String>,
    /// Required: 1 to 10.
    pub values: Vec<String>,
}

/// For an [`AuthenticateOidc`](crate::AuthenticateOidc) (`AuthenticateOidcActionConfig`).
#[derive(Clone, Default, PartialEq, Eq)]
pub struct AuthenticateOidcSpec {
    /// Required.
    pub issuer: Option<String>,
    /// Required: an HTTPS URL.
    pub authorization_endpoint: Option<String>,
    /// Required: an HTTPS URL.
    pub token_endpoint: Option<String>,
    /// Required: an HTTPS URL.
    pub user_info_endpoint: Option<String>,
    /// Required.
    pub client_id: Option<String>,
    /// Required.
    pub client_secret: Option<String>,
    /// Of the users.
    pub login: LoginSpec,
}

/// For an [`AuthenticateCognito`](crate::AuthenticateCognito) (`AuthenticateCognitoActionConfig`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthenticateCognitoSpec {
    /// Required.
    pub user_pool_arn: Option<String>,
    /// Required.
    pub user_pool_client_id: Option<String>,
    /// Required: a prefix of Amazon Cognito's domain, or a domain of its own.
    pub user_pool_domain: Option<String>,
    /// Of the users.
    pub login: LoginSpec,
}

/// How users log in, which actions of OpenID Connect and of Amazon Cognito have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginSpec {
    /// Default: `AWSELBAuthSessionCookie`.
    pub session_cookie_name: Option<String>,
    /// Default: `openid`.
    pub scope: Option<String>,
    /// Seconds, 1 to 604800 (the default).
    pub session_timeout: Option<u32>,
    /// `AuthenticationRequestExtraParams`: up to 10.
    pub extra_params: BTreeMap<String, String>,
    /// `deny`, `allow` or `authenticate` (the default).
    pub on_unauthenticated_request: Option<String>,
}

impl fmt::Debug for AuthenticateOidcSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the secret.
        f.debug_struct("AuthenticateOidcSpec")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}
