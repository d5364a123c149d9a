//! Plaintext on its way from and to the caller.

use std::cell::RefCell;
use std::io::{self, IoSlice};

use tokio::io::ReadBuf;

/// Plaintext of a full record in bytes.
const RECORD: usize = 16 << 10;

thread_local! {
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Decrypted bytes that the caller has not taken yet. It holds no memory when it is empty.
#[derive(Default)]
pub(super) struct Plaintext {
    bytes: Vec<u8>,
    start: usize,
}

impl Plaintext {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Moves as many bytes as possible into `into`.
    pub(super) fn take(&mut self, into: &mut ReadBuf<'_>) {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        self.start += put(rest, into);
        if self.start >= self.bytes.len() {
            *self = Self::default();
        }
    }

    /// Moves `received`, which follows what is kept, into `into`, and keeps what does not fit.
    pub(super) fn pass(&mut self, received: &[u8], into: &mut ReadBuf<'_>) {
        let count = if self.is_empty() {
            put(received, into)
        } else {
            0
        };
        let rest = received.get(count..).unwrap_or_default();
        self.bytes.extend_from_slice(rest);
    }
}

/// Copies as much of `bytes` as fits, and returns how much that is.
fn put(bytes: &[u8], into: &mut ReadBuf<'_>) -> usize {
    let count = bytes.len().min(into.remaining());
    into.put_slice(bytes.get(..count).unwrap_or_default());
    count
}

/// Calls `seal` with the first `limit` bytes of `parts`, as they fill records, and returns how many there were. Only bytes of
/// records that have several parts are copied.
pub(super) fn fill_records(
    parts: &[IoSlice<'_>],
    limit: usize,
    mut seal: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<usize> {
    let mut parts = parts.iter().filter(|part| !part.is_empty());
    let (first, second) = (parts.next(), parts.next());
    let Some(first) = first else {
        return Ok(0);
    };
    let Some(second) = second else {
        let count = first.len().min(limit);
        seal(first.get(..count).unwrap_or_default())?;
        return Ok(count);
    };
    RECORDS.with_borrow_mut(|record| {
        record.clear();
        let mut left = limit;
        for part in [first, second].into_iter().chain(parts) {
            let (mut part, _) = part.split_at(part.len().min(left));
            left -= part.len();
            if !record.is_empty() {
                let (now, rest) = part.split_at(part.len().min(RECORD - record.len()));
                record.extend_from_slice(now);
                if record.len() == RECORD {
                    seal(record)?;
                    record.clear();
                }
                part = rest;
            }
            let (whole, rest) = part.split_at(part.len() - part.len() % RECORD);
            if !whole.is_empty() {
                seal(whole)?;
            }
            record.extend_from_slice(rest);
        }
        if !record.is_empty() {
            seal(record)?;
        }
        Ok(limit - left)
    })
}
