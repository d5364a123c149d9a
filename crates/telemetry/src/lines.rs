//! A queue for log lines whose reader, a pipe or a terminal, may be slow.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Capacity of the queue in bytes: some thousand lines.
const QUEUE_BYTES: usize = 1 << 20;

/// A thread that writes lines, and its bounded queue. Pushing never blocks: when the queue is full, lines are dropped and
/// counted.
#[derive(Debug)]
pub struct LineQueue {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Notified when lines are queued, and after each write.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Vec<u8>>,
    /// Size of the lines that are queued or being written.
    bytes: usize,
    /// Lines lost so far.
    lost: u64,
    /// Lost lines already reported to the reader.
    reported: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it inconsistent: each change is a single step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LineQueue {
    /// Starts the thread, which writes to `out`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("lines".into())
            .spawn(move || write_queue(&of_thread, &mut out))?;
        Ok(Self { shared })
    }

    /// Queues whole lines.
    pub fn push(&self, lines: Vec<u8>) {
        if lines.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        // A text larger than the queue is accepted when the queue is empty.
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

    /// Waits until all lines are written, for at most `timeout`.
    pub fn flush(&self, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        while state.bytes > 0 {
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return;
            }
            let waited = self.shared.changed.wait_timeout(state, remaining);
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
        let lost = state.lost - state.reported;
        state.reported = state.lost;
        drop(state);
        let mut written = Ok(());
        if lost > 0 {
            written = writeln!(
                out,
                "{lost} lines were dropped here because the reader was too slow"
            );
        }
        let written = written
            .and_then(|()| out.write_all(&lines))
            .and_then(|()| out.flush());
        let mut state = shared.lock();
        state.bytes -= lines.len();
        if written.is_err() {
            // Without a reader this cannot be reported.
            state.lost += count(&lines);
        }
        drop(state);
        shared.changed.notify_all();
    }
}

/// The queue of standard error, once the process serves.
static STDERR: OnceLock<LineQueue> = OnceLock::new();

/// From now on, a thread writes the lines of [`stderr`].
///
/// # Errors
/// If the thread cannot be started, or standard error is closed.
pub fn queue_stderr() -> io::Result<()> {
    // Uses its own descriptor: a blocked write would hold the lock of the standard library.
    let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    // A second call only starts an unused thread.
    let _ = STDERR.set(LineQueue::start(out)?);
    Ok(())
}

/// A writer to standard error. Dropping it writes the collected lines in one piece, directly or, after
/// [`queue_stderr`], through the queue.
pub fn stderr() -> Stderr {
    Stderr(Vec::new())
}

/// Lines lost in the queue of standard error.
pub(crate) fn stderr_lost() -> u64 {
    STDERR.get().map_or(0, LineQueue::lost)
}

/// Waits until all lines are written to standard error, for at most `timeout`.
pub fn flush_stderr(timeout: Duration) {
    if let Some(lines) = STDERR.get() {
        lines.flush(timeout);
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
            // A failure of stderr cannot be reported.
            None => drop(io::stderr().write_all(&lines)),
        }
    }
}
