use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::net::TcpStream;

use crate::open_files::{Slot, Slots};

/// Requested pipe capacity in bytes. The kernel may grant less, which only costs speed.
pub(crate) const PIPE: usize = 1024 * 1024;

/// Pipes that an idle worker keeps.
const KEPT: usize = 16;

/// Limit of pipes in use; further flows are copied. A pipe costs two descriptors and, with a slow
/// reader, up to [`PIPE`] bytes of kernel memory.
const OUT: usize = 256;

const FLAGS: SpliceFlags = SpliceFlags::MOVE.union(SpliceFlags::NONBLOCK);

/// The pipe pool of a worker, for splice(2).
#[derive(Debug)]
pub(crate) struct Pipes {
    pool: Rc<Pool>,
    /// Limit of pipes in use.
    most: usize,
    /// The descriptor budget of the pipes.
    slots: Rc<Slots>,
}

impl Pipes {
    pub(crate) fn new(slots: Rc<Slots>) -> Self {
        Self::with_most(OUT, slots)
    }

    /// A pool without pipes, so that all data is copied.
    pub(crate) fn none(slots: Rc<Slots>) -> Self {
        Self::with_most(0, slots)
    }

    fn with_most(most: usize, slots: Rc<Slots>) -> Self {
        let kept = RefCell::new(Vec::with_capacity(KEPT.min(most)));
        let pool = Rc::new(Pool {
            kept,
            out: Cell::new(0),
        });
        Self { pool, most, slots }
    }

    /// Takes an empty pipe; `None` when too many are in use or no descriptors are left.
    pub(crate) fn take(&self) -> Option<Pipe> {
        let kept = self.pool.kept.borrow_mut().pop();
        let ends = match kept {
            Some(ends) => ends,
            None if self.pool.out.get() >= self.most => return None,
            None => Ends::new(self.slots.pipe()?).ok()?,
        };
        self.pool.out.set(self.pool.out.get() + 1);
        Some(Pipe {
            ends: Some(ends),
            len: 0,
            pool: Rc::clone(&self.pool),
        })
    }

    /// Closes the unused pipes and returns their number.
    pub(crate) fn clear(&self) -> usize {
        self.pool.kept.borrow_mut().drain(..).count()
    }

    #[cfg(test)]
    pub(crate) fn out(&self) -> usize {
        self.pool.out.get()
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.pool.kept.borrow().len()
    }
}

/// A pipe that contains `len` bytes. An empty pipe returns to the pool when dropped; one with content is
/// closed, so that the next flow does not get its bytes.
pub(crate) struct Pipe {
    ends: Option<Ends>,
    len: usize,
    pool: Rc<Pool>,
}

impl Pipe {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Moves up to `most` bytes from the socket into the pipe; 0 at the end of the stream.
    pub(crate) fn fill(&mut self, from: &TcpStream, most: usize) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let n = splice(from, None, &ends.write, None, most, FLAGS)?;
        self.len += n;
        Ok(n)
    }

    /// Moves bytes from the pipe into the socket.
    pub(crate) fn drain(&mut self, to: &TcpStream) -> io::Result<usize> {
        let Some(ends) = &self.ends else {
            return Ok(0);
        };
        let n = splice(&ends.read, None, to, None, self.len, FLAGS)?;
        self.len = self.len.saturating_sub(n);
        Ok(n)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.pool.out.set(self.pool.out.get() - 1);
        let mut kept = self.pool.kept.borrow_mut();
        if self.len == 0 && kept.len() < KEPT {
            kept.extend(self.ends.take());
        }
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipe")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Pool {
    kept: RefCell<Vec<Ends>>,
    out: Cell<usize>,
}

#[derive(Debug)]
struct Ends {
    read: OwnedFd,
    write: OwnedFd,
    _slot: Slot,
}

impl Ends {
    fn new(slot: Slot) -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Unprivileged users have a quota; a pipe of the default size works as well.
        let _ = fcntl_setpipe_size(&write, PIPE);
        Ok(Self {
            read,
            write,
            _slot: slot,
        })
    }
}
