//! Reads and writes on plain sockets through direct system calls. The wrappers in libc are cancellation
//! points, which cost two atomic operations per call in a multithreaded process. Together with the layers
//! in between that was 5 % of the CPU time of small messages.

use std::io;
use std::task::{Context, Poll, ready};

use rustix::net::{RecvFlags, SendFlags, recv, send};
use tokio::io::Interest;
use tokio::net::TcpStream;

#[cfg(test)]
mod tests;

/// Reads once; 0 at the end of the stream.
pub(crate) fn poll_recv(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_read_ready(cx))?;
        let read = socket.try_io(Interest::READABLE, || {
            let (_, n) = recv(socket, &mut *into, RecvFlags::empty())?;
            Ok(n)
        });
        match read {
            Ok(n) => {
                if n > 0 && n < into.len() {
                    // A short read means that the socket is empty; this saves the call that would return EAGAIN.
                    let _ = socket.try_io(Interest::READABLE, || {
                        Err::<(), _>(io::ErrorKind::WouldBlock.into())
                    });
                }
                return Poll::Ready(Ok(n));
            }
            Err(e) if is_temporary(&e) => {}
            Err(e) => return Poll::Ready(Err(e)),
        }
    }
}

/// Writes once.
pub(crate) fn poll_send(
    cx: &mut Context<'_>,
    socket: &TcpStream,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(cx))?;
        let written = socket.try_io(Interest::WRITABLE, || {
            Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
        });
        match written {
            Ok(n) => {
                if n > 0 && n < bytes.len() {
                    // The socket is full; saves a call as above.
                    let _ = socket.try_io(Interest::WRITABLE, || {
                        Err::<(), _>(io::ErrorKind::WouldBlock.into())
                    });
                }
                return Poll::Ready(Ok(n));
            }
            Err(e) if is_temporary(&e) => {}
            Err(e) => return Poll::Ready(Err(e)),
        }
    }
}

fn is_temporary(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
