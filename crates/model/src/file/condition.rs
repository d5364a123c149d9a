//! Conditions of rules (ALB guide: condition types).

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::item::{Fields, Item, Seen};
use crate::{Condition, Expression, Patterns, QueryPair};

pub(super) const FIELDS: &[&str] = &[
    "field",
    "hostHeaderConfig",
    "pathPatternConfig",
    "httpHeaderConfig",
    "httpRequestMethodConfig",
    "queryStringConfig",
    "sourceIPConfig",
];
pub(super) const PATTERNS_FIELDS: &[&str] = &["values", "regexValues"];
pub(super) const HEADER_FIELDS: &[&str] = &["httpHeaderName", "values", "regexValues"];
pub(super) const VALUES_FIELDS: &[&str] = &["values"];
pub(super) const PAIR_FIELDS: &[&str] = &["key", "value"];

/// Condition values of a rule (ALB guide: quotas).
const MAX_VALUES: usize = 5;

/// `*` and `?` of a rule (ALB guide: quotas).
const MAX_WILDCARDS: usize = 6;

/// Characters of a condition value.
const MAX_VALUE: usize = 128;

/// Characters of the name of a header, and of a method.
const MAX_NAME: usize = 40;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    HostHeader,
    PathPattern,
    HttpHeader,
    HttpRequestMethod,
    QueryString,
    SourceIp,
}

pub(super) const KINDS: &[(&str, Kind)] = &[
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

    /// Whether a rule may have several conditions of the kind (ALB guide: listener rules).
    fn is_repeatable(self) -> bool {
        matches!(self, Self::HttpHeader | Self::QueryString)
    }
}

/// The conditions of a rule.
pub(super) fn read_all(item: &Item<'_>) -> Vec<Condition> {
    let items = item.items();
    if items.is_empty() {
        item.error("missing-field", "a rule needs at least one condition");
    }
    let mut seen = Seen::new("condition");
    let conditions: Vec<Condition> = items
        .iter()
        .filter_map(|item| read(item, &mut seen))
        .collect();
    let count: usize = conditions.iter().map(values).sum();
    if count > MAX_VALUES {
        item.error(
            "too-many",
            format!("the conditions of a rule have at most {MAX_VALUES} values, not {count}"),
        );
    }
    let count: usize = conditions.iter().map(wildcards).sum();
    if count > MAX_WILDCARDS {
        item.error(
            "too-many-wildcards",
            format!("the conditions of a rule have at most {MAX_WILDCARDS} wildcards, not {count}"),
        );
    }
    conditions
}

fn values(condition: &Condition) -> usize {
    match condition {
        Condition::HostHeader(patterns)
        | Condition::PathPattern(patterns)
        | Condition::HttpHeader {
            values: patterns, ..
        } => match patterns {
            Patterns::Wildcards(values) => values.len(),
            Patterns::Regexes(values) => values.len(),
        },
        Condition::HttpRequestMethod(values) => values.len(),
        Condition::QueryString(values) => values.len(),
        Condition::SourceIp(values) => values.len(),
    }
}

fn wildcards(condition: &Condition) -> usize {
    let count = |text: &str| text.bytes().filter(|b| b"*?".contains(b)).count();
    match condition {
        Condition::HostHeader(Patterns::Wildcards(values))
        | Condition::PathPattern(Patterns::Wildcards(values))
        | Condition::HttpHeader {
            values: Patterns::Wildcards(values),
            ..
        } => values.iter().map(|value| count(value)).sum(),
        Condition::QueryString(pairs) => {
            let literal = |text: &str| text.matches(r"\*").count() + text.matches(r"\?").count();
            let count = |text: &str| count(text) - literal(text);
            let in_pair =
                |pair: &QueryPair| pair.key.as_deref().map_or(0, count) + count(&pair.value);
            pairs.iter().map(in_pair).sum()
        }
        _ => 0,
    }
}

fn read(item: &Item<'_>, seen: &mut Seen<&'static str>) -> Option<Condition> {
    let fields = item.fields(FIELDS)?;
    let kind = fields.required("field")?.one_of(KINDS)?;
    let (name, _) = KINDS.iter().find(|(_, other)| *other == kind)?;
    if !kind.is_repeatable() {
        seen.check(name, item, "duplicate-condition");
    }
    for (_, other) in KINDS.iter().filter(|(_, other)| *other != kind) {
        if let Some(item) = fields.get(other.config()) {
            item.error(
                "invalid-combination",
                format!(
                    "a condition on {name} has {}, not {}",
                    kind.config(),
                    other.config()
                ),
            );
        }
    }
    let config = fields.required(kind.config())?;
    Some(match kind {
        Kind::HostHeader => {
            Condition::HostHeader(patterns(&config.fields(PATTERNS_FIELDS)?, &config, kind)?)
        }
        Kind::PathPattern => {
            Condition::PathPattern(patterns(&config.fields(PATTERNS_FIELDS)?, &config, kind)?)
        }
        Kind::HttpHeader => {
            let fields = config.fields(HEADER_FIELDS)?;
            let name = fields
                .required("httpHeaderName")
                .and_then(|item| header_name(&item));
            let values = patterns(&fields, &config, kind);
            Condition::HttpHeader {
                name: name?,
                values: values?,
            }
        }
        Kind::HttpRequestMethod => Condition::HttpRequestMethod(list(&config, method)?),
        Kind::QueryString => Condition::QueryString(list(&config, pair)?),
        Kind::SourceIp => Condition::SourceIp(list(&config, network)?),
    })
}

