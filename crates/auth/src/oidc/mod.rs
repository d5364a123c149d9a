//! `authenticate-oidc` (ALB guide: authenticate users): the authorization code flow.
//!
//! No user is kept here: a login in progress is in the state and a cookie, and a session in cookies. So any worker, and
//! any process with the same configuration, goes on with what another began.

use std::sync::Arc;

use elbow_model::{AuthenticateOidc, AuthenticationSettings, OnUnauthenticated};

use crate::client::Client;
use crate::reason::Reason;
use crate::request::{Admission, Judged, Reply, Request};
use exchange::{Answer, Provider, Wanted};
use identity::{Signer, identify};
use refresh::{Key, Refreshes};
use seal::Seal;
use session::Session;
use state::{Secret, State};

mod date;
pub(crate) mod exchange;
pub(crate) mod identity;
mod query;
pub(crate) mod refresh;
mod response;
mod seal;
mod session;
mod state;

type Verdict = Judged<Question>;

/// Where providers send users back to.
const CALLBACK: &str = "/oauth2/idpresponse";
/// How long a browser keeps the secret of its logins, in seconds.
const SECRET_KEPT: u64 = 15 * 60;

/// An `authenticate-oidc` action in force.
#[derive(Debug)]
pub struct OidcGate {
    provider: Arc<Provider>,
    refreshes: Arc<Refreshes>,
    /// `None` when the system has no cryptography, and nobody gets in.
    seal: Option<Seal>,
    signer: Option<Arc<Signer>>,
    /// The ARN of the load balancer.
    arn: Arc<str>,
}

/// What all gates of a process have in common.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) client: Arc<Client>,
    pub(crate) refreshes: Arc<Refreshes>,
    pub(crate) signer: Option<Arc<Signer>>,
}

/// What the provider of a gate has to be asked.
#[derive(Debug)]
pub(crate) struct Question {
    gate: Arc<OidcGate>,
    wanted: Wanted,
    now: u64,
}

impl Question {
    pub(crate) async fn ask(self) -> Answer {
        let Self { gate, wanted, now } = self;
        let provider = Arc::clone(&gate.provider);
        let key = match &wanted {
            Wanted::Login { .. } => None,
            Wanted::Refresh(session) => Some(Key::new(&provider.config, session)),
        };
        let ask = exchange::ask(provider, wanted, now);
        match key {
            Some(key) => gate.refreshes.once(key, ask).await,
            None => ask.await,
        }
    }
}

impl OidcGate {
    pub(crate) fn new(
        config: AuthenticateOidc,
        settings: AuthenticationSettings,
        shared: &Shared,
        arn: Arc<str>,
    ) -> Self {
        let Shared {
            client,
            refreshes,
            signer,
        } = shared.clone();
        Self {
            seal: Seal::new(&config),
            provider: Arc::new(Provider {
                config,
                settings,
                client,
            }),
            refreshes,
            signer,
            arn,
        }
    }

    fn config(&self) -> &AuthenticateOidc {
        &self.provider.config
    }

    /// Decides what is done with a request at `now`. `answer` is what the provider said when it was asked to refresh the
    /// session.
    pub(crate) fn check(
        self: &Arc<Self>,
        request: &Request<'_>,
        answer: Option<&Answer>,
        now: u64,
    ) -> Verdict {
        let shards = session::shards(&request.cookies, &self.config().session_cookie_name);
        if shards.is_empty() {
            return self.unauthenticated(request, None, now);
        }
        let seal = self.seal.as_ref();
        let Some(session) = seal.and_then(|seal| Session::open(seal, &shards)) else {
            return self.unauthenticated(request, Some(Reason::AuthInvalidCookie), now);
        };
        let ends = session
            .since
            .saturating_add(self.config().session_timeout.as_secs());
        if ends <= now {
            return self.unauthenticated(request, None, now);
        }
        let is_stale = session.expires.is_some_and(|expires| expires <= now);
        if !is_stale || session.refresh_token.is_none() {
            return self.admit(&session, Admission::default(), now);
        }
        let Some(answer) = answer else {
            return Judged::Ask(Question {
                gate: Arc::clone(self),
                wanted: Wanted::Refresh(Box::new(session)),
                now,
            });
        };
        match &answer.session {
            Ok(session) => match self.cookies(session, shards.len(), now) {
                Ok(cookies) => {
                    let admission = Admission {
                        cookies,
                        is_refreshed: answer.is_own,
                        ..Admission::default()
                    };
                    self.admit(session, admission, now)
                }
                Err(reason) => Judged::Refused(reason),
            },
            // The user has to log in again.
            Err(reason) => self.unauthenticated(request, Some(*reason), now),
        }
    }

