//! Conditions of listener rules (ALB guide: condition types).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::expression::Expression;
use crate::invalid::{Checked, Findings, Place};
use crate::kinds::LoadBalancerType;
use crate::read::{is_printable, one_of};
use crate::seen::Seen;

pub(crate) use covers::cover;
pub use spec::{
    HttpHeaderSpec, PatternsSpec, QueryPairSpec, QueryStringSpec, SourceIpSpec, ValuesSpec,
};
use value::{MAX_VALUE, checked, header_name, method, regex, wildcard};
pub(crate) use value::{expression, network};

mod covers;
mod display;
mod spec;
mod value;

/// A rule condition; values within one are alternatives.
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
    /// `source-ip`: who is connected, whatever X-Forwarded-For says. Of a Network Load Balancer, one block with all
    /// addresses of IPv4 or of IPv6.
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

/// For a [`Condition`](crate::Condition) (`RuleCondition`).
///
/// ```
/// use elbow_model::{Condition, ConditionSpec};
///
/// let spec = ConditionSpec::path_pattern(["/img/*"]);
/// assert_eq!(Condition::new(&spec).value.unwrap().to_string(), "path-pattern is /img/*");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConditionSpec {
    /// Required: which of the configurations below is given.
    pub field: Option<String>,
    /// Required for `host-header`.
    pub host_header_config: Option<PatternsSpec>,
    /// Required for `path-pattern`.
    pub path_pattern_config: Option<PatternsSpec>,
    /// Required for `http-header`.
    pub http_header_config: Option<HttpHeaderSpec>,
    /// Required for `http-request-method`.
    pub http_request_method_config: Option<ValuesSpec>,
    /// Required for `query-string`.
    pub query_string_config: Option<QueryStringSpec>,
    /// Required for `source-ip`.
    pub source_ip_config: Option<SourceIpSpec>,
}

impl ConditionSpec {
    /// A condition on the path, with wildcards.
    pub fn path_pattern<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            field: Some("path-pattern".to_owned()),
            path_pattern_config: Some(PatternsSpec::wildcards(values)),
            ..Self::default()
        }
    }

    /// A condition on the host, with wildcards.
    pub fn host_header<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            field: Some("host-header".to_owned()),
            host_header_config: Some(PatternsSpec::wildcards(values)),
            ..Self::default()
        }
    }
}

/// Values of all conditions of a rule together (ALB guide: quotas, condition values per rule).
const MAX_VALUES_OF_RULE: usize = 5;

/// Values of one condition (ALB guide: listener rules, match evaluations). `source-ip` may have as many as the rule.
const MAX_VALUES: usize = 3;

/// `*` and `?` of a rule (ALB guide: quotas).
const MAX_WILDCARDS: usize = 6;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    HostHeader,
    PathPattern,
    HttpHeader,
    HttpRequestMethod,
    QueryString,
    SourceIp,
}

const KINDS: &[(&str, Kind)] = &[
    ("host-header", Kind::HostHeader),
    ("path-pattern", Kind::PathPattern),
    ("http-header", Kind::HttpHeader),
    ("http-request-method", Kind::HttpRequestMethod),
    ("query-string", Kind::QueryString),
    ("source-ip", Kind::SourceIp),
];

impl Kind {
    fn config(self) -> &'static str {
        match self {
            Self::HostHeader => "hostHeaderConfig",
            Self::PathPattern => "pathPatternConfig",
            Self::HttpHeader => "httpHeaderConfig",
            Self::HttpRequestMethod => "httpRequestMethodConfig",
            Self::QueryString => "queryStringConfig",
            Self::SourceIp => "sourceIPConfig",
        }
    }

    fn is_configured(self, spec: &ConditionSpec) -> bool {
        match self {
            Self::HostHeader => spec.host_header_config.is_some(),
            Self::PathPattern => spec.path_pattern_config.is_some(),
            Self::HttpHeader => spec.http_header_config.is_some(),
            Self::HttpRequestMethod => spec.http_request_method_config.is_some(),
            Self::QueryString => spec.query_string_config.is_some(),
            Self::SourceIp => spec.source_ip_config.is_some(),
        }
    }

    /// Whether a rule may have several conditions of the kind (ALB guide: listener rules).
    fn is_repeatable(self) -> bool {
        matches!(self, Self::HttpHeader | Self::QueryString)
    }

    fn max_values(self) -> usize {
        match self {
            Self::SourceIp => MAX_VALUES_OF_RULE,
            _ => MAX_VALUES,
        }
    }
}

