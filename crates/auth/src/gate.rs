//! One interface for all actions that authenticate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::jwt::{Checked, FetchedKeys, JwtGate, Now};
use crate::oidc::exchange::Answer;
use crate::oidc::{Callbacks, OidcGate, Question as OidcQuestion};
use crate::reason::Reason;
use crate::request::{Admission, Judged, Reply, Request};

/// An action that authenticates requests, in force.
#[derive(Clone, Debug)]
pub enum Gate {
    /// `jwt-validation`.
    Jwt(Arc<JwtGate>),
    /// `authenticate-oidc`.
    Oidc(Arc<OidcGate>),
}

/// What is done with a request.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on to the next action.
    Admitted(Admission),
    /// It is not let through.
    Refused(Reason),
    /// The client is sent elsewhere: to the provider, or back from it.
    Reply(Reply),
    /// The identity provider has to be asked first.
    Consult(Consultation),
}

/// A question to an identity provider.
pub struct Consultation(Question);

enum Question {
    Keys(Arc<JwtGate>),
    Provider(OidcQuestion),
}

/// What an identity provider answered, for the request that it was asked about.
#[derive(Clone, Debug)]
pub struct Advice(Answered);

#[derive(Clone, Debug)]
enum Answered {
    Keys(FetchedKeys),
    Provider(Answer),
}

impl Gate {
    /// Decides what is done with a request. `advice` is what its consultation brought.
    pub fn check(&self, request: &Request<'_>, advice: Option<&Advice>, now: Now) -> Verdict {
        match self {
            Self::Jwt(gate) => {
                let fetched = advice.and_then(Advice::keys);
                match gate.check(request.authorization, fetched, now) {
                    Checked::Valid => Verdict::Admitted(Admission::default()),
                    Checked::Refused(reason) => Verdict::Refused(reason),
                    Checked::NeedsKeys => {
                        Verdict::Consult(Consultation(Question::Keys(Arc::clone(gate))))
                    }
                }
            }
            Self::Oidc(gate) => gate
                .check(request, advice.and_then(Advice::answer), now.unix)
                .into(),
        }
    }
}

impl Callbacks {
    /// Decides what is done with a request that [`Self::takes`] takes; with the priority of the rule that the login
    /// began with.
    pub fn check(
        &self,
        request: &Request<'_>,
        advice: Option<&Advice>,
        now: Now,
    ) -> (Option<u32>, Verdict) {
        let answer = advice.and_then(Advice::answer);
        let (priority, judged) = self.end_login(request, answer, now.unix);
        (priority, judged.into())
    }
}

impl From<Judged<OidcQuestion>> for Verdict {
    fn from(judged: Judged<OidcQuestion>) -> Self {
        match judged {
            Judged::Admitted(admission) => Self::Admitted(admission),
            Judged::Refused(reason) => Self::Refused(reason),
            Judged::Reply(reply) => Self::Reply(reply),
            Judged::Ask(question) => Self::Consult(Consultation(Question::Provider(question))),
        }
    }
}

impl Consultation {
    /// Asks the identity provider, which takes at most a few seconds.
    pub async fn run(self) -> Advice {
        Advice(match self.0 {
            Question::Keys(gate) => Answered::Keys(gate.fetch().await),
            Question::Provider(question) => Answered::Provider(question.ask().await),
        })
    }
}

impl Advice {
    fn keys(&self) -> Option<&FetchedKeys> {
        match &self.0 {
            Answered::Keys(keys) => Some(keys),
            Answered::Provider(_) => None,
        }
    }

    fn answer(&self) -> Option<&Answer> {
        match &self.0 {
            Answered::Provider(answer) => Some(answer),
            Answered::Keys(_) => None,
        }
    }

    /// How long a provider of users took, for the request that asked it.
    pub fn login_time(&self) -> Option<Duration> {
        let answer = self.answer()?;
        answer.is_own.then_some(answer.took)
    }
}

impl fmt::Debug for Consultation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consultation").finish_non_exhaustive()
    }
}
