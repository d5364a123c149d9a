//! The certificate and the key in a Secret.

use elbow_model::diagnostic::Diagnostic;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use crate::Refusal;
use crate::objects::{Secret, SecretValue};

/// The certificate chain and the private key of a Secret of type `kubernetes.io/tls`, as PEM.
pub(crate) fn pair(secret: &Secret) -> Result<(String, String), Refusal> {
    let certificate = pem(secret, "tls.crt", "-----BEGIN CERTIFICATE-----")?;
    let key = pem(secret, "tls.key", "PRIVATE KEY-----")?;
    Ok((certificate, key))
}

/// The host names of the certificate in a Secret; empty when it cannot be read.
pub(crate) fn names(secret: &Secret) -> Vec<String> {
    let Ok((certificate, _)) = pair(secret) else {
        return Vec::new();
    };
    let Ok((_, block)) = parse_x509_pem(certificate.as_bytes()) else {
        return Vec::new();
    };
    let Ok(leaf) = block.parse_x509() else {
        return Vec::new();
    };
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    let names = extension.value.general_names.iter();
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    };
    names.filter_map(name).collect()
}

/// A value as text; `None` if it is not valid base64 or not UTF-8.
pub(crate) fn text(value: &SecretValue) -> Option<String> {
    match value {
        SecretValue::Plain(text) => Some(text.clone()),
        SecretValue::Encoded(text) => String::from_utf8(decode(text)?).ok(),
    }
}

fn pem(secret: &Secret, key: &str, marker: &str) -> Result<String, Refusal> {
    let text = match secret.data.get(key) {
        None => {
            let message = format!("the Secret has no {key}");
            return Err(refuse(secret, key, "incomplete-secret", message)
                .hint("a Secret of type kubernetes.io/tls holds tls.crt and tls.key")
                .into());
        }
        Some(value) => {
            let Some(text) = text(value) else {
                let message = format!("{key} is not text in base64");
                return Err(refuse(secret, key, "invalid-secret", message)
                    .hint("put values that are not encoded under stringData")
                    .into());
            };
            text
        }
    };
    if text.contains(marker) {
        return Ok(text);
    }
    let message = format!("{key} is not PEM: it does not contain {marker}");
    Err(refuse(secret, key, "invalid-secret", message).into())
}

fn refuse(secret: &Secret, key: &str, code: &'static str, message: String) -> Diagnostic {
    let at = secret.places.get(key).unwrap_or(&secret.meta.place.at);
    Diagnostic::error(code, message)
        .at(&*secret.meta.place.file, at.line, at.column)
        .object(secret.meta.path())
        .field(format!("data.{key}"))
}

/// Decodes base64 with padding, ignoring white space.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let letters: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let stem = letters
        .iter()
        .position(|&b| b == b'=')
        .unwrap_or(letters.len());
    let (digits, padding) = letters.split_at(stem);
    let whole = letters.len().is_multiple_of(4) && padding.len() <= 2;
    if !whole || padding.iter().any(|&b| b != b'=') {
        return None;
    }
    let mut bytes = Vec::with_capacity(letters.len() / 4 * 3);
    let mut pending: u32 = 0;
    let mut bits = 0;
    for &digit in digits {
        pending = pending << 6 | u32::from(value(digit)?);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(pending >> bits & 0xff).unwrap_or_default());
        }
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4648, section 10.
    #[test]
    fn base64_is_decoded() {
        for (text, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9v\nYmFy", Some("foobar")),
            ("Zg", None),
            ("Zg=a", None),
            ("Z===", None),
            ("Z-==", None),
        ] {
            let decoded = decode(text);
            assert_eq!(decoded.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }
}
