//! Certificates of clients, in the forms that targets and logs get (ALB guide: mutual authentication, connection
//! logs).

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use elbow_model::IdentityField;
use elbow_net::ClientCertificate;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521,
    OID_PKCS1_RSAENCRYPTION,
};
use x509_parser::prelude::{FromDer, X509Version};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;
use x509_parser::x509::AttributeTypeAndValue;

use crate::distinguished_name::{decoded, rfc2253};

#[cfg(test)]
mod tests;

/// Characters of base64 on a line of PEM.
const LINE: usize = 64;

/// A leaf that a client sent, parsed.
#[derive(Debug)]
pub struct Leaf<'a>(X509Certificate<'a>);

impl<'a> Leaf<'a> {
    /// Parses `leaf`; `None` if it is not an X.509 version 3 certificate.
    pub fn parse(leaf: &'a CertificateDer<'_>) -> Option<Self> {
        let (rest, parsed) = X509Certificate::from_der(leaf).ok()?;
        (rest.is_empty() && parsed.version() == X509Version::V3).then_some(Self(parsed))
    }

    /// Whether its key is RSA of 2048 to 8192 bits, or ECDSA over P-256, P-384 or P-521 (ALB guide: mutual
    /// authentication).
    pub fn has_supported_key(&self) -> bool {
        let key = self.0.public_key();
        let algorithm = &key.algorithm;
        if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
            return match key.parsed() {
                Ok(PublicKey::RSA(key)) => (2048..=8192).contains(&key.key_size()),
                _ => false,
            };
        }
        let curve = algorithm.parameters.as_ref();
        let curve = curve.and_then(|parameters| parameters.as_oid().ok());
        algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY
            && curve.is_some_and(|curve| {
                [OID_EC_P256, OID_NIST_EC_P384, OID_NIST_EC_P521].contains(&curve)
            })
    }

    /// End of its validity in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.0.validity().not_after.timestamp()
    }

    /// Whether one of the values of `field` is as wanted.
    pub fn has(&self, field: IdentityField, mut is_wanted: impl FnMut(&str) -> bool) -> bool {
        let names = || {
            let extension = self.0.subject_alternative_name().ok().flatten();
            let names = extension.map(|extension| &extension.value.general_names);
            names.into_iter().flatten()
        };
        let subject = self.0.subject();
        match field {
            IdentityField::SubjectCn => values(subject.iter_common_name()).any(|v| is_wanted(&v)),
            IdentityField::SubjectOu => {
                values(subject.iter_organizational_unit()).any(|v| is_wanted(&v))
            }
            IdentityField::SanDns => {
                names().any(|name| matches!(name, GeneralName::DNSName(name) if is_wanted(name)))
            }
            IdentityField::SanUri => {
                names().any(|name| matches!(name, GeneralName::URI(uri) if is_wanted(uri)))
            }
        }
    }

    /// What logs get of it, and targets without `pem`.
    pub fn describe(&self) -> ClientCertificate {
        let validity = self.0.validity();
        ClientCertificate {
            subject: rfc2253(self.0.subject()),
            issuer: rfc2253(self.0.issuer()),
            serial_number: serial_number(self.0.raw_serial()),
            validity: format!(
                "NotBefore={};NotAfter={}",
                date(validity.not_before),
                date(validity.not_after)
            ),
            ..ClientCertificate::default()
        }
    }
}

fn values<'a>(
    attributes: impl Iterator<Item = &'a AttributeTypeAndValue<'a>>,
) -> impl Iterator<Item = String> {
    attributes.filter_map(|attribute| decoded(attribute.attr_value()))
}

/// Hexadecimal digits without the zero in front that only says that the number is positive.
fn serial_number(raw: &[u8]) -> String {
    let digits = match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        _ = write!(text, "{byte:02X}");
        text
    })
}

/// `2023-09-21T01:50:17Z`.
fn date(time: ASN1Time) -> String {
    let at = time.to_datetime();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    )
}

/// The PEM of `chain`, percent-encoded: `+`, `=` and `/` stay as they are.
pub fn percent_encoded_pem<'c>(chain: impl IntoIterator<Item = &'c CertificateDer<'c>>) -> String {
    let mut text = String::new();
    for certificate in chain {
        text.push_str("-----BEGIN%20CERTIFICATE-----%0A");
        let mut rest = &STANDARD.encode(certificate)[..];
        while !rest.is_empty() {
            // Base64 is ASCII, so every index is between characters.
            let (line, after) = rest.split_at(rest.len().min(LINE));
            text.push_str(line);
            text.push_str("%0A");
            rest = after;
        }
        text.push_str("-----END%20CERTIFICATE-----%0A");
    }
    text
}
