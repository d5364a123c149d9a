//! A connection of rustls, with the bytes that wait for it, for its reader, and for the socket.

use std::io::{self, IoSlice};
use std::mem;

use rustls::unbuffered::{ConnectionState, UnbufferedStatus, WriteTraffic};
use rustls::{AlertDescription, Error as TlsError};
use tokio::io::ReadBuf;

use super::WRITE_BUFFER;
use super::output::Output;
use super::plaintext::{Plaintext, fill_records};
use super::side::Side;
use crate::alert;

/// Up to this capacity, memory for the first part of a record is used again for the next one: whatever comes in bulk ends
/// in the middle of a record at most reads.
const MOST_REUSED: usize = 16 << 10;

/// Everything of a TLS connection but its socket.
pub(super) struct Session<C> {
    connection: C,
    /// Records that were not processed, or the first part of a record or message; usually empty. rustls relies on getting
    /// the same bytes again, and knows what it has decrypted of them.
    received: Vec<u8>,
    /// Whether `received` may hold whole records, because the reader had no room for more plaintext.
    has_records: bool,
    /// What the reader has not taken yet.
    pub(super) plaintext: Plaintext,
    /// What the socket has not taken yet.
    pub(super) output: Output,
    /// Whether close_notify was received.
    pub(super) is_closed: bool,
    /// The error that has ended the connection.
    failed: Option<Box<TlsError>>,
}

/// How far [`Session::advance`] has come.
struct Progress<T> {
    /// Number of bytes that are not needed any more.
    used: usize,
    /// Whether the rest may hold whole records.
    is_full: bool,
    written: Option<T>,
}

impl<C: Side> Session<C> {
    pub(super) fn new(connection: C, received: Vec<u8>) -> Self {
        Self {
            connection,
            received,
            // A client has something to say before it has received anything.
            has_records: true,
            plaintext: Plaintext::default(),
            output: Output::default(),
            is_closed: false,
            failed: None,
        }
    }

    pub(super) fn connection(&self) -> &C {
        &self.connection
    }

    /// The error that has ended the connection. Its alert is part of the output.
    pub(super) fn failure(&self) -> Option<io::Error> {
        let error = self.failed.as_deref()?;
        Some(io::Error::new(io::ErrorKind::InvalidData, error.clone()))
    }

    /// The bytes that have to come before the next ones from the socket.
    pub(super) fn received(&self) -> &[u8] {
        &self.received
    }

    /// Processes what was received before, if that may hold whole records. Returns whether it was so.
    pub(super) fn process_received(&mut self, into: &mut ReadBuf<'_>) -> bool {
        let has_records = self.has_records;
        if has_records {
            let mut records = mem::take(&mut self.received);
            self.process(&mut records, into);
        }
        has_records
    }

    /// Decrypts `records`, which begin with [`Self::received`], in place. Plaintext goes into `into`; when it is full, the other
    /// records wait. The error of a connection that fails comes from [`Self::failure`].
    pub(super) fn process(&mut self, records: &mut [u8], into: &mut ReadBuf<'_>) {
        let progress = self.advance(records, into, |_, _| ());
        self.keep(records, progress);
        if self.failed.is_some() {
            self.push_alerts();
        }
    }

    /// Answers the first message of a client, which was received. Returns whether it was refused; `description` may replace
    /// the alert of rustls then.
    pub(super) fn process_first(
        &mut self,
        description: impl FnOnce(&TlsError) -> Option<AlertDescription>,
    ) -> bool {
        let mut records = mem::take(&mut self.received);
        let progress = self.advance(&mut records, &mut ReadBuf::new(&mut []), |_, _| ());
        self.keep(&records, progress);
        let Some(error) = &self.failed else {
            return false;
        };
        // An answer means that only a later message was refused.
        let is_refused = self.output.is_empty();
        match description(error).filter(|_| is_refused) {
            Some(description) => self.output.extend(&alert::record(description)),
            None => self.push_alerts(),
        }
        is_refused
    }

