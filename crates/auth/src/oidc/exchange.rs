//! Calls to the endpoints of a provider.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elbow_model::{AuthenticateOidc, AuthenticationSettings};

use super::query;
use super::response::{self, Tokens};
use super::session::Session;
use crate::client::{Client, Failure, Get, Post, Response};
use crate::jwt::Claims;
use crate::reason::Reason;

/// Bytes of an answer: what a browser could keep is far less.
const MAX_BYTES: usize = 64 * 1024;

/// What a provider is asked for.
#[derive(Clone)]
pub(super) enum Wanted {
    /// The user that logged in with a code.
    Login {
        code: String,
        redirect_uri: String,
        nonce: String,
    },
    /// Another access token for a session.
    Refresh(Box<Session>),
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Login { .. } => "Login",
            Self::Refresh(_) => "Refresh",
        })
    }
}

/// What the provider answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(super) session: Result<Session, Reason>,
    /// How long the provider took.
    pub(crate) took: Duration,
    /// Whether this request asked; otherwise another one did, and this one shares the answer.
    pub(crate) is_own: bool,
}

impl Answer {
    /// The answer when there is none because of a fault of elbow's own.
    pub(super) fn unhandled() -> Self {
        Self {
            session: Err(Reason::AuthUnhandledException),
            took: Duration::ZERO,
            is_own: true,
        }
    }
}

/// A provider, and how it is asked.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    pub(super) config: AuthenticateOidc,
    pub(super) settings: AuthenticationSettings,
    pub(super) client: Arc<Client>,
}

/// Asks the provider at `now`, in seconds since the epoch.
pub(super) async fn ask(provider: Arc<Provider>, wanted: Wanted, now: u64) -> Answer {
    let begun = Instant::now();
    let provider = &*provider;
    let session = match wanted {
        Wanted::Login {
            code,
            redirect_uri,
            nonce,
        } => {
            let form = form(&[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", &redirect_uri),
            ]);
            log_in(provider, form, &nonce, now).await
        }
        Wanted::Refresh(session) => refresh(provider, *session, now).await,
    };
    Answer {
        session,
        took: begun.elapsed(),
        is_own: true,
    }
}

async fn log_in(
    provider: &Provider,
    form: String,
    nonce: &str,
    now: u64,
) -> Result<Session, Reason> {
    let tokens = tokens(provider, form).await?;
    let id_token = tokens
        .id_token
        .as_deref()
        .ok_or(Reason::AuthInvalidIdToken)?;
    let skew = provider.settings.clock_skew;
    let subject = response::subject(&provider.config, id_token, nonce, (now, skew))?;
    let claims = user_info(provider, &tokens.access_token, &subject).await?;
    Ok(Session {
        since: now,
        claims,
        access_token: tokens.access_token,
        expires: tokens.expires_in.map(|seconds| now.saturating_add(seconds)),
        refresh_token: tokens.refresh_token,
    })
}

async fn refresh(provider: &Provider, before: Session, now: u64) -> Result<Session, Reason> {
    let token = before.refresh_token.as_deref().unwrap_or_default();
    let form = form(&[("grant_type", "refresh_token"), ("refresh_token", token)]);
    let tokens = tokens(provider, form).await?;
    let claims = user_info(provider, &tokens.access_token, before.subject()).await?;
    Ok(Session {
        claims,
        access_token: tokens.access_token,
        expires: tokens.expires_in.map(|seconds| now.saturating_add(seconds)),
        // A provider that sends none goes on with the last one (RFC 6749, 6).
        refresh_token: tokens.refresh_token.or(before.refresh_token),
        since: before.since,
    })
}

async fn tokens(provider: &Provider, mut form: String) -> Result<Tokens, Reason> {
    let Provider {
        config,
        settings,
        client,
    } = provider;
    let mut authorization = None;
    if settings.posts_secret {
        query::push(&mut form, "client_id", &config.client_id);
        query::push(&mut form, "client_secret", config.client_secret.expose());
    } else {
        authorization = Some(basic(config));
    }
    let post = Post {
        url: &config.token_endpoint,
        authorization: authorization.as_deref(),
        form,
        limit: MAX_BYTES,
    };
    let response = client.post(post).await;
    let response = told(&config.token_endpoint, response).map_err(|failure| match failure {
        Failure::Unreachable(_) | Failure::Timeout => Reason::AuthTokenEpRequestTimeout,
        Failure::TooLarge | Failure::Invalid(_) => Reason::AuthInvalidTokenResponse,
    })?;
    Tokens::read(&response)
}

async fn user_info(
    Provider { config, client, .. }: &Provider,
    access_token: &str,
    subject: &str,
) -> Result<Claims, Reason> {
    let authorization = format!("Bearer {access_token}");
    let get = Get {
        url: &config.user_info_endpoint,
        authorization: Some(&authorization),
        limit: MAX_BYTES,
    };
    let response = client.get(get).await;
    let response = told(&config.user_info_endpoint, response).map_err(|failure| match failure {
        Failure::Unreachable(_) | Failure::Timeout => Reason::AuthUserinfoEpRequestTimeout,
        Failure::TooLarge => Reason::AuthUserinfoResponseSizeExceeded,
        Failure::Invalid(_) => Reason::AuthInvalidUserinfoResponse,
    })?;
    response::user_info(&response, subject)
}

/// `response`, after an operator has been told of a failure or an error.
fn told(url: &str, response: Result<Response, Failure>) -> Result<Response, Failure> {
    match &response {
        Err(failure) => tracing::warn!(url, %failure, "identity provider failed"),
        Ok(response) if !response.status.is_success() => {
            tracing::debug!(url, status = %response.status, "identity provider answered an error");
        }
        Ok(_) => {}
    }
    response
}

fn form(parameters: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in parameters {
        query::push(&mut form, name, value);
    }
    form
}

/// The credentials of the client (RFC 6749, 2.3.1), by the method that every provider must know.
fn basic(config: &AuthenticateOidc) -> String {
    let mut credentials = String::new();
    query::encode(&mut credentials, &config.client_id);
    credentials.push(':');
    query::encode(&mut credentials, config.client_secret.expose());
    format!("Basic {}", STANDARD.encode(credentials))
}
