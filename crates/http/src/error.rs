//! One error value: status, log fields, metric label and the fate of the client connection all
//! come from it.

use std::error::Error as StdError;
use std::fmt;

use elbow_net::{ConnectError, ConnectErrorKind, Lack};

use crate::page::{LocalResponse, page};

/// Why a request could not be served.
#[derive(Debug)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// Who caused it.
    pub side: Side,
    /// The cause.
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

/// The kinds of error, in the words of ALB's guide (troubleshooting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request cannot be read, or says two things at once.
    BadRequest,
    /// The request was blocked by the desync mitigation mode.
    Desync,
    /// A header line or the whole head is too large.
    HeaderTooLarge,
    /// The request line is too large.
    UriTooLarge,
    /// TRACE.
    MethodNotAllowed,
    /// The client sent part of a request, and then nothing until the idle timeout.
    RequestTimeout,
    /// The client closed while it was still sending its body.
    BodyAborted,
    /// The client closed while the target was awaited.
    ClientGone,
    /// More than 30 addresses in X-Forwarded-For.
    TooManyForwardedAddresses,
    /// The client's protocol and the group's protocol version clash.
    IncompatibleProtocol,
    /// A transfer coding other than chunked and identity.
    UnsupportedTransferCoding,
    /// An HTTP version that is not spoken here.
    UnsupportedVersion,
    /// A redirect would have a Location of more than 8 K.
    RedirectTooLong,
    /// All buffers for large request heads are in use.
    NoBuffer,
    /// There is no file descriptor left for a connection to a target.
    NoDescriptor,
    /// There is no local port left for a connection to a target.
    NoLocalPort,
    /// The kernel has no memory left for a connection to a target.
    NoKernelMemory,
    /// The group has no target that may be used.
    NoTargets,
    /// The target refused the connection, or cannot be reached.
    ConnectFailed,
    /// The connection to the target took too long.
    ConnectTimeout,
    /// The TLS handshake with the target failed.
    TargetTls,
    /// The TLS handshake with the target took too long.
    TargetTlsTimeout,
    /// The target closed or reset with a request outstanding.
    TargetClosed,
    /// The target's response cannot be read.
    BadResponse,
    /// The head of the target's response is larger than 32 K.
    ResponseHeaderTooLarge,
    /// The target was silent for the idle timeout.
    TargetTimeout,
    /// The client's body was shorter than its length until the idle timeout.
    BodyTimeout,
    /// The deregistration delay ended with the request in progress.
    TargetCut,
    /// The rule's transform gave a host or a path that is none.
    Transform,
    /// The drain timeout ended with the request in progress.
    Stopping,
    /// A fault of our own.
    Internal,
}

/// What follows from each kind.
struct Row {
    status: u16,
    side: Side,
    closes_client: bool,
    label: &'static str,
    text: &'static str,
}