    fn admit(&self, session: &Session, admission: Admission, now: u64) -> Verdict {
        let signer = self.signer.as_ref();
        let identity =
            signer.and_then(|signer| identify(session, self.config(), signer, &self.arn, now));
        match identity {
            Some(identity) => Judged::Admitted(Admission {
                identity: Some(Box::new(identity)),
                ..admission
            }),
            None => Judged::Refused(Reason::AuthUnhandledException),
        }
    }

    /// The cookies of a session.
    fn cookies(&self, session: &Session, present: usize, now: u64) -> Result<Vec<String>, Reason> {
        let seal = self.seal.as_ref().ok_or(Reason::AuthUnhandledException)?;
        let name = &self.config().session_cookie_name;
        let cookies = session.cookies(seal, name, present, now);
        cookies.map_err(|_| Reason::AuthUserinfoResponseSizeExceeded)
    }

    /// What is done with a request without a session; `reason` says why the one that it has is of no use.
    fn unauthenticated(&self, request: &Request<'_>, reason: Option<Reason>, now: u64) -> Verdict {
        match self.config().on_unauthenticated {
            OnUnauthenticated::Allow => Judged::Admitted(Admission::default()),
            OnUnauthenticated::Deny => Judged::Refused(reason.unwrap_or(Reason::AuthDenied)),
            OnUnauthenticated::Authenticate => match self.challenge(request, now) {
                Ok(reply) => Judged::Reply(Reply { reason, ..reply }),
                Err(reason) => Judged::Refused(reason),
            },
        }
    }

    /// Sends the user to the provider.
    fn challenge(&self, request: &Request<'_>, now: u64) -> Result<Reply, Reason> {
        let redirect_uri = redirect_uri(request)?;
        let unhandled = Reason::AuthUnhandledException;
        let secret = browser(request).or_else(Secret::new).ok_or(unhandled)?;
        let state = State::new(request.uri, &secret, now);
        let seal = self.seal.as_ref().ok_or(unhandled)?;
        let state = state.close(seal).ok_or(unhandled)?;
        let endpoint = &*self.config().authorization_endpoint;
        let mut location = endpoint.to_owned();
        if !endpoint.contains('?') {
            location.push('?');
        }
        for (name, value) in [
            ("client_id", &*self.config().client_id),
            ("redirect_uri", &redirect_uri),
            ("response_type", "code"),
            ("scope", &self.config().scope),
            ("state", &state),
            ("nonce", &secret.nonce()),
        ] {
            query::push(&mut location, name, value);
        }
        for (name, value) in &self.config().extra_params {
            query::push(&mut location, name, value);
        }
        let expires = date::cookie(now + SECRET_KEPT);
        let cookie = format!(
            "{}={}; Expires={expires}; Path=/; SameSite=None; Secure; HttpOnly",
            state::COOKIE,
            secret.as_str()
        );
        Ok(Reply {
            location,
            cookies: vec![cookie],
            is_login: false,
            reason: None,
        })
    }

