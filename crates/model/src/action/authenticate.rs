//! Authentication of users by an OpenID Connect provider or by Amazon Cognito (ALB guide: authenticate users).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::endpoint::endpoint;
use super::owner::Owner;
use crate::client_secret::ClientSecret;
use crate::environment::UserPoolEndpoints;
use crate::invalid::Place;
use crate::read::{in_range, is_printable, is_token, one_of, spelling};
use crate::scope::Scope;
use crate::spec::{AuthenticateCognitoSpec, AuthenticateOidcSpec, LoginSpec};

/// Parameters besides those that are always sent.
const MAX_EXTRA_PARAMS: usize = 10;
/// A week.
const DEFAULT_TIMEOUT: u32 = 604_800;
/// Characters of texts without a limit of AWS's own.
const MAX_TEXT: usize = 1024;

/// `AuthenticateOidcConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticateOidc {
    /// What the claim `iss` of ID tokens must be.
    pub issuer: Arc<str>,
    /// Where users log in.
    pub authorization_endpoint: Arc<str>,
    /// Where a code becomes tokens.
    pub token_endpoint: Arc<str>,
    /// Where the claims of a user are.
    pub user_info_endpoint: Arc<str>,
    /// The client that the load balancer is to the provider.
    pub client_id: Arc<str>,
    /// Its secret.
    pub client_secret: ClientSecret,
    /// The start of the names of session cookies.
    pub session_cookie_name: Arc<str>,
    /// What users are asked to consent to.
    pub scope: Arc<str>,
    /// How long a user stays logged in.
    pub session_timeout: Duration,
    /// Parameters that are sent to the authorization endpoint besides those that are always sent.
    pub extra_params: Vec<(Arc<str>, Arc<str>)>,
    /// What becomes of a request without a session.
    pub on_unauthenticated: OnUnauthenticated,
}

/// `AuthenticateCognitoConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthenticateCognito {
    /// Of the user pool.
    pub user_pool_arn: Arc<str>,
    /// A prefix of Amazon Cognito's domain, or a domain of its own.
    pub user_pool_domain: Arc<str>,
    /// What the environment says of the client of the user pool.
    pub provider: AuthenticateOidc,
}

/// `OnUnauthenticatedRequest`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUnauthenticated {
    /// 401.
    Deny,
    /// The request goes on, without an identity.
    Allow,
    /// The user is sent to the provider.
    #[default]
    Authenticate,
}

impl OnUnauthenticated {
    /// AWS's spelling of each.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("deny", Self::Deny),
        ("allow", Self::Allow),
        ("authenticate", Self::Authenticate),
    ];

    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        spelling(Self::NAMES, &self)
    }
}

impl AuthenticateOidc {
    /// Parameters of a request for a login that extra ones cannot replace.
    const RESERVED_PARAMS: &'static [&'static str] = &[
        "client_id",
        "nonce",
        "redirect_uri",
        "response_type",
        "scope",
        "state",
    ];

    pub(super) fn build(spec: &AuthenticateOidcSpec, at: &Place<'_>) -> Option<Self> {
        let required = |given: &Option<String>, name| required(given.as_deref(), &at.field(name));
        let url = |given: &Option<String>, name| endpoint(given.as_deref(), &at.field(name));
        let issuer = required(&spec.issuer, "issuer");
        let authorization_endpoint = url(&spec.authorization_endpoint, "authorizationEndpoint");
        let token_endpoint = url(&spec.token_endpoint, "tokenEndpoint");
        let user_info_endpoint = url(&spec.user_info_endpoint, "userInfoEndpoint");
        let client_id = required(&spec.client_id, "clientID");
        let client_secret = required(&spec.client_secret, "clientSecret");
        let login = &spec.login;
        let name = login.session_cookie_name.as_deref();
        let name = name.unwrap_or("AWSELBAuthSessionCookie");
        if name.len() > MAX_TEXT || !is_token(name) {
            let reason = format!("{name:?} is not the name of a cookie");
            at.field("sessionCookieName").error("invalid-name", reason);
        }
        let scope = login.scope.as_deref().unwrap_or("openid");
        let timeout = login.session_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let timeout = in_range(timeout, 1..=DEFAULT_TIMEOUT, &at.field("sessionTimeout"));
        let on_unauthenticated = match &login.on_unauthenticated_request {
            Some(text) => one_of(
                text,
                OnUnauthenticated::NAMES,
                &at.field("onUnauthenticatedRequest"),
            ),
            None => Some(OnUnauthenticated::default()),
        };
        Self::check_extra(login, &at.field("authenticationRequestExtraParams"));
        let extra = login.extra_params.iter();
        Some(Self {
            issuer: issuer?,
            authorization_endpoint: authorization_endpoint?,
            token_endpoint: token_endpoint?,
            user_info_endpoint: user_info_endpoint?,
            client_id: client_id?,
            client_secret: client_secret?.into(),
            session_cookie_name: name.into(),
            scope: required_text(scope, &at.field("scope")),
            session_timeout: Duration::from_secs(timeout?.into()),
            extra_params: extra
                .map(|(name, value)| (name[..].into(), value[..].into()))
                .collect(),
            on_unauthenticated: on_unauthenticated?,
        })
    }

    fn check_extra(login: &LoginSpec, at: &Place<'_>) {
        if login.extra_params.len() > MAX_EXTRA_PARAMS {
            let reason = format!("at most {MAX_EXTRA_PARAMS} extra parameters can be sent");
            at.error("too-many", reason);
        }
        for name in login.extra_params.keys() {
            if name.is_empty() || Self::RESERVED_PARAMS.contains(&&name[..]) {
                let reason = format!("{name:?} cannot be an extra parameter");
                at.key(name).error("invalid-name", reason);
            }
        }
    }
}

