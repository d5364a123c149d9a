//! Errors of handshakes with clients.

use std::io;

use elbow_net::TlsMeta;
use rustls::{Error as TlsError, InvalidMessage, PeerIncompatible};

use crate::failure::HandshakeFailure;
use crate::plain::PlainClient;

/// A failed handshake with a client; counted as `ClientTLSNegotiationErrorCount`.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct AcceptError {
    /// The kind of failure.
    pub kind: HandshakeFailure,
    /// The cause.
    #[source]
    pub source: Option<io::Error>,
    /// What had been negotiated, if it had come so far.
    pub tls: Option<Box<TlsMeta>>,
    /// The client, if it seems to speak HTTP without TLS.
    pub plain: Option<Box<PlainClient>>,
}

impl AcceptError {
    pub(crate) fn new(kind: HandshakeFailure) -> Self {
        Self {
            kind,
            source: None,
            tls: None,
            plain: None,
        }
    }

    /// Whether a message of the client was larger than rustls accepts.
    pub(crate) fn is_too_large(&self) -> bool {
        let error = self.source.as_ref().and_then(tls_error);
        matches!(
            error,
            Some(TlsError::InvalidMessage(
                InvalidMessage::CertificatePayloadTooLarge
                    | InvalidMessage::HandshakePayloadTooLarge
            ))
        )
    }

    /// The code of a failed handshake in the connection log of an ALB (ALB guide: connection logs).
    pub fn log_code(&self) -> &'static str {
        use HandshakeFailure as F;
        match self.kind {
            F::ClientCertMaxChainDepthExceeded => "ClientCertMaxChainDepthExceeded",
            F::ClientCertMaxSizeExceeded => "ClientCertMaxSizeExceeded",
            F::ClientCertCrlHit => "ClientCertCrlHit",
            F::ClientCertCrlProcessingError => "ClientCertCrlProcessingError",
            F::ClientCertUntrusted => "ClientCertUntrusted",
            F::ClientCertNotYetValid => "ClientCertNotYetValid",
            F::ClientCertExpired => "ClientCertExpired",
            F::ClientCertTypeUnsupported => "ClientCertTypeUnsupported",
            F::ClientCertInvalid => "ClientCertInvalid",
            F::ClientCertPurposeInvalid => "ClientCertPurposeInvalid",
            F::ClientCertRejected => "ClientCertRejected",
            // AWS has no code for a client without a certificate.
            F::NoClientCert
            | F::Timeout
            | F::NoSharedVersion
            | F::NoSharedSuite
            | F::NotTls
            | F::ClientAlert
            | F::ClientClosed
            | F::Protocol => "UnmappedConnectionError",
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(source: io::Error) -> Self {
        let kind = tls_error(&source).map_or(HandshakeFailure::ClientClosed, kind);
        Self {
            source: Some(source),
            ..Self::new(kind)
        }
    }
}

/// The error of rustls in `error`.
pub(crate) fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

fn kind(error: &TlsError) -> HandshakeFailure {
    match error {
        TlsError::PeerIncompatible(reason) => match reason {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic => HandshakeFailure::NoSharedVersion,
            _ => HandshakeFailure::NoSharedSuite,
        },
        TlsError::AlertReceived(_) => HandshakeFailure::ClientAlert,
        // The first record has no content type or no version of TLS.
        TlsError::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => HandshakeFailure::NotTls,
        TlsError::NoCertificatesPresented => HandshakeFailure::NoClientCert,
        // Its signature of the handshake: the client does not have the key.
        TlsError::InvalidCertificate(_) => HandshakeFailure::ClientCertInvalid,
        _ => HandshakeFailure::Protocol,
    }
}
