//! TLS over a socket, driven directly so that an idle connection holds little and a busy one makes
//! few system calls.

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

/// Records are read into one buffer per thread, so many bytes at a time.
const READ_BUFFER: usize = 64 << 10;

/// A read asks the socket for at least this much, however little the caller wants.
const MIN_READ: usize = 4 << 10;

/// A write takes at most this much plaintext, four full records, which wait if the socket is full.
const WRITE_BUFFER: usize = 64 << 10;

thread_local! {
    /// Holds bytes only while they are handed to rustls, which copies them.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BUFFER].into());
}

/// A connection with a client, terminated here.
pub type ServerTls = Tls<ServerConnection>;

/// A connection with a target, originated here.
pub type ClientTls = Tls<ClientConnection>;

/// TLS over a socket after its handshake. A write may leave records behind when the socket is full:
/// they go out with the next write, read, flush or shutdown.
pub struct Tls<C> {
    socket: TcpStream,
    connection: C,
    /// Records that rustls did not take because decrypted bytes wait; mostly empty.
    refused: Vec<u8>,
    /// A batch of records was large enough for rustls to grow its buffer.
    grown: bool,
    /// No plaintext will follow: close_notify or FIN was seen.
    read_closed: bool,
    write_closed: bool,
}

impl<C, D> Tls<C>
where
    C: DerefMut + Deref<Target = ConnectionCommon<D>>,
    D: SideData,
{
    /// `connection` has shaken hands over `socket`.
    pub(crate) fn new(socket: TcpStream, mut connection: C) -> Self {
        connection.set_buffer_limit(Some(WRITE_BUFFER));
        Self {
            socket,
            connection,
            refused: Vec::new(),
            grown: false,
            read_closed: false,
            write_closed: false,
        }
    }

    /// Moves decrypted bytes into `buf`; whether it has news: bytes or the end.
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
                // Nothing yet.
                Err(_) => break,
            };
            self.connection.reader().consume(taken);
        }
        buf.remaining() < before || self.read_closed
    }

    /// Reads records, about as many as fill `want` bytes, and decrypts them.
    fn poll_fill(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<io::Result<()>> {
        if !self.refused.is_empty() {
            let refused = mem::take(&mut self.refused);
            return Poll::Ready(self.decrypt(cx, &refused));
        }
        READ.with_borrow_mut(|buffer| {
            let (buffer, _) = buffer.split_at_mut(want.clamp(MIN_READ, READ_BUFFER));
            let Poll::Ready(read) = self.socket.poll_recv(cx, buffer)? else {
                self.shrink();
                return Poll::Pending;
            };
            if read == 0 {
                // Without close_notify too: many clients just close, and bodies have their own end.
                self.read_closed = true;
                return Poll::Ready(Ok(()));
            }
            self.grown |= read > MIN_READ;
            Poll::Ready(self.decrypt(cx, buffer.get(..read).unwrap_or_default()))
        })
    }

    /// Before a wait: rustls gives the memory of large records back when it is asked to read.
    fn shrink(&mut self) {
        if mem::take(&mut self.grown) {
            let _ = self.connection.read_tls(&mut Nothing);
        }
    }

    fn decrypt(&mut self, cx: &mut Context<'_>, mut records: &[u8]) -> io::Result<()> {
        while !records.is_empty() {
            match self.connection.read_tls(&mut records) {
                // After close_notify; RFC 8446, 6.1: what follows must be ignored.
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(_) if self.connection.reader().fill_buf().is_ok() => {
                    self.refused = records.to_vec();
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
            if let Err(e) = self.connection.process_new_packets() {
                // The alert that tells the peer; the connection is lost if it cannot be sent.
                let _ = self.poll_drain(cx);
                return Err(io::Error::new(io::ErrorKind::InvalidData, e));
            }
        }
        Ok(())
    }

    /// Sends the records that wait.
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

    /// Encrypts what `write` writes, once everything older is gone, and starts to send it.
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
        // An error shows at the next write or read of the socket.
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

/// Lets rustls write to a socket from a poll function.
struct SocketWriter<'a, 'b> {
    socket: &'a mut TcpStream,
    cx: &'a mut Context<'b>,
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

/// A source without a byte, which is not its end.
struct Nothing;

impl Read for Nothing {
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
