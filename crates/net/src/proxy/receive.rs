//! Receives the header at the start of a connection.

use std::io;

use rustix::net::{RecvFlags, recv};
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::{Header, Malformed, Parsed, parse};

#[cfg(test)]
mod tests;

/// Why no header was received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// The peer sent something else.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The connection ended or failed within the header.
    #[error("connection closed within the PROXY protocol header")]
    Closed(#[source] io::Error),
}

/// Receives the header at the start of a connection, and no byte behind it. `None`: the peer closed the connection without a
/// byte, as some health checks do.
///
/// # Errors
/// The header is malformed, or the connection ended within it.
pub async fn receive(socket: &TcpStream) -> Result<Option<Header>, ReceiveError> {
    let mut header = Vec::new();
    loop {
        socket.readable().await.map_err(ReceiveError::Closed)?;
        let taken = socket.try_io(Interest::READABLE, || take(socket, &mut header));
        match taken {
            Ok(Ok(Parsed::Complete { header, .. })) => return Ok(Some(header)),
            Ok(Ok(Parsed::Incomplete)) => {}
            Ok(Err(malformed)) => return Err(malformed.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && header.is_empty() => {
                return Ok(None);
            }
            Err(error) => return Err(ReceiveError::Closed(error)),
        }
    }
}

/// Moves bytes of the header from the socket to the end of `header`. The rest stays in the socket, for TLS or for the relay.
fn take(socket: &TcpStream, header: &mut Vec<u8>) -> io::Result<Result<Parsed, Malformed>> {
    let mut chunk = [0; 512];
    let (_, n) = recv(socket, &mut chunk, RecvFlags::PEEK)?;
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let before = header.len();
    header.extend(chunk.iter().take(n));
    let parsed = parse(header);
    if let Ok(Parsed::Complete { length, .. }) = parsed {
        header.truncate(length);
    }
    // The bytes are there, so they come at once.
    if let Some(own) = chunk.get_mut(..header.len() - before) {
        recv(socket, own, RecvFlags::empty())?;
    }
    Ok(parsed)
}
