//! What the claims of a token must be (ALB guide: verify JWTs).

use std::time::Duration;

use elbow_model::{AdditionalClaim, ClaimFormat, JwtValidation};
use serde_json::Value;

use super::token::Claims;
use crate::reason::Reason;

/// Checks `claims` at `now`, in seconds since the epoch; the clock of an issuer may differ by `skew`.
pub(super) fn check(
    config: &JwtValidation,
    claims: &Claims,
    now: u64,
    skew: Duration,
) -> Result<(), Reason> {
    let issuer = claims.get("iss").ok_or(Reason::JwtClaimNotPresent)?;
    let issuer = issuer.as_str().ok_or(Reason::JwtClaimFormatInvalid)?;
    if issuer != &*config.issuer {
        return Err(Reason::JwtClaimValueInvalid);
    }
    #[allow(clippy::cast_precision_loss)] // Exact for the next 285 million years.
    let (now, skew) = (now as f64, skew.as_secs_f64());
    let expiry = time(claims, "exp")?.ok_or(Reason::JwtClaimNotPresent)?;
    let not_before = time(claims, "nbf")?;
    let issued = time(claims, "iat")?;
    let is_early = |time: Option<f64>| time.is_some_and(|time| time > now + skew);
    if expiry + skew <= now || is_early(not_before) || is_early(issued) {
        return Err(Reason::JwtClaimValueInvalid);
    }
    let mut additional = config.additional_claims.iter();
    additional.try_for_each(|claim| has(claims, claim))
}

/// A NumericDate (RFC 7519, 2).
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, Reason> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let number = value.as_f64().ok_or(Reason::JwtClaimFormatInvalid)?;
    Ok(Some(number))
}

/// Checks that one of the values of `claim` is among those that the token has.
fn has(claims: &Claims, claim: &AdditionalClaim) -> Result<(), Reason> {
    let value = claims.get(&*claim.name).ok_or(Reason::JwtClaimNotPresent)?;
    let is_expected = |text: &str| claim.values.iter().any(|value| **value == *text);
    let text = || value.as_str().ok_or(Reason::JwtClaimFormatInvalid);
    let is_there = match claim.format {
        ClaimFormat::SingleString => is_expected(text()?),
        ClaimFormat::SpaceSeparatedValues => text()?.split(' ').any(is_expected),
        ClaimFormat::StringArray => {
            let list = value.as_array().ok_or(Reason::JwtClaimFormatInvalid)?;
            if !list.iter().all(Value::is_string) {
                return Err(Reason::JwtClaimFormatInvalid);
            }
            list.iter().filter_map(Value::as_str).any(is_expected)
        }
    };
    is_there.then_some(()).ok_or(Reason::JwtClaimValueInvalid)
}