    /// Ends a login, or asks the provider about it.
    fn log_in(
        self: &Arc<Self>,
        state: &State,
        request: &Request<'_>,
        answer: Option<&Answer>,
        now: u64,
    ) -> Result<Verdict, Reason> {
        let redirect_uri = redirect_uri(request)?;
        let secret = browser(request).filter(|secret| state.is_of(secret, now));
        let secret = secret.ok_or(Reason::AuthInvalidStateParam)?;
        let query = query_of(request.uri);
        if let Some(error) = query::value(query, "error") {
            return Err(match &error[..] {
                "access_denied" => Reason::AuthDenied,
                _ => Reason::AuthProviderError,
            });
        }
        let code = query::value(query, "code").filter(|code| !code.is_empty());
        let code = code.ok_or(Reason::AuthMissingCodeParam)?;
        let Some(answer) = answer else {
            return Ok(Judged::Ask(Question {
                gate: Arc::clone(self),
                wanted: Wanted::Login {
                    code,
                    redirect_uri,
                    nonce: secret.nonce(),
                },
                now,
            }));
        };
        let session = answer.session.as_ref().map_err(|reason| *reason)?;
        let name = &self.config().session_cookie_name;
        let present = session::shards(&request.cookies, name).len();
        let cookies = self.cookies(session, present, now)?;
        let start = redirect_uri.strip_suffix(CALLBACK).unwrap_or_default();
        Ok(Judged::Reply(Reply {
            location: format!("{start}{}", state.uri),
            cookies,
            is_login: true,
            reason: None,
        }))
    }
}

/// The actions of a listener that users come back to from their providers.
#[derive(Clone, Debug, Default)]
pub struct Callbacks(Vec<(u32, Arc<OidcGate>)>);

impl Callbacks {
    /// Adds the gate of the rule of this priority.
    pub fn add(&mut self, priority: u32, gate: Arc<OidcGate>) {
        self.0.push((priority, gate));
    }

    /// Whether a request for `path` ends a login.
    pub fn takes(&self, path: &str) -> bool {
        !self.0.is_empty() && path == CALLBACK
    }

    /// As [`Self::check`], with what the provider said.
    pub(crate) fn end_login(
        &self,
        request: &Request<'_>,
        answer: Option<&Answer>,
        now: u64,
    ) -> (Option<u32>, Verdict) {
        let Some(state) = query::value(query_of(request.uri), "state") else {
            return (None, Judged::Refused(Reason::AuthMissingStateParam));
        };
        let mut gates = self.0.iter();
        let found = gates.find_map(|(priority, gate)| {
            let seal = gate.seal.as_ref()?;
            Some((*priority, gate, State::open(seal, state.as_bytes())?))
        });
        let Some((priority, gate, state)) = found else {
            return (None, Judged::Refused(Reason::AuthInvalidStateParam));
        };
        let verdict = gate.log_in(&state, request, answer, now);
        (Some(priority), verdict.unwrap_or_else(Judged::Refused))
    }
}

/// Where the provider sends the user back to, on the host that the browser asked for.
fn redirect_uri(request: &Request<'_>) -> Result<String, Reason> {
    let host = request.host.and_then(|host| std::str::from_utf8(host).ok());
    let is_host = |host: &&str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        !host.is_empty() && host.bytes().all(allowed)
    };
    let host = host.filter(is_host).ok_or(Reason::AuthMissingHostHeader)?;
    Ok(format!("https://{}{CALLBACK}", host.to_ascii_lowercase()))
}

/// The secret that a browser has.
fn browser(request: &Request<'_>) -> Option<Secret> {
    Secret::of_cookie(cookie(&request.cookies, state::COOKIE)?)
}

/// The value of the first cookie called `name`, in the values of Cookie fields.
fn cookie<'a>(fields: &[&'a [u8]], name: &str) -> Option<&'a [u8]> {
    let pairs = fields.iter().flat_map(|field| field.split(|b| *b == b';'));
    pairs.into_iter().find_map(|pair| {
        let at = pair.iter().position(|b| *b == b'=')?;
        let (found, value) = pair.split_at(at);
        (found.trim_ascii() == name.as_bytes()).then(|| value.get(1..).map(<[u8]>::trim_ascii))?
    })
}

fn query_of(uri: &str) -> &str {
    uri.split_once('?').map_or("", |(_, query)| query)
}

#[cfg(test)]
mod tests;
