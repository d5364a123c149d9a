//! The first message of a client.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{ServerConfig, ServerConnection};
use tokio::net::TcpStream;

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
    let mut is_first = true;
    poll_fn(|cx| {
        loop {
            let hello = ready!(poll_read_with(socket, cx, |socket, cx, bytes| {
                match bytes.first() {
                    None => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Some(byte) if is_first && byte.is_ascii_alphabetic() => {
                        return Ok(Some(Hello::Plain(bytes.to_vec())));
                    }
                    Some(_) => is_first = false,
                }
                accept(&mut acceptor, socket, cx, bytes)
            }))?;
            if let Some(hello) = hello {
                return Poll::Ready(Ok(hello));
            }
        }
    })
    .await
}

/// Gives `bytes` to `acceptor`; `None`: the message is longer.
fn accept(
    acceptor: &mut Acceptor,
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    mut bytes: &[u8],
) -> io::Result<Option<Hello>> {
    while !bytes.is_empty() {
        acceptor.read_tls(&mut bytes)?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(Some(Hello::Tls(accepted, bytes.to_vec()))),
            Ok(None) => {}
            Err((error, mut alert)) => {
                send(&mut alert, socket, cx);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
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
    match accepted.into_connection(config) {
        Ok(connection) => Ok(connection),
        Err((error, mut alert)) => {
            poll_fn(|cx| {
                send(&mut alert, socket, cx);
                Poll::Ready(())
            })
            .await;
            Err(io::Error::new(io::ErrorKind::InvalidData, error))
        }
    }
}

/// Sends `alert`, best effort: the connection has failed in any case.
fn send(alert: &mut AcceptedAlert, socket: &mut TcpStream, cx: &mut Context<'_>) {
    let _ = alert.write(&mut SocketWriter { socket, cx });
}
