//! Attributes as somebody gave them, checked by the table.

use super::AttributesSpec;
use super::{
    ATTRIBUTES, Attribute, MAX_HEADER_NAME, MAX_HEADER_VALUE, Requirement, Resource, Values,
};
use crate::condition::network;
use crate::invalid::Place;
use crate::read::{in_range, is_token, one_of};
use crate::suggest::did_you_mean;

/// Headers that frame a message or route it, and so cannot carry anything else.
const FRAMING: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How cookies of the load balancer start (ALB guide: sticky sessions).
const RESERVED_COOKIES: &str = "AWSALB";

/// The attributes that are known and have a valid value; the others are reported.
pub(super) fn check(given: &AttributesSpec, of: Resource, at: &Place<'_>) -> AttributesSpec {
    let mut valid = AttributesSpec::new();
    for (key, text) in given {
        let at = at.key(key);
        match Attribute::find(of, key) {
            Some(attribute) => {
                if attribute.check(text, &at).is_some() {
                    valid.insert(key.clone(), text.clone());
                }
            }
            None => report_unknown(key, of, &at),
        }
    }
    let texts = Texts {
        of,
        given,
        valid: &valid,
    };
    for attribute in ATTRIBUTES.iter().filter(|a| a.of.contains(&of)) {
        for requirement in attribute.requires {
            requirement.check(attribute.key, &texts, at);
        }
    }
    valid
}

fn report_unknown(key: &str, of: Resource, at: &Place<'_>) {
    let mut relatives = ATTRIBUTES.iter().filter(|a| a.key == key);
    let relative = relatives.find_map(|a| a.of.iter().find(|other| other.is_sibling(of)));
    if let Some(other) = relative {
        let reason = format!(
            "{key} is an attribute of {}, not of {}",
            other.name(),
            of.name()
        );
        at.wrong_name("attribute-not-applicable", reason, None);
        return;
    }
    let known = ATTRIBUTES.iter().filter(|a| a.of.contains(&of));
    at.wrong_name(
        "unknown-attribute",
        format!("{} have no attribute \"{key}\"", of.name()),
        did_you_mean(key, known.map(|a| a.key)),
    );
}

/// What the attributes of one resource say.
struct Texts<'a> {
    of: Resource,
    given: &'a AttributesSpec,
    valid: &'a AttributesSpec,
}

impl Texts<'_> {
    /// The value in force: the given one, or the default. `None`: the given one is invalid.
    fn get(&self, key: &str) -> Option<&str> {
        match (self.valid.get(key), self.given.get(key)) {
            (Some(text), _) => Some(text),
            (None, Some(_)) => None,
            (None, None) => Attribute::find(self.of, key).map(|attribute| attribute.default),
        }
    }
}

impl Requirement {
    /// Checks what attribute `key` requires; `at` is the place of all attributes.
    fn check(&self, key: &'static str, texts: &Texts<'_>, at: &Place<'_>) {
        let Some(own) = texts.get(key) else {
            return;
        };
        match *self {
            Self::OneOf {
                unless,
                key: other,
                values,
            } => {
                let is = texts.get(other).filter(|_| !unless.contains(&own));
                if let Some(is) = is.filter(|is| !values.contains(is)) {
                    at.key(key).error_with(
                        "invalid-combination",
                        format!("{key} {own} cannot be combined with {other} {is}"),
                        format!("set {other} to {}", values.join(" or ")),
                    );
                }
            }
            Self::Given {
                unless,
                when,
                key: other,
            } => {
                let applies = when.is_none_or(|(key, value)| texts.get(key) == Some(value));
                let is_missing = texts.get(other).is_some_and(str::is_empty);
                if applies && is_missing && !unless.contains(&own) {
                    let (key, own) = when.unwrap_or((key, own));
                    let reason = format!("{key} {own} needs {other}");
                    at.key(other).error("missing-field", reason);
                }
            }
            Self::NotBelow { key: other } => {
                let number = |key| texts.get(key).and_then(|text| text.parse::<u32>().ok());
                let (Some(is), Some(least)) = (number(key), number(other)) else {
                    return;
                };
                if is < least {
                    // A default can be too low for what was set.
                    let is_given = texts.given.contains_key(key);
                    at.key(if is_given { key } else { other }).error_with(
                        "invalid-combination",
                        format!("{key} is {is}, less than {other}, which is {least}"),
                        format!("set {key} to {least} or more, or to off"),
                    );
                }
            }
        }
    }
}

