use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::{io, mem};

use crate::Stream;

#[cfg(test)]
mod tests;

/// Bytes in a small buffer: message heads, and what a slow peer has not taken yet.
pub const SMALL: usize = 32 * 1024;

/// Bytes in a large buffer: one read of bulk data. Four times the size was not faster, a quarter
/// of it was slower.
pub const LARGE: usize = 256 * 1024;

/// Bytes in a head buffer: the largest request head (ALB guide: quotas).
pub const HEAD: usize = 64 * 1024;

/// Small buffers that an idle worker keeps: 2 MiB.
const SMALL_KEPT: usize = 64;

/// Large buffers that an idle worker keeps: 1 MiB.
const LARGE_KEPT: usize = 4;

/// Large buffers that are out at a time, 16 MiB; slow readers beyond that make do with small ones.
const LARGE_OUT: usize = 64;

/// Head buffers that an idle worker keeps: 1 MiB.
const HEADS_KEPT: usize = 16;

/// Head buffers that are out at a time, 32 MiB. They are apart from the large ones, so that slow
/// readers, who keep those, cannot keep a head from coming.
const HEADS_OUT: usize = 512;

/// A worker's buffers. They are cleared when first made and never again.
///
/// The pools are stacks, so that work that comes and goes uses the same warm memory: as long as
/// nobody keeps a buffer, the worker has one large buffer that all its connections share.
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

    /// A buffer of [`SMALL`] bytes.
    pub fn take(&self) -> Buffer {
        self.buffer(self.pools.small.take(SMALL))
    }

    /// A buffer of [`LARGE`] bytes, to be given back before the task yields unless the bytes in it
    /// have nowhere to go. When too many are out already, a small one.
    pub fn take_large(&self) -> Buffer {
        if self.pools.large.out.get() >= LARGE_OUT {
            return self.take();
        }
        self.buffer(self.pools.large.take(LARGE))
    }

    /// A buffer of [`HEAD`] bytes, for a head that a small one is too small for and that has not all
    /// come. `None` when too many are out: that is no fault of whoever sends the head.
    pub fn take_head(&self) -> Option<Buffer> {
        let heads = &self.pools.heads;
        (heads.out.get() < HEADS_OUT).then(|| self.buffer(heads.take(HEAD)))
    }

    /// How many buffers of all sizes are with connections now.
    pub fn in_use(&self) -> usize {
        let pools = &self.pools;
        pools.small.out.get() + pools.large.out.get() + pools.heads.out.get()
    }

    fn buffer(&self, bytes: Box<[u8]>) -> Buffer {
        Buffer {
            bytes,
            start: 0,
            end: 0,
            pools: Rc::clone(&self.pools),
        }
    }
}

/// A pooled buffer: filled at the back, consumed at the front, given back when dropped.
pub struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    pools: Rc<Pools>,
}

impl Buffer {
    /// Forgets `n` bytes at the front, or all there are.
    pub fn consume(&mut self, n: usize) {
        self.start = self.end.min(self.start.saturating_add(n));
        if self.start == self.end {
            self.clear();
        }
    }

    /// Makes the first `n` bytes of the spare room part of the content, or all of it.
    pub fn commit(&mut self, n: usize) {
        self.end = self.bytes.len().min(self.end.saturating_add(n));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Moves the content to the front, so that all the room is behind it.
    pub fn compact(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Appends as much of `bytes` as there is room for, and says how much that was.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare();
        let n = spare.len().min(bytes.len());
        if let (Some(to), Some(from)) = (spare.get_mut(..n), bytes.get(..n)) {
            to.copy_from_slice(from);
        }
        self.commit(n);
        n
    }

    /// The room behind the content, with whatever was in it before.
    pub fn spare(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// The content, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes fit in an empty one.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// How many more bytes fit behind the content.
    pub fn room(&self) -> usize {
        self.bytes.len() - self.end
    }

    /// Reads once, up to `limit` bytes, into the spare room; 0 when there is no room or the
    /// stream has ended.
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

    /// Itself, or a small buffer with its content when that fits: what a connection keeps while
    /// it waits.
    pub fn shrink(self) -> Self {
        if self.capacity() == SMALL || self.len() > SMALL {
            return self;
        }
        let mut small = Self {
            bytes: self.pools.small.take(SMALL),
            start: 0,
            end: 0,
            pools: Rc::clone(&self.pools),
        };
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
        let bytes = mem::take(&mut self.bytes);
        match bytes.len() {
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

/// Reads once into `slot`'s buffer, which is taken from the pool when there is none, and goes
/// straight back when nothing came: a connection that waits holds no buffer.
///
/// `Ok(0)` is the end of the stream. The caller makes room first: a full buffer is an error.
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
