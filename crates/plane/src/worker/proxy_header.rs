//! The PROXY protocol headers of connections that proxies in front of a listener open.

use std::fmt;
use std::time::Duration;

use elbow_net::proxy::{self, Header, ReceiveError};
use elbow_telemetry::{Kind, ListenerCells};
use tokio::net::TcpStream;

/// Why a connection has no acceptable header.
#[derive(Debug)]
pub(super) enum HeaderError {
    /// The peer is no trusted proxy.
    Untrusted,
    /// The peer sent something else, or ended the connection.
    Receive(ReceiveError),
    /// The header is not complete in time.
    Timeout,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted => f.write_str("the peer is not in elbow.proxy_protocol.trusted_cidrs"),
            Self::Receive(error) => error.fmt(f),
            Self::Timeout => f.write_str("no complete PROXY protocol header in time"),
        }
    }
}

/// The reasons, in the order of [`HeaderError::index`].
static REASONS: [Kind; 4] = [
    by_client("untrusted"),
    by_client("malformed"),
    by_client("closed"),
    by_client("timeout"),
];

const fn by_client(kind: &'static str) -> Kind {
    Kind {
        kind,
        side: "client",
    }
}

impl HeaderError {
    /// Counts the connection.
    pub(super) fn count(&self, cells: &ListenerCells) {
        cells
            .proxy_protocol_errors
            .increment(&REASONS, self.index());
    }

    fn index(&self) -> usize {
        match self {
            Self::Untrusted => 0,
            Self::Receive(ReceiveError::Malformed(_)) => 1,
            Self::Receive(ReceiveError::Closed(_)) => 2,
            Self::Timeout => 3,
        }
    }
}

/// Receives the header of a connection. `None`: the peer closed the connection without a byte.
///
/// # Errors
/// There is no header within `timeout`, or another one than expected.
pub(super) async fn receive(
    stream: &TcpStream,
    timeout: Duration,
) -> Result<Option<Header>, HeaderError> {
    match elbow_net::timeout(timeout, proxy::receive(stream)).await {
        Ok(received) => received.map_err(HeaderError::Receive),
        Err(_) => Err(HeaderError::Timeout),
    }
}
