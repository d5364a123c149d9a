use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::{io, mem};

use crate::Stream;

#[cfg(test)]
mod tests;

/// Size in bytes of a small buffer, which holds message heads and data that a slow peer has not taken yet.
pub const SMALL: usize = 32 * 1024;

/// Size in bytes of a large buffer, which holds one read of bulk data. In measurements, 1 MiB was not
/// faster and 64 KiB was slower.
pub const LARGE: usize = 256 * 1024;

/// Unused bytes in front of a large buffer. The allocator begins it with a page of memory, and rustls copies what it encrypts
/// to five bytes behind the beginning of a page. Processors of AMD copy 3.5 GB/s instead of 50 (`rep movsb`) if the destination
/// is up to 15 bytes further in its page than the source.
const FRONT: usize = 64;

/// Size in bytes of a head buffer, which holds the largest allowed request head (ALB guide: quotas).
pub const HEAD: usize = 64 * 1024;

/// Small buffers that an idle worker keeps: 2 MiB.
const SMALL_KEPT: usize = 64;

/// Large buffers that an idle worker keeps: 1 MiB.
const LARGE_KEPT: usize = 4;

/// Limit of large buffers in use, 16 MiB in all. Slow readers beyond it get small buffers.
const LARGE_OUT: usize = 64;

/// Head buffers that an idle worker keeps: 1 MiB.
const HEADS_KEPT: usize = 16;

/// Limit of head buffers in use, 32 MiB in all. They have their own pool, so that slow readers holding
/// large buffers cannot block request heads.
const HEADS_OUT: usize = 512;

/// The buffer pools of one worker. A buffer is zeroed when it is allocated and not when it is reused.
///
/// Each pool is a stack, so that the memory used last, which is still in the CPU cache, is used next.
/// As long as no connection holds a buffer, all connections share one large buffer.
#[derive(Debug)]
pub struct Buffers {
    pools: Rc<Pools>,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self {
            pools: Rc::new(Pools {
                small: Pool::default(),
                large: Pool::default(),
                heads: Pool::default(),
            }),
        }
    }

    /// Takes a buffer of [`SMALL`] bytes.
    pub fn take(&self) -> Buffer {
        self.buffer(self.pools.small.take(SMALL))
    }

    /// Takes a buffer of [`LARGE`] bytes, or a small one when too many large ones are in use. Drop it
    /// before the task yields unless its content cannot be written yet.
    pub fn take_large(&self) -> Buffer {
        if self.pools.large.out.get() >= LARGE_OUT {
            return self.take();
        }
        self.buffer(self.pools.large.take(FRONT + LARGE))
    }

    /// Takes a buffer of [`HEAD`] bytes, for an incomplete head that does not fit into a small buffer.
    /// `None` when too many are in use; that is not the fault of the sender.
    pub fn take_head(&self) -> Option<Buffer> {
        let heads = &self.pools.heads;
        (heads.out.get() < HEADS_OUT).then(|| self.buffer(heads.take(HEAD)))
    }

    /// The number of buffers of all sizes that are in use.
    pub fn in_use(&self) -> usize {
        let pools = &self.pools;
        pools.small.out.get() + pools.large.out.get() + pools.heads.out.get()
    }

    fn buffer(&self, bytes: Box<[u8]>) -> Buffer {
        Buffer::new(bytes, Rc::clone(&self.pools))
    }
}

/// A pooled buffer: filled at the back, consumed at the front, returned to its pool when dropped.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    pools: Rc<Pools>,
}

impl Buffer {
    fn new(bytes: Box<[u8]>, pools: Rc<Pools>) -> Self {
        let mut buffer = Self {
            bytes,
            start: 0,
            end: 0,
            pools,
        };
        buffer.clear();
        buffer
    }

