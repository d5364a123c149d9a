//! Why a listener would treat a request as it does, rule by rule.

use std::net::IpAddr;

use crate::action::Action;
use crate::action::sticky::CookieState;
use crate::error::ErrorKind;
use crate::header::head::RequestHead;
use crate::listener::Listener;
use crate::rules::Recorder;
use crate::rules::subject::{Seen, Subject};

use super::reasons::ActionKind;
use super::{Asked, group_cookie, refusal};

/// What a listener would do with a request, and why. Nothing is sent or counted, and where chance
/// decides, the shares are given instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Why the request is refused whatever the rules say.
    pub refused: Option<ErrorKind>,
    /// The rules that were looked at, in order; the last one is the one that takes the request, unless
    /// the default action does. Rules after it are not reached.
    pub rules: Vec<RuleTrace>,
    /// Priority of the rule that takes the request; 0 for the default action.
    pub priority: u32,
    /// The action of that rule.
    pub action: ActionKind,
    /// The groups of a forward action.
    pub groups: Vec<GroupTrace>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace {
    /// Of the rule.
    pub priority: u32,
    /// Whether it takes the request.
    pub matches: bool,
    /// In the order of the model, every one of them.
    pub conditions: Vec<ConditionTrace>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionTrace {
    /// Whether it holds.
    pub holds: bool,
    /// What it looked at, up to the value that made it hold; empty when the request has none.
    pub seen: Vec<String>,
}

/// A target group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTrace {
    /// Of the group.
    pub name: String,
    /// Its share is weight / sum.
    pub weight: u32,
    /// The client's cookie names it, so that chance does not decide.
    pub kept: bool,
}

/// Explains what `listener` does with a request from `client` at `now`, in seconds since the epoch.
pub fn explain(
    listener: &Listener,
    head: &RequestHead<'_>,
    client: IpAddr,
    now: u64,
) -> Explanation {
    let asked = Asked {
        head,
        client,
        refused: None,
        now,
        advice: None,
    };
    let mut trace = Trace::default();
    let matched = listener
        .rules
        .find(&mut Subject::new(head, client), &mut trace);
    let (action, groups) = match &matched.action.then {
        Action::Redirect(_) => (ActionKind::Redirect, Vec::new()),
        Action::FixedResponse(_) => (ActionKind::FixedResponse, Vec::new()),
        Action::Forward(forwarding) => {
            let kept = match group_cookie(forwarding, &asked) {
                CookieState::Names(key) => forwarding.member(key).map(|member| member.key),
                CookieState::Absent | CookieState::Invalid => None,
            };
            let groups = forwarding.members.iter().map(|member| GroupTrace {
                name: String::from(&*member.group.config.name),
                weight: member.weight,
                kept: kept == Some(member.key),
            });
            (ActionKind::Forward, groups.collect())
        }
    };
    Explanation {
        refused: refusal(listener, &asked),
        rules: trace.rules,
        priority: matched.priority,
        action,
        groups,
    }
}

/// Records how rules are matched.
#[derive(Default)]
struct Trace {
    rules: Vec<RuleTrace>,
    /// Of the current rule.
    conditions: Vec<ConditionTrace>,
    /// By the current condition.
    seen: Vec<String>,
}

impl Recorder for Trace {
    const EVERYTHING: bool = true;

    fn seen(&mut self, seen: Seen<'_>) {
        self.seen.push(match seen {
            Seen::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Seen::Client(client) => client.to_string(),
        });
    }

    fn condition(&mut self, holds: bool) {
        let seen = std::mem::take(&mut self.seen);
        self.conditions.push(ConditionTrace { holds, seen });
    }

    fn rule(&mut self, priority: u32, matches: bool) {
        let conditions = std::mem::take(&mut self.conditions);
        self.rules.push(RuleTrace {
            priority,
            matches,
            conditions,
        });
    }
}

#[cfg(test)]
mod tests;
