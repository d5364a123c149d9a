use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::socket;

/// A connection, with or without TLS.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + 'static {
    /// The socket if it carries the bytes of this stream unchanged, so that they can be spliced; `None`
    /// with TLS.
    fn plain(&self) -> Option<&TcpStream>;

    /// The underlying socket.
    fn socket(&self) -> &TcpStream;

    /// Reads once; 0 at the end of the stream. A faster [`AsyncRead::poll_read`].
    fn poll_recv(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Some(socket) = self.plain() {
            return socket::poll_recv(cx, socket, into);
        }
        let mut into = ReadBuf::new(into);
        ready!(Pin::new(self).poll_read(cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }

    /// Writes once. A faster [`AsyncWrite::poll_write`].
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.plain() {
            Some(socket) => socket::poll_send(cx, socket, bytes),
            None => Pin::new(self).poll_write(cx, bytes),
        }
    }

    /// Makes the next close send RST instead of FIN.
    fn reset_on_close(&self) {
        // This fails only on a socket that is closed already.
        let _ = self.socket().set_zero_linger();
    }
}

impl Stream for TcpStream {
    fn plain(&self) -> Option<&TcpStream> {
        Some(self)
    }

    fn socket(&self) -> &TcpStream {
        self
    }
}

/// The properties of a client connection that are known before its first byte is read.
#[derive(Clone, Debug)]
pub struct ConnMeta {
    /// The peer.
    pub client: SocketAddr,
    /// The load balancer's own address.
    pub server: SocketAddr,
    /// When it was accepted.
    pub accepted: Instant,
    /// Set when TLS was terminated.
    pub tls: Option<Arc<TlsMeta>>,
}

/// The result of a TLS handshake with a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsMeta {
    /// The server name that the client sent.
    pub sni: Option<Box<str>>,
    /// Whether `sni` selected the certificate; otherwise the default certificate was served.
    pub sni_matched: bool,
    /// `h2`, `http/1.1`, ...
    pub alpn: Option<Box<[u8]>>,
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: &'static str,
    /// OpenSSL's spelling, e.g. `ECDHE-RSA-AES128-GCM-SHA256`.
    pub cipher: &'static str,
    /// The group of the key exchange, e.g. `x25519`.
    pub key_exchange: Option<&'static str>,
    /// Whether the session was resumed.
    pub resumed: bool,
    /// ARN-shaped name of the certificate served.
    pub certificate_arn: Option<Arc<str>>,
    /// From accept to the end of the handshake.
    pub handshake: Duration,
    /// Set if the client was asked for a certificate and sent one.
    pub client_certificate: Option<Box<ClientCertificate>>,
}

/// The certificate of a client, in the forms that targets and logs get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject (RFC 2253).
    pub subject: String,
    /// The issuer (RFC 2253).
    pub issuer: String,
    /// The serial number in hexadecimal digits.
    pub serial_number: String,
    /// `NotBefore=…;NotAfter=…`.
    pub validity: String,
    /// Whether it was verified.
    pub is_verified: bool,
    /// Percent-encoded PEM: of the certificate alone if it was verified, otherwise of the whole chain.
    pub pem: String,
}
