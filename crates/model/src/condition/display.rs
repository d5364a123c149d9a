//! How conditions are shown to operators.

use std::fmt;

use super::{Condition, Patterns, QueryPair};

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostHeader(patterns) => write!(f, "host-header {patterns}"),
            Self::PathPattern(patterns) => write!(f, "path-pattern {patterns}"),
            Self::HttpHeader { name, values } => write!(f, "http-header {name} {values}"),
            Self::HttpRequestMethod(methods) => {
                write!(f, "http-request-method is {}", methods.join(" or "))
            }
            Self::QueryString(pairs) => write!(f, "query-string has {}", alternatives(pairs)),
            Self::SourceIp(networks) => write!(f, "source-ip is in {}", alternatives(networks)),
        }
    }
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wildcards(values) => write!(f, "is {}", values.join(" or ")),
            Self::Regexes(values) => write!(f, "matches {}", alternatives(values)),
        }
    }
}

impl fmt::Display for QueryPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}={}", self.value),
            None => write!(f, "*={}", self.value),
        }
    }
}

fn alternatives(values: &[impl fmt::Display]) -> String {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    values.join(" or ")
}
