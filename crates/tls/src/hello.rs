//! The first message of a client.

use std::future::poll_fn;
use std::io::{self, Write};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{CipherSuite, Error as TlsError, PeerIncompatible, ServerConfig, ServerConnection};
use tokio::net::TcpStream;

use crate::alert;
use crate::stream::{SocketWriter, poll_read_with};

/// What a client begins with.
#[allow(clippy::large_enum_variant)] // Taken apart at once.
pub(crate) enum Hello {
    /// A ClientHello, and the bytes that were read behind it.
    Tls(Accepted, Vec<u8>),
    /// Something like a request of HTTP without TLS.
    Plain(Vec<u8>),
}

/// Reads the first message of a client.
pub(crate) async fn read(socket: &mut TcpStream) -> io::Result<Hello> {
    let mut acceptor = Acceptor::default();
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
                accept(&mut acceptor, is_old, socket, cx, bytes)
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
) -> io::Result<Option<Hello>> {
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes)?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(Some(Hello::Tls(accepted, bytes.to_vec()))),
            Ok(None) => {}
            Err((error, alert)) => {
                // rustls misses the extensions of TLS 1.2 first.
                let is_incompatible = matches!(error, TlsError::PeerIncompatible(_));
                let error = if is_old && is_incompatible {
                    PeerIncompatible::Tls12NotOffered.into()
                } else {
                    error
                };
                return Err(refuse(error, alert, false, socket, cx));
            }
        }
    }
    Ok(None)
}

/// The connection of a client that is served with `config`.
pub(crate) async fn connection(
    accepted: Accepted,
    config: Arc<ServerConfig>,
    socket: &mut TcpStream,
) -> io::Result<ServerConnection> {
    let hello = accepted.client_hello();
    let offers_tls13 = hello.cipher_suites().iter().any(is_tls13);
    let lacks_groups = offers_tls13 && hello.named_groups().is_none();
    match accepted.into_connection(config) {
        Ok(connection) => Ok(connection),
        Err((error, alert)) => {
            let mut refused = Some((error, alert));
            let error = poll_fn(|cx| {
                let refused = refused.take();
                Poll::Ready(
                    refused.map(|(error, alert)| refuse(error, alert, lacks_groups, socket, cx)),
                )
            });
            Err(error
                .await
                .unwrap_or_else(|| io::ErrorKind::InvalidData.into()))
        }
    }
}

fn is_tls13(suite: &CipherSuite) -> bool {
    // The suites of TLS 1.3 have numbers of their own (RFC 8446, B.4).
    u16::from(*suite) >> 8 == 0x13
}

/// Sends the alert of a refused ClientHello, best effort: the connection has failed in any case.
fn refuse(
    error: TlsError,
    mut alert: AcceptedAlert,
    lacks_groups: bool,
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
) -> io::Error {
    let mut writer = SocketWriter { socket, cx };
    let _ = match alert::description(&error, lacks_groups) {
        Some(description) => writer.write(&alert::record(description)),
        None => alert.write(&mut writer),
    };
    io::Error::new(io::ErrorKind::InvalidData, error)
}
