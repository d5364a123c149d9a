use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::{Stream, timeout};

#[cfg(test)]
mod tests;

/// Opens connections to targets; `plane` supplies the one that also speaks TLS.
pub trait Connect: 'static {
    /// What it opens.
    type Io: Stream;

    /// What [`Self::connect`] would open now.
    fn transport(&self, tls: bool) -> Transport {
        match tls {
            true => Transport::tls(0),
            false => Transport::CLEAR,
        }
    }

    /// A connection to `target`, under TLS when `tls`, ready for the first byte. Every step has its
    /// timeout.
    fn connect(
        &self,
        target: SocketAddr,
        tls: bool,
    ) -> impl Future<Output = Result<Self::Io, ConnectError>> {
        self.connect_with(target, tls, &[])
    }

    /// As [`Self::connect`]; `preface` is the first that `target` gets, in clear and before any TLS
    /// ([`proxy`](crate::proxy)).
    fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> impl Future<Output = Result<Self::Io, ConnectError>>;
}

/// How a connection carries bytes: in clear, or under the TLS of one originator, with its policy,
/// verification and server name. Of two open connections to one target, either serves only if this
/// is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport(Option<u64>);

impl Transport {
    /// No TLS.
    pub const CLEAR: Self = Self(None);

    /// TLS of the originator with the number `id`.
    pub const fn tls(id: u64) -> Self {
        Self(Some(id))
    }
}

/// Why no connection could be opened.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct ConnectError {
    /// What failed.
    pub kind: ConnectErrorKind,
    /// The cause.
    #[source]
    pub source: Option<io::Error>,
}

/// The step that failed; layer 7 makes 502 or 504 of it (ALB guide: troubleshooting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// RST at connect.
    Refused,
    /// No route, ICMP unreachable, and the rest.
    Unreachable,
    /// No answer to SYN in time.
    Timeout,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The TLS handshake did not end in time.
    TlsTimeout,
    /// elbow itself lacks something; nothing is known of the target.
    Exhausted(Lack),
}

/// What elbow has none left of for one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    /// File descriptors, of the process or of the machine.
    OpenFiles,
    /// Local ports towards one address.
    LocalPorts,
    /// Memory of the kernel.
    Memory,
}

impl Lack {
    /// What `error`, of a connect to `target`, says that elbow lacks; `None` when it is about the target.
    fn of(error: &io::Error, target: SocketAddr) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => Some(Self::OpenFiles),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::Memory),
            // With IPv6 it also says that no own address leads to the target.
            Errno::ADDRNOTAVAIL if target.is_ipv4() => Some(Self::LocalPorts),
            _ => None,
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenFiles => "no file descriptor left",
            Self::LocalPorts => "no local port left",
            Self::Memory => "no kernel memory left",
        })
    }
}

impl ConnectErrorKind {
    /// Whether it is elbow that lacks something, so that no target is to blame and no other one worth a try.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Exhausted(_))
    }
}

impl fmt::Display for ConnectErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted(lack) => return lack.fmt(f),
            Self::Refused => "connection refused",
            Self::Unreachable => "target unreachable",
            Self::Timeout => "connect timed out",
            Self::TlsHandshake => "TLS handshake failed",
            Self::TlsTimeout => "TLS handshake timed out",
        })
    }
}

/// Connects in clear, and refuses TLS.
#[derive(Clone, Copy, Debug)]
pub struct TcpConnector {
    /// AWS's ALB gives a target 10 s.
    pub timeout: Duration,
}

impl Connect for TcpConnector {
    type Io = TcpStream;

    async fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> Result<TcpStream, ConnectError> {
        if tls {
            let source = io::Error::new(io::ErrorKind::Unsupported, "connects in clear only");
            return Err(ConnectError {
                kind: ConnectErrorKind::TlsHandshake,
                source: Some(source),
            });
        }
        // Pinned here: awaiting by value would hold it twice in every flow.
        let opening = pin!(async {
            let mut stream = TcpStream::connect(target)
                .await
                .map_err(|error| connect_error(error, target))?;
            // Small messages must not wait for an ACK; a failure only costs latency.
            let _ = stream.set_nodelay(true);
            if !preface.is_empty() {
                let written = stream.write_all(preface).await;
                written.map_err(|source| ConnectError {
                    kind: ConnectErrorKind::Unreachable,
                    source: Some(source),
                })?;
            }
            Ok(stream)
        });
        let timed_out = ConnectError {
            kind: ConnectErrorKind::Timeout,
            source: None,
        };
        timeout(self.timeout, opening)
            .await
            .unwrap_or(Err(timed_out))
    }
}

fn connect_error(source: io::Error, target: SocketAddr) -> ConnectError {
    let kind = match (Lack::of(&source, target), source.kind()) {
        (Some(lack), _) => ConnectErrorKind::Exhausted(lack),
        (None, io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset) => {
            ConnectErrorKind::Refused
        }
        (None, io::ErrorKind::TimedOut) => ConnectErrorKind::Timeout,
        (None, _) => ConnectErrorKind::Unreachable,
    };
    ConnectError {
        kind,
        source: Some(source),
    }
}
