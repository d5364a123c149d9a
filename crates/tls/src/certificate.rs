//! Certificates with their private keys, validated when loaded.

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

/// Lengths of RSA keys in bits that the TLS library signs with.
const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;

/// A certificate with its matching key, and the properties used for selection by SNI.
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

/// The types of keys that AWS's load balancers accept.
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

    /// The distinguished name of the issuer.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The type of its key.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The length of its key in bits.
    pub fn key_bits(&self) -> usize {
        self.key_bits
    }

    /// The size in bits of the digest in its signature.
    pub(crate) fn digest_bits(&self) -> u16 {
        self.digest_bits
    }

    /// Start of its validity in Unix seconds.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// End of its validity in Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether it is valid at `now` (Unix seconds).
    pub fn is_valid_at(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// Why a certificate cannot be served. Each message says where the certificate comes from and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// One of the PEM texts is unusable.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The leaf is not an X.509 version 3 certificate.
    #[error("{origin}: the first certificate cannot be parsed: {reason}; issue it again")]
    Certificate {
        /// The text.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// The key is damaged, or too short or too long to sign with.
    #[error("{origin}: the private key cannot be used: {reason}; create a new one")]
    Key {
        /// The text.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// The key is neither RSA nor ECDSA.
    #[error(
        "{origin}: the private key is neither RSA nor ECDSA, as load balancers require; create \
         a new one"
    )]
    KeyType {
        /// The text.
        origin: Origin,
    },
    /// The key is RSA, but too short or too long.
    #[error(
        "{origin}: the key is RSA of {bits} bits; elbow needs {MIN_RSA_BITS} to {MAX_RSA_BITS}, although AWS's load \
         balancers take 1024 as well; issue the certificate for a key of {MIN_RSA_BITS} bits"
    )]
    RsaLength {
        /// The text.
        origin: Origin,
        /// Length of the modulus.
        bits: usize,
    },
    /// Certificate and key are valid, but do not belong together.
    #[error(
        "{key}: the private key does not belong to the certificate in {certificate}; use the key \
         that the certificate was issued for, and put the leaf first in the chain"
    )]
    Mismatch {
        /// Where the key comes from.
        key: Origin,
        /// Where the chain comes from.
        certificate: Origin,
    },
    /// A local authority has not issued it yet.
    #[error("not issued yet; `elbow run` issues it from the local authority")]
    NotIssued,
}

/// Reads and validates `certificate` of `account`. Blocks. An expired certificate is accepted, as on AWS.
pub fn load(
    certificate: &model::Certificate,
    account: &model::Account,
) -> Result<Arc<Loaded>, CertificateError> {
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
    let bits = key_bits(&parsed);
    if is_rsa(&parsed) && !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        let origin = chain.origin();
        return Err(CertificateError::RsaLength { origin, bits });
    }
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
        arn: certificate.arn(account).into(),
        names: names(&parsed),
        issuer: parsed.issuer().to_string().into(),
        key_type,
        key_bits: bits,
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

fn is_rsa(certificate: &X509Certificate<'_>) -> bool {
    matches!(certificate.public_key().parsed(), Ok(PublicKey::RSA(_)))
}

fn key_bits(certificate: &X509Certificate<'_>) -> usize {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => key.key_size(),
        Ok(PublicKey::EC(point)) => point.key_size(),
        _ => 0,
    }
}

/// Size in bits of the digest of the signature algorithm with this OID; 0 if unknown.
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
