//! Which of the clients with a verified certificate a listener admits (NLB guide: mutual authentication).

use std::ops::Range;
use std::sync::Arc;

use crate::invalid::Place;
use crate::read::{is_printable, one_of};
use crate::spec::IdentityFilterSpec;

/// A value that the certificate of a client may have (`ClientCertificateIdentityFilter`). One that has it is accepted, as
/// the only action says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFilter {
    /// Where certificates have it.
    pub field: IdentityField,
    /// How much of it is given.
    pub match_type: MatchType,
    /// 1 to 256 characters of printable ASCII.
    pub value: Arc<str>,
}

/// A field of certificates that names their owners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityField {
    /// `subject-cn`: the common name of the subject.
    SubjectCn,
    /// `subject-ou`: an organizational unit of the subject.
    SubjectOu,
    /// `san-dns`: a DNS name among the subject alternative names.
    SanDns,
    /// `san-uri`: a URI among them.
    SanUri,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchType {
    /// `exact`.
    Exact,
    /// `prefix`.
    Prefix,
}

/// Filters of one listener at most.
const MAX_FILTERS: usize = 100;
/// Characters of a value at most.
const MAX_VALUE: usize = 256;

impl IdentityFilter {
    /// The fields by AWS's names.
    pub const FIELDS: &'static [(&'static str, IdentityField)] = &[
        ("subject-cn", IdentityField::SubjectCn),
        ("subject-ou", IdentityField::SubjectOu),
        ("san-dns", IdentityField::SanDns),
        ("san-uri", IdentityField::SanUri),
    ];
    /// The only action.
    pub const ACTIONS: &'static [(&'static str, ())] = &[("accept", ())];
    /// The ways to compare by AWS's names.
    pub const MATCH_TYPES: &'static [(&'static str, MatchType)] =
        &[("exact", MatchType::Exact), ("prefix", MatchType::Prefix)];

    /// Whether `text`, one of the values of its field, is meant: in any case, but for what follows the host of a URI.
    ///
    /// ```
    /// use elbow_model::{IdentityField, IdentityFilter, MatchType};
    ///
    /// let filter = IdentityFilter {
    ///     field: IdentityField::SanUri,
    ///     match_type: MatchType::Prefix,
    ///     value: "spiffe://example.com/ns/".into(),
    /// };
    /// assert!(filter.matches("SPIFFE://Example.com/ns/web"));
    /// assert!(!filter.matches("spiffe://example.com/NS/web"));
    /// ```
    pub fn matches(&self, text: &str) -> bool {
        let (value, text) = (self.value.as_bytes(), text.as_bytes());
        let is_long_enough = match self.match_type {
            MatchType::Exact => text.len() == value.len(),
            MatchType::Prefix => text.len() >= value.len(),
        };
        let (scheme, host) = match self.field {
            IdentityField::SanUri => scheme_and_host(text),
            _ => (0..text.len(), 0..0),
        };
        let is_same = |(at, (a, b)): (usize, (&u8, &u8))| {
            let in_any_case = scheme.contains(&at) || host.contains(&at);
            a == b || in_any_case && a.eq_ignore_ascii_case(b)
        };
        is_long_enough && value.iter().zip(text).enumerate().all(is_same)
    }

    pub(crate) fn build_all(specs: &[IdentityFilterSpec], at: &Place<'_>) -> Vec<Self> {
        if specs.len() > MAX_FILTERS {
            let reason = format!("a listener has at most {MAX_FILTERS} filters");
            at.index(MAX_FILTERS).error("too-many", reason);
        }
        let specs = specs.iter().enumerate();
        specs
            .filter_map(|(i, spec)| Self::build(spec, &at.index(i)))
            .collect()
    }

    fn build(spec: &IdentityFilterSpec, at: &Place<'_>) -> Option<Self> {
        let field = required(&spec.field, "field", Self::FIELDS, at);
        required(&spec.action, "action", Self::ACTIONS, at);
        let match_type = required(&spec.match_type, "matchType", Self::MATCH_TYPES, at);
        let Some(value) = &spec.value else {
            at.missing("value");
            return None;
        };
        let (field, match_type) = (field?, match_type?);
        if let Err(reason) = check(value, field, match_type) {
            at.field("value").error("invalid-pattern", reason);
            return None;
        }
        Some(Self {
            field,
            match_type,
            value: value[..].into(),
        })
    }
}

