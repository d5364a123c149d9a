//! The servers behind the proxy: echo, source, sink, HTTP/1.1 and gRPC.

use std::io::{Error, ErrorKind, Result};

use serde::{Deserialize, Serialize};

use crate::engine::{Shared, Step};
use crate::grpc::Grpc;
use crate::io::Io;
use crate::wire;

/// The service of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Sends back what it receives.
    Echo,
    /// Sends without end.
    Source,
    /// Reads without end.
    Sink,
    /// HTTP/1.1: `GET /large` returns 64 MiB, any other GET 1 KiB; a PUT is read and answered.
    Http,
    /// The same under TLS.
    Https,
    /// gRPC over HTTP/2 without TLS: every call gets one message.
    Grpc,
}

/// The server side of one accepted connection.
pub struct Server {
    service: Service,
    head: Vec<u8>,
    to_send: u64,
    to_read: u64,
    grpc: Option<Box<Grpc>>,
}

impl Server {
    /// A new connection to `service`.
    pub fn new(service: Service) -> Self {
        Self {
            service,
            head: Vec::new(),
            to_send: 0,
            to_read: 0,
            grpc: (service == Service::Grpc).then(Box::default),
        }
    }

    /// Makes as much progress as the socket allows.
    pub fn ready(&mut self, io: &mut Io, shared: &mut Shared, hup: bool) -> Result<Step> {
        io.flush()?;
        if let Some(grpc) = &mut self.grpc {
            return grpc.ready(io, shared, hup);
        }
        match self.service {
            Service::Echo => {
                let Some(n) = io.read(&mut shared.scratch)? else {
                    return Ok(Step::Wait);
                };
                io.send(shared.scratch.get(..n).unwrap_or_default())?;
                Ok(after_read(n, hup))
            }
            Service::Source => {
                let sent = io.push(&shared.body)?;
                Ok(if sent.is_some() {
                    Step::Again
                } else {
                    Step::Wait
                })
            }
            Service::Sink => match io.discard(u64::MAX, &mut shared.scratch)? {
                Some(0) => Ok(Step::Close),
                Some(_) => Ok(Step::Again),
                None => Ok(Step::Wait),
            },
            Service::Http | Service::Https | Service::Grpc => self.http(io, shared, hup),
        }
    }

    fn http(&mut self, io: &mut Io, shared: &mut Shared, hup: bool) -> Result<Step> {
        if self.to_send > 0 {
            return match io.push(shared.part_of_body(self.to_send))? {
                None => Ok(Step::Wait),
                Some(n) => {
                    self.to_send -= n as u64;
                    Ok(Step::Again)
                }
            };
        }
        if self.to_read > 0 {
            match io.discard(self.to_read, &mut shared.scratch)? {
                None => return Ok(Step::Wait),
                Some(0) => return Ok(Step::Close),
                Some(n) => self.to_read -= n as u64,
            }
            if self.to_read == 0 {
                io.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            return Ok(Step::Again);
        }
        let Some(n) = io.read(&mut shared.scratch)? else {
            return Ok(Step::Wait);
        };
        let read = shared.scratch.get(..n).unwrap_or_default();
        if self.head.is_empty()
            && let Some(end) = wire::head_end(read)
        {
            self.request(io, read, end, &shared.small)?;
            return Ok(self.after_request(n, hup));
        }
        self.head.extend_from_slice(read);
        if let Some(end) = wire::head_end(&self.head) {
            let bytes = std::mem::take(&mut self.head);
            self.request(io, &bytes, end, &shared.small)?;
        }
        Ok(self.after_request(n, hup))
    }

    fn after_request(&self, n: usize, hup: bool) -> Step {
        if self.to_send > 0 || self.to_read > 0 {
            return Step::Again;
        }
        after_read(n, hup)
    }

    /// Answers the request with the head `bytes[..end]`. No client pipelines requests.
    fn request(&mut self, io: &mut Io, bytes: &[u8], end: usize, small: &[u8]) -> Result<()> {
        let (head, rest) = bytes.split_at_checked(end).unwrap_or((bytes, b""));
        if head.starts_with(b"PUT ") {
            let length = wire::content_length(head)
                .ok_or_else(|| Error::new(ErrorKind::InvalidData, "PUT without a length"))?;
            self.to_read = length.saturating_sub(rest.len() as u64);
            if self.to_read == 0 {
                io.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            }
            return Ok(());
        }
        if head.starts_with(b"GET /large ") {
            self.to_send = wire::LARGE;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", wire::LARGE);
            return io.send(head.as_bytes());
        }
        io.send(small)
    }
}

/// A read of `n` bytes, fewer than the buffer holds, has emptied the socket unless the peer is closing it.
pub(crate) fn after_read(n: usize, hup: bool) -> Step {
    match (n, hup) {
        (0, _) => Step::Close,
        (_, true) => Step::Again,
        (_, false) => Step::Wait,
    }
}
