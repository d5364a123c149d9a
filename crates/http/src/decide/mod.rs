//! What is done with a request, and why: from its head, the listener, the health of targets and the
//! clock to a `Decision`. Pure: nothing here waits, connects or knows what a connection is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use elbow_auth::{
    Admission, Advice, Blame, Consultation, Gate, Identity, Now, Reply, Request, Verdict,
};
use elbow_balance::{Chosen, Target};
use elbow_model::ProtocolVersion;

use crate::action::sticky::{CookieState, Session};
use crate::action::transform::{self, Transformed};
use crate::action::{Action, Forwarding, Member, local};
use crate::error::ErrorKind;
use crate::header::head::{RequestHead, Version};
use crate::listener::Listener;
use crate::page::{self, LocalResponse};
use forward::Forward;
use reasons::{ActionKind, Authentication, GroupReason, Reasons, TargetReason, TransformStatus};

pub mod explain;
pub(crate) mod forward;
pub mod reasons;

/// A request for a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) head: &'a RequestHead<'a>,
    /// The peer of the connection.
    pub(crate) client: IpAddr,
    /// Why the codec refuses the head, although it can be read.
    pub(crate) refused: Option<ErrorKind>,
    /// Seconds since the epoch.
    pub(crate) now: u64,
    /// What an identity provider said of the request.
    pub(crate) advice: Option<&'a Advice>,
}

/// What decides where the request itself does not.
#[derive(Debug)]
pub(crate) struct Chance<R> {
    /// The worker, which has a round robin of its own.
    pub(crate) worker: usize,
    /// Draws a number.
    pub(crate) random: R,
}

/// What is done with a request, and why.
#[derive(Debug)]
pub(crate) struct Decision<'l> {
    pub(crate) reasons: Reasons,
    /// The group of a forward action, also when none of its targets can be used.
    pub(crate) member: Option<&'l Member>,
    pub(crate) plan: Result<Plan<'l>, ErrorKind>,
}

/// What is done with a request.
#[derive(Debug)]
pub(crate) enum Plan<'l> {
    /// Answer it here.
    Answer(LocalResponse),
    /// Send it to a target.
    Forward(Choice<'l>),
    /// Ask an identity provider, then decide again.
    Consult(Consultation),
}

/// The target of a request.
#[derive(Debug)]
pub(crate) struct Choice<'l> {
    member: &'l Member,
    target: &'l Arc<Target>,
    session: Option<Box<Session>>,
    transformed: Transformed,
    admission: Option<Admission>,
}

/// Decides what `listener` does with a request.
pub(crate) fn decide<'l, R: FnMut() -> u64>(
    listener: &'l Listener,
    asked: &Asked<'_>,
    chance: Chance<R>,
) -> Decision<'l> {
    let mut decision = Decision {
        reasons: Reasons::default(),
        member: None,
        plan: Err(ErrorKind::NoTargets),
    };
    decision.plan = decision.plan(listener, asked, chance);
    decision
}

/// Why a request is refused before its rules are looked at.
fn refusal(listener: &Listener, asked: &Asked<'_>) -> Option<ErrorKind> {
    listener.refusal(asked.head).or(asked.refused)
}

