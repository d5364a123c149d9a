//! A non-blocking connection with or without TLS, with the few calls that clients and servers need.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;

use rustix::net::{RecvFlags, recv};
use rustls::{Connection, HandshakeKind};

/// One connection. It keeps small writes that do not fit until [`Io::flush`].
pub struct Io {
    /// The socket, non-blocking.
    pub socket: TcpStream,
    tls: Option<Box<Connection>>,
    unsent: Vec<u8>,
}

impl Io {
    /// Wraps a non-blocking socket.
    pub fn new(socket: TcpStream, tls: Option<Connection>) -> Self {
        let tls = tls.map(Box::new);
        Self {
            socket,
            tls,
            unsent: Vec::new(),
        }
    }

    /// Whether the connection is without TLS.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Whether the connection has resumed a TLS session.
    pub fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    /// Sends a small message, now or when the socket accepts it.
    pub fn send(&mut self, data: &[u8]) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(data)?;
            return self.flush();
        }
        let sent = if self.unsent.is_empty() {
            would_block(self.socket.write(data))?.unwrap_or(0)
        } else {
            0
        };
        self.unsent
            .extend_from_slice(data.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Sends the kept bytes.
    pub fn flush(&mut self) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() && would_block(tls.write_tls(&mut self.socket))?.is_some() {}
            return Ok(());
        }
        if !self.unsent.is_empty() {
            let sent = would_block(self.socket.write(&self.unsent))?.unwrap_or(0);
            self.unsent.drain(..sent);
        }
        Ok(())
    }

    /// Writes as much of a large body as the socket accepts; `None` when it accepts nothing.
    pub fn push(&mut self, data: &[u8]) -> Result<Option<usize>> {
        self.flush()?;
        if let Some(tls) = &mut self.tls {
            // Until the handshake is over, rustls only keeps what fits into its buffer.
            while tls.is_handshaking() {
                if receive(tls, &mut self.socket)?.is_none() {
                    return Ok(None);
                }
            }
            if tls.wants_write() {
                return Ok(None);
            }
            let n = tls.writer().write(data)?;
            self.flush()?;
            return Ok(Some(n));
        }
        if !self.unsent.is_empty() {
            return Ok(None);
        }
        would_block(self.socket.write(data))
    }

    /// Reads; `None` when no data is available, 0 at the end.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<Option<usize>> {
        let Some(tls) = &mut self.tls else {
            return would_block(self.socket.read(buf));
        };
        let mut ended = false;
        loop {
            match would_block(tls.reader().read(buf)) {
                Ok(Some(n)) => return Ok(Some(n)),
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(Some(0)),
                Err(e) => return Err(e),
                Ok(None) if ended => return Ok(None),
                Ok(None) => {}
            }
            match receive(tls, &mut self.socket)? {
                None => return Ok(None),
                Some(filled) => ended = !filled,
            }
        }
    }

    /// Discards up to `limit` bytes, inside the kernel for a connection without TLS.
    pub fn discard(&mut self, limit: u64, scratch: &mut [u8]) -> Result<Option<usize>> {
        let limit = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(scratch.len());
        let scratch = scratch.get_mut(..limit).unwrap_or_default();
        if !self.is_plain() {
            return self.read(scratch);
        }
        match recv(&self.socket, scratch, RecvFlags::TRUNC) {
            Ok((_, n)) => Ok(Some(n)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

/// Reads TLS records once, and answers those of a handshake; `None` when no data is available, else whether there may be more.
fn receive(tls: &mut Connection, socket: &mut TcpStream) -> Result<Option<bool>> {
    // A short read has emptied the socket, so no further call is needed.
    let mut probe = ReadProbe {
        socket,
        filled: true,
    };
    match would_block(tls.read_tls(&mut probe))? {
        None => return Ok(None),
        Some(0) if tls.is_handshaking() => return Err(ErrorKind::UnexpectedEof.into()),
        Some(_) => {}
    }
    let filled = probe.filled;
    tls.process_new_packets()
        .map_err(|e| std::io::Error::new(ErrorKind::InvalidData, e))?;
    while tls.wants_write() && would_block(tls.write_tls(socket))?.is_some() {}
    Ok(Some(filled))
}

/// A socket that records whether the last read filled the buffer.
struct ReadProbe<'a> {
    socket: &'a TcpStream,
    filled: bool,
}

impl Read for ReadProbe<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = self.socket.read(buf)?;
        self.filled = n == buf.len();
        Ok(n)
    }
}

/// Maps "would block" to `None`.
fn would_block<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        // The connect is still in progress.
        Err(e) if e.kind() == ErrorKind::NotConnected => Ok(None),
        Err(e) => Err(e),
    }
}
