//! Connections to targets, with or without TLS.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use elbow_net::Stream;
use elbow_net::open_files::Slot;
use elbow_tls::ClientTls;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::clients::Noted;

/// A connection to a target, with its descriptor of the budget.
pub(crate) enum TargetStream {
    Plain {
        stream: TcpStream,
        _slot: Option<Slot>,
    },
    /// To another listener of the process.
    Balancer {
        stream: TcpStream,
        _slot: Option<Slot>,
        _client: Box<Noted>,
    },
    Tls {
        stream: Box<ClientTls>,
        _slot: Option<Slot>,
    },
}

impl Stream for TargetStream {
    fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => Some(stream),
            Self::Tls { .. } => None,
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => stream,
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
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => {
                Pin::new(stream).poll_read(cx, buf)
            }
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
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => {
                Pin::new(stream).poll_write(cx, buf)
            }
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => {
                Pin::new(stream).poll_write_vectored(cx, bufs)
            }
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => {
                stream.is_write_vectored()
            }
            Self::Tls { stream, .. } => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => {
                Pin::new(stream).poll_flush(cx)
            }
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain { stream, .. } | Self::Balancer { stream, .. } => {
                Pin::new(stream).poll_shutdown(cx)
            }
            Self::Tls { stream, .. } => Pin::new(&mut **stream).poll_shutdown(cx),
        }
    }
}