impl AuthenticateCognito {
    pub(super) fn build(
        spec: &AuthenticateCognitoSpec,
        owner: Owner<'_>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let required = |given: &Option<String>, name| required(given.as_deref(), &at.field(name));
        let arn = required(&spec.user_pool_arn, "userPoolARN");
        let client_id = required(&spec.user_pool_client_id, "userPoolClientID");
        let domain = required(&spec.user_pool_domain, "userPoolDomain");
        let (arn, client_id, domain) = (arn?, client_id?, domain?);
        let environment = owner.scope.map(Scope::environment);
        let found = environment.and_then(|one| one.user_pool(&arn, &client_id));
        let Some(client) = found else {
            let reason = format!(
                "nothing says where users of the user pool \"{arn}\" log in, and with which secret of the client \"{client_id}\""
            );
            let hint = format!(
                "add to the environment file: userPools: [{{arn: \"{arn}\", clientID: \"{client_id}\", clientSecret: …}}]"
            );
            at.error_with("unknown-user-pool", reason, hint);
            return None;
        };
        let own = || UserPoolEndpoints::of_cognito(&arn, &domain);
        let Some(endpoints) = client.endpoints.clone().or_else(own) else {
            let reason = format!("{arn:?} is not the ARN of a user pool");
            at.field("userPoolARN").error("invalid-name", reason);
            return None;
        };
        let provider = AuthenticateOidcSpec {
            issuer: Some(endpoints.issuer),
            authorization_endpoint: Some(endpoints.authorization),
            token_endpoint: Some(endpoints.token),
            user_info_endpoint: Some(endpoints.user_info),
            client_id: Some(client_id.to_string()),
            client_secret: Some(client.client_secret.expose().to_owned()),
            login: spec.login.clone(),
        };
        Some(Self {
            provider: AuthenticateOidc::build(&provider, at)?,
            user_pool_arn: arn,
            user_pool_domain: domain,
        })
    }
}

fn required(given: Option<&str>, at: &Place<'_>) -> Option<Arc<str>> {
    let Some(text) = given else {
        at.error("missing-field", "a value is missing");
        return None;
    };
    Some(required_text(text, at))
}

fn required_text(text: &str, at: &Place<'_>) -> Arc<str> {
    if text.is_empty() || text.len() > MAX_TEXT || !is_printable(text) {
        let reason = format!("expected 1 to {MAX_TEXT} printable characters");
        at.error("out-of-range", reason);
    }
    text.into()
}

impl fmt::Display for AuthenticateCognito {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authenticate users of {}", self.user_pool_arn)
    }
}

impl fmt::Display for AuthenticateOidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authenticate users of {}", self.issuer)
    }
}