    /// Encrypts the first [`WRITE_BUFFER`] bytes of `parts`. Returns how many there were.
    ///
    /// # Errors
    /// The connection has failed, or its keys are used up.
    pub(super) fn encrypt(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let Some(error) = self.failure() {
            return Err(error);
        }
        let written = self.write(|mut traffic, output| {
            fill_records(parts, WRITE_BUFFER, |plaintext| {
                let encrypted = output.append(|room| traffic.encrypt(plaintext, room));
                encrypted.map_err(io::Error::other)
            })
        });
        let written = written.unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()));
        if written.is_err() {
            self.push_alerts();
        }
        written
    }

    /// Adds close_notify to the output, unless the connection has failed.
    pub(super) fn close(&mut self) {
        if self.failed.is_none() {
            // There is always room for it.
            let _ = self.write(|mut traffic, output| {
                output.append(|room| traffic.queue_close_notify(room))
            });
        }
    }

    /// Calls `write` once the connection can write; otherwise `None`.
    fn write<T>(
        &mut self,
        write: impl FnOnce(WriteTraffic<'_, C::Data>, &mut Output) -> T,
    ) -> Option<T> {
        // Whole records wait for the reader. A part is necessary, because rustls counts from its beginning.
        let mut part = if self.has_records {
            Vec::new()
        } else {
            mem::take(&mut self.received)
        };
        let progress = self.advance(&mut part, &mut ReadBuf::new(&mut []), write);
        if !self.has_records {
            self.received = part;
        }
        progress?.written
    }

    /// Lets rustls process `records` until it needs more of them or `into` is full. Then calls `write`, if the connection can
    /// write. `None` if the connection has failed.
    fn advance<T>(
        &mut self,
        records: &mut [u8],
        into: &mut ReadBuf<'_>,
        write: impl FnOnce(WriteTraffic<'_, C::Data>, &mut Output) -> T,
    ) -> Option<Progress<T>> {
        let mut used = 0;
        let error = loop {
            let rest = records.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { discard, state } = self.connection.process(rest);
            used += discard;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        used += record.discard;
                        self.plaintext.pass(record.payload, into);
                    }
                    if into.remaining() == 0 || !self.plaintext.is_empty() {
                        return Some(Progress {
                            used,
                            is_full: true,
                            written: None,
                        });
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if let Err(error) = self.output.append(|room| data.encode(room)) {
                        break TlsError::General(error.to_string());
                    }
                }
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => {
                    self.is_closed = true;
                    // After close_notify, data must be ignored (RFC 8446, 6.1).
                    used = records.len();
                }
                Ok(ConnectionState::WriteTraffic(traffic)) => {
                    return Some(Progress {
                        used,
                        is_full: false,
                        written: Some(write(traffic, &mut self.output)),
                    });
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => {
                    return Some(Progress {
                        used,
                        is_full: false,
                        written: None,
                    });
                }
                // Early data, which no configuration accepts.
                Ok(_) => break TlsError::General("unexpected state of the connection".into()),
                Err(error) => break error,
            }
        };
        self.failed = Some(Box::new(error));
        None
    }

    fn keep<T>(&mut self, records: &[u8], progress: Option<Progress<T>>) {
        let (used, is_full) = progress.map_or((records.len(), false), |p| (p.used, p.is_full));
        let rest = records.get(used..).unwrap_or_default();
        if rest.is_empty() || self.received.capacity() > MOST_REUSED {
            self.received = rest.into();
        } else {
            self.received.clear();
            self.received.extend_from_slice(rest);
        }
        self.has_records = is_full && !self.received.is_empty();
    }

    /// Adds the alerts of an error to the output.
    fn push_alerts(&mut self) {
        // Otherwise rustls would look for more records.
        while self.connection.common().wants_write() {
            match self.connection.process(&mut []).state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while traffic.next_record().is_some() {}
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    if self.output.append(|room| data.encode(room)).is_err() {
                        return;
                    }
                }
                _ => return,
            }
        }
    }
}