impl<'l> Decision<'l> {
    fn plan<R: FnMut() -> u64>(
        &mut self,
        listener: &'l Listener,
        asked: &Asked<'_>,
        chance: Chance<R>,
    ) -> Result<Plan<'l>, ErrorKind> {
        if let Some(kind) = refusal(listener, asked) {
            return Err(kind);
        }
        if listener.callbacks.takes(asked.head.target.path) {
            return self.end_login(listener, asked);
        }
        let matched = listener.route(asked.head, asked.client);
        self.reasons.priority = Some(matched.priority);
        self.reasons.evaluations = matched.evaluations;
        let admission = match &matched.action.gate {
            None => None,
            Some(gate) => match self.authenticate(gate, asked)? {
                Gated::Through(admission) => Some(admission),
                Gated::Stop(plan) => return Ok(plan),
            },
        };
        let cookies = |mut response: LocalResponse| {
            let cookies = admission.as_ref().map(|admission| &admission.cookies);
            response
                .cookies
                .extend(cookies.into_iter().flatten().cloned());
            Plan::Answer(response)
        };
        match &matched.action.then {
            Action::Redirect(to) => {
                let response = local::redirect(to, asked.head, &listener.endpoint)?;
                self.reasons.action = Some(ActionKind::Redirect);
                Ok(cookies(response))
            }
            Action::FixedResponse(response) => {
                self.reasons.action = Some(ActionKind::FixedResponse);
                Ok(cookies(response.clone()))
            }
            Action::Forward(forwarding) => {
                self.reasons.action = Some(ActionKind::Forward);
                let choice = self.forward(listener, forwarding, asked, chance)?;
                Ok(Plan::Forward(Choice {
                    admission,
                    ..choice
                }))
            }
        }
    }

    /// Lets a request through the gate, or says what is done with it instead.
    fn authenticate(&mut self, gate: &Gate, asked: &Asked<'_>) -> Result<Gated<'l>, ErrorKind> {
        let uri = origin_form(asked.head);
        let verdict = gate.check(&credentials(asked.head, &uri), asked.advice, now(asked));
        let is_token = matches!(gate, Gate::Jwt(_));
        self.judge(verdict, is_token)
    }

    /// Ends the login of a user that comes back from a provider.
    fn end_login(&mut self, listener: &Listener, asked: &Asked<'_>) -> Result<Plan<'l>, ErrorKind> {
        let uri = origin_form(asked.head);
        let request = credentials(asked.head, &uri);
        let (priority, verdict) = listener.callbacks.check(&request, asked.advice, now(asked));
        self.reasons.priority = priority;
        match self.judge(verdict, false)? {
            Gated::Stop(plan) => Ok(plan),
            // A login ends with a redirect.
            Gated::Through(_) => Err(ErrorKind::Internal),
        }
    }

    fn judge<'p>(&mut self, verdict: Verdict, is_token: bool) -> Result<Gated<'p>, ErrorKind> {
        match verdict {
            Verdict::Admitted(admission) => {
                self.reasons.authentication = Some(match (is_token, admission.is_refreshed) {
                    (true, _) => Authentication::Token,
                    (false, true) => Authentication::Refreshed,
                    (false, false) => Authentication::Admitted,
                });
                Ok(Gated::Through(admission))
            }
            Verdict::Refused(reason) => {
                self.reasons.authentication = Some(Authentication::Refused(reason));
                Err(match reason.blame() {
                    Blame::Client => ErrorKind::Unauthenticated,
                    Blame::Unavailable => ErrorKind::ProviderUnavailable,
                    Blame::Provider => ErrorKind::ProviderFailed,
                    Blame::Keys => ErrorKind::KeysFailed,
                })
            }
            Verdict::Reply(reply) => {
                self.reasons.authentication = Some(if reply.is_login {
                    Authentication::LoggedIn
                } else {
                    Authentication::Challenged(reply.reason)
                });
                Ok(Gated::Stop(Plan::Answer(found(reply))))
            }
            Verdict::Consult(consultation) => Ok(Gated::Stop(Plan::Consult(consultation))),
        }
    }

    fn forward<R: FnMut() -> u64>(
        &mut self,
        listener: &Listener,
        forwarding: &'l Forwarding,
        asked: &Asked<'_>,
        mut chance: Chance<R>,
    ) -> Result<Choice<'l>, ErrorKind> {
        let transformed = self.transform(listener, forwarding, asked.head)?;
        let member = self
            .member(forwarding, asked, &mut chance)
            .ok_or(ErrorKind::NoTargets)?;
        let group = &member.group;
        self.member = Some(member);
        if !speaks(group.config.protocol_version, asked) {
            return Err(ErrorKind::IncompatibleProtocol);
        }
        let to_group = forwarding
            .sticky
            .as_ref()
            .map(|sticky| (sticky, member.key));
        let session = Session::new(to_group, member.sticky.as_ref(), asked.head, asked.now);
        let named = session.as_deref().and_then(|session| session.named);
        let known = named.and_then(|key| group.choose_by_key(key));
        self.reasons.target = Some(match (&known, &member.sticky) {
            (Some(_), _) => TargetReason::Cookie,
            (None, Some(_)) => TargetReason::NewSession,
            (None, None) => TargetReason::Algorithm,
        });
        let Chosen { target, fail_open } = known
            .or_else(|| group.choose(chance.worker, (chance.random)()))
            .ok_or(ErrorKind::NoTargets)?;
        self.reasons.fail_open = fail_open;
        Ok(Choice {
            member,
            target,
            session,
            transformed,
            admission: None,
        })
    }

    fn transform(
        &mut self,
        listener: &Listener,
        forwarding: &Forwarding,
        head: &RequestHead<'_>,
    ) -> Result<Transformed, ErrorKind> {
        let Some(transforms) = &forwarding.transforms else {
            return Ok(Transformed::default());
        };
        match transform::apply(transforms, head, &listener.endpoint) {
            Ok(transformed) => {
                self.reasons.transform =
                    transformed.is_change().then_some(TransformStatus::Success);
                Ok(transformed)
            }
            Err(failure) => {
                self.reasons.transform = Some(TransformStatus::Failure(failure));
                Err(ErrorKind::Transform)
            }
        }
    }

    /// The group that the client stays with, else one by weight.
    fn member<R: FnMut() -> u64>(
        &mut self,
        forwarding: &'l Forwarding,
        asked: &Asked<'_>,
        chance: &mut Chance<R>,
    ) -> Option<&'l Member> {
        let (known, by_weight) = match group_cookie(forwarding, asked) {
            CookieState::Absent => (None, GroupReason::Weight),
            CookieState::Invalid => (None, GroupReason::InvalidCookie),
            CookieState::Names(key) => (forwarding.member(key), GroupReason::Weight),
        };
        self.reasons.group = Some(if known.is_some() {
            GroupReason::Cookie
        } else {
            by_weight
        });
        known.or_else(|| forwarding.member_by_weight(&mut chance.random))
    }
}

