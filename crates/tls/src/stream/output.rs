//! Records on their way to the socket.

use std::cell::RefCell;
use std::mem;

use rustls::unbuffered::{EncodeError, EncryptError};

use super::WRITE_BUFFER;

/// Size in bytes of a pooled buffer: the records of one write, and a few messages of rustls.
const POOLED: usize = WRITE_BUFFER + (1 << 10);

/// Maximum number of pooled buffers that a thread keeps, 520 KiB in all.
const KEPT: usize = 8;

/// Up to this many bytes are copied when they have to wait, so that a slow reader of small messages holds no pooled buffer.
const COPIED: usize = 16 << 10;

thread_local! {
    /// A stack, so that the memory used last, which is still in the CPU cache, is used next.
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Records that were encrypted and not sent yet. It holds no memory when it is empty.
#[derive(Default)]
pub(super) struct Output {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Output {
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// What is to be sent.
    pub(super) fn unsent(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Removes `count` bytes that were sent.
    pub(super) fn remove(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count));
    }

    /// Appends the bytes that `write` writes. It is called again with more room if it asks for that.
    pub(super) fn append<E: NeedsRoom>(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.reserve(1);
        loop {
            let room = self.bytes.get_mut(self.end..).unwrap_or_default();
            let had = room.len();
            match write(room) {
                Ok(count) => {
                    self.end = self.bytes.len().min(self.end.saturating_add(count));
                    return Ok(());
                }
                Err(error) => match error.needs() {
                    Some(needed) if needed > had => self.reserve(needed),
                    _ => return Err(error),
                },
            }
        }
    }

    /// Appends `bytes`.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        let end = self.end + bytes.len();
        if let Some(room) = self.bytes.get_mut(self.end..end) {
            room.copy_from_slice(bytes);
            self.end = end;
        }
    }

    /// Called before waiting: gives back a pooled buffer that is empty, or nearly.
    pub(super) fn settle(&mut self) {
        let unsent = self.unsent();
        if unsent.is_empty() {
            if !self.bytes.is_empty() {
                give(mem::take(self).bytes);
            }
        } else if unsent.len() <= COPIED && self.bytes.len() >= POOLED {
            let copied: Box<[u8]> = unsent.into();
            let end = copied.len();
            let before = mem::replace(
                self,
                Self {
                    bytes: copied,
                    start: 0,
                    end,
                },
            );
            give(before.bytes);
        }
    }

    /// Makes room for `count` more bytes.
    fn reserve(&mut self, count: usize) {
        if self.bytes.len() - self.end >= count {
            return;
        }
        let unsent = self.unsent();
        let size = unsent.len() + count;
        let mut bytes = if size <= POOLED {
            take()
        } else {
            vec![0; size.next_power_of_two()].into()
        };
        let end = unsent.len();
        if let Some(front) = bytes.get_mut(..end) {
            front.copy_from_slice(unsent);
        }
        let before = mem::replace(
            self,
            Self {
                bytes,
                start: 0,
                end,
            },
        );
        give(before.bytes);
    }
}

/// An error of rustls that may say how much room it needs.
pub(super) trait NeedsRoom {
    fn needs(&self) -> Option<usize>;
}

impl NeedsRoom for EncodeError {
    fn needs(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl NeedsRoom for EncryptError {
    fn needs(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(size) => Some(size.required_size),
            Self::EncryptExhausted => None,
        }
    }
}

fn take() -> Box<[u8]> {
    let pooled = POOL.with_borrow_mut(Vec::pop);
    pooled.unwrap_or_else(|| vec![0; POOLED].into())
}

fn give(bytes: Box<[u8]>) {
    if bytes.len() != POOLED {
        return;
    }
    POOL.with_borrow_mut(|pool| {
        if pool.len() < KEPT {
            pool.push(bytes);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(count: usize) -> Output {
        let mut output = Output::default();
        output.extend(&vec![7; count]);
        output
    }

    /// So a slow reader holds what waits for it, or a pooled buffer if that is much.
    #[test]
    fn waiting_records_hold_little_memory() {
        for (count, sent, held) in [
            (100, 0, 100),
            (100, 60, 40),
            (60_000, 59_900, 100),
            (60_000, 100, POOLED),
            (100, 100, 0),
        ] {
            let mut output = output(count);
            output.remove(sent);
            output.settle();
            assert_eq!(output.bytes.len(), held);
            assert_eq!(output.unsent(), vec![7; count - sent]);
        }
    }

    #[test]
    fn output_grows_beyond_a_pooled_buffer() {
        let mut output = output(60_000);
        output.remove(10_000);
        output.extend(&vec![8; 60_000]);
        let want = [vec![7; 50_000], vec![8; 60_000]].concat();
        assert!(output.unsent() == want);
    }
}
