//! Public keys that targets authenticate with, and the verifier that accepts no other (CLB guide: HTTPS load balancers).

use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature_with_raw_key};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, UnixTime,
};
use x509_parser::asn1_rs::Any;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::pem::{KeyHolder, Origin, Pem, PemError};

#[cfg(test)]
mod tests;

/// The sizes of RSA keys that rustls verifies signatures with, in bits.
const RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// The public key of a target.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The whole SubjectPublicKeyInfo (RFC 5280, 4.1).
    spki: SubjectPublicKeyInfoDer<'static>,
    /// The content of its AlgorithmIdentifier.
    algorithm: Box<[u8]>,
    /// The key itself.
    key: Box<[u8]>,
}

/// Why a file has no public key that can be used. Each message says where the fault is and what to do.
#[derive(Debug, thiserror::Error)]
pub enum PublicKeyError {
    /// The file cannot be read, or has no public key.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The key cannot be used.
    #[error("{origin}: the public key cannot be used: {reason}")]
    Unusable {
        /// The file.
        origin: Origin,
        /// What is wrong, and what to do.
        reason: &'static str,
    },
}

/// Reads the public key in `file`: of a certificate, the first of its chain, or the key itself, in PEM or as the base64
/// between the lines of PEM. Blocks.
pub fn load_public_key(file: &Path) -> Result<PublicKey, PublicKeyError> {
    let pem = Pem::open(file)?;
    let parsed = match pem.public_key()? {
        KeyHolder::PublicKey(spki) => PublicKey::parse(&spki),
        KeyHolder::Certificate(der) => match public_key_of(&der) {
            Some(spki) => PublicKey::parse(spki),
            None => Err("the certificate cannot be parsed; issue it again"),
        },
    };
    parsed.map_err(|reason| PublicKeyError::Unusable {
        origin: pem.origin(),
        reason,
    })
}

impl PublicKey {
    /// # Errors
    /// No signature can be verified with the key; says why.
    fn parse(spki: &[u8]) -> Result<Self, &'static str> {
        const DAMAGED: &str =
            "it cannot be parsed; write it again, for example with openssl x509 -pubkey -noout";
        let (rest, parsed) = SubjectPublicKeyInfo::from_der(spki).map_err(|_| DAMAGED)?;
        let key = &parsed.subject_public_key;
        if !rest.is_empty() || key.unused_bits != 0 {
            return Err(DAMAGED);
        }
        let algorithm = algorithm(spki).ok_or(DAMAGED)?;
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        let mut algorithms = algorithms.all.iter();
        if !algorithms.any(|one| *one.public_key_alg_id() == *algorithm) {
            return Err(
                "its type is not supported; use RSA, ECDSA over P-256, P-384 or P-521, or Ed25519",
            );
        }
        match parsed.parsed() {
            Err(_) => return Err(DAMAGED),
            Ok(Parsed::RSA(key)) if !RSA_BITS.contains(&key.key_size()) => {
                return Err("an RSA key has 2048 to 8192 bits");
            }
            Ok(_) => {}
        }
        Ok(Self {
            algorithm: algorithm.into(),
            key: key.data.to_vec().into(),
            spki: SubjectPublicKeyInfoDer::from(parsed.raw.to_vec()),
        })
    }

    /// Verifies a signature of TLS 1.2. rustls has this only for keys in certificates of version 3.
    fn verify_tls12(
        &self,
        message: &[u8],
        signature: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<HandshakeSignatureValid, Error> {
        let mut mapping = algorithms.mapping.iter();
        let of_scheme = mapping.find(|(scheme, _)| *scheme == signature.scheme);
        let Some((_, of_scheme)) = of_scheme else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        // One scheme of ECDSA stands for several curves.
        let of_key = |one: &&&dyn SignatureVerificationAlgorithm| {
            *one.public_key_alg_id() == *self.algorithm
        };
        let verified = of_scheme
            .iter()
            .find(of_key)
            .map(|one| one.verify_signature(&self.key, message, signature.signature()));
        match verified {
            Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
            Some(Err(_)) | None => Err(CertificateError::BadSignature.into()),
        }
    }
}

/// The content of the AlgorithmIdentifier in `spki`.
fn algorithm(spki: &[u8]) -> Option<&[u8]> {
    let (_, spki) = Any::from_der(spki).ok()?;
    let (_, algorithm) = Any::from_der(spki.data).ok()?;
    Some(algorithm.data)
}

/// The SubjectPublicKeyInfo of a certificate.
fn public_key_of<'a>(certificate: &'a CertificateDer<'_>) -> Option<&'a [u8]> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty()
        .then_some(parsed.tbs_certificate.subject_pki.raw)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").finish_non_exhaustive()
    }
}

/// Accepts certificates with one of some public keys, whatever else they say: neither names nor validity nor authorities
/// count (CLB guide: HTTPS load balancers).
#[derive(Debug)]
pub(crate) struct PublicKeyVerifier {
    keys: Arc<[PublicKey]>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PublicKeyVerifier {
    /// A verifier that accepts `keys`, and signatures by `algorithms`.
    pub(crate) fn new(keys: Arc<[PublicKey]>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { keys, algorithms }
    }

    /// The accepted key that `certificate` has. A certificate is public, so that a target has to sign with the key, too.
    fn accepted(&self, certificate: &CertificateDer<'_>) -> Result<&PublicKey, Error> {
        let spki = public_key_of(certificate).ok_or(CertificateError::BadEncoding)?;
        let mut keys = self.keys.iter();
        let accepted = keys.find(|key| *key.spki == *spki);
        accepted.ok_or_else(|| CertificateError::ApplicationVerificationFailure.into())
    }
}

impl ServerCertVerifier for PublicKeyVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.accepted(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = self.accepted(cert)?;
        key.verify_tls12(message, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = self.accepted(cert)?;
        verify_tls13_signature_with_raw_key(message, &key.spki, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
