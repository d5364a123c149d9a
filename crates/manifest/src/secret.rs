//! The certificate and the key in a Secret.

use elbow_model::diagnostic::Diagnostic;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::parse_x509_pem;

use crate::Refusal;
use crate::base64::decode;
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
