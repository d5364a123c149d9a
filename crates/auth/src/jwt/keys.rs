//! The public keys of an issuer (RFC 7517).

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;
use serde_json::Value;

use super::token::Token;
use crate::encoding::decode;
use crate::reason::Reason;

/// Bytes of a set of keys (ALB guide: verify JWTs).
pub(crate) const MAX_BYTES: usize = 150 * 1024;
/// Keys of a set.
const MAX_KEYS: usize = 10;
/// Bytes of the modulus of a key that ALB takes: 2,048 bits.
const MODULUS: usize = 256;

/// The keys of an issuer that can verify RS256.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    id: Option<String>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

/// What keys say of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// One of them made the signature.
    Yes,
    /// None of them did.
    No,
    /// The token names a key that is not among them.
    UnknownKey,
}

impl Keys {
    /// Reads a set of keys. Those for other purposes are left out.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Reason> {
        let set: Value = serde_json::from_slice(body).map_err(|_| Reason::JwksResponseInvalid)?;
        let keys = set.get("keys").and_then(Value::as_array);
        let keys = keys.ok_or(Reason::JwksResponseInvalid)?;
        if keys.len() > MAX_KEYS {
            return Err(Reason::JwksResponseSizeExceeded);
        }
        Ok(Self(keys.iter().filter_map(Key::read).collect()))
    }

    /// Verifies the signature of `token`.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Verified {
        let named = |key: &&Key| match &token.key_id {
            Some(id) => key.id.as_ref() == Some(id),
            None => true,
        };
        let mut candidates = self.0.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Verified::UnknownKey;
        }
        if candidates.any(|key| key.signed(token)) {
            Verified::Yes
        } else {
            Verified::No
        }
    }
}

impl Key {
    fn read(key: &Value) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| {
            let bytes = decode(text(name)?)?;
            let start = bytes.iter().position(|byte| *byte != 0)?;
            bytes.get(start..).map(<[u8]>::to_vec)
        };
        let is_usable = text("kty") == Some("RSA")
            && text("use").is_none_or(|purpose| purpose == "sig")
            && text("alg").is_none_or(|algorithm| algorithm == "RS256");
        let key = is_usable.then_some(Self {
            id: text("kid").map(str::to_owned),
            modulus: bytes("n")?,
            exponent: bytes("e")?,
        })?;
        let is_2k = key.modulus.len() == MODULUS && key.modulus.first().is_some_and(|b| *b >= 128);
        is_2k.then_some(key)
    }

    fn signed(&self, token: &Token<'_>) -> bool {
        let key = PublicKeyComponents {
            n: &self.modulus,
            e: &self.exponent,
        };
        let verified = key.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed, &token.signature);
        verified.is_ok()
    }
}
