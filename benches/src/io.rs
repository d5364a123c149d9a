//! A non-blocking connection, in clear or under TLS, with the few calls that load and servers need.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;

use rustix::net::{RecvFlags, recv};
use rustls::Connection;

/// One connection; small writes that do not fit are kept until [`Io::flush`].
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

    /// Whether bytes may bypass user space.
    pub fn plain(&self) -> bool {
        self.tls.is_none()
    }

    /// Sends a small message whole, now or when there is room.
    pub fn send(&mut self, data: &[u8]) -> Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(data)?;
            return self.flush();
        }
        let sent = match self.unsent.is_empty() {
            true => would_block(self.socket.write(data))?.unwrap_or(0),
            false => 0,
        };
        self.unsent
            .extend_from_slice(data.get(sent..).unwrap_or_default());
        Ok(())
    }

    /// Sends what was kept.
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

    /// Writes as much of a large body as fits; `None` when nothing does.
    pub fn push(&mut self, data: &[u8]) -> Result<Option<usize>> {
        self.flush()?;
        if let Some(tls) = &mut self.tls {
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

    /// Reads; `None` when nothing is there, 0 at the end.
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
            // A read that does not fill what was offered has emptied the socket: no call to learn it.
            let mut socket = Watched {
                socket: &self.socket,
                filled: true,
            };
            match would_block(tls.read_tls(&mut socket))? {
                None => return Ok(None),
                Some(_) => ended = !socket.filled,
            }
            tls.process_new_packets()
                .map_err(|e| std::io::Error::new(ErrorKind::InvalidData, e))?;
            while tls.wants_write() && would_block(tls.write_tls(&mut self.socket))?.is_some() {}
        }
    }

    /// Reads and forgets up to `limit` bytes, in the kernel where that can be.
    pub fn discard(&mut self, limit: u64, scratch: &mut [u8]) -> Result<Option<usize>> {
        let limit = usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .min(scratch.len());
        let scratch = scratch.get_mut(..limit).unwrap_or_default();
        if !self.plain() {
            return self.read(scratch);
        }
        match recv(&self.socket, scratch, RecvFlags::TRUNC) {
            Ok((_, n)) => Ok(Some(n)),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }
}

struct Watched<'a> {
    socket: &'a TcpStream,
    filled: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let n = self.socket.read(buf)?;
        self.filled = n == buf.len();
        Ok(n)
    }
}

/// `None` for "not now".
fn would_block<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        // A connect that is still under way.
        Err(e) if e.kind() == ErrorKind::NotConnected => Ok(None),
        Err(e) => Err(e),
    }
}
