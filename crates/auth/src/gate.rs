//! One interface for all actions that authenticate.

use std::fmt;
use std::sync::Arc;

use crate::jwt::{Checked, FetchedKeys, JwtGate, Now};
use crate::reason::Reason;

/// An action that authenticates requests, in force.
#[derive(Clone, Debug)]
pub enum Gate {
    /// `jwt-validation`.
    Jwt(Arc<JwtGate>),
}

/// What a request proves itself with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The first Authorization field.
    pub authorization: Option<&'a [u8]>,
}

/// What is done with a request.
#[derive(Debug)]
pub enum Verdict {
    /// It goes on to the next action.
    Admitted,
    /// It is not let through.
    Refused(Reason),
    /// The identity provider has to be asked first.
    Consult(Consultation),
}

/// A question to an identity provider.
pub struct Consultation(Question);

enum Question {
    Keys(Arc<JwtGate>),
}

/// What an identity provider answered, for the request that it was asked about.
#[derive(Clone, Debug)]
pub struct Advice(Answer);

#[derive(Clone, Debug)]
enum Answer {
    Keys(FetchedKeys),
}

impl Gate {
    /// Decides what is done with a request. `advice` is what its consultation brought.
    pub fn check(
        &self,
        credentials: Credentials<'_>,
        advice: Option<&Advice>,
        now: Now,
    ) -> Verdict {
        match self {
            Self::Jwt(gate) => {
                let fetched = advice.map(|Advice(Answer::Keys(keys))| keys);
                match gate.check(credentials.authorization, fetched, now) {
                    Checked::Valid => Verdict::Admitted,
                    Checked::Refused(reason) => Verdict::Refused(reason),
                    Checked::NeedsKeys => {
                        Verdict::Consult(Consultation(Question::Keys(Arc::clone(gate))))
                    }
                }
            }
        }
    }
}

impl Consultation {
    /// Asks the identity provider, which takes at most a few seconds.
    pub async fn run(self) -> Advice {
        match self.0 {
            Question::Keys(gate) => Advice(Answer::Keys(gate.fetch().await)),
        }
    }
}

impl fmt::Debug for Consultation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consultation").finish_non_exhaustive()
    }
}