impl Condition {
    /// `field` of each kind of condition.
    pub const FIELDS: &'static [&'static str] = &[
        "host-header",
        "path-pattern",
        "http-header",
        "http-request-method",
        "query-string",
        "source-ip",
    ];

    /// `ipAddressType` of `source-ip` in a rule of a Network Load Balancer, with all addresses of each type.
    pub const ADDRESS_TYPES: &'static [(&'static str, IpNet)] = &[
        (
            "ipv4",
            IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
        ),
        (
            "ipv6",
            IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        ),
    ];

    /// The condition that `spec` describes.
    pub fn new(spec: &ConditionSpec) -> Checked<Self> {
        Findings::of(|at| Self::build(spec, None, &mut Seen::new("condition"), at))
    }

    /// The conditions of a rule of a load balancer of type `of`; `None`: it is invalid.
    pub(crate) fn build_all(
        specs: &[ConditionSpec],
        of: Option<LoadBalancerType>,
        at: &Place<'_>,
    ) -> Vec<Self> {
        if specs.is_empty() {
            at.error("missing-field", "a rule needs at least one condition");
        }
        let mut seen = Seen::new("condition");
        let conditions = specs.iter().enumerate();
        let conditions: Vec<Self> = conditions
            .filter_map(|(i, spec)| Self::build(spec, of, &mut seen, &at.index(i)))
            .collect();
        let count: usize = conditions.iter().map(Self::value_count).sum();
        if count > MAX_VALUES_OF_RULE {
            at.error(
                "too-many",
                format!(
                    "the conditions of a rule have at most {MAX_VALUES_OF_RULE} values, not {count}"
                ),
            );
        }
        let count: usize = conditions.iter().map(Self::wildcard_count).sum();
        if count > MAX_WILDCARDS {
            at.error(
                "too-many-wildcards",
                format!(
                    "the conditions of a rule have at most {MAX_WILDCARDS} wildcards, not {count}"
                ),
            );
        }
        conditions
    }

    fn build(
        spec: &ConditionSpec,
        of: Option<LoadBalancerType>,
        seen: &mut Seen<&'static str>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let Some(field) = &spec.field else {
            at.missing("field");
            return None;
        };
        let kind = one_of(field, KINDS, &at.field("field"))?;
        let (name, _) = KINDS.iter().find(|(_, other)| *other == kind)?;
        if of == Some(LoadBalancerType::Network) && kind != Kind::SourceIp {
            at.field("field").error(
                "invalid-combination",
                "a rule of a network load balancer can only have a condition on source-ip",
            );
            return None;
        }
        if !kind.is_repeatable() {
            seen.check(name, at, "duplicate-condition");
        }
        for (_, other) in KINDS.iter().filter(|(_, other)| *other != kind) {
            if other.is_configured(spec) {
                let (own, other) = (kind.config(), other.config());
                at.field(other).error(
                    "invalid-combination",
                    format!("a condition on {name} has {own}, not {other}"),
                );
            }
        }
        if !kind.is_configured(spec) {
            at.missing(kind.config());
            return None;
        }
        let at = at.field(kind.config());
        match kind {
            Kind::HostHeader => {
                let spec = spec.host_header_config.as_ref()?;
                Patterns::build(spec, kind, &at).map(Self::HostHeader)
            }
            Kind::PathPattern => {
                let spec = spec.path_pattern_config.as_ref()?;
                Patterns::build(spec, kind, &at).map(Self::PathPattern)
            }
            Kind::HttpHeader => Self::http_header(spec.http_header_config.as_ref()?, &at),
            Kind::HttpRequestMethod => {
                let spec = spec.http_request_method_config.as_ref()?;
                values(&spec.values, kind, &at, |text, at| method(text, at))
                    .map(Self::HttpRequestMethod)
            }
            Kind::QueryString => Self::query_string(spec.query_string_config.as_ref()?, &at),
            Kind::SourceIp => Self::source_ip(spec.source_ip_config.as_ref()?, of, &at),
        }
    }

    /// CIDR blocks, or the type of addresses (ELBv2 API: `SourceIpConditionConfig`).
    fn source_ip(
        spec: &SourceIpSpec,
        of: Option<LoadBalancerType>,
        at: &Place<'_>,
    ) -> Option<Self> {
        let is_network = of == Some(LoadBalancerType::Network);
        let (own, other, is_foreign, kind) = if is_network {
            let is_foreign = spec.values.is_some();
            ("ipAddressType", "values", is_foreign, "network")
        } else {
            let is_foreign = of.is_some() && spec.ip_address_type.is_some();
            ("values", "ipAddressType", is_foreign, "application")
        };
        if is_foreign {
            at.field(other).error(
                "invalid-combination",
                format!("source-ip of a rule of {kind} load balancers has {own}, not {other}"),
            );
            return None;
        }
        let networks = if is_network {
            let Some(text) = &spec.ip_address_type else {
                at.missing(own);
                return None;
            };
            vec![one_of(text, Self::ADDRESS_TYPES, &at.field(own))?]
        } else {
            values(&spec.values, Kind::SourceIp, at, |text, at| {
                network(text, at)
            })?
        };
        Some(Self::SourceIp(networks))
    }

    fn http_header(spec: &HttpHeaderSpec, at: &Place<'_>) -> Option<Self> {
        let name = match &spec.http_header_name {
            Some(text) => header_name(text, &at.field("httpHeaderName")),
            None => {
                at.missing("httpHeaderName");
                None
            }
        };
        let values = Patterns::build(&spec.patterns, Kind::HttpHeader, at);
        Some(Self::HttpHeader {
            name: name?,
            values: values?,
        })
    }

    fn query_string(spec: &QueryStringSpec, at: &Place<'_>) -> Option<Self> {
        let Some(pairs) = &spec.values else {
            at.missing("values");
            return None;
        };
        let at = at.field("values");
        all(pairs, Kind::QueryString, &at, QueryPair::build).map(Self::QueryString)
    }

    fn value_count(&self) -> usize {
        match self {
            Self::HostHeader(patterns)
            | Self::PathPattern(patterns)
            | Self::HttpHeader {
                values: patterns, ..
            } => match patterns {
                Patterns::Wildcards(values) => values.len(),
                Patterns::Regexes(values) => values.len(),
            },
            Self::HttpRequestMethod(values) => values.len(),
            Self::QueryString(values) => values.len(),
            Self::SourceIp(values) => values.len(),
        }
    }

    fn wildcard_count(&self) -> usize {
        let count = |text: &str| text.bytes().filter(|b| b"*?".contains(b)).count();
        match self {
            Self::HostHeader(Patterns::Wildcards(values))
            | Self::PathPattern(Patterns::Wildcards(values))
            | Self::HttpHeader {
                values: Patterns::Wildcards(values),
                ..
            } => values.iter().map(|value| count(value)).sum(),
            Self::QueryString(pairs) => {
                let escaped =
                    |text: &str| text.matches(r"\*").count() + text.matches(r"\?").count();
                let count = |text: &str| count(text) - escaped(text);
                let in_pair =
                    |pair: &QueryPair| pair.key.as_deref().map_or(0, count) + count(&pair.value);
                pairs.iter().map(in_pair).sum()
            }
            _ => 0,
        }
    }
}

