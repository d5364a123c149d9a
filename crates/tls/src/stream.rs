//! TLS streams. They drive rustls without buffers of its own, so that an idle connection holds little more than its keys:
//! the buffers belong to the thread.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use elbow_net::Stream;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::{AlertDescription, Error as TlsError};
use session::Session;
use side::Side;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

mod output;
mod plaintext;
mod session;
mod side;

#[cfg(test)]
mod tests;

/// Maximum number of bytes of one read from the socket.
const MAX_READ: usize = 64 << 10;

/// Minimum number of bytes requested from the socket, even if the caller wants fewer.
const MIN_READ: usize = 4 << 10;

/// A connection that holds this much of a record or message without its end has failed. It is what a message of the
/// handshake may have.
const MAX_INCOMPLETE: usize = 0xffff;

/// Maximum plaintext of one write: four full records, which are kept if the socket is full.
const WRITE_BUFFER: usize = 64 << 10;

thread_local! {
    /// Holds records only while rustls decrypts them in place, behind the bytes that the connection had kept.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; MAX_INCOMPLETE + MAX_READ].into());
}

/// A TLS connection with a client.
pub type ServerTls = Tls<UnbufferedServerConnection>;

/// A TLS connection to a target.
pub type ClientTls = Tls<UnbufferedClientConnection>;

/// A TLS stream. If the socket is full, a write keeps records; the next write, read, flush or shutdown sends them.
pub struct Tls<C> {
    socket: TcpStream,
    /// Boxed, since a stream moves several times before it is served, and each future keeps room for its own copy.
    session: Box<Session<C>>,
    /// Whether close_notify or FIN was received, so that no plaintext follows.
    read_closed: bool,
    write_closed: bool,
}

impl<C: Side> Tls<C> {
    /// Creates the stream of a new `connection` that gets the bytes `received` before others from `socket`.
    pub(crate) fn new(socket: TcpStream, connection: C, received: Vec<u8>) -> Self {
        Self {
            socket,
            session: Box::new(Session::new(connection, received)),
            read_closed: false,
            write_closed: false,
        }
    }

    /// What was negotiated.
    pub(crate) fn connection(&self) -> &C {
        self.session.connection()
    }

    /// Answers the first message of a client, which was received. If it is refused, `alert` may replace the alert of rustls;
    /// either is sent, best effort: the connection has failed in any case.
    pub(crate) fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        alert: impl FnOnce(&TlsError) -> Option<AlertDescription>,
    ) -> Poll<io::Result<()>> {
        if !self.session.process_first(alert) {
            return Poll::Ready(Ok(()));
        }
        let _ = self.poll_drain(cx);
        Poll::Ready(self.session.failure().map_or(Ok(()), Err))
    }

    /// Completes the handshake, and sends all that belongs to it.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let drained = self.poll_drain(cx);
            if let Some(error) = self.session.failure() {
                return Poll::Ready(Err(error));
            }
            ready!(drained)?;
            if !self.session.connection().common().is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.read_closed {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_fill(cx, &mut ReadBuf::new(&mut [])))?;
        }
    }

    /// Decrypts the records that were received, or else about as many as fill `into`.
    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.session.process_received(into) {
            ready!(self.poll_receive(cx, into))?;
        }
        self.read_closed |= self.session.is_closed;
        // An answer, for example to a renegotiation, must not wait for the next write. The next read reports an error.
        let _ = self.poll_drain(cx);
        Poll::Ready(Ok(()))
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let kept = self.session.received().len();
        if kept >= MAX_INCOMPLETE {
            let error = io::Error::new(io::ErrorKind::InvalidData, "message too large");
            return Poll::Ready(Err(error));
        }
        READ.with_borrow_mut(|buffer| {
            let (front, free) = buffer.split_at_mut(kept);
            let (free, _) = free.split_at_mut(into.remaining().clamp(MIN_READ, MAX_READ));
            let count = ready!(self.socket.poll_recv(cx, free))?;
            if count == 0 {
                // Accepted without close_notify: many clients just close, and HTTP bodies have their own framing.
                self.read_closed = true;
                return Poll::Ready(Ok(()));
            }
            front.copy_from_slice(self.session.received());
            let (records, _) = buffer.split_at_mut(kept + count);
            self.session.process(records, into);
            Poll::Ready(Ok(()))
        })
    }

    /// Sends the records that were encrypted.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let output = &mut self.session.output;
        let drained = loop {
            if output.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match self.socket.poll_send(cx, output.unsent()) {
                Poll::Ready(Ok(0)) => break Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => output.remove(count),
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        output.settle();
        drained
    }

    /// Sends the records of earlier writes, then encrypts `parts` and starts sending them.
    fn poll_encrypt(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_drain(cx))?;
        let written = self.session.encrypt(parts);
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(written)
    }
}

impl<C: Side> AsyncRead for Tls<C> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The next write or read of the socket reports an error.
        let _ = this.poll_drain(cx);
        let before = buf.remaining();
        this.session.plaintext.take(buf);
        loop {
            if buf.remaining() < before || before == 0 {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = this.session.failure() {
                return Poll::Ready(Err(error));
            }
            if this.read_closed {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fill(cx, buf))?;
        }
    }
}

impl<C: Side> AsyncWrite for Tls<C> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_encrypt(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_encrypt(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.write_closed {
            this.write_closed = true;
            this.session.close();
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl<C: Side> Stream for Tls<C> {
    fn plain(&self) -> Option<&TcpStream> {
        None
    }

    fn socket(&self) -> &TcpStream {
        &self.socket
    }
}

impl<C> fmt::Debug for Tls<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("socket", &self.socket)
            .field("read_closed", &self.read_closed)
            .field("write_closed", &self.write_closed)
            .finish_non_exhaustive()
    }
}

/// Reads once into a buffer that the connections of a thread share; `read` gets the bytes, none at the end of the stream.
pub(crate) fn poll_read_with<T>(
    socket: &mut TcpStream,
    cx: &mut Context<'_>,
    read: impl FnOnce(&mut TcpStream, &mut Context<'_>, &[u8]) -> io::Result<T>,
) -> Poll<io::Result<T>> {
    READ.with_borrow_mut(|buffer| {
        let (buffer, _) = buffer.split_at_mut(MIN_READ);
        let count = ready!(socket.poll_recv(cx, buffer))?;
        let bytes = buffer.get(..count).unwrap_or_default();
        Poll::Ready(read(socket, cx, bytes))
    })
}

/// Lets rustls write to a socket from a poll function.
pub(crate) struct SocketWriter<'a, 'b> {
    pub(crate) socket: &'a mut TcpStream,
    pub(crate) cx: &'a mut Context<'b>,
}

impl Write for SocketWriter<'_, '_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        would_block(self.socket.poll_send(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = bufs {
            return self.write(one);
        }
        would_block(Pin::new(&mut *self.socket).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
