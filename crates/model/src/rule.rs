use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::Expression;

/// A listener rule (ALB guide: listener rules).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// 1-50000, unique per listener; the lowest that matches wins.
    pub priority: u32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// Ends in exactly one forward, redirect or fixed-response.
    pub actions: Vec<Action>,
    /// What targets get to see instead of what the client sent.
    pub transforms: Transforms,
}

/// The transforms of a rule (ALB guide: transforms). They come after the match, which is not made
/// again, and change what a target gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transforms {
    /// `host-header-rewrite`: of Host without its port, in any case.
    pub host_header: Option<Rewrite>,
    /// `url-rewrite`: of the path with the query.
    pub url: Option<Rewrite>,
}

/// A regular expression and what its first match is replaced with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Without a match nothing changes.
    pub regex: Expression,
    /// Holds `$1` and so on: see [`Expression::rewrite`].
    pub replace: Arc<str>,
}

/// A rule condition; values within one are alternatives (ALB guide: condition types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `host-header`: in any case, without the port.
    HostHeader(Patterns),
    /// `path-pattern`: minds case; on the path alone.
    PathPattern(Patterns),
    /// `http-header`: in any case, on each field of that name.
    HttpHeader {
        /// In any case; never Host.
        name: Arc<str>,
        /// Of the value.
        values: Patterns,
    },
    /// `http-request-method`: compared exactly.
    HttpRequestMethod(Vec<Arc<str>>),
    /// `query-string`: in any case.
    QueryString(Vec<QueryPair>),
    /// `source-ip`: who is connected, whatever X-Forwarded-For says.
    SourceIp(Vec<IpNet>),
}

/// What a condition compares with, written in one of two ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patterns {
    /// `values`: the whole subject, with `*` and `?`.
    Wildcards(Vec<Arc<str>>),
    /// `regexValues`: found anywhere in the subject.
    Regexes(Vec<Expression>),
}

/// One of the `values` of `query-string`; in both parts `*` and `?` are wildcards unless `\` stands
/// before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryPair {
    /// Any key without it.
    pub key: Option<Arc<str>>,
    /// What the key is set to.
    pub value: Arc<str>,
}

/// What is done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send to a target group.
    Forward(Forward),
    /// Answer 301 or 302.
    Redirect(Redirect),
    /// Answer with a fixed body.
    FixedResponse(FixedResponse),
}

/// `ForwardConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// 1-5, of which each request or flow goes to one by weight.
    pub target_groups: Vec<WeightedTargetGroup>,
    /// `TargetGroupStickinessConfig`, when it is enabled: how long a client stays with its group.
    pub stickiness: Option<Duration>,
}

impl Forward {
    /// All to one group.
    pub fn to(target_group: Arc<str>) -> Self {
        Self {
            target_groups: vec![WeightedTargetGroup {
                target_group,
                weight: 1,
            }],
            stickiness: None,
        }
    }
}

/// A target group of a forward action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightedTargetGroup {
    /// Name of a target group of the model.
    pub target_group: Arc<str>,
    /// 0-999; the share is weight / sum.
    pub weight: u32,
}

/// `RedirectConfig`: fields may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}`, `#{query}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `HTTP`, `HTTPS` or `#{protocol}` (the default).
    pub protocol: Arc<str>,
    /// 1-65535 or `#{port}` (the default).
    pub port: Arc<str>,
    /// 1-128 characters, `#{host}` by default.
    pub host: Arc<str>,
    /// Starts with `/`; `/#{path}` by default.
    pub path: Arc<str>,
    /// Without `?`; `#{query}` by default.
    pub query: Arc<str>,
    /// 301 or 302.
    pub status: RedirectStatus,
}

/// `StatusCode` of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectStatus {
    /// `HTTP_301`: permanent.
    Moved,
    /// `HTTP_302`: temporary.
    Found,
}

impl RedirectStatus {
    /// 301 or 302.
    pub fn code(self) -> u16 {
        match self {
            Self::Moved => 301,
            Self::Found => 302,
        }
    }
}

/// `FixedResponseConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 2XX, 4XX or 5XX.
    pub status: u16,
    /// Of the body.
    pub content_type: ContentType,
    /// 0-1024 bytes.
    pub body: Arc<str>,
}

/// `ContentType` of a fixed response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ContentType {
    /// text/plain
    #[default]
    TextPlain,
    /// text/css
    TextCss,
    /// text/html
    TextHtml,
    /// application/javascript
    Javascript,
    /// application/json
    Json,
}

impl ContentType {
    /// As in the Content-Type header, without the charset.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TextPlain => "text/plain",
            Self::TextCss => "text/css",
            Self::TextHtml => "text/html",
            Self::Javascript => "application/javascript",
            Self::Json => "application/json",
        }
    }
}

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

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward(forward) => {
                let groups = &forward.target_groups;
                f.write_str("forward to ")?;
                for (i, group) in groups.iter().enumerate() {
                    let separator = if i == 0 { "" } else { ", " };
                    write!(f, "{separator}{}", group.target_group)?;
                    if groups.len() > 1 {
                        write!(f, " (weight {})", group.weight)?;
                    }
                }
                match forward.stickiness {
                    Some(duration) => write!(f, ", sticky for {} s", duration.as_secs()),
                    None => Ok(()),
                }
            }
            Self::Redirect(Redirect {
                protocol,
                host,
                port,
                path,
                query,
                status,
            }) => {
                let code = status.code();
                write!(
                    f,
                    "redirect {code} to {protocol}://{host}:{port}{path}?{query}"
                )
            }
            Self::FixedResponse(response) => write!(f, "fixed response {}", response.status),
        }
    }
}