/// What a gate does with a request.
enum Gated<'l> {
    /// It goes on to the next action.
    Through(Admission),
    /// This is done with it instead.
    Stop(Plan<'l>),
}

fn now(asked: &Asked<'_>) -> Now {
    Now {
        unix: asked.now,
        instant: Instant::now(),
    }
}

/// The path and query that the client asked for.
fn origin_form(head: &RequestHead<'_>) -> String {
    let mut uri = Vec::new();
    head.target.write_origin_form(&mut uri);
    String::from_utf8_lossy(&uri).into_owned()
}

/// What gates look at in a request for `uri`.
fn credentials<'a>(head: &'a RequestHead<'_>, uri: &'a str) -> Request<'a> {
    Request {
        authorization: head.value("authorization"),
        cookies: head.values("cookie").collect(),
        host: head.authority(),
        uri,
    }
}

/// The response that sends a client elsewhere.
fn found(reply: Reply) -> LocalResponse {
    LocalResponse {
        location: Some(reply.location),
        cookies: reply.cookies,
        ..page::page(302)
    }
}

/// Whether a group of this protocol version takes the request (ALB guide: target groups; parity 1.2).
fn speaks(version: ProtocolVersion, asked: &Asked<'_>) -> bool {
    let is_h2 = asked.head.version == Version::H2;
    match version {
        ProtocolVersion::Http1 => !asked.head.is_grpc(),
        ProtocolVersion::Http2 => is_h2,
        ProtocolVersion::Grpc => is_h2 && asked.head.method == "POST",
    }
}

/// What the client's cookies say of the group that it stays with.
fn group_cookie(forwarding: &Forwarding, asked: &Asked<'_>) -> CookieState {
    match &forwarding.sticky {
        Some(sticky) => sticky.group(asked.head, asked.now),
        None => CookieState::Absent,
    }
}

impl Choice<'_> {
    /// The target.
    pub(crate) fn target(&self) -> &Target {
        self.target
    }

    /// Counts the request at its target; what the target gets instead of what the client sent comes along, and what it is
    /// told of the user.
    pub(crate) fn start(self) -> (Forward, Transformed, Option<Box<Identity>>) {
        let group = Arc::clone(&self.member.group);
        let Admission {
            identity, cookies, ..
        } = self.admission.unwrap_or_default();
        let forward = Forward::new(self.target.start(), group, self.session, cookies);
        (forward, self.transformed, identity)
    }
}

#[cfg(test)]
mod tests;
