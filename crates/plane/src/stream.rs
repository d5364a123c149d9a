//! Connections to targets, in clear or under TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use elbow_net::open_files::Slot;
use elbow_net::{Connect, ConnectError, ConnectErrorKind, Lack, Stream, TcpConnector, Transport};
use elbow_telemetry::{ListenerMetrics, ShedReason};
use elbow_tls::{ClientTls, Originator};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::descriptors::Descriptors;

/// TCP connect to a target: 10 s, fixed (ALB guide: troubleshooting, HTTP 504).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// TLS handshake with a target: 10 s, fixed (same page).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to targets; certificates of targets are not verified, as ALB and NLB do.
#[derive(Clone)]
pub(crate) struct Connector {
    tcp: TcpConnector,
    originator: Originator,
    /// `None`: it takes descriptors of the reserve.
    traffic: Option<Traffic>,
}

/// For whom a connector connects.
#[derive(Clone)]
struct Traffic {
    descriptors: Rc<Descriptors>,
    listener: Arc<ListenerMetrics>,
}

impl Connector {
    /// For the clients of `listener`.
    pub(crate) fn new(
        originator: Originator,
        descriptors: Rc<Descriptors>,
        listener: Arc<ListenerMetrics>,
    ) -> Self {
        let traffic = Some(Traffic {
            descriptors,
            listener,
        });
        Self {
            traffic,
            ..Self::of_reserve(originator)
        }
    }

    /// For health checks.
    pub(crate) fn of_reserve(originator: Originator) -> Self {
        Self {
            traffic: None,
            tcp: TcpConnector {
                timeout: CONNECT_TIMEOUT,
            },
            originator,
        }
    }
}

impl Connect for Connector {
    type Io = TargetStream;

    fn transport(&self, tls: bool) -> Transport {
        match tls {
            true => self.originator.transport(),
            false => Transport::CLEAR,
        }
    }

    async fn connect_with(
        &self,
        target: SocketAddr,
        tls: bool,
        preface: &[u8],
    ) -> Result<TargetStream, ConnectError> {
        let slot = self.slot()?;
        let stream = self.tcp.connect_with(target, false, preface).await;
        let stream = stream.inspect_err(|error| self.count(error))?;
        if !tls {
            return Ok(TargetStream::Plain {
                stream,
                _slot: slot,
            });
        }
        let stream = self
            .originator
            .connect(stream, target, HANDSHAKE_TIMEOUT)
            .await?;
        Ok(TargetStream::Tls {
            stream: Box::new(stream),
            _slot: slot,
        })
    }
}

impl Connector {
    /// The right to a descriptor for a connection.
    fn slot(&self) -> Result<Option<Slot>, ConnectError> {
        let Some(traffic) = &self.traffic else {
            return Ok(None);
        };
        let slot = traffic.descriptors.target();
        if slot.is_none() {
            let error = ConnectError {
                kind: ConnectErrorKind::Exhausted(Lack::OpenFiles),
                source: None,
            };
            self.count(&error);
            return Err(error);
        }
        Ok(slot)
    }

    /// Counts what elbow could not do for a client.
    fn count(&self, error: &ConnectError) {
        if let (Some(traffic), ConnectErrorKind::Exhausted(lack)) = (&self.traffic, error.kind) {
            traffic.listener.shed(match lack {
                Lack::OpenFiles => ShedReason::OpenFiles,
                Lack::LocalPorts => ShedReason::LocalPorts,
                Lack::Memory => ShedReason::KernelMemory,
            });
        }
    }
}

/// A connection to a target, with its right to a descriptor.
pub(crate) enum TargetStream {
    Plain {
        stream: TcpStream,
        _slot: Option<Slot>,
    },
    Tls {
        stream: Box<ClientTls>,
        _slot: Option<Slot>,
    },
}

impl Stream for TargetStream {
    fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain { stream, .. } => Some(stream),
            Self::Tls { .. } => None,
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain { stream, .. } => stream,
            Self::Tls { stream, .. } => stream.socket(),
        }
    }
}

impl AsyncRead for TargetStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_read(cx, buf),
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for TargetStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_write(cx, buf),
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain { stream, .. } => stream.is_write_vectored(),
            Self::Tls { stream, .. } => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_flush(cx),
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } => Pin::new(stream).poll_shutdown(cx),
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
