//! A client that sends raw bytes and reads responses with a timeout.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::CertificateDer;

use crate::Response;
use crate::certificates::server_name;
use crate::message::Reader;
use crate::wait::TIMEOUT;

/// A connection. Reads fail after [`TIMEOUT`].
#[derive(Debug)]
pub struct Client {
    io: Io,
    reader: Reader,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Client {
    /// Connects to `to`, which must accept.
    pub fn plain(to: impl Into<SocketAddr>) -> Self {
        let to = to.into();
        Self::try_plain(to).unwrap_or_else(|e| panic!("connect to {to}: {e}"))
    }

    /// Connects to `to`, if it accepts.
    pub fn try_plain(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            io: Io::Plain(stream),
            reader: Reader::default(),
        })
    }

    /// Connects to `to` and does a TLS handshake with `name` as SNI.
    pub fn tls(
        to: impl Into<SocketAddr>,
        name: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        Self::tls_behind(&[], to, name, config)
    }

    /// The same with a `header` before the handshake.
    pub fn tls_behind(
        header: &[u8],
        to: impl Into<SocketAddr>,
        name: &str,
        config: &Arc<ClientConfig>,
    ) -> io::Result<Self> {
        let mut connection = ClientConnection::new(Arc::clone(config), server_name(name))
            .map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(to.into())?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        stream.write_all(header)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self {
            io: Io::Tls(Box::new(StreamOwned::new(connection, stream))),
            reader: Reader::default(),
        })
    }

    /// The server's certificate.
    pub fn peer_certificate(&self) -> Option<CertificateDer<'static>> {
        let Io::Tls(tls) = &self.io else { return None };
        Some(tls.conn.peer_certificates()?.first()?.clone().into_owned())
    }

    /// The TLS connection, for what was negotiated.
    pub fn tls_state(&self) -> Option<&ClientConnection> {
        let Io::Tls(tls) = &self.io else { return None };
        Some(&tls.conn)
    }

    /// The local address.
    pub fn local_addr(&self) -> SocketAddr {
        self.socket().local_addr().unwrap()
    }

    /// The socket itself.
    pub fn socket(&self) -> &TcpStream {
        match &self.io {
            Io::Plain(stream) => stream,
            Io::Tls(tls) => &tls.sock,
        }
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.try_send(bytes).unwrap();
        self
    }

    /// Sends `bytes`; fails if the peer stops reading.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.write_all(bytes.as_ref())?;
        self.flush()
    }

    /// Sends `bytes` one by one, each in its own segment.
    pub fn send_one_by_one(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
        self
    }

    /// Closes the sending direction.
    pub fn finish(&mut self) -> &mut Self {
        self.socket().shutdown(Shutdown::Write).unwrap();
        self
    }

    /// Resets the connection.
    pub fn reset(self) {
        reset(self.socket());
    }

    /// The next response.
    pub fn response(&mut self) -> Response {
        self.try_response("GET").unwrap()
    }

    /// The next response to a request of `method`.
    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let mut reader = std::mem::take(&mut self.reader);
        let response = reader.response(self, method);
        self.reader = reader;
        response
    }

    /// Sends a request and reads its response.
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(request).response()
    }

    /// Exactly `n` bytes.
    pub fn exactly(&mut self, n: usize) -> Vec<u8> {
        let mut reader = std::mem::take(&mut self.reader);
        let bytes = reader.exactly(self, n).unwrap();
        self.reader = reader;
        bytes
    }

    /// Everything until the peer closes.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut reader = std::mem::take(&mut self.reader);
        let bytes = reader.rest(self);
        self.reader = reader;
        bytes
    }

    /// Asserts that the peer closes in order without another byte.
    pub fn expect_close(&mut self) {
        let rest = self.rest().unwrap();
        assert_eq!(String::from_utf8_lossy(&rest), "", "expected no more bytes");
    }

    /// Asserts that the peer resets the connection.
    pub fn expect_reset(&mut self) {
        match self.rest() {
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("expected a reset, got {other:?}"),
        }
    }

    /// Asserts that `to` accepts a connection and resets it, which may happen before the connect returns.
    pub fn assert_reset_by(to: impl Into<SocketAddr>) {
        match Self::try_plain(to.into()) {
            Ok(mut client) => client.expect_reset(),
            Err(e) => assert_eq!(e.kind(), ErrorKind::ConnectionReset, "{e}"),
        }
    }

    /// Asserts that the peer ends the connection, by a close or a reset.
    pub fn expect_end(&mut self) {
        match self.rest() {
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("expected the connection to end")
            }
            _ => {}
        }
    }
}

impl Read for Client {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.io {
            Io::Plain(stream) => stream.read(buffer),
            Io::Tls(tls) => tls.read(buffer),
        }
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.io {
            Io::Plain(stream) => stream.write(bytes),
            Io::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.io {
            Io::Plain(stream) => stream.flush(),
            Io::Tls(tls) => tls.flush(),
        }
    }
}

/// Makes the close of `socket` a reset.
pub(crate) fn reset(socket: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(socket, Some(std::time::Duration::ZERO)).unwrap();
}

/// A minimal GET for `path` on `host`.
pub fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}
