//! One error value: status, log fields, label and the fate of the client connection all follow from
//! it.

use std::error::Error as StdError;
use std::fmt;

use elbow_h2::ErrorCode;
use elbow_net::{ConnectError, ConnectErrorKind, Resource};

mod kind;

pub use kind::ErrorKind;

/// Why a request could not be served.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Who caused it.
    pub side: Side,
    /// The code with which the target reset the stream of HTTP/2.
    pub reset_code: Option<ErrorCode>,
    /// The underlying error.
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client broke a rule or went away.
    Client,
    /// A target failed.
    Target,
    /// The load balancer or its configuration.
    Local,
}

impl Side {
    /// For metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Target => "target",
            Self::Local => "elb",
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            side: kind.side(),
            reset_code: None,
            source: None,
        }
    }
}

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let kind = match error.kind {
            ConnectErrorKind::Refused | ConnectErrorKind::Unreachable => ErrorKind::ConnectFailed,
            ConnectErrorKind::Timeout => ErrorKind::ConnectTimeout,
            ConnectErrorKind::TlsHandshake => ErrorKind::TargetTls,
            ConnectErrorKind::TlsPublicKey => ErrorKind::TargetPublicKey,
            ConnectErrorKind::TlsTimeout => ErrorKind::TargetTlsTimeout,
            ConnectErrorKind::Exhausted(Resource::OpenFiles) => ErrorKind::NoDescriptor,
            ConnectErrorKind::Exhausted(Resource::LocalPorts) => ErrorKind::NoLocalPort,
            ConnectErrorKind::Exhausted(Resource::Memory) => ErrorKind::NoKernelMemory,
        };
        Self::new(kind, error)
    }
}

impl Error {
    /// An error with its cause.
    pub fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            source: Some(source.into()),
            ..kind.into()
        }
    }

    /// `error_reason` of the access log. AWS has reasons for features beyond plain forwarding alone, so
    /// that a 502, 503 or 504 has none (parity 1.15). Some cases that an operator could not tell apart have
    /// a reason of elbow's own: elbow ran out of something, or a target does not speak its group's protocol.
    pub fn log_reason(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::NoBuffer => Some("ElbowNoBuffer"),
            ErrorKind::Stopping => Some("ElbowStopping"),
            ErrorKind::NoDescriptor => Some("ElbowNoDescriptor"),
            ErrorKind::NoLocalPort => Some("ElbowNoLocalPort"),
            ErrorKind::NoKernelMemory => Some("ElbowNoKernelMemory"),
            ErrorKind::TargetProtocol => Some("ElbowTargetProtocol"),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.text())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    // Parity 1.10: the table of codes.
    #[test]
    fn every_kind_has_the_status_of_the_guide() {
        use ErrorKind as K;
        let table = [
            (K::BadRequest, 400, Side::Client, true),
            (K::PlainHttp, 400, Side::Client, true),
            (K::Desync, 400, Side::Client, true),
            (K::HeaderTooLarge, 400, Side::Client, true),
            (K::UriTooLarge, 414, Side::Client, true),
            (K::Unauthenticated, 401, Side::Client, false),
            (K::MethodNotAllowed, 405, Side::Client, false),
            (K::RequestTimeout, 408, Side::Client, true),
            (K::BodyAborted, 400, Side::Client, true),
            (K::ClientGone, 460, Side::Client, true),
            (K::TooManyForwardedAddresses, 463, Side::Client, false),
            (K::IncompatibleProtocol, 464, Side::Client, false),
            (K::UnsupportedTransferCoding, 501, Side::Client, true),
            (K::UnsupportedVersion, 505, Side::Client, true),
            (K::RedirectTooLong, 507, Side::Local, false),
            (K::NoBuffer, 503, Side::Local, true),
            (K::NoDescriptor, 503, Side::Local, false),
            (K::NoLocalPort, 503, Side::Local, false),
            (K::NoKernelMemory, 503, Side::Local, false),
            (K::NoTargets, 503, Side::Local, false),
            (K::SurgeQueueFull, 503, Side::Local, false),
            (K::ConnectFailed, 502, Side::Target, false),
            (K::ConnectTimeout, 504, Side::Target, false),
            (K::TargetTls, 502, Side::Target, false),
            (K::TargetPublicKey, 502, Side::Target, false),
            (K::TargetTlsTimeout, 504, Side::Target, false),
            (K::TargetClosed, 502, Side::Target, false),
            (K::BadResponse, 502, Side::Target, false),
            (K::TargetProtocol, 502, Side::Target, false),
            (K::ResponseHeaderTooLarge, 502, Side::Target, false),
            (K::TargetTimeout, 504, Side::Target, false),
            (K::BodyTimeout, 504, Side::Client, true),
            (K::TargetCut, 502, Side::Target, false),
            (K::Transform, 500, Side::Local, false),
            (K::ProviderUnavailable, 500, Side::Local, false),
            (K::ProviderFailed, 561, Side::Local, false),
            (K::KeysFailed, 562, Side::Local, false),
            (K::Stopping, 503, Side::Local, true),
            (K::Internal, 500, Side::Local, true),
        ];
        assert_eq!(table.map(|row| row.0), ErrorKind::ALL);
        for (kind, status, side, closes) in table {
            assert_eq!(
                (kind.status(), kind.side(), kind.closes_client()),
                (status, side, closes),
                "{kind:?}"
            );
            assert_eq!(Error::from(kind).side, side);
        }
    }

    #[test]
    fn labels_are_distinct() {
        let labels: HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.label()).collect();
        assert_eq!(labels.len(), ErrorKind::ALL.len());
    }

    // Parity checks 2 and 3.
    #[test]
    fn failed_connect_keeps_its_cause() {
        let table = [
            (ConnectErrorKind::Refused, 502),
            (ConnectErrorKind::Unreachable, 502),
            (ConnectErrorKind::Timeout, 504),
            (ConnectErrorKind::TlsHandshake, 502),
            (ConnectErrorKind::TlsPublicKey, 502),
            (ConnectErrorKind::TlsTimeout, 504),
            (ConnectErrorKind::Exhausted(Resource::OpenFiles), 503),
            (ConnectErrorKind::Exhausted(Resource::LocalPorts), 503),
            (ConnectErrorKind::Exhausted(Resource::Memory), 503),
        ];
        for (kind, status) in table {
            let error = Error::from(ConnectError { kind, source: None });
            assert_eq!(error.kind.status(), status, "{kind}");
            let cause = StdError::source(&error).unwrap();
            assert_eq!(cause.to_string(), kind.to_string());
        }
    }
}
