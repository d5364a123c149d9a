//! A toy OpenID Connect provider: one client, one user, the authorization code flow. Its ID tokens are not signed, as OpenID
//! Connect Core allows for tokens that come over TLS from the token endpoint (3.1.3.7, 6).

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::token;

/// The only user.
pub(super) const USER: &str = "alice";
pub(super) const PASSWORD: &str = "secret";
/// Logins that are in progress, and access tokens.
const MAX_KEPT: usize = 64;
/// Seconds that tokens are valid.
const VALID: u64 = 300;

/// The provider behind the load balancer at `url`.
pub(super) struct Provider {
    /// Of the load balancer.
    pub(super) url: String,
    /// Of the client.
    pub(super) secret: String,
    /// What users are sent back to, as it is written in a query.
    redirects: [String; 2],
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Codes with the nonces of their logins.
    codes: VecDeque<(String, String)>,
    access_tokens: VecDeque<String>,
}

impl Provider {
    /// The id of the client.
    pub(super) const CLIENT: &'static str = "elbow-demo";

    /// The provider behind the load balancer at a port of this machine.
    pub(super) fn new(port: u16) -> io::Result<Self> {
        let redirect = |host| format!("https%3A%2F%2F{host}%3A{port}%2Foauth2%2Fidpresponse");
        Ok(Self {
            url: format!("https://localhost:{port}/"),
            secret: token::random()?,
            redirects: ["localhost", "127.0.0.1"].map(redirect),
            kept: Mutex::default(),
        })
    }

    pub(super) fn issuer(&self) -> String {
        format!("{}provider", self.url)
    }

    /// Whether a request for a login with this query is that of the demo's client, so that nobody is sent elsewhere.
    pub(super) fn knows(&self, query: &str) -> bool {
        let redirect = value(query, "redirect_uri").unwrap_or_default();
        value(query, "client_id") == Some(Self::CLIENT)
            && value(query, "response_type") == Some("code")
            && self.redirects.iter().any(|known| known == redirect)
    }

    /// Where the user is sent back to after a login with this query.
    pub(super) fn log_in(&self, query: &str) -> Option<String> {
        if !self.knows(query) {
            return None;
        }
        let code = token::random().ok()?;
        let state = value(query, "state")?;
        let nonce = value(query, "nonce")?.to_owned();
        let redirect = value(query, "redirect_uri")?
            .replace("%3A", ":")
            .replace("%2F", "/");
        let location = format!("{redirect}?code={code}&state={state}");
        keep(&mut self.lock().codes, (code, nonce));
        Some(location)
    }

    /// The tokens for a code, which serves once; or the error of RFC 6749, 5.2.
    pub(super) fn tokens(&self, authorization: Option<&str>, code: &str) -> Result<Value, Value> {
        let credentials = STANDARD.encode(format!("{}:{}", Self::CLIENT, self.secret));
        if authorization != Some(&format!("Basic {credentials}")) {
            return Err(json!({"error": "invalid_client"}));
        }
        let mut kept = self.lock();
        let at = kept.codes.iter().position(|(known, _)| known == code);
        let Some((_, nonce)) = at.and_then(|at| kept.codes.remove(at)) else {
            return Err(json!({"error": "invalid_grant"}));
        };
        let access_token = token::random().map_err(|_| json!({"error": "server_error"}))?;
        keep(&mut kept.access_tokens, access_token.clone());
        Ok(
            json!({"access_token": access_token, "token_type": "Bearer", "expires_in": VALID,
            "id_token": self.id_token(&nonce)}),
        )
    }

    /// The claims of the user for an access token; or the error of RFC 6750, 3.1.
    pub(super) fn user_info(&self, authorization: Option<&str>) -> Result<Value, Value> {
        let token = authorization.and_then(|field| field.strip_prefix("Bearer "));
        let kept = self.lock();
        let is_known = kept
            .access_tokens
            .iter()
            .any(|known| Some(&**known) == token);
        if !is_known {
            return Err(json!({"error": "invalid_token"}));
        }
        Ok(json!({"sub": USER, "email": format!("{USER}@example.com"), "name": USER}))
    }

    fn id_token(&self, nonce: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or_default().as_secs();
        let claims = json!({"iss": self.issuer(), "sub": USER, "aud": Self::CLIENT, "iat": now,
            "exp": now + VALID, "nonce": nonce});
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.", part(json!({"alg": "none"})), part(claims))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // A panic cannot leave the lists inconsistent.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The value of a parameter as it is written: nothing that is expected here has an escape.
pub(super) fn value<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = parameters
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(found, value)| (found == name).then_some(value))
}

/// Adds a value; the oldest goes when there are too many.
fn keep<T>(list: &mut VecDeque<T>, one: T) {
    list.truncate(MAX_KEPT - 1);
    list.push_front(one);
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &str = "client_id=elbow-demo&redirect_uri=https%3A%2F%2Flocalhost%3A9443%2Foauth2%2Fidpresponse\
                         &response_type=code&scope=openid&state=S&nonce=N";

    fn basic(provider: &Provider) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("elbow-demo:{}", provider.secret))
        )
    }

    #[test]
    fn code_becomes_tokens_once() {
        let provider = Provider::new(9443).unwrap();
        let location = provider.log_in(QUERY).unwrap();
        let start = "https://localhost:9443/oauth2/idpresponse?code=";
        assert!(
            location.starts_with(start) && location.ends_with("&state=S"),
            "{location}"
        );
        let code = value(&location[location.find('?').unwrap() + 1..], "code").unwrap();
        assert!(provider.tokens(None, code).is_err());
        let basic = basic(&provider);
        let tokens = provider.tokens(Some(&basic), code).unwrap();
        assert!(provider.tokens(Some(&basic), code).is_err(), "used twice");
        let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
        assert_eq!(provider.user_info(Some(&bearer)).unwrap()["sub"], "alice");
        assert!(provider.user_info(Some("Bearer x")).is_err());
        assert!(provider.user_info(None).is_err());
    }

    #[test]
    fn nobody_is_sent_elsewhere() {
        let provider = Provider::new(9443).unwrap();
        for (part, other) in [
            ("elbow-demo", "another"),
            ("localhost", "evil.example"),
            ("9443", "9444"),
            ("response_type=code", "response_type=token"),
        ] {
            assert_eq!(
                provider.log_in(&QUERY.replace(part, other)),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn logins_in_progress_are_bounded() {
        let provider = Provider::new(9443).unwrap();
        for _ in 0..2 * MAX_KEPT {
            provider.log_in(QUERY).unwrap();
        }
        assert_eq!(provider.lock().codes.len(), MAX_KEPT);
    }
}
