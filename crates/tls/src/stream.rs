//! TLS streams. They drive rustls directly, so that an idle connection holds little memory and a busy one
//! makes few system calls.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::mem;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use elbow_net::Stream;
use rustls::{ClientConnection, ConnectionCommon, ServerConnection, SideData};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

#[cfg(test)]
mod tests;

/// Size in bytes of the read buffer; each thread has one.
const READ_BUFFER: usize = 64 << 10;

/// Minimum number of bytes requested from the socket, even if the caller wants fewer.
const MIN_READ: usize = 4 << 10;

/// Maximum plaintext of one write: four full records, which are buffered if the socket is full.
const WRITE_BUFFER: usize = 64 << 10;

thread_local! {
    /// Holds records only until rustls has copied them.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into());
}

/// A TLS connection with a client.
pub type ServerTls = Tls<ServerConnection>;

/// A TLS connection to a target.
pub type ClientTls = Tls<ClientConnection>;

/// A TLS stream after the handshake. If the socket is full, a write leaves records in the buffer; the next
/// write, read, flush or shutdown sends them.
pub struct Tls<C> {
    socket: TcpStream,
    /// Boxed, since a stream moves several times before it is served, and each future keeps room for its own copy.
    connection: Box<C>,
    /// Records that rustls did not accept because decrypted bytes are pending; usually empty.
    deferred: Vec<u8>,
    /// Whether rustls has grown its buffer for a large batch of records.
    grown: bool,
    /// Whether close_notify or FIN was received, so that no plaintext follows.
    read_closed: bool,
    write_closed: bool,
}

impl<C, D> Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// Creates the stream after `connection` has completed its handshake over `socket`.
    pub(crate) fn new(socket: TcpStream, connection: C) -> Self {
        Self::with_received(socket, connection, Vec::new())
    }

    /// Creates the stream of a `connection` that gets the bytes `received` before others from `socket`.
    pub(crate) fn with_received(socket: TcpStream, mut connection: C, received: Vec<u8>) -> Self {
        connection.set_buffer_limit(Some(WRITE_BUFFER));
        Self {
            socket,
            connection: Box::new(connection),
            deferred: received,
            grown: false,
            read_closed: false,
            write_closed: false,
        }
    }

    /// What was negotiated.
    pub(crate) fn connection(&self) -> &C {
        &self.connection
    }

    /// Completes the handshake, and sends all that belongs to it.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_drain(cx))?;
            if !self.connection.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if self.read_closed {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            ready!(self.poll_fill(cx, MIN_READ))?;
        }
    }

    /// Moves decrypted bytes into `buf`. Returns true if there were any or the stream has ended.
    fn take_plaintext(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let before = buf.remaining();
        while buf.remaining() > 0 {
            let taken = match self.connection.reader().into_first_chunk() {
                Ok([]) => {
                    self.read_closed = true;
                    break;
                }
                Ok(chunk) => {
                    let taken = chunk.len().min(buf.remaining());
                    let (now, _) = chunk.split_at(taken);
                    buf.put_slice(now);
                    taken
                }
                // No data yet.
                Err(_) => break,
            };
            self.connection.reader().consume(taken);
        }
        buf.remaining() < before || self.read_closed
    }

    /// Reads about `want` bytes of records and decrypts them.
    fn poll_fill(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<io::Result<()>> {
        if !self.deferred.is_empty() {
            let deferred = mem::take(&mut self.deferred);
            return Poll::Ready(self.decrypt(cx, &deferred));
        }
        READ.with_borrow_mut(|buffer| {
            let (buffer, _) = buffer.split_at_mut(want.clamp(MIN_READ, READ_BUFFER));
            let Poll::Ready(read) = self.socket.poll_recv(cx, buffer)? else {
                self.shrink();
                return Poll::Pending;
            };
            if read == 0 {
                // Accepted without close_notify: many clients just close, and HTTP bodies have their own framing.
                self.read_closed = true;
                return Poll::Ready(Ok(()));
            }
            self.grown |= read > MIN_READ;
            Poll::Ready(self.decrypt(cx, buffer.get(..read).unwrap_or_default()))
        })
    }

    /// Called before waiting: makes rustls free the memory of large records, which it does on reading.
    fn shrink(&mut self) {
        if mem::take(&mut self.grown) {
            let _ = self.connection.read_tls(&mut WouldBlock);
        }
    }

    fn decrypt(&mut self, cx: &mut Context<'_>, mut records: &[u8]) -> io::Result<()> {
        while !records.is_empty() {
            match self.connection.read_tls(&mut records) {
                // After close_notify, data must be ignored (RFC 8446, 6.1).
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(_) if self.connection.reader().fill_buf().is_ok() => {
                    self.deferred = records.to_vec();
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
            if let Err(e) = self.connection.process_new_packets() {
                // Sends the alert, best effort: the connection has failed in any case.
                let _ = self.poll_drain(cx);
                return Err(io::Error::new(io::ErrorKind::InvalidData, e));
            }
        }
        // An answer, for example to a renegotiation, must not wait for the next write. The next read reports an error.
        let _ = self.poll_drain(cx);
        Ok(())
    }

    /// Sends the buffered records.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let mut socket = SocketWriter {
                socket: &mut self.socket,
                cx,
            };
            match self.connection.write_tls(&mut socket) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the buffered records, then encrypts what `write` writes and starts sending it.
    fn poll_encrypt(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.write_closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_drain(cx))?;
        let written = write(&mut self.connection.writer())?;
        if let Poll::Ready(Err(e)) = self.poll_drain(cx) {
            return Poll::Ready(Err(e));
        }
        Poll::Ready(Ok(written))
    }
}

impl<C, D> AsyncRead for Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<D>> + Unpin,
    D: SideData,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // The next write or read of the socket reports an error.
        let _ = this.poll_drain(cx);
        loop {
            if this.take_plaintext(buf) || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            ready!(this.poll_fill(cx, buf.remaining()))?;
        }
    }
}

impl<C, D> AsyncWrite for Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<D>> + Unpin,
    D: SideData,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_encrypt(cx, |writer| writer.write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_encrypt(cx, |writer| writer.write_vectored(bufs))
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
            this.connection.send_close_notify();
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}

impl<C, D> Stream for Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<D>> + Unpin + 'static,
    D: SideData,
{
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

    fn write_vectored(&mut self, bufs: &[io::IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = bufs {
            return self.write(one);
        }
        would_block(Pin::new(&mut *self.socket).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has no data but has not ended.
struct WouldBlock;

impl Read for WouldBlock {
    fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

fn would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
