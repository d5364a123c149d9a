//! Clients that speak HTTP without TLS where TLS is due.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use elbow_net::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A client without TLS. Reads begin with the bytes that the handshake has read.
#[derive(Debug)]
pub struct PlainClient {
    socket: TcpStream,
    received: Vec<u8>,
}

impl PlainClient {
    pub(crate) fn new(socket: TcpStream, received: Vec<u8>) -> Self {
        Self { socket, received }
    }
}

impl AsyncRead for PlainClient {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.received.is_empty() {
            return Pin::new(&mut this.socket).poll_read(cx, buf);
        }
        let count = this.received.len().min(buf.remaining());
        let rest = this.received.split_off(count);
        buf.put_slice(&this.received);
        this.received = rest;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PlainClient {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().socket).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl Stream for PlainClient {
    fn plain(&self) -> Option<&TcpStream> {
        // Reads of the socket would miss what was received.
        self.received.is_empty().then_some(&self.socket)
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}
