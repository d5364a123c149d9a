//! How constructors read single fields.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::invalid::Place;
use crate::suggest::did_you_mean;

/// The value in `table` that AWS spells `text`. An unknown spelling is reported.
pub(crate) fn one_of<T: Copy>(
    text: &str,
    table: &[(&'static str, T)],
    at: &Place<'_>,
) -> Option<T> {
    if let Some((_, value)) = table.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let names = || table.iter().map(|(name, _)| *name);
    let reason = match table {
        [(name, _)] => format!("{text:?} is not {name}"),
        _ => {
            let all = names().collect::<Vec<_>>().join(", ");
            format!("{text:?} is not one of {all}")
        }
    };
    at.error_with("unknown-value", reason, did_you_mean(text, names()));
    None
}

/// AWS's spelling of `value`.
pub(crate) fn spelling<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    let found = table.iter().find(|(_, other)| other == value);
    found.map_or("", |(name, _)| name)
}

/// `number` when it is in `range`; reported otherwise.
pub(crate) fn in_range(number: u32, range: RangeInclusive<u32>, at: &Place<'_>) -> Option<u32> {
    if range.contains(&number) {
        return Some(number);
    }
    let (from, to) = (range.start(), range.end());
    at.error(
        "out-of-range",
        format!("{number} is not from {from} to {to}"),
    );
    None
}

/// A port from 1 to 65535.
pub(crate) fn port(number: u32, at: &Place<'_>) -> Option<u16> {
    in_range(number, 1..=65535, at).and_then(|port| u16::try_from(port).ok())
}

/// A name that AWS takes for a load balancer or a target group (`CreateLoadBalancer`, Name).
pub(crate) fn resource_name(text: &str, at: &Place<'_>) -> Option<Arc<str>> {
    let valid = (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if !valid {
        at.error_with(
            "invalid-name",
            format!("{text:?} is not a valid name"),
            "use 1 to 32 letters, digits and hyphens, with no hyphen at either end".to_owned(),
        );
    }
    valid.then(|| text.into())
}

/// Bytes of a token (RFC 9110, 5.6.2): the name of a header or of a cookie.
pub(crate) fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

pub(crate) fn is_printable(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// Printable ASCII without the space, which no URL holds.
pub(crate) fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic())
}

/// A DNS label; the underscore is not of RFC 1123, but DNS has it.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}
