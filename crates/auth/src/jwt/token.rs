//! A JSON Web Token in compact form (RFC 7515, 7.1; RFC 7519).

use serde_json::{Map, Value};

use crate::encoding::decode;

/// The claims of a token.
pub(crate) type Claims = Map<String, Value>;

/// A token whose signature has not been verified.
#[derive(Debug)]
pub(crate) struct Token<'t> {
    /// What is signed.
    pub(super) signed: &'t [u8],
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: String,
    /// Which key made the signature (`kid`).
    pub(super) key_id: Option<String>,
    pub(crate) claims: Claims,
}

impl<'t> Token<'t> {
    /// Reads a token; `None` when it has another form. The limit of its size is that of a header field.
    pub(crate) fn parse(text: &'t [u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b'.');
        let (header, claims) = (parts.next()?, parts.next()?);
        let signature = parts.next()?;
        if parts.next().is_some() {
            return None;
        }
        let object = |part: &[u8]| match serde_json::from_slice(&decode(part)?) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        };
        let signed = text.get(..header.len() + 1 + claims.len())?;
        let header = object(header)?;
        let text_of = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        // An extension that is critical must be understood (RFC 7515, 4.1.11), and none is.
        if header.contains_key("crit") {
            return None;
        }
        Some(Self {
            signed,
            signature: decode(signature)?,
            algorithm: text_of("alg")?,
            key_id: text_of("kid"),
            claims: object(claims)?,
        })
    }
}