fn required<T: Copy>(
    text: &Option<String>,
    name: &'static str,
    table: &[(&'static str, T)],
    at: &Place<'_>,
) -> Option<T> {
    let Some(text) = text else {
        at.missing(name);
        return None;
    };
    one_of(text, table, &at.field(name))
}

/// ELBv2 API, `ClientCertificateIdentityFilter`.
fn check(value: &str, field: IdentityField, match_type: MatchType) -> Result<(), String> {
    if !(1..=MAX_VALUE).contains(&value.len()) || !is_printable(value) {
        return Err(format!(
            "{value:?} is not 1 to {MAX_VALUE} characters of printable ASCII"
        ));
    }
    if field != IdentityField::SanUri {
        return Ok(());
    }
    let (scheme, has_colon) = match value.split_once(':') {
        Some((scheme, _)) => (scheme, true),
        None => (value, false),
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !is_scheme {
        return Err(format!(
            "{value:?} does not begin with the scheme of a URI: a letter, then letters, digits and +-."
        ));
    }
    if match_type == MatchType::Exact && !has_colon {
        return Err(format!("{value:?} is no URI: it has no colon"));
    }
    Ok(())
}

/// Where a URI has its scheme and its host (RFC 3986, 3.1 and 3.2.2).
fn scheme_and_host(uri: &[u8]) -> (Range<usize>, Range<usize>) {
    let position = |from: usize, wanted: &[u8]| {
        let rest = uri.get(from..).unwrap_or_default();
        let found = rest.iter().position(|b| wanted.contains(b));
        found.map_or(uri.len(), |at| from + at)
    };
    let scheme = position(0, b":");
    let authority = scheme + b"://".len();
    if uri.get(scheme..authority) != Some(b"://") {
        return (0..scheme, 0..0);
    }
    let end = position(authority, b"/?#");
    let user = uri.get(authority..end).unwrap_or_default();
    let host = user.iter().rposition(|b| *b == b'@').map_or(0, |at| at + 1);
    (0..scheme, authority + host..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(field: IdentityField, match_type: MatchType, value: &str, text: &str) -> bool {
        let filter = IdentityFilter {
            field,
            match_type,
            value: value.into(),
        };
        filter.matches(text)
    }

    // ELBv2 API, ClientCertificateIdentityFilter: MatchType.
    #[test]
    fn names_are_compared_in_any_case() {
        for field in [
            IdentityField::SubjectCn,
            IdentityField::SubjectOu,
            IdentityField::SanDns,
        ] {
            let of = |match_type, text| matches(field, match_type, "Web.example", text);
            let (exact, prefix) = (MatchType::Exact, MatchType::Prefix);
            assert!(of(exact, "web.EXAMPLE") && of(prefix, "web.EXAMPLE.com"));
            assert!(!of(exact, "web.example.com") && !of(exact, "web.exampl"));
            assert!(!of(prefix, "a.web.example") && !of(prefix, "web.exampl"));
        }
    }

    #[test]
    fn scheme_and_host_of_uris_are_compared_in_any_case() {
        let table = [
            (
                "spiffe://a.example/ns/Web",
                "SPIFFE://A.example/ns/Web",
                true,
            ),
            (
                "spiffe://a.example/ns/Web",
                "spiffe://a.example/ns/web",
                false,
            ),
            ("https://User@host:80?Q", "HTTPS://User@HOST:80?Q", true),
            ("https://User@host:80?Q", "https://user@host:80?Q", false),
            ("https://User@host:80?Q", "https://User@host:80?q", false),
            ("https://host#F", "https://HOST#F", true),
            ("urn:a:B", "URN:a:B", true),
            ("urn:a:B", "urn:A:B", false),
            ("a:/B", "a:/b", false),
        ];
        for (value, text, expected) in table {
            let found = matches(IdentityField::SanUri, MatchType::Exact, value, text);
            assert_eq!(found, expected, "{value} {text}");
        }
        let prefix = |value, text| matches(IdentityField::SanUri, MatchType::Prefix, value, text);
        assert!(prefix("spiffe://A.exam", "spiffe://a.example/ns"));
        assert!(prefix("SPIF", "spiffe://a.example/ns"));
        assert!(prefix(
            "spiffe://a.example/ns/",
            "spiffe://a.example/ns/web"
        ));
        assert!(!prefix(
            "spiffe://a.example/NS/",
            "spiffe://a.example/ns/web"
        ));
        // What is still a host in the filter is a user in the certificate.
        assert!(!prefix("https://User", "https://user@host"));
    }

    #[test]
    fn values_have_their_characters() {
        let (exact, prefix) = (MatchType::Exact, MatchType::Prefix);
        let long = "a".repeat(257);
        for (field, match_type, value, is_valid) in [
            (IdentityField::SubjectCn, exact, "a b", true),
            (IdentityField::SubjectCn, exact, "", false),
            (IdentityField::SubjectCn, exact, "a\u{e9}", false),
            (IdentityField::SubjectCn, exact, "a\n", false),
            (IdentityField::SubjectCn, prefix, &long, false),
            (IdentityField::SubjectCn, prefix, &long[1..], true),
            (IdentityField::SanUri, exact, "spiffe://a/b", true),
            (IdentityField::SanUri, exact, "a+b-c.1:", true),
            (IdentityField::SanUri, exact, "spiffe", false),
            (IdentityField::SanUri, prefix, "spiffe", true),
            (IdentityField::SanUri, prefix, "1a:", false),
            (IdentityField::SanUri, prefix, ":", false),
            (IdentityField::SanUri, prefix, "a_b:", false),
        ] {
            let checked = check(value, field, match_type);
            assert_eq!(checked.is_ok(), is_valid, "{value:?} {checked:?}");
        }
    }
}
