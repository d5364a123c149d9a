//! What is done with a request, and why: from its head, the listener, the health of targets and the
//! clock to a `Decision`. Pure: nothing here waits, connects or knows what a connection is.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use elbow_auth::{Advice, Blame, Consultation, Credentials, Gate, Now, Verdict};
use elbow_balance::{Chosen, Target};
use elbow_model::ProtocolVersion;

use crate::action::sticky::{CookieState, Session};
use crate::action::transform::{self, Transformed};
use crate::action::{Action, Forwarding, Member, local};
use crate::error::ErrorKind;
use crate::header::head::{RequestHead, Version};
use crate::listener::Listener;
use crate::page::LocalResponse;
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
        let matched = listener.route(asked.head, asked.client);
        self.reasons.priority = Some(matched.priority);
        if let Some(gate) = &matched.action.gate
            && let Some(consultation) = self.authenticate(gate, asked)?
        {
            return Ok(Plan::Consult(consultation));
        }
        match &matched.action.then {
            Action::Redirect(to) => {
                let response = local::redirect(to, asked.head, &listener.endpoint)?;
                self.reasons.action = Some(ActionKind::Redirect);
                Ok(Plan::Answer(response))
            }
            Action::FixedResponse(response) => {
                self.reasons.action = Some(ActionKind::FixedResponse);
                Ok(Plan::Answer(response.clone()))
            }
            Action::Forward(forwarding) => {
                self.reasons.action = Some(ActionKind::Forward);
                self.forward(listener, forwarding, asked, chance)
                    .map(Plan::Forward)
            }
        }
    }

    /// Lets a request through the gate, refuses it, or returns what has to be asked first.
    fn authenticate(
        &mut self,
        gate: &Gate,
        asked: &Asked<'_>,
    ) -> Result<Option<Consultation>, ErrorKind> {
        let credentials = Credentials {
            authorization: asked.head.value("authorization"),
        };
        let now = Now {
            unix: asked.now,
            instant: Instant::now(),
        };
        match gate.check(credentials, asked.advice, now) {
            Verdict::Admitted => {
                self.reasons.authentication = Some(Authentication::Admitted);
                Ok(None)
            }
            Verdict::Refused(reason) => {
                self.reasons.authentication = Some(Authentication::Refused(reason));
                Err(match reason.blame() {
                    Blame::Client => ErrorKind::Unauthenticated,
                    Blame::Unavailable => ErrorKind::ProviderUnavailable,
                    Blame::Keys => ErrorKind::KeysFailed,
                })
            }
            Verdict::Consult(consultation) => Ok(Some(consultation)),
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

    /// Counts the request at its target; what the target gets instead of what the client sent comes
    /// along.
    pub(crate) fn start(self) -> (Forward, Transformed) {
        let group = Arc::clone(&self.member.group);
        let forward = Forward::new(self.target.start(), group, self.session);
        (forward, self.transformed)
    }
}

#[cfg(test)]
mod tests;
