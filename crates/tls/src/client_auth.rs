//! Certificates of clients: asked for, verified against a trust store or passed on (ALB guide: mutual authentication).

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use elbow_model::IdentityFilter;
use elbow_net::ClientCertificate;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::client_algorithms::algorithms;
use crate::client_certificate::{Leaf, percent_encoded_pem};
use crate::failure::HandshakeFailure;
use crate::policy::Policy;
use crate::trust_store::TrustStore;

#[cfg(test)]
mod tests;

/// Certificates of a client's chain at most, its own included.
const MAX_CHAIN_DEPTH: usize = 4;

/// How a listener treats the certificates of its clients.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// Clients may send one, which targets get unverified.
    Passthrough,
    /// Clients need one that the trust store verifies.
    Verify {
        /// The trust store.
        store: Arc<TrustStore>,
        /// Whether a certificate that has expired is verified as of its last second.
        ignores_expiry: bool,
        /// Whether clients learn the names of the authorities.
        advertises_names: bool,
        /// One of them has to match, if there are any (NLB guide: mutual authentication).
        filters: Arc<[IdentityFilter]>,
    },
}

impl PartialEq for ClientAuth {
    /// A trust store that was loaded again is another one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Passthrough, Self::Passthrough) => true,
            (
                Self::Verify {
                    store,
                    ignores_expiry,
                    advertises_names,
                    filters,
                },
                Self::Verify {
                    store: other,
                    ignores_expiry: expiry,
                    advertises_names: names,
                    filters: others,
                },
            ) => {
                Arc::ptr_eq(store, other)
                    && (ignores_expiry, advertises_names) == (expiry, names)
                    && filters == others
            }
            _ => false,
        }
    }
}

/// What one client sent, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Its certificate, if it can be parsed.
    pub(crate) certificate: Option<Box<ClientCertificate>>,
    /// Why it is refused.
    pub(crate) failure: Option<HandshakeFailure>,
}

/// The client authentication of one handshake. Each handshake has a verifier of its own, which keeps what rustls forgets
/// after a failure.
#[derive(Debug)]
pub(crate) struct Attempt {
    auth: ClientAuth,
    found: Mutex<Found>,
}

impl Attempt {
    pub(crate) fn new(auth: &ClientAuth) -> Arc<Self> {
        Arc::new(Self {
            auth: auth.clone(),
            found: Mutex::default(),
        })
    }

    /// `config` with this verifier. No session resumes: it would skip the verification (ALB guide: mutual
    /// authentication).
    pub(crate) fn config(
        self: &Arc<Self>,
        config: &ServerConfig,
        policy: &Policy,
    ) -> Result<Arc<ServerConfig>, TlsError> {
        let mut own = ServerConfig::builder_with_provider(Arc::clone(policy.provider()))
            .with_protocol_versions(policy.versions())?
            .with_client_cert_verifier(Arc::clone(self) as _)
            .with_cert_resolver(Arc::clone(&config.cert_resolver));
        own.ignore_client_order = config.ignore_client_order;
        own.session_storage = Arc::clone(&config.session_storage);
        own.send_tls13_tickets = 0;
        own.alpn_protocols.clone_from(&config.alpn_protocols);
        Ok(Arc::new(own))
    }

    /// What was found when the handshake is over; nothing if the client sent no certificate.
    pub(crate) fn take_found(&self) -> Found {
        mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        // A panic cannot leave the value inconsistent: it is replaced in a single step.
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> (Option<Box<ClientCertificate>>, Result<(), Refusal>) {
        let parsed = Leaf::parse(leaf);
        let mut certificate = parsed.as_ref().map(|leaf| Box::new(leaf.describe()));
        let result = match &self.auth {
            ClientAuth::Passthrough => {
                if let Some(certificate) = &mut certificate {
                    certificate.pem = percent_encoded_pem(std::iter::once(leaf).chain(chain));
                    Ok(())
                } else {
                    Err(Refusal::of(HandshakeFailure::ClientCertInvalid))
                }
            }
            ClientAuth::Verify {
                store,
                ignores_expiry,
                filters,
                ..
            } => {
                let is_admitted = parsed
                    .as_ref()
                    .is_some_and(|leaf| is_admitted(leaf, filters));
                let mut verified = verify_chain(store, *ignores_expiry, parsed, (leaf, chain), now);
                // Filters come before revocation.
                let is_known = verified
                    .as_ref()
                    .err()
                    .is_none_or(Refusal::is_of_revocation);
                if is_known && !is_admitted {
                    verified = Err(Refusal::of(HandshakeFailure::ClientCertRejected));
                }
                if let (Ok(()), Some(certificate)) = (&verified, &mut certificate) {
                    certificate.is_verified = true;
                    certificate.pem = percent_encoded_pem([leaf]);
                }
                verified
            }
        };
        (certificate, result)
    }
}

/// Why a certificate is refused: for logs, and for the client.
struct Refusal {
    failure: HandshakeFailure,
    error: TlsError,
}

impl Refusal {
    /// A refusal of elbow's own.
    fn of(failure: HandshakeFailure) -> Self {
        let reason = match failure {
            HandshakeFailure::ClientCertInvalid => CertificateError::BadEncoding,
            _ => CertificateError::ApplicationVerificationFailure,
        };
        Self {
            failure,
            error: reason.into(),
        }
    }