impl Attribute {
    /// Reports what is wrong with `text` as a value of this attribute.
    fn check(&self, text: &str, at: &Place<'_>) -> Option<()> {
        self.values.check(text, at)?;
        let key = self.key;
        if self
            .served_values
            .is_some_and(|served| !served.contains(&text))
        {
            at.warn("no-effect", format!("{key} is accepted, but has no effect"));
        }
        Some(())
    }
}

impl Values {
    fn check(self, text: &str, at: &Place<'_>) -> Option<()> {
        match self {
            Self::Flag => one_of(text, &[("true", ()), ("false", ())], at),
            Self::AlwaysOn => always_on(text, at),
            Self::Number(from, to) => number(text, from, to, at),
            Self::ZeroOr(..) if text == "0" => Some(()),
            Self::OffOr(..) if text == "off" => Some(()),
            Self::ZeroOr(from, to) | Self::OffOr(from, to) => number(text, from, to, at),
            Self::OneOf(names) => {
                let table: Vec<(&'static str, ())> = names.iter().map(|n| (*n, ())).collect();
                one_of(text, &table, at)
            }
            Self::HeaderName => header_name(text, at),
            Self::HeaderValue => header_value(text, at),
            Self::CookieName => cookie_name(text, at),
            Self::S3Prefix => s3_prefix(text, at),
            Self::Cidrs => cidrs(text, at),
            Self::Text => Some(()),
        }
    }
}

fn number(text: &str, from: u32, to: u32, at: &Place<'_>) -> Option<()> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        at.error(
            "wrong-type",
            format!("{text:?} is not a number from {from} to {to}"),
        );
        return None;
    }
    match text.parse() {
        Ok(number) => in_range(number, from..=to, at).map(drop),
        Err(_) => {
            at.error("out-of-range", format!("{text} is not from {from} to {to}"));
            None
        }
    }
}

fn always_on(text: &str, at: &Place<'_>) -> Option<()> {
    one_of(text, &[("true", ()), ("false", ())], at)?;
    if text == "true" {
        return Some(());
    }
    at.error_with(
        "invalid-combination",
        "an application load balancer cannot turn off cross-zone load balancing",
        "turn it off in a target group: load_balancing.cross_zone.enabled: \"false\"".to_owned(),
    );
    None
}

fn header_name(text: &str, at: &Place<'_>) -> Option<()> {
    let is_framing = FRAMING.iter().any(|name| name.eq_ignore_ascii_case(text));
    if is_token(text) && text.len() <= MAX_HEADER_NAME && !is_framing {
        return Some(());
    }
    at.error_with(
        "invalid-header",
        format!("{text:?} cannot be the name of this header"),
        format!(
            "use 1 to {MAX_HEADER_NAME} characters of a header name; {} are taken",
            FRAMING.join(", ")
        ),
    );
    None
}

/// The characters that the API takes (ALB guide: header modification).
fn header_value(text: &str, at: &Place<'_>) -> Option<()> {
    let is_allowed =
        |b: u8| b.is_ascii_alphanumeric() || b"_ :;.,\\/'?!(){}[]@<>=-+*#&`|~^%".contains(&b);
    if text.len() <= MAX_HEADER_VALUE && text.bytes().all(is_allowed) {
        return Some(());
    }
    at.error_with(
        "invalid-header",
        format!("{text:?} cannot be the value of this header"),
        format!(
            "use up to {MAX_HEADER_VALUE} letters, digits, spaces and \
             _:;.,\\/'?!(){{}}[]@<>=-+*#&`|~^%"
        ),
    );
    None
}

fn cookie_name(text: &str, at: &Place<'_>) -> Option<()> {
    // An empty value means no cookie. Stickiness that needs one reports it.
    if text.is_empty() || (is_token(text) && !text.starts_with(RESERVED_COOKIES)) {
        return Some(());
    }
    at.error_with(
        "invalid-cookie",
        format!("{text:?} cannot be the name of an application's cookie"),
        format!("names that start with {RESERVED_COOKIES} belong to the load balancer"),
    );
    None
}

/// An empty list trusts nobody, and several blocks may be wrong.
fn cidrs(text: &str, at: &Place<'_>) -> Option<()> {
    if text.is_empty() {
        return Some(());
    }
    let blocks: Vec<_> = text.split(',').map(|one| network(one.trim(), at)).collect();
    blocks.iter().all(Option::is_some).then_some(())
}

/// AWS puts `AWSLogs` behind the prefix (API: `access_logs.s3.prefix`).
fn s3_prefix(text: &str, at: &Place<'_>) -> Option<()> {
    if !text.contains("AWSLogs") {
        return Some(());
    }
    at.error_with(
        "invalid-path",
        format!("the prefix {text:?} contains AWSLogs"),
        "leave AWSLogs out: AWS adds it behind the prefix".to_owned(),
    );
    None
}