    /// Removes up to `n` bytes from the front.
    pub fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        if self.start == self.end {
            self.clear();
        }
    }

    /// Adds up to `n` bytes of the spare capacity to the content.
    pub fn commit(&mut self, n: usize) {
        self.end = self.bytes.len().min(self.end.saturating_add(n));
    }

    /// Removes the content.
    pub fn clear(&mut self) {
        (self.start, self.end) = (self.front(), self.front());
    }

    /// Moves the content to the front, so that all spare capacity is behind it.
    pub fn compact(&mut self) {
        let front = self.front();
        if self.start > front {
            self.bytes.copy_within(self.start..self.end, front);
            self.end -= self.start - front;
            self.start = front;
        }
    }

    /// Appends as much of `bytes` as fits, and returns the number of bytes appended.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare();
        let n = spare.len().min(bytes.len());
        if let (Some(to), Some(from)) = (spare.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        self.commit(n);
        n
    }

    /// The spare capacity behind the content. It may hold bytes of earlier content.
    pub fn spare(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// The content, mutable.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// The size of the buffer in bytes.
    pub fn capacity(&self) -> usize {
        self.bytes.len() - self.front()
    }

    fn front(&self) -> usize {
        if self.bytes.len() == FRONT + LARGE {
            FRONT
        } else {
            0
        }
    }

    /// The spare capacity behind the content in bytes.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// Reads once, up to `limit` bytes, into the spare capacity. Returns 0 when there is no spare
    /// capacity or the stream has ended.
    pub fn poll_read<S: Stream>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut S,
        limit: usize,
    ) -> Poll<io::Result<usize>> {
        let spare = self.spare();
        let n = spare.len().min(limit);
        let n = ready!(io.poll_recv(cx, spare.get_mut(..n).unwrap_or_default()))?;
        self.commit(n);
        Poll::Ready(Ok(n))
    }

    /// Moves the content into a small buffer if it fits. Call this before holding the buffer while
    /// waiting.
    pub fn shrink(self) -> Self {
        if self.capacity() == SMALL || self.len() > SMALL {
            return self;
        }
        let mut small = Self::new(self.pools.small.take(SMALL), Rc::clone(&self.pools));
        small.extend(&self);
        small
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let capacity = self.capacity();
        let bytes = mem::take(&mut self.bytes);
        match capacity {
            LARGE => self.pools.large.give(bytes, LARGE_KEPT),
            HEAD => self.pools.heads.give(bytes, HEADS_KEPT),
            _ => self.pools.small.give(bytes, SMALL_KEPT),
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Reads once into the buffer in `slot`. An empty slot gets a buffer from the pool, which is returned
/// when no data arrived: a waiting connection holds no buffer.
///
/// `Ok(0)` is the end of the stream. A full buffer is an error; the caller frees capacity first.
pub fn poll_read_pooled<S: Stream>(
    cx: &mut Context<'_>,
    buffers: &Buffers,
    io: &mut S,
    slot: &mut Option<Buffer>,
) -> Poll<io::Result<usize>> {
    let buffer = slot.get_or_insert_with(|| buffers.take());
    if buffer.room() == 0 {
        return Poll::Ready(Err(io::ErrorKind::StorageFull.into()));
    }
    let read = buffer.poll_read(cx, io, usize::MAX);
    if buffer.is_empty() {
        *slot = None;
    }
    read
}

#[derive(Debug)]
struct Pools {
    small: Pool,
    large: Pool,
    heads: Pool,
}

/// A stack of buffers of one size.
#[derive(Default)]
struct Pool {
    kept: RefCell<Vec<Box<[u8]>>>,
    out: Cell<usize>,
}

impl Pool {
    fn take(&self, size: usize) -> Box<[u8]> {
        self.out.set(self.out.get() + 1);
        let kept = self.kept.borrow_mut().pop();
        kept.unwrap_or_else(|| vec![0; size].into_boxed_slice())
    }

    fn give(&self, bytes: Box<[u8]>, most: usize) {
        self.out.set(self.out.get() - 1);
        let mut kept = self.kept.borrow_mut();
        if kept.len() < most {
            kept.push(bytes);
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("kept", &self.kept.borrow().len())
            .field("out", &self.out)
            .finish()
    }
}
