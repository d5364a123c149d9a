//! What the endpoints of a provider answer (RFC 6749, 5; OpenID Connect Core, 3.1.3 and 5.3).

use std::time::Duration;

use elbow_model::AuthenticateOidc;
use serde_json::Value;

use crate::client::Response;
use crate::jwt::{Claims, Token};
use crate::reason::Reason;

/// The answer of a token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    /// Seconds until the access token expires.
    pub(super) expires_in: Option<u64>,
    pub(super) refresh_token: Option<String>,
    pub(super) id_token: Option<String>,
}

impl Tokens {
    pub(super) fn read(response: &Response) -> Result<Self, Reason> {
        let body: Option<Value> = serde_json::from_slice(&response.body).ok();
        if !response.status.is_success() {
            let error = body.as_ref().and_then(|body| body.get("error"));
            return Err(match error.and_then(Value::as_str) {
                Some("invalid_grant") => Reason::AuthInvalidGrantError,
                _ => Reason::AuthTokenEpRequestFailed,
            });
        }
        let body = body.ok_or(Reason::AuthInvalidTokenResponse)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let token = |name: &str| {
            text(name)
                .filter(|token| is_token(token))
                .map(str::to_owned)
        };
        let is_bearer = text("token_type").is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        let access_token = token("access_token").filter(|_| is_bearer);
        let expires_in = body.get("expires_in");
        Ok(Self {
            access_token: access_token.ok_or(Reason::AuthInvalidTokenResponse)?,
            // Some providers send a string.
            expires_in: expires_in
                .and_then(|seconds| seconds.as_u64().or_else(|| seconds.as_str()?.parse().ok())),
            refresh_token: token("refresh_token"),
            id_token: token("id_token"),
        })
    }
}

/// Whether a header field can hold `token`.
fn is_token(token: &str) -> bool {
    !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The subject of an ID token that the token endpoint answered with at `now`, by a clock that differs by up to `skew`.
///
/// Its signature is not verified: the TLS connection to the endpoint proves where the token comes from (OpenID Connect
/// Core, 3.1.3.7, 6), and an `authenticate-oidc` action does not say where the keys are.
pub(super) fn subject(
    config: &AuthenticateOidc,
    id_token: &str,
    nonce: &str,
    (now, skew): (u64, Duration),
) -> Result<String, Reason> {
    let invalid = Reason::AuthInvalidIdToken;
    let token = Token::parse(id_token.as_bytes()).ok_or(invalid)?;
    let claims = &token.claims;
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let is_ours = |audience: &Value| audience.as_str() == Some(&*config.client_id);
    let (is_audience, is_shared) = match claims.get("aud") {
        Some(Value::Array(list)) => (list.iter().any(is_ours), list.len() > 1),
        Some(one) => (is_ours(one), false),
        None => (false, false),
    };
    let authorized = text("azp");
    let is_authorized = match authorized {
        Some(party) => party == &*config.client_id,
        None => !is_shared,
    };
    let time = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[allow(clippy::cast_precision_loss)] // Exact for the next 285 million years.
    let (now, skew) = (now as f64, skew.as_secs_f64());
    let is_timely = time("exp").is_some_and(|time| time + skew > now)
        && time("iat").is_some_and(|time| time <= now + skew);
    let is_valid = text("iss") == Some(&*config.issuer)
        && is_audience
        && is_authorized
        && is_timely
        && text("nonce") == Some(nonce);
    text("sub")
        .filter(|subject| is_valid && is_subject(subject))
        .map(str::to_owned)
        .ok_or(invalid)
}

/// Whether a header field can hold `subject` (OpenID Connect Core, 2: at most 255 ASCII characters).
fn is_subject(subject: &str) -> bool {
    (1..=255).contains(&subject.len()) && subject.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// The claims of the user `subject`.
pub(super) fn user_info(response: &Response, subject: &str) -> Result<Claims, Reason> {
    if !response.status.is_success() {
        return Err(Reason::AuthUserinfoEpRequestFailed);
    }
    let Ok(Value::Object(claims)) = serde_json::from_slice(&response.body) else {
        return Err(Reason::AuthInvalidUserinfoResponse);
    };
    // Another subject may be an attack (OpenID Connect Core, 5.3.2).
    let is_same = claims.get("sub").and_then(Value::as_str) == Some(subject);
    is_same
        .then_some(claims)
        .ok_or(Reason::AuthInvalidUserinfoResponse)
}