/// `values` or `regexValues` of `config`.
fn patterns(fields: &Fields<'_>, config: &Item<'_>, kind: Kind) -> Option<Patterns> {
    match (fields.get("values"), fields.get("regexValues")) {
        (Some(_), Some(regexes)) => {
            regexes.error(
                "invalid-combination",
                "a condition has values or regexValues, not both",
            );
            None
        }
        (None, None) => {
            config.error("missing-field", "values or regexValues are missing");
            None
        }
        (Some(values), None) => Some(Patterns::Wildcards(all(&values, |item| {
            wildcard(item, kind)
        }))),
        (None, Some(regexes)) => Some(Patterns::Regexes(all(&regexes, |item| regex(item, kind)))),
    }
}

/// `values` of a `config` that has nothing else.
fn list<T>(config: &Item<'_>, read: impl Fn(&Item<'_>) -> Option<T>) -> Option<Vec<T>> {
    let values = config.fields(VALUES_FIELDS)?.required("values")?;
    Some(all(&values, read))
}

fn all<T>(list: &Item<'_>, read: impl Fn(&Item<'_>) -> Option<T>) -> Vec<T> {
    let items = list.items();
    if items.is_empty() {
        list.error("missing-field", "a condition needs at least one value");
    }
    items.iter().filter_map(read).collect()
}

fn wildcard(item: &Item<'_>, kind: Kind) -> Option<Arc<str>> {
    let text = item.text()?;
    let (valid, what) = match kind {
        Kind::HostHeader => (
            is_host_pattern(text),
            "a host pattern: letters, digits, - _ . * ?, with a dot, and letters after the last",
        ),
        Kind::PathPattern => (
            is_path_pattern(text),
            "a path pattern: letters, digits, spaces and _-.$/~\"'@:+&*?",
        ),
        _ => (is_printable(text), "printable ASCII"),
    };
    checked(item, text, valid && !text.is_empty(), what, MAX_VALUE)
}

fn regex(item: &Item<'_>, kind: Kind) -> Option<Expression> {
    let text = item.text()?;
    let valid = is_printable(text) && !text.is_empty();
    checked(
        item,
        text,
        valid,
        "printable ASCII",
        Expression::MAX_CONDITION,
    )?;
    expression(item, text, kind != Kind::PathPattern)
}

/// Compiles `text`, the value of `item`.
pub(super) fn expression(item: &Item<'_>, text: &str, ignore_case: bool) -> Option<Expression> {
    Expression::new(text, ignore_case)
        .inspect_err(|error| {
            item.error_with(
                "invalid-regex",
                format!("{text:?} is no regular expression here: {error}"),
                "look-around, back-references, atomic groups and \\p{..} \
                 are not taken"
                    .to_owned(),
            );
        })
        .ok()
}

/// The name of a field (RFC 9110, 5.1).
fn header_name(item: &Item<'_>) -> Option<Arc<str>> {
    let text = item.text()?;
    if text.eq_ignore_ascii_case("host") {
        item.error_with(
            "invalid-combination",
            "http-header conditions do not look at Host",
            "use a condition on host-header".to_owned(),
        );
        return None;
    }
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let valid = !text.is_empty() && text.bytes().all(is_token);
    checked(item, text, valid, "the name of a header", MAX_NAME)
}

fn method(item: &Item<'_>) -> Option<Arc<str>> {
    let text = item.text()?;
    let valid = !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b"-_".contains(&b));
    checked(item, text, valid, "a method: A-Z, - and _", MAX_NAME)
}

fn pair(item: &Item<'_>) -> Option<QueryPair> {
    let fields = item.fields(PAIR_FIELDS)?;
    let part = |item: Item<'_>| {
        let text = item.text()?;
        checked(
            &item,
            text,
            is_printable(text),
            "printable ASCII",
            MAX_VALUE,
        )
    };
    let key = fields.get("key").map(part);
    let value = fields.required("value").and_then(part);
    Some(QueryPair {
        key: match key {
            Some(key) => Some(key?).filter(|key| !key.is_empty()),
            None => None,
        },
        value: value?,
    })
}

pub(super) fn network(item: &Item<'_>) -> Option<IpNet> {
    let text = item.text()?;
    let Ok(network) = text.parse::<IpNet>() else {
        let hint = text
            .parse()
            .ok()
            .map(|ip: IpAddr| IpNet::from(ip).to_string());
        item.error_with(
            "invalid-cidr",
            format!("{text:?} is no CIDR block of IPv4 or IPv6"),
            hint.map(|network| format!("the block of this address alone is {network}")),
        );
        return None;
    };
    if text == "255.255.255.255/32" {
        item.error("invalid-cidr", "no client has the address 255.255.255.255");
        return None;
    }
    Some(network)
}

/// `text` as a value when it is `valid` and not too long; what else is due is reported.
fn checked(item: &Item<'_>, text: &str, valid: bool, what: &str, max: usize) -> Option<Arc<str>> {
    let too_long = text.len() > max;
    if !valid || too_long {
        item.error_with(
            "invalid-pattern",
            format!("{text:?} is not {what}"),
            too_long.then(|| format!("at most {max} characters")),
        );
        return None;
    }
    Some(text.into())
}

fn is_host_pattern(text: &str) -> bool {
    let letters = |last: &str| !last.is_empty() && last.bytes().all(|b| b.is_ascii_alphabetic());
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.*?".contains(&b))
        && text.rsplit_once('.').is_some_and(|(_, last)| letters(last))
}

fn is_path_pattern(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" _-.$/~\"'@:+&*?".contains(&b))
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}
