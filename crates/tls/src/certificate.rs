//! A certificate with its key, checked when it is loaded.

use std::sync::Arc;

use elbow_model as model;
use elbow_model::CertificateSource;
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{Error as TlsError, InconsistentKeys, SignatureAlgorithm};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use crate::pem::{Origin, Pem, PemError};

#[cfg(test)]
mod tests;

/// A certificate that fits its key, and what the choice by SNI looks at.
#[derive(Debug)]
pub struct Loaded {
    pub(crate) certified: Arc<CertifiedKey>,
    arn: Arc<str>,
    names: Vec<Box<str>>,
    issuer: Box<str>,
    key_type: KeyType,
    key_bits: usize,
    digest_bits: u16,
    not_before: i64,
    not_after: i64,
}

/// The kinds of keys that AWS's load balancers take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// RSA.
    Rsa,
    /// ECDSA over P-256, P-384 or P-521.
    Ecdsa,
}

impl Loaded {
    /// The ARN-shaped name for access logs.
    pub fn arn(&self) -> &Arc<str> {
        &self.arn
    }

    /// Subject alternative DNS names in lower case, or the common name if there are none.
    pub fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Who issued it, as a distinguished name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Kind of its key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Length of its key.
    pub fn key_bits(&self) -> usize {
        self.key_bits
    }

    /// Bits of the digest it is signed with.
    pub fn digest_bits(&self) -> u16 {
        self.digest_bits
    }

    /// Start of its validity, in seconds of Unix time.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// End of its validity, in seconds of Unix time.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether `now` (Unix seconds) lies in its validity.
    pub fn is_valid_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// Why a certificate cannot be served; every message names where it is from and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of the texts.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The leaf is not an X.509 version 3 certificate.
    #[error("{origin}: the first certificate cannot be parsed: {reason}; issue it again")]
    Certificate {
        /// Which.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// The key is damaged, or too short or too long to sign with.
    #[error("{origin}: the private key cannot be used: {reason}; make another one")]
    Key {
        /// Which.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// Neither RSA nor ECDSA.
    #[error(
        "{origin}: the private key is neither RSA nor ECDSA, which load balancers need; make \
         another one"
    )]
    KeyType {
        /// Which.
        origin: Origin,
    },
    /// Both are fine, but not a pair.
    #[error(
        "{key}: the private key does not belong to the certificate in {certificate}; give the key \
         that the certificate was issued for, and put the leaf first in the chain"
    )]
    Mismatch {
        /// Where the key is from.
        key: Origin,
        /// Where the chain is from.
        certificate: Origin,
    },
    /// A local authority has yet to issue it.
    #[error("is issued by a local authority, and has not been; serve it with elbow run")]
    NotIssued,
}

/// Reads and checks `certificate`. Blocks; an expired certificate passes, as on AWS.
pub fn load(certificate: &model::Certificate) -> Result<Arc<Loaded>, CertificateError> {
    let (chain, key) = match &certificate.source {
        CertificateSource::Files {
            certificate,
            private_key,
        } => (Pem::open(certificate)?, Pem::open(private_key)?),
        CertificateSource::Pem {
            certificate,
            private_key,
        } => (
            Pem::text("the field certificate", certificate)?,
            Pem::text("the field privateKey", private_key.pem())?,
        ),
        CertificateSource::SelfSigned { .. } => return Err(CertificateError::NotIssued),
    };
    let bad_certificate = |reason: String| CertificateError::Certificate {
        origin: chain.origin(),
        reason,
    };
    let certificates = chain.chain()?;
    let leaf = certificates
        .first()
        .cloned()
        .unwrap_or_else(|| Vec::new().into());
    let (_, parsed) =
        X509Certificate::from_der(&leaf).map_err(|e| bad_certificate(e.to_string()))?;
    let (signing, key_type) = signing_key(&key)?;
    let certified = CertifiedKey::new(certificates, signing);
    match certified.keys_match() {
        Ok(()) => {}
        Err(TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            return Err(CertificateError::Mismatch {
                key: key.origin(),
                certificate: chain.origin(),
            });
        }
        Err(e) => return Err(bad_certificate(e.to_string())),
    }
    Ok(Arc::new(Loaded {
        certified: Arc::new(certified),
        arn: certificate.arn().into(),
        names: names(&parsed),
        issuer: parsed.issuer().to_string().into(),
        key_type,
        key_bits: key_bits(&parsed),
        digest_bits: digest_bits(&parsed.signature_algorithm.algorithm.to_id_string()),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
    }))
}

fn signing_key(key: &Pem<'_>) -> Result<(Arc<dyn SigningKey>, KeyType), CertificateError> {
    let signing =
        aws_lc_rs::sign::any_supported_type(&key.key()?).map_err(|e| CertificateError::Key {
            origin: key.origin(),
            reason: e.to_string(),
        })?;
    match signing.algorithm() {
        SignatureAlgorithm::RSA => Ok((signing, KeyType::Rsa)),
        SignatureAlgorithm::ECDSA => Ok((signing, KeyType::Ecdsa)),
        _ => Err(CertificateError::KeyType {
            origin: key.origin(),
        }),
    }
}

fn names(certificate: &X509Certificate<'_>) -> Vec<Box<str>> {
    let alternative = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<Box<str>> = alternative
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase().into()),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    certificate
        .subject()
        .iter_common_name()
        .filter_map(|name| name.as_str().ok())
        .map(|name| name.to_ascii_lowercase().into())
        .collect()
}

fn key_bits(certificate: &X509Certificate<'_>) -> usize {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size(),
        Ok(PublicKey::EC(point)) => point.key_size(),
        _ => 0,
    }
}

/// By the OID of the signature algorithm; unknown ones count as the weakest.
fn digest_bits(oid: &str) -> u16 {
    match oid {
        // ecdsa-with-SHA512, sha512WithRSAEncryption, Ed25519 (which hashes with SHA-512)
        "1.2.840.10045.4.3.4" | "1.2.840.113549.1.1.13" | "1.3.101.112" => 512,
        "1.2.840.10045.4.3.3" | "1.2.840.113549.1.1.12" => 384,
        // RSASSA-PSS names its digest in parameters; SHA-256 in practice
        "1.2.840.10045.4.3.2" | "1.2.840.113549.1.1.11" | "1.2.840.113549.1.1.10" => 256,
        "1.2.840.10045.4.1" | "1.2.840.113549.1.1.5" => 160,
        _ => 0,
    }
}