    /// Whether the chain is good but for what revocation lists say.
    fn is_of_revocation(&self) -> bool {
        matches!(
            self.failure,
            HandshakeFailure::ClientCertCrlHit | HandshakeFailure::ClientCertCrlProcessingError
        )
    }
}

impl From<TlsError> for Refusal {
    fn from(error: TlsError) -> Self {
        Self {
            failure: failure(&error),
            error,
        }
    }
}

fn is_admitted(leaf: &Leaf<'_>, filters: &[IdentityFilter]) -> bool {
    let is_met = |filter: &IdentityFilter| leaf.has(filter.field, |text| filter.matches(text));
    filters.is_empty() || filters.iter().any(is_met)
}

fn verify_chain(
    store: &TrustStore,
    ignores_expiry: bool,
    parsed: Option<Leaf<'_>>,
    (leaf, chain): (&CertificateDer<'_>, &[CertificateDer<'_>]),
    now: UnixTime,
) -> Result<(), Refusal> {
    if 1 + chain.len() > MAX_CHAIN_DEPTH {
        let failure = HandshakeFailure::ClientCertMaxChainDepthExceeded;
        return Err(Refusal::of(failure));
    }
    let Some(parsed) = parsed else {
        return Err(Refusal::of(HandshakeFailure::ClientCertInvalid));
    };
    if !parsed.has_supported_key() {
        return Err(Refusal::of(HandshakeFailure::ClientCertTypeUnsupported));
    }
    let end = u64::try_from(parsed.not_after()).unwrap_or_default();
    let at = if ignores_expiry && end < now.as_secs() {
        UnixTime::since_unix_epoch(Duration::from_secs(end))
    } else {
        now
    };
    let verified = store.verifier.verify_client_cert(leaf, chain, at);
    verified.map(|_| ()).map_err(Refusal::from)
}

/// AWS's name for a certificate that rustls refuses (ALB guide: connection logs).
fn failure(error: &TlsError) -> HandshakeFailure {
    use HandshakeFailure as F;
    let TlsError::InvalidCertificate(error) = error else {
        return match error {
            TlsError::InvalidCertRevocationList(_) => F::ClientCertCrlProcessingError,
            _ => F::ClientCertInvalid,
        };
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => F::ClientCertExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            F::ClientCertNotYetValid
        }
        CertificateError::Revoked => F::ClientCertCrlHit,
        CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => F::ClientCertCrlProcessingError,
        // An authority of the same name as one of the trust store, but with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => F::ClientCertUntrusted,
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            F::ClientCertPurposeInvalid
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            F::ClientCertTypeUnsupported
        }
        _ => F::ClientCertInvalid,
    }
}

impl ClientCertVerifier for Attempt {
    fn client_auth_mandatory(&self) -> bool {
        matches!(self.auth, ClientAuth::Verify { .. })
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        match &self.auth {
            ClientAuth::Verify {
                store,
                advertises_names: true,
                ..
            } => &store.subjects,
            _ => &[],
        }
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        let (certificate, result) = self.verify(end_entity, intermediates, now);
        *self.lock() = Found {
            certificate,
            failure: result.as_ref().err().map(|refusal| refusal.failure),
        };
        match result {
            Ok(()) => Ok(ClientCertVerified::assertion()),
            Err(refusal) => Err(refusal.error),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &algorithms())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &algorithms())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        algorithms().supported_schemes()
    }
}
