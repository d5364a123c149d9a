//! The first message of a client.

use std::future::poll_fn;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::{Accepted, AcceptedAlert, Acceptor, UnbufferedServerConnection};
use rustls::{CipherSuite, Error as TlsError, PeerIncompatible, ServerConfig};
use tokio::net::TcpStream;

use crate::alert;
use crate::stream::{ServerTls, SocketWriter, poll_read_with};

/// What a client begins with.
#[allow(clippy::large_enum_variant)] // Taken apart at once.
pub(crate) enum Hello {
    /// A ClientHello, and all bytes that were read: its records, and perhaps others behind them.
    Tls(Accepted, Vec<u8>),
    /// Something like a request of HTTP without TLS.
    Plain(Vec<u8>),
}

/// Reads the first message of a client.
pub(crate) async fn read(socket: &mut TcpStream) -> io::Result<Hello> {
    let mut acceptor = Acceptor::default();
    let mut received = Vec::new();
    let (mut is_first, mut is_old) = (true, false);
    poll_fn(|cx| {
        loop {
            let hello = ready!(poll_read_with(socket, cx, |socket, cx, bytes| {
                match bytes.first() {
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(byte) if is_first && byte.is_ascii_alphabetic() => {
                        return Ok(Some(Hello::Plain(bytes.to_vec())));
                    }
                    Some(_) if is_first => is_old = is_older_than_tls12(bytes),
                    Some(_) => {}
                }
                is_first = false;
                received.reserve_exact(bytes.len());
                received.extend_from_slice(bytes);
                let accepted = accept(&mut acceptor, is_old, socket, cx, bytes)?;
                Ok(accepted.map(|accepted| Hello::Tls(accepted, mem::take(&mut received))))
            }))?;
            if let Some(hello) = hello {
                return Poll::Ready(Ok(hello));
            }
        }
    })
    .await
}

/// Whether a ClientHello begins with `bytes` whose client knows no TLS 1.2: `legacy_version` is behind the headers of the
/// record and of the message.
fn is_older_than_tls12(bytes: &[u8]) -> bool {
    bytes
        .get(9..11)
        .is_some_and(|version| *version < [3, 3][..])
}

/// Gives `bytes` to `acceptor`; `None`: the message is longer. `is_old` says that the client knows no TLS 1.2.
fn accept(
    acceptor: &mut Acceptor,
    is_old: bool,
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    mut bytes: &[u8],
) -> io::Result<Option<Accepted>> {
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes)?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(Some(accepted)),
            Ok(None) => {}
            Err((error, alert)) => {
                // rustls misses the extensions of TLS 1.2 first.
                let is_incompatible = matches!(error, TlsError::PeerIncompatible(_));
                let error = if is_old && is_incompatible {
                    PeerIncompatible::Tls12NotOffered.into()
                } else {
                    error
                };
                return Err(refuse(error, alert, socket, cx));
            }
        }
    }
    Ok(None)
}

/// The connection of a client that is served with `config`, after it has answered `accepted`. rustls accepts a ClientHello
/// only for connections that have buffers of their own, so that another connection reads it again: it begins `received`.
pub(crate) async fn answer(
    accepted: Accepted,
    config: Arc<ServerConfig>,
    socket: TcpStream,
    received: Vec<u8>,
) -> io::Result<ServerTls> {
    let hello = accepted.client_hello();
    let offers_tls13 = hello.cipher_suites().iter().any(is_tls13);
    let lacks_groups = offers_tls13 && hello.named_groups().is_none();
    drop(accepted);
    let connection = UnbufferedServerConnection::new(config).map_err(io::Error::other)?;
    let mut stream = ServerTls::new(socket, connection, received);
    poll_fn(|cx| stream.poll_first(cx, |error| alert::description(error, lacks_groups))).await?;
    Ok(stream)
}

fn is_tls13(suite: &CipherSuite) -> bool {
    // The suites of TLS 1.3 have numbers of their own (RFC 8446, B.4).
    u16::from(*suite) >> 8 == 0x13
}

/// Sends the alert of a refused ClientHello, best effort: the connection has failed in any case.
fn refuse(
    error: TlsError,
    mut alert: AcceptedAlert,
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
) -> io::Error {
    let mut writer = SocketWriter { socket, cx };
    let _ = match alert::description(&error, false) {
        Some(description) => writer.write(&alert::record(description)),
        None => alert.write(&mut writer),
    };
    io::Error::new(io::ErrorKind::InvalidData, error)
}
