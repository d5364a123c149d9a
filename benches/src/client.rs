//! One client connection: sends a request, reads the reply and reports it.

use std::io::{Error, ErrorKind, Result};
use std::time::Instant;

use crate::certificates::HOST;
use crate::engine::{Shared, Step};
use crate::io::Io;
use crate::run::Workload;
use crate::wire;

const ECHO_BYTES: usize = 128;

/// The state of one connection.
pub struct Client {
    workload: Workload,
    /// When the current request was sent, or was due.
    pub started: Instant,
    /// Whether a reply is pending.
    pub busy: bool,
    reply: Vec<u8>,
    to_send: u64,
    to_read: u64,
    in_body: bool,
}

impl Client {
    /// An idle connection.
    pub fn new(workload: Workload) -> Self {
        Self {
            workload,
            started: Instant::now(),
            busy: false,
            reply: Vec::new(),
            to_send: 0,
            to_read: 0,
            in_body: false,
        }
    }

    /// Sends the next request. Its latency counts from `started`.
    pub fn request(&mut self, io: &mut Io, shared: &mut Shared, started: Instant) -> Result<Step> {
        self.started = started;
        self.busy = true;
        self.in_body = false;
        match self.workload {
            Workload::TcpEcho | Workload::TcpConnect | Workload::TcpIdle => {
                self.to_read = ECHO_BYTES as u64;
                io.send(shared.body.get(..ECHO_BYTES).unwrap_or_default())?;
            }
            Workload::TcpDown => self.to_read = u64::MAX,
            Workload::TcpUp => {
                self.to_send = u64::MAX;
                return Ok(Step::Again);
            }
            Workload::HttpPut | Workload::HttpsPut => {
                self.to_send = wire::LARGE;
                let length = wire::LARGE;
                let head = format!(
                    "PUT /large HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n"
                );
                io.send(head.as_bytes())?;
                return Ok(Step::Again);
            }
            Workload::HttpGet | Workload::HttpsGet => io.send(&shared.get_large)?,
            Workload::Http
            | Workload::HttpConnect
            | Workload::HttpsConnect
            | Workload::HttpsResume
            | Workload::HttpIdle
            | Workload::HttpsIdle
            | Workload::Https
            | Workload::HttpsHttps => io.send(&shared.get_small)?,
            // They have no connections; see `datagrams`.
            Workload::UdpEcho | Workload::UdpIdle | Workload::UdpStream | Workload::UdpGso => {
                return Ok(Step::Close);
            }
        }
        Ok(Step::Wait)
    }

    /// Makes as much progress as the socket allows.
    pub fn ready(&mut self, io: &mut Io, shared: &mut Shared) -> Result<Step> {
        io.flush()?;
        if self.to_send > 0
            && let Some(n) = io.push(shared.part_of_body(self.to_send))?
        {
            self.to_send -= n as u64;
            shared.moved += n as u64;
            return Ok(Step::Again);
        }
        match self.workload {
            Workload::TcpUp => Ok(Step::Wait),
            Workload::TcpEcho | Workload::TcpConnect | Workload::TcpIdle | Workload::TcpDown => {
                self.body(io, shared)
            }
            _ if self.in_body => self.body(io, shared),
            _ => self.head(io, shared),
        }
    }

    /// Reads a part of the pending body.
    fn body(&mut self, io: &mut Io, shared: &mut Shared) -> Result<Step> {
        if !self.busy {
            return idle(io, shared);
        }
        match io.discard(self.to_read, &mut shared.scratch)? {
            None => Ok(Step::Wait),
            Some(0) => Err(Error::new(ErrorKind::UnexpectedEof, "closed early")),
            Some(n) => {
                self.to_read -= n as u64;
                shared.moved += n as u64;
                Ok(if self.to_read == 0 {
                    self.done()
                } else {
                    Step::Again
                })
            }
        }
    }

    fn head(&mut self, io: &mut Io, shared: &mut Shared) -> Result<Step> {
        if !self.busy {
            return idle(io, shared);
        }
        let n = match io.read(&mut shared.scratch)? {
            None => return Ok(Step::Wait),
            Some(0) => return Err(Error::new(ErrorKind::UnexpectedEof, "closed early")),
            Some(n) => n,
        };
        let read = shared.scratch.get(..n).unwrap_or_default();
        let joined;
        let bytes = if self.reply.is_empty() {
            read
        } else {
            self.reply.extend_from_slice(read);
            joined = std::mem::take(&mut self.reply);
            &joined
        };
        let Some((head, rest)) = wire::head_end(bytes).and_then(|end| bytes.split_at_checked(end))
        else {
            self.reply = bytes.to_vec();
            return Ok(Step::Wait);
        };
        let length = wire::content_length(head).filter(|_| head.starts_with(b"HTTP/1.1 200"));
        let Some(length) = length else {
            let line = String::from_utf8_lossy(head.get(..60).unwrap_or(head)).into_owned();
            return Err(Error::new(ErrorKind::InvalidData, line));
        };
        shared.moved += rest.len() as u64;
        self.to_read = length.saturating_sub(rest.len() as u64);
        self.in_body = self.to_read > 0;
        Ok(if self.in_body {
            Step::Again
        } else {
            self.done()
        })
    }

    fn done(&mut self) -> Step {
        self.busy = false;
        self.in_body = false;
        Step::Done
    }
}

/// Reads from a connection without a pending reply: any data is an error.
fn idle(io: &mut Io, shared: &mut Shared) -> Result<Step> {
    match io.read(&mut shared.scratch)? {
        None => Ok(Step::Wait),
        Some(0) => Err(Error::new(ErrorKind::UnexpectedEof, "closed while idle")),
        Some(_) => Err(Error::new(ErrorKind::InvalidData, "unsolicited reply")),
    }
}
