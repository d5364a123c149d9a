//! Validation of JSON Web Tokens (ALB guide: verify JWTs).

use std::fmt;
use std::sync::Arc;

use super::endpoint::endpoint;
use crate::invalid::Place;
use crate::read::{is_printable, one_of};
use crate::spec::{AdditionalClaimSpec, JwtValidationSpec};

/// Characters of the issuer and of one value of a claim.
const MAX_TEXT: usize = 256;
/// Claims besides those that are always validated.
const MAX_CLAIMS: usize = 10;
/// Values of one claim.
const MAX_VALUES: usize = 10;
/// Claims that are always validated.
const ALWAYS: &[&str] = &["exp", "iss", "nbf", "iat"];

/// `JwtValidationConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JwtValidation {
    /// Where the keys of the issuer are: an HTTPS URL.
    pub jwks_endpoint: Arc<str>,
    /// What the claim `iss` must be.
    pub issuer: Arc<str>,
    /// What other claims must be.
    pub additional_claims: Vec<AdditionalClaim>,
}

/// A claim that a token must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdditionalClaim {
    /// Of the claim.
    pub name: Arc<str>,
    /// How the claim holds its values.
    pub format: ClaimFormat,
    /// One of them must be among the values of the claim.
    pub values: Vec<Arc<str>>,
}

/// How a claim holds values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFormat {
    /// A string that is one value.
    SingleString,
    /// A list of strings.
    StringArray,
    /// A string of values with spaces between them.
    SpaceSeparatedValues,
}

impl ClaimFormat {
    /// AWS's spelling of each.
    pub const NAMES: &'static [(&'static str, Self)] = &[
        ("single-string", Self::SingleString),
        ("string-array", Self::StringArray),
        ("space-separated-values", Self::SpaceSeparatedValues),
    ];

    /// AWS's spelling.
    pub fn as_str(self) -> &'static str {
        crate::read::spelling(Self::NAMES, &self)
    }
}

impl JwtValidation {
    pub(super) fn build(spec: &JwtValidationSpec, at: &Place<'_>) -> Option<Self> {
        let jwks_endpoint = endpoint(spec.jwks_endpoint.as_deref(), &at.field("jwksEndpoint"));
        let issuer = text(spec.issuer.as_deref(), &at.field("issuer"));
        let claims = at.field("additionalClaims");
        if spec.additional_claims.len() > MAX_CLAIMS {
            let reason = format!("at most {MAX_CLAIMS} claims can be required");
            claims.index(MAX_CLAIMS).error("too-many", reason);
        }
        let specs = spec.additional_claims.iter().enumerate();
        let additional_claims = specs
            .filter_map(|(i, spec)| AdditionalClaim::build(spec, &claims.index(i)))
            .collect();
        Some(Self {
            jwks_endpoint: jwks_endpoint?,
            issuer: issuer?,
            additional_claims,
        })
    }
}

impl AdditionalClaim {
    fn build(spec: &AdditionalClaimSpec, at: &Place<'_>) -> Option<Self> {
        let name = text(spec.name.as_deref(), &at.field("name"));
        if let Some(name) = name.as_deref().filter(|name| ALWAYS.contains(name)) {
            let reason = format!("the claim {name} is always validated");
            at.field("name").error("invalid-value", reason);
        }
        let format = match &spec.format {
            Some(format) => one_of(format, ClaimFormat::NAMES, &at.field("format")),
            None => {
                at.missing("format");
                None
            }
        };
        let list = at.field("values");
        if spec.values.is_empty() {
            at.missing("values");
        }
        if spec.values.len() > MAX_VALUES {
            let reason = format!("a claim has at most {MAX_VALUES} values");
            list.index(MAX_VALUES).error("too-many", reason);
        }
        let values = spec.values.iter().enumerate();
        let values = values.filter_map(|(i, value)| text(Some(value), &list.index(i)));
        Some(Self {
            values: values.collect(),
            name: name?,
            format: format?,
        })
    }
}

/// A printable text of 1 to 256 characters.
fn text(given: Option<&str>, at: &Place<'_>) -> Option<Arc<str>> {
    let Some(text) = given else {
        at.error("missing-field", "a value is missing");
        return None;
    };
    if text.is_empty() || text.len() > MAX_TEXT || !is_printable(text) {
        let reason = format!("expected 1 to {MAX_TEXT} printable characters");
        at.error("out-of-range", reason);
    }
    Some(text.into())
}

impl fmt::Display for JwtValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "validate JWTs of {}", self.issuer)
    }
}
