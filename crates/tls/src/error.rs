//! Errors of handshakes with clients.

use std::fmt;
use std::io;

use rustls::{Error as TlsError, InvalidMessage, PeerIncompatible};

/// A failed handshake with a client; counted as `ClientTLSNegotiationErrorCount`.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct AcceptError {
    /// The kind of failure.
    pub kind: AcceptErrorKind,
    /// The cause.
    #[source]
    pub source: Option<io::Error>,
}

/// The kind of failure of a handshake with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceptErrorKind {
    /// The handshake did not complete in time.
    Timeout,
    /// The client supports no TLS version of the policy.
    NoSharedVersion,
    /// The client supports no cipher suite, group or signature scheme of the policy and certificate.
    NoSharedSuite,
    /// The client does not speak TLS but for example plain HTTP.
    NotTls,
    /// The client aborted with an alert, for example because it does not trust the certificate.
    ClientAlert,
    /// The client closed or reset the connection.
    ClientClosed,
    /// The client violated the protocol.
    Protocol,
}

impl AcceptErrorKind {
    /// The name in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::NoSharedVersion => "no-shared-version",
            Self::NoSharedSuite => "no-shared-suite",
            Self::NotTls => "not-tls",
            Self::ClientAlert => "client-alert",
            Self::ClientClosed => "client-closed",
            Self::Protocol => "protocol",
        }
    }
}

impl AcceptError {
    /// The code of a failed handshake in the connection log of an ALB (ALB guide: connection logs).
    pub fn log_code(&self) -> &'static str {
        "UnmappedConnectionError"
    }
}

impl fmt::Display for AcceptErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "TLS handshake timed out",
            Self::NoSharedVersion => "no TLS version in common with the client",
            Self::NoSharedSuite => "no cipher suite in common with the client",
            Self::NotTls => "the client does not speak TLS",
            Self::ClientAlert => "the client refused the TLS handshake",
            Self::ClientClosed => "the client closed the connection during the TLS handshake",
            Self::Protocol => "the client violated the TLS protocol",
        })
    }
}

impl AcceptError {
    pub(crate) fn timeout() -> Self {
        Self {
            kind: AcceptErrorKind::Timeout,
            source: None,
        }
    }
}

impl From<io::Error> for AcceptError {
    fn from(source: io::Error) -> Self {
        let tls = source.get_ref().and_then(|e| e.downcast_ref::<TlsError>());
        Self {
            kind: tls.map_or(AcceptErrorKind::ClientClosed, kind),
            source: Some(source),
        }
    }
}

fn kind(error: &TlsError) -> AcceptErrorKind {
    match error {
        TlsError::PeerIncompatible(reason) => match reason {
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic => AcceptErrorKind::NoSharedVersion,
            _ => AcceptErrorKind::NoSharedSuite,
        },
        TlsError::AlertReceived(_) => AcceptErrorKind::ClientAlert,
        // The first record has no content type or no version of TLS.
        TlsError::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => AcceptErrorKind::NotTls,
        _ => AcceptErrorKind::Protocol,
    }
}
