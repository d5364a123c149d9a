//! One condition of a rule, compiled (ALB guide: condition types).

use std::sync::Arc;

use elbow_model::{Condition, Expression, Patterns};
use ipnet::IpNet;

use super::Subject;
use crate::pattern::{Case, Pattern};

/// A condition: one of its values must match.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Host(Values),
    Path(Values),
    Header { name: Arc<str>, values: Values },
    Method(Box<[Arc<str>]>),
    Query(Box<[Pair]>),
    Source(Box<[IpNet]>),
}

/// Alternatives for one text.
#[derive(Clone, Debug)]
pub(super) enum Values {
    Patterns(Box<[Pattern]>),
    Expressions(Box<[Expression]>),
}

/// A key and its value in a query; without a key, any.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    key: Option<Pattern>,
    value: Pattern,
}

impl Test {
    pub(super) fn new(condition: &Condition) -> Self {
        match condition {
            Condition::HostHeader(hosts) => Self::Host(Values::new(hosts, Case::Insensitive)),
            Condition::PathPattern(paths) => Self::Path(Values::new(paths, Case::Sensitive)),
            Condition::HttpHeader { name, values } => Self::Header {
                name: Arc::clone(name),
                values: Values::new(values, Case::Insensitive),
            },
            Condition::HttpRequestMethod(methods) => Self::Method(methods.as_slice().into()),
            Condition::QueryString(pairs) => {
                let part = |text: &Arc<str>| Pattern::with_escapes(text, Case::Insensitive);
                let pairs = pairs.iter().map(|pair| Pair {
                    key: pair.key.as_ref().map(part),
                    value: part(&pair.value),
                });
                Self::Query(pairs.collect())
            }
            Condition::SourceIp(networks) => Self::Source(networks.as_slice().into()),
        }
    }

    pub(super) fn holds(&self, subject: &mut Subject<'_>) -> bool {
        match self {
            Self::Host(values) => subject.host().is_some_and(|host| values.have(host)),
            Self::Path(values) => subject.path().is_some_and(|path| values.have(path)),
            Self::Header { name, values } => subject.values(name).any(|value| values.have(value)),
            Self::Method(methods) => methods.iter().any(|method| **method == *subject.method()),
            Self::Query(pairs) => subject
                .query()
                .any(|(key, value)| pairs.iter().any(|pair| pair.is(key, value))),
            Self::Source(networks) => {
                let client = subject.client();
                networks.iter().any(|network| network.contains(&client))
            }
        }
    }
}

impl Values {
    fn new(patterns: &Patterns, case: Case) -> Self {
        match patterns {
            Patterns::Wildcards(values) => {
                Self::Patterns(values.iter().map(|v| Pattern::new(v, case)).collect())
            }
            // Made with the case that their condition has.
            Patterns::Regexes(expressions) => Self::Expressions(expressions.as_slice().into()),
        }
    }

    fn have(&self, subject: &[u8]) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|p| p.matches(subject)),
            Self::Expressions(expressions) => expressions.iter().any(|e| e.is_match(subject)),
        }
    }
}

impl Pair {
    fn is(&self, key: &[u8], value: &[u8]) -> bool {
        self.key.as_ref().is_none_or(|pattern| pattern.matches(key)) && self.value.matches(value)
    }
}
