//! Single values of conditions.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::Kind;
use crate::expression::Expression;
use crate::invalid::Place;
use crate::read::{is_printable, is_token};

/// Characters of a condition value.
pub(super) const MAX_VALUE: usize = 128;

/// Characters of the name of a header, and of a method.
const MAX_NAME: usize = 40;

pub(super) fn wildcard(text: &str, kind: Kind, at: &Place<'_>) -> Option<Arc<str>> {
    let (is_valid, what) = match kind {
        Kind::HostHeader => (
            is_host_pattern(text),
            "a host pattern: letters, digits, - _ . * ?, with a dot, and letters after the last dot",
        ),
        Kind::PathPattern => (
            is_path_pattern(text),
            "a path pattern: letters, digits, spaces and _-.$/~\"'@:+&*?",
        ),
        _ => (is_printable(text), "printable ASCII"),
    };
    checked(text, is_valid && !text.is_empty(), what, MAX_VALUE, at)
}

pub(super) fn regex(text: &str, kind: Kind, at: &Place<'_>) -> Option<Expression> {
    let is_valid = is_printable(text) && !text.is_empty();
    let most = Expression::MAX_CONDITION;
    checked(text, is_valid, "printable ASCII", most, at)?;
    expression(text, kind != Kind::PathPattern, at)
}

/// Compiles `text`; reported when it is not a regular expression that ALB accepts.
pub(crate) fn expression(text: &str, ignore_case: bool, at: &Place<'_>) -> Option<Expression> {
    let compiled = Expression::new(text, ignore_case);
    let report = |error: &String| {
        at.error_with(
            "invalid-regex",
            format!("{text:?} is not a valid regular expression: {error}"),
            "ALB does not support look-around, back-references, atomic groups, possessive quantifiers \
             and \\p{..}"
                .to_owned(),
        );
    };
    compiled.inspect_err(report).ok()
}

/// The name of a field (RFC 9110, 5.1).
pub(super) fn header_name(text: &str, at: &Place<'_>) -> Option<Arc<str>> {
    if text.eq_ignore_ascii_case("host") {
        at.error_with(
            "invalid-combination",
            "an http-header condition cannot look at Host",
            "use a condition on host-header".to_owned(),
        );
        return None;
    }
    checked(text, is_token(text), "the name of a header", MAX_NAME, at)
}

pub(super) fn method(text: &str, at: &Place<'_>) -> Option<Arc<str>> {
    let is_allowed = |b: u8| b.is_ascii_uppercase() || b"-_".contains(&b);
    let is_valid = !text.is_empty() && text.bytes().all(is_allowed);
    checked(text, is_valid, "a method: A-Z, - and _", MAX_NAME, at)
}

/// A CIDR block; reported when `text` is not one.
pub(crate) fn network(text: &str, at: &Place<'_>) -> Option<IpNet> {
    let Ok(network) = text.parse::<IpNet>() else {
        let alone = text.parse().ok();
        let alone = alone.map(|ip: IpAddr| IpNet::from(ip));
        at.error_with(
            "invalid-cidr",
            format!("{text:?} is not a CIDR block of IPv4 or IPv6"),
            alone.map(|network| format!("the block of this address alone is {network}")),
        );
        return None;
    };
    if text == "255.255.255.255/32" {
        at.error("invalid-cidr", "no client has the address 255.255.255.255");
        return None;
    }
    Some(network)
}

/// `text` as a value when it is valid and not too long.
pub(super) fn checked(
    text: &str,
    is_valid: bool,
    what: &str,
    most: usize,
    at: &Place<'_>,
) -> Option<Arc<str>> {
    let is_too_long = text.len() > most;
    if is_valid && !is_too_long {
        return Some(text.into());
    }
    at.error_with(
        "invalid-pattern",
        format!("{text:?} is not {what}"),
        is_too_long.then(|| format!("use at most {most} characters")),
    );
    None
}

fn is_host_pattern(text: &str) -> bool {
    let is_letters = |last: &str| !last.is_empty() && last.bytes().all(|b| b.is_ascii_alphabetic());
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-_.*?".contains(&b))
        && text
            .rsplit_once('.')
            .is_some_and(|(_, last)| is_letters(last))
}

fn is_path_pattern(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b" _-.$/~\"'@:+&*?".contains(&b))
}
