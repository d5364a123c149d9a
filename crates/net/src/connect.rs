use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::source::{self, Source};
use crate::{Stream, timeout};

#[cfg(test)]
mod tests;

/// Opens connections to targets; `plane` supplies the one that also speaks TLS.
pub trait Connect: 'static {
    /// The type of the connections.
    type Io: Stream;

    /// The transport that [`Self::connect`] currently uses.
    fn transport(&self, tls: bool) -> Transport {
        if tls {
            Transport::tls(0)
        } else {
            Transport::CLEAR
        }
    }

    /// Opens a connection to `target`, with TLS if `tls` is set, ready for the first byte. Every step
    /// has a timeout.
    fn connect(
        &self,
        target: SocketAddr,
        tls: bool,
    ) -> impl Future<Output = Result<Self::Io, ConnectError>> {
        self.connect_with(target, tls, &[])
    }

    /// Like [`Self::connect`], for HTTP/2: with TLS, ALPN offers `h2` alone.
    fn connect_h2(
        &self,
        target: SocketAddr,
        tls: bool,
    ) -> impl Future<Output = Result<Self::Io, ConnectError>> {
        self.connect(target, tls)
    }

    /// Like [`Self::connect`], but sends `preface` first, unencrypted and before any TLS handshake
    /// ([`proxy`](crate::proxy)).
    fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> impl Future<Output = Result<Self::Io, ConnectError>>;

    /// Like [`Self::connect_with`], from the address `source`.
    fn connect_from(
        &self,
        source: &Source,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> impl Future<Output = Result<Self::Io, ConnectError>> {
        let _ = source;
        self.connect_with(target, tls, preface)
    }

    /// Like [`Self::connect`] without TLS, to a listener of this process at `target`, which takes `client` for the other
    /// end: it serves the client of another listener.
    fn connect_as(
        &self,
        client: SocketAddr,
        target: SocketAddr,
    ) -> impl Future<Output = Result<Self::Io, ConnectError>> {
        let _ = client;
        self.connect(target, false)
    }
}

/// How a connection carries bytes: unencrypted, or with the TLS settings (policy, verification, server
/// name) of one originator. Connections to a target are interchangeable only if their transport is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport(Option<u64>);

impl Transport {
    /// No TLS.
    pub const CLEAR: Self = Self(None);

    /// TLS with the settings of the originator number `id`.
    pub const fn tls(id: u64) -> Self {
        Self(Some(id))
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct ConnectError {
    /// What failed.
    pub kind: ConnectErrorKind,
    /// The cause.
    #[source]
    pub source: Option<io::Error>,
}

/// The step that failed. HTTP listeners answer 502 or 504 to it (ALB guide: troubleshooting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// The target answered SYN with RST.
    Refused,
    /// No route, ICMP unreachable, or any other connect error.
    Unreachable,
    /// The target did not answer SYN in time.
    Timeout,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The certificate of the target has a public key that elbow does not trust.
    TlsPublicKey,
    /// The TLS handshake did not complete in time.
    TlsTimeout,
    /// elbow itself is out of a resource; this says nothing about the target.
    Exhausted(Resource),
}

/// A local resource that every connection needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// File descriptors, of the process or of the machine.
    OpenFiles,
    /// Local ports for connections to one address.
    LocalPorts,
    /// Kernel memory.
    Memory,
}

impl Resource {
    /// The resource that `error` from connecting to `target` reports exhausted; `None` if the target is at fault.
    fn of(error: &io::Error, target: SocketAddr) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE | Errno::NFILE => Some(Self::OpenFiles),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::Memory),
            // With IPv6 this error can also mean that no local address can reach the target.
            Errno::ADDRNOTAVAIL if target.is_ipv4() => Some(Self::LocalPorts),
            // UDP.
            Errno::AGAIN => Some(Self::LocalPorts),
            _ => None,
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OpenFiles => "no file descriptor left",
            Self::LocalPorts => "no local port left",
            Self::Memory => "no kernel memory left",
        })
    }
}

impl ConnectErrorKind {
    /// Whether elbow itself is out of a resource: the target is not at fault, and another one would fail as well.
    pub fn is_own(self) -> bool {
        matches!(self, Self::Exhausted(_))
    }

    /// Whether the TLS handshake with the target failed.
    pub fn is_tls(self) -> bool {
        matches!(
            self,
            Self::TlsHandshake | Self::TlsPublicKey | Self::TlsTimeout
        )
    }
}

impl fmt::Display for ConnectErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted(resource) => return resource.fmt(f),
            Self::Refused => "connection refused",
            Self::Unreachable => "target unreachable",
            Self::Timeout => "connect timed out",
            Self::TlsHandshake => "TLS handshake failed",
            Self::TlsPublicKey => "the target's public key is not in the policy",
            Self::TlsTimeout => "TLS handshake timed out",
        })
    }
}

/// Opens unencrypted connections, and refuses TLS.
#[derive(Clone, Copy, Debug)]
pub struct TcpConnector {
    /// Limit of the whole connect. An ALB uses 10 s.
    pub timeout: Duration,
}

impl Connect for TcpConnector {
    type Io = TcpStream;

    // Not an async function: it would embed the other's future once more.
    fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> impl Future<Output = Result<TcpStream, ConnectError>> {
        self.connect_from(&Source::Any, target, tls, preface)
    }

    async fn connect_from(
        &self,
        source: &Source,
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
            let opened = match source {
                Source::Any => TcpStream::connect(target).await,
                // Boxed, so that a flow is not as large as both.
                source => Box::pin(source::connect(source, target)).await,
            };
            let mut stream = opened.map_err(|error| connect_error(error, target))?;
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

impl TcpConnector {
    /// Connects to an address of this machine, from the same address. `bound` gets the local end before the other side
    /// can see the connection.
    pub async fn connect_bound(
        &self,
        target: SocketAddr,
        bound: impl FnOnce(SocketAddr),
    ) -> Result<TcpStream, ConnectError> {
        let opening = pin!(async {
            let socket = match target {
                SocketAddr::V4(_) => TcpSocket::new_v4(),
                SocketAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            socket.bind(SocketAddr::new(target.ip(), 0))?;
            bound(socket.local_addr()?);
            let stream = socket.connect(target).await?;
            // Small messages must not wait for an ACK; a failure only costs latency.
            let _ = stream.set_nodelay(true);
            io::Result::Ok(stream)
        });
        let timed_out = ConnectError {
            kind: ConnectErrorKind::Timeout,
            source: None,
        };
        match timeout(self.timeout, opening).await {
            Ok(opened) => opened.map_err(|error| connect_error(error, target)),
            Err(_) => Err(timed_out),
        }
    }
}

pub(crate) fn connect_error(source: io::Error, target: SocketAddr) -> ConnectError {
    let kind = match (Resource::of(&source, target), source.kind()) {
        (Some(resource), _) => ConnectErrorKind::Exhausted(resource),
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
