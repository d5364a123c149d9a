//! Lines for people, on their way to a pipe or a terminal that may take its time.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// What may wait for a reader, in bytes: some thousand lines.
const QUEUE_BYTES: usize = 1 << 20;

/// A thread that writes lines, and the bounded queue before it. Nobody who writes into it ever waits: what a full
/// queue does not take is lost and counted.
#[derive(Debug)]
pub struct Lines {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when there is something to write, and when all is written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    /// Of what is in the queue or being written.
    bytes: usize,
    /// Lines lost so far.
    lost: u64,
    /// How many of them the reader was told of.
    told: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves it whole: each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// Starts the thread, which writes to `out`.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("lines".into())
            .spawn(move || write_queue(&of_thread, &mut out))?;
        Ok(Self { shared })
    }

    /// Takes whole lines.
    pub fn push(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        // What alone is longer than the queue passes when nothing else waits.
        if state.bytes > 0 && state.bytes + lines.len() > QUEUE_BYTES {
            state.lost += count(&lines);
            return;
        }
        state.bytes += lines.len();
        state.queue.push_back(lines);
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Lines lost so far.
    pub fn lost(&self) -> u64 {
        self.shared.lock().lost
    }

    /// Waits until all is written, for `patience` at most.
    pub fn flush(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        while state.bytes > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn write_queue(shared: &Shared, out: &mut impl Write) {
    loop {
        let mut state = shared.lock();
        let lines = loop {
            match state.queue.pop_front() {
                Some(lines) => break lines,
                None => {
                    let waited = shared.changed.wait(state);
                    state = waited.unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        let lost = state.lost - state.told;
        state.told = state.lost;
        drop(state);
        let mut written = Ok(());
        if lost > 0 {
            written = writeln!(
                out,
                "{lost} lines are missing here: nobody read them in time"
            );
        }
        let written = written
            .and_then(|()| out.write_all(&lines))
            .and_then(|()| out.flush());
        let mut state = shared.lock();
        state.bytes -= lines.len();
        if written.is_err() {
            // Nobody can be told when the reader is gone.
            state.lost += count(&lines);
        }
        drop(state);
        shared.changed.notify_all();
    }
}

/// Standard error, once a process serves.
static STDERR: OnceLock<Lines> = OnceLock::new();

/// From now on what is written to [`stderr`] is written by a thread.
///
/// # Errors
/// The system refuses a thread, or standard error is closed.
pub fn queue_stderr() -> io::Result<()> {
    // A descriptor of its own: the lock of the standard library would be held by a write that blocks.
    let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    // Who calls twice has two threads, and nothing worse.
    let _ = STDERR.set(Lines::start(out)?);
    Ok(())
}

/// Where lines for people go: they are written as a whole when the result is dropped, at once or, after
/// [`queue_stderr`], by a thread.
pub fn stderr() -> Stderr {
    Stderr(Vec::new())
}

/// Lines lost on their way to standard error.
pub fn stderr_lost() -> u64 {
    STDERR.get().map_or(0, Lines::lost)
}

/// Waits until all is written, for `patience` at most.
pub fn flush_stderr(patience: Duration) {
    if let Some(lines) = STDERR.get() {
        lines.flush(patience);
    }
}

/// See [`stderr`].
#[derive(Debug)]
pub struct Stderr(Vec<u8>);

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.0);
        match STDERR.get() {
            Some(queue) => queue.push(lines),
            // Nobody can be told when stderr is gone.
            None => drop(io::stderr().write_all(&lines)),
        }
    }
}
