//! Error codes, and the errors that end a connection.

use std::fmt;

use crate::hpack;

/// An error code (RFC 9113, 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

macro_rules! codes {
    ($($value:literal $name:ident,)*) => {
        #[allow(missing_docs)] // The names are those of RFC 9113.
        impl ErrorCode {
            $(pub const $name: Self = Self($value);)*

            /// The name of a known code.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

codes! {
    0 NO_ERROR,
    1 PROTOCOL_ERROR,
    2 INTERNAL_ERROR,
    3 FLOW_CONTROL_ERROR,
    4 SETTINGS_TIMEOUT,
    5 STREAM_CLOSED,
    6 FRAME_SIZE_ERROR,
    7 REFUSED_STREAM,
    8 CANCEL,
    9 COMPRESSION_ERROR,
    10 CONNECT_ERROR,
    11 ENHANCE_YOUR_CALM,
    12 INADEQUATE_SECURITY,
    13 HTTP_1_1_REQUIRED,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why this side ended the connection. The peer gets the code in GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct ConnectionError {
    /// The code that the peer gets.
    pub code: ErrorCode,
    /// For a log.
    pub reason: &'static str,
}

/// What a frame broke.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Ends this stream.
    Stream(u32, ErrorCode),
    Connection(ConnectionError),
}

impl Fault {
    pub(crate) const fn protocol(reason: &'static str) -> Self {
        Self::connection(ErrorCode::PROTOCOL_ERROR, reason)
    }

    pub(crate) const fn connection(code: ErrorCode, reason: &'static str) -> Self {
        Self::Connection(ConnectionError { code, reason })
    }

    pub(crate) const fn malformed(stream: u32) -> Self {
        Self::Stream(stream, ErrorCode::PROTOCOL_ERROR)
    }
}

impl From<hpack::Error> for Fault {
    fn from(_: hpack::Error) -> Self {
        Self::connection(ErrorCode::COMPRESSION_ERROR, "malformed header block")
    }
}
