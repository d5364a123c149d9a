//! The server of gRPC: HTTP/2 with prior knowledge, every call is answered with one message.

use std::io::{Error, ErrorKind, Result};

use elbow_h2::{Config, Connection, Event, StreamKey};

use crate::engine::{Shared, Step};
use crate::io::Io;

/// Bytes of a message, in requests and responses.
const MESSAGE: usize = 128;

/// One message as gRPC frames it: not compressed, its length, its bytes.
pub fn message() -> Vec<u8> {
    let length = u32::try_from(MESSAGE).unwrap_or(u32::MAX);
    let mut message = vec![0];
    message.extend_from_slice(&length.to_be_bytes());
    message.resize(message.len() + MESSAGE, b'x');
    message
}

/// One accepted connection.
pub struct Grpc {
    h2: Connection,
    /// Received: part of a frame.
    rest: Vec<u8>,
    /// Calls that are complete and wait for their answers.
    due: Vec<StreamKey>,
}

impl Default for Grpc {
    fn default() -> Self {
        let config = Config {
            streams_max: 1024,
            stream_window: 1 << 20,
            connection_window: 1 << 30,
            header_list_max: 64 * 1024,
            output_max: 1 << 20,
        };
        Self {
            h2: Connection::server(config),
            rest: Vec::new(),
            due: Vec::new(),
        }
    }
}

impl Grpc {
    /// Reads what is here, and answers it with one write.
    pub fn ready(&mut self, io: &mut Io, shared: &mut Shared, hup: bool) -> Result<Step> {
        let Some(n) = io.read(&mut shared.scratch)? else {
            return Ok(Step::Wait);
        };
        let read = shared.scratch.get(..n).unwrap_or_default();
        if self.rest.is_empty() {
            let used = self.receive(read)?;
            self.rest
                .extend_from_slice(read.get(used..).unwrap_or_default());
        } else {
            let mut joined = std::mem::take(&mut self.rest);
            joined.extend_from_slice(read);
            let used = self.receive(&joined)?;
            joined.drain(..used);
            self.rest = joined;
        }
        self.answer(&shared.message);
        self.h2.end_turn();
        io.send(self.h2.output())?;
        self.h2.consume_output(self.h2.output().len());
        Ok(crate::server::after_read(n, hup))
    }

    /// Reads frames, and returns how many bytes they have.
    fn receive(&mut self, input: &[u8]) -> Result<usize> {
        let mut used = 0;
        loop {
            let received = self.h2.receive(input.get(used..).unwrap_or_default());
            used += received.used;
            match received.event {
                None => return Ok(used),
                Some(Event::Head { stream, end, .. }) => {
                    if end {
                        self.due.push(stream);
                    }
                }
                Some(Event::Data { stream, data, end }) => {
                    let n = data.len();
                    self.h2.release(stream, n);
                    if end {
                        self.due.push(stream);
                    }
                }
                Some(Event::Trailers { stream, .. }) => self.due.push(stream),
                Some(Event::Reset { stream, .. }) => self.h2.close(stream),
                Some(Event::GoAway { .. }) => {}
                Some(Event::Failed(error)) => {
                    return Err(Error::new(ErrorKind::InvalidData, error));
                }
            }
        }
    }

    /// Answers the complete calls that the windows have room for.
    fn answer(&mut self, message: &[u8]) {
        let h2 = &mut self.h2;
        self.due.retain(|call| {
            if h2.window(*call) < message.len() {
                return true;
            }
            h2.send_head(*call, false, |head| {
                head.status(200);
                head.field("content-type", b"application/grpc");
            });
            h2.send_data(*call, message, false);
            h2.send_head(*call, true, |trailers| {
                trailers.field("grpc-status", b"0");
                trailers.field("grpc-message", b"");
            });
            h2.close(*call);
            false
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_gets_a_message_and_its_status() {
        let mut grpc = Grpc::default();
        let config = Config {
            streams_max: 0,
            stream_window: 65_535,
            connection_window: 65_535,
            header_list_max: 64 * 1024,
            output_max: 1 << 20,
        };
        let mut client = Connection::client(config);
        for _ in 0..3 {
            let call = client.open(false, false, |head| {
                head.field(":method", b"POST");
                head.field(":scheme", b"http");
                head.field(":path", b"/bench.Echo/Unary");
            });
            client.send_data(call.unwrap(), &message(), true);
        }
        let sent = client.output().to_vec();
        assert_eq!(grpc.receive(&sent).unwrap(), sent.len());
        grpc.answer(&message());
        let (mut received, mut seen) = (grpc.h2.output(), Vec::new());
        loop {
            let step = client.receive(received);
            received = &received[step.used..];
            match step.event {
                None => break,
                Some(Event::Data { data, .. }) => seen.push(data.len().to_string()),
                Some(Event::Trailers { head, .. }) => {
                    let status = head.fields().find(|(name, _)| *name == "grpc-status");
                    seen.push(String::from_utf8_lossy(status.unwrap().1).into_owned());
                }
                Some(Event::Head { head, .. }) => seen.push(head.status().unwrap().to_string()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, ["200", "133", "0"].repeat(3));
    }
}