impl Patterns {
    /// `values` or `regexValues`.
    fn build(spec: &PatternsSpec, kind: Kind, at: &Place<'_>) -> Option<Self> {
        match (&spec.values, &spec.regex_values) {
            (Some(_), Some(_)) => {
                at.field("regexValues").error(
                    "invalid-combination",
                    "a condition has values or regexValues, not both",
                );
                None
            }
            (None, None) => {
                let reason = "the field \"values\" or \"regexValues\" is missing";
                at.field("values").error("missing-field", reason);
                None
            }
            (Some(values), None) => {
                let value = |text: &String, at: &Place<'_>| wildcard(text, kind, at);
                all(values, kind, &at.field("values"), value).map(Self::Wildcards)
            }
            (None, Some(regexes)) => {
                let value = |text: &String, at: &Place<'_>| regex(text, kind, at);
                all(regexes, kind, &at.field("regexValues"), value).map(Self::Regexes)
            }
        }
    }
}

impl QueryPair {
    fn build(spec: &QueryPairSpec, at: &Place<'_>) -> Option<Self> {
        let part = |text: &String, at: &Place<'_>| {
            checked(text, is_printable(text), "printable ASCII", MAX_VALUE, at)
        };
        let key = spec.key.as_ref().map(|text| part(text, &at.field("key")));
        let value = match &spec.value {
            Some(text) => part(text, &at.field("value")),
            None => {
                at.missing("value");
                None
            }
        };
        Some(Self {
            key: match key {
                Some(key) => Some(key?).filter(|key| !key.is_empty()),
                None => None,
            },
            value: value?,
        })
    }
}

/// The values of a configuration that has nothing else.
fn values<T>(
    values: &Option<Vec<String>>,
    kind: Kind,
    at: &Place<'_>,
    build: impl Fn(&String, &Place<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let Some(values) = values else {
        at.missing("values");
        return None;
    };
    all(values, kind, &at.field("values"), build)
}

fn all<S, T>(
    specs: &[S],
    kind: Kind,
    at: &Place<'_>,
    build: impl Fn(&S, &Place<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let most = kind.max_values();
    if specs.is_empty() {
        at.error("missing-field", "a condition needs at least one value");
    }
    // More than a rule may have are reported for the rule.
    if (most + 1..=MAX_VALUES_OF_RULE).contains(&specs.len()) {
        at.error(
            "too-many",
            format!(
                "a condition of this kind has at most {most} values, not {}",
                specs.len()
            ),
        );
    }
    let built = specs.iter().enumerate();
    Some(
        built
            .filter_map(|(i, spec)| build(spec, &at.index(i)))
            .collect(),
    )
}