const fn row(
    status: u16,
    side: Side,
    closes_client: bool,
    label: &'static str,
    text: &'static str,
) -> Row {
    Row {
        status,
        side,
        closes_client,
        label,
        text,
    }
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 31] = [
        Self::BadRequest,
        Self::Desync,
        Self::HeaderTooLarge,
        Self::UriTooLarge,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::BodyAborted,
        Self::ClientGone,
        Self::TooManyForwardedAddresses,
        Self::IncompatibleProtocol,
        Self::UnsupportedTransferCoding,
        Self::UnsupportedVersion,
        Self::RedirectTooLong,
        Self::NoBuffer,
        Self::NoDescriptor,
        Self::NoLocalPort,
        Self::NoKernelMemory,
        Self::NoTargets,
        Self::ConnectFailed,
        Self::ConnectTimeout,
        Self::TargetTls,
        Self::TargetTlsTimeout,
        Self::TargetClosed,
        Self::BadResponse,
        Self::ResponseHeaderTooLarge,
        Self::TargetTimeout,
        Self::BodyTimeout,
        Self::TargetCut,
        Self::Transform,
        Self::Stopping,
        Self::Internal,
    ];

    fn row(self) -> Row {
        use Side::{Client, Local, Target};
        match self {
            Self::BadRequest => row(400, Client, true, "bad_request", "malformed request"),
            Self::Desync => row(400, Client, true, "desync", "request blocked as ambiguous"),
            Self::HeaderTooLarge => row(
                400,
                Client,
                true,
                "header_too_large",
                "request header too large",
            ),
            Self::UriTooLarge => row(414, Client, true, "uri_too_large", "request line too large"),
            Self::MethodNotAllowed => row(
                405,
                Client,
                false,
                "method_not_allowed",
                "method not allowed",
            ),
            Self::RequestTimeout => row(
                408,
                Client,
                true,
                "request_timeout",
                "request did not arrive in time",
            ),
            Self::BodyAborted => row(
                400,
                Client,
                true,
                "body_aborted",
                "client closed before its body ended",
            ),
            Self::ClientGone => row(
                460,
                Client,
                true,
                "client_gone",
                "client closed before the response",
            ),
            Self::TooManyForwardedAddresses => row(
                463,
                Client,
                false,
                "too_many_forwarded_addresses",
                "more than 30 addresses in X-Forwarded-For",
            ),
            Self::IncompatibleProtocol => row(
                464,
                Client,
                false,
                "incompatible_protocol",
                "protocol does not fit the target group",
            ),
            Self::UnsupportedTransferCoding => row(
                501,
                Client,
                true,
                "unsupported_transfer_coding",
                "transfer coding is not supported",
            ),
            Self::UnsupportedVersion => row(
                505,
                Client,
                true,
                "unsupported_version",
                "unexpected HTTP version",
            ),
            Self::RedirectTooLong => row(
                507,
                Local,
                false,
                "redirect_too_long",
                "redirect URL too long",
            ),
            Self::NoBuffer => row(
                503,
                Local,
                true,
                "no_buffer",
                "no buffer left for a large request head",
            ),
            Self::NoDescriptor => row(
                503,
                Local,
                false,
                "no_descriptor",
                "no file descriptor left for a connection to a target",
            ),
            Self::NoLocalPort => row(
                503,
                Local,
                false,
                "no_local_port",
                "no local port left for a connection to a target",
            ),
            Self::NoKernelMemory => row(
                503,
                Local,
                false,
                "no_kernel_memory",
                "no kernel memory left for a connection to a target",
            ),
            Self::NoTargets => row(503, Local, false, "no_targets", "no target may be used"),
            Self::ConnectFailed => row(
                502,
                Target,
                false,
                "connect_failed",
                "connection to target failed",
            ),
            Self::ConnectTimeout => row(
                504,
                Target,
                false,
                "connect_timeout",
                "connection to target timed out",
            ),
            Self::TargetTls => row(
                502,
                Target,
                false,
                "target_tls",
                "TLS handshake with target failed",
            ),
            Self::TargetTlsTimeout => row(
                504,
                Target,
                false,
                "target_tls_timeout",
                "TLS handshake with target timed out",
            ),
            Self::TargetClosed => row(
                502,
                Target,
                false,
                "target_closed",
                "target closed the connection",
            ),
            Self::BadResponse => row(502, Target, false, "bad_response", "malformed response"),
            Self::ResponseHeaderTooLarge => row(
                502,
                Target,
                false,
                "response_header_too_large",
                "response header too large",
            ),
            Self::TargetTimeout => row(
                504,
                Target,
                false,
                "target_timeout",
                "target did not answer in time",
            ),
            Self::BodyTimeout => row(
                504,
                Client,
                true,
                "body_timeout",
                "request body did not arrive in time",
            ),
            Self::TargetCut => row(
                502,
                Target,
                false,
                "target_cut",
                "deregistration delay ended",
            ),
            Self::Transform => row(500, Local, false, "transform", "transform failed"),
            Self::Stopping => row(503, Local, true, "stopping", "drain timeout ended"),
            Self::Internal => row(500, Local, true, "internal", "internal error"),
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self {
            kind,
            side: kind.row().side,
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
            ConnectErrorKind::TlsTimeout => ErrorKind::TargetTlsTimeout,
            ConnectErrorKind::Exhausted(Lack::OpenFiles) => ErrorKind::NoDescriptor,
            ConnectErrorKind::Exhausted(Lack::LocalPorts) => ErrorKind::NoLocalPort,
            ConnectErrorKind::Exhausted(Lack::Memory) => ErrorKind::NoKernelMemory,
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

    /// What the client and `elb_status_code` get. In the log, `target_status_code` is `-` beside
    /// it and the three times are -1 (parity 1.15).
    pub fn status(&self) -> u16 {
        self.kind.row().status
    }

    /// `error_reason` of the access log; AWS has names only for features beyond plain forwarding,
    /// so that a 502, 503 or 504 has none (parity 1.15). What elbow lacks is no error of AWS's, and has
    /// names of elbow's own.
    pub fn log_reason(&self) -> Option<&'static str> {
        match self.kind {
            ErrorKind::NoBuffer => Some("ElbowNoBuffer"),
            ErrorKind::Stopping => Some("ElbowStopping"),
            ErrorKind::NoDescriptor => Some("ElbowNoDescriptor"),
            ErrorKind::NoLocalPort => Some("ElbowNoLocalPort"),
            ErrorKind::NoKernelMemory => Some("ElbowNoKernelMemory"),
            _ => None,
        }
    }

    /// Whether the client connection must be closed after the response: its next request cannot
    /// be found, or it is gone.
    pub fn closes_client(&self) -> bool {
        self.kind.row().closes_client
    }

    /// A bounded label for metrics.
    pub fn label(&self) -> &'static str {
        self.kind.row().label
    }

    /// The page for the client.
    pub fn page(&self) -> LocalResponse {
        page(self.status())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.row().text)
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
            (K::Desync, 400, Side::Client, true),
            (K::HeaderTooLarge, 400, Side::Client, true),
            (K::UriTooLarge, 414, Side::Client, true),
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
            (K::ConnectFailed, 502, Side::Target, false),
            (K::ConnectTimeout, 504, Side::Target, false),
            (K::TargetTls, 502, Side::Target, false),
            (K::TargetTlsTimeout, 504, Side::Target, false),
            (K::TargetClosed, 502, Side::Target, false),
            (K::BadResponse, 502, Side::Target, false),
            (K::ResponseHeaderTooLarge, 502, Side::Target, false),
            (K::TargetTimeout, 504, Side::Target, false),
            (K::BodyTimeout, 504, Side::Client, true),
            (K::TargetCut, 502, Side::Target, false),
            (K::Transform, 500, Side::Local, false),
            (K::Stopping, 503, Side::Local, true),
            (K::Internal, 500, Side::Local, true),
        ];
        assert_eq!(table.map(|row| row.0), ErrorKind::ALL);
        for (kind, status, side, closes) in table {
            let error = Error::from(kind);
            assert_eq!(
                (error.status(), error.side, error.closes_client()),
                (status, side, closes),
                "{kind:?}"
            );
            assert_eq!(error.page().status, status);
            assert!(!error.page().body.is_empty(), "{kind:?} has a page");
        }
    }

    #[test]
    fn labels_are_distinct() {
        let labels: HashSet<_> = ErrorKind::ALL.map(|k| Error::from(k).label()).into();
        assert_eq!(labels.len(), ErrorKind::ALL.len());
    }

    // Parity checks 2 and 3.
    #[test]
    fn a_failed_connect_keeps_its_cause() {
        let table = [
            (ConnectErrorKind::Refused, 502),
            (ConnectErrorKind::Unreachable, 502),
            (ConnectErrorKind::Timeout, 504),
            (ConnectErrorKind::TlsHandshake, 502),
            (ConnectErrorKind::TlsTimeout, 504),
            (ConnectErrorKind::Exhausted(Lack::OpenFiles), 503),
            (ConnectErrorKind::Exhausted(Lack::LocalPorts), 503),
            (ConnectErrorKind::Exhausted(Lack::Memory), 503),
        ];
        for (kind, status) in table {
            let error = Error::from(ConnectError { kind, source: None });
            assert_eq!(error.status(), status, "{kind}");
            let cause = StdError::source(&error).unwrap();
            assert_eq!(cause.to_string(), kind.to_string());
        }
    }
}
