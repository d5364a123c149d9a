//! The rules of a listener: which one takes a request (parity 1.3).
//!
//! There is one matcher, `Rules::find`. Serving runs it with `()`, which records nothing and leaves
//! out the rules that cannot match; an explanation runs it with a `Recorder` that sees every rule.

use subject::{Seen, Subject};

use condition::Condition;
use index::Index;

mod condition;
mod index;
pub mod pattern;
pub(crate) mod subject;

/// Rules in order of priority, each with what is done with the requests that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Rules<T> {
    rules: Box<[Rule<T>]>,
    index: Index,
    default: T,
}

#[derive(Clone, Debug)]
struct Rule<T> {
    priority: u32,
    conditions: Box<[Condition]>,
    action: T,
}

/// The rule that takes a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Matched<'r, T> {
    /// 1-50000; 0 for the default action.
    pub priority: u32,
    /// How many rules were looked at in order of priority, this one included and the default rule not (ALB guide:
    /// CloudWatch metrics, RuleEvaluations).
    pub evaluations: u32,
    /// What is done with the request.
    pub action: &'r T,
}

/// Sees how rules are matched. `()` sees nothing and costs nothing.
pub(crate) trait Recorder {
    /// Whether it sees every condition of every rule up to the one that matches, not only what
    /// it takes to find that one.
    const EVERYTHING: bool;

    /// The current condition looked at `seen`.
    fn seen(&mut self, seen: Seen<'_>);

    /// The current condition holds or not; the next one follows.
    fn condition(&mut self, holds: bool);

    /// The current rule takes the request or not; the next one follows.
    fn rule(&mut self, priority: u32, matches: bool);
}

impl Recorder for () {
    const EVERYTHING: bool = false;

    fn seen(&mut self, _: Seen<'_>) {}

    fn condition(&mut self, _: bool) {}

    fn rule(&mut self, _: u32, _: bool) {}
}

impl<T> Rules<T> {
    /// Compiles `rules`; `action` compiles what is done with the requests of a rule, `default` with
    /// those that no rule takes.
    pub(crate) fn new(
        rules: &[elbow_model::Rule],
        default: T,
        action: impl Fn(&elbow_model::Rule) -> T,
    ) -> Self {
        let compiled = rules.iter().map(|rule| Rule {
            priority: rule.priority,
            conditions: rule.conditions.iter().map(Condition::new).collect(),
            action: action(rule),
        });
        let mut rules: Box<[Rule<T>]> = compiled.collect();
        rules.sort_by_key(|rule| rule.priority);
        let index = Index::new(rules.iter().map(|rule| &*rule.conditions));
        Self {
            rules,
            index,
            default,
        }
    }

    /// The first rule by priority whose conditions all hold, else the default action.
    pub(crate) fn find<R: Recorder>(
        &self,
        subject: &mut Subject<'_>,
        recorder: &mut R,
    ) -> Matched<'_, T> {
        let found = if R::EVERYTHING {
            let mut rules = self.rules.iter().enumerate();
            rules.find(|(_, rule)| rule.matches(subject, recorder))
        } else {
            let candidates = self.index.candidates(subject);
            let mut rules = candidates.filter_map(|at| Some((at, self.rules.get(at)?)));
            rules.find(|(_, rule)| rule.matches(subject, recorder))
        };
        let (tried, priority, action) = match found {
            Some((at, rule)) => (at + 1, rule.priority, &rule.action),
            None => (self.rules.len(), 0, &self.default),
        };
        Matched {
            priority,
            evaluations: u32::try_from(tried).unwrap_or(u32::MAX),
            action,
        }
    }
}

impl<T> Rule<T> {
    fn matches<R: Recorder>(&self, subject: &mut Subject<'_>, recorder: &mut R) -> bool {
        let mut matches = true;
        for condition in &self.conditions {
            let holds = condition.holds(subject, recorder);
            recorder.condition(holds);
            matches &= holds;
            if !matches && !R::EVERYTHING {
                return false;
            }
        }
        recorder.rule(self.priority, matches);
        matches
    }
}

#[cfg(test)]
mod tests;
