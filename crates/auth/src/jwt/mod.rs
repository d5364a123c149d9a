//! `jwt-validation` (ALB guide: verify JWTs): RS256, with the keys of the issuer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use elbow_model::JwtValidation;

use crate::reason::Reason;
use cache::KeyCache;
use keys::{Keys, Verified};

pub(crate) use token::{Claims, Token};

pub(crate) mod cache;
mod claims;
mod keys;
mod token;

/// A `jwt-validation` action in force.
#[derive(Debug)]
pub struct JwtGate {
    config: JwtValidation,
    keys: Arc<KeyCache>,
    /// By how much the clock of the issuer may differ.
    skew: Duration,
}

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Its token is valid.
    Valid,
    /// It is not let through.
    Refused(Reason),
    /// The keys have to be fetched first.
    NeedsKeys,
}

/// Keys that were fetched for one request.
#[derive(Clone, Debug)]
pub(crate) struct FetchedKeys(Result<Arc<Keys>, Reason>);

impl JwtGate {
    pub(crate) fn new(config: JwtValidation, keys: Arc<KeyCache>, skew: Duration) -> Self {
        Self { config, keys, skew }
    }

    /// Checks the token in `authorization`. `fetched`: the keys that were fetched for it; otherwise `now` says which
    /// of those that are kept can be used.
    pub(crate) fn check(
        &self,
        authorization: Option<&[u8]>,
        fetched: Option<&FetchedKeys>,
        now: Now,
    ) -> Checked {
        let token = match bearer(authorization) {
            Ok(token) => token,
            Err(reason) => return Checked::Refused(reason),
        };
        let known = match fetched {
            Some(FetchedKeys(keys)) => Some(keys.clone()),
            None => self.keys.get(now.instant),
        };
        let keys = match known {
            Some(Ok(keys)) => keys,
            Some(Err(reason)) => return Checked::Refused(reason),
            None => return Checked::NeedsKeys,
        };
        match keys.verify(&token) {
            Verified::Yes => {
                match claims::check(&self.config, &token.claims, now.unix, self.skew) {
                    Ok(()) => Checked::Valid,
                    Err(reason) => Checked::Refused(reason),
                }
            }
            Verified::UnknownKey if fetched.is_none() && self.keys.may_have_more(now.instant) => {
                Checked::NeedsKeys
            }
            Verified::UnknownKey | Verified::No => {
                Checked::Refused(Reason::JwtSignatureValidationError)
            }
        }
    }

    /// Fetches the keys.
    pub(crate) async fn fetch(&self) -> FetchedKeys {
        FetchedKeys(self.keys.fetch(Instant::now()).await)
    }
}

/// The time of a check.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Seconds since the epoch, for what others signed.
    pub unix: u64,
    /// For what is kept here.
    pub instant: Instant,
}

/// The token of an Authorization field (RFC 6750, 2.1), signed with RS256.
fn bearer(authorization: Option<&[u8]>) -> Result<Token<'_>, Reason> {
    let value = authorization.ok_or(Reason::JwtHeaderNotPresent)?;
    let (scheme, token) = value
        .split_at_checked("Bearer ".len())
        .ok_or(Reason::JwtRequestFormatInvalid)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(Reason::JwtRequestFormatInvalid);
    }
    Token::parse(token.trim_ascii())
        .filter(|token| token.algorithm == "RS256")
        .ok_or(Reason::JwtRequestFormatInvalid)
}

#[cfg(test)]
mod tests;
