use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::LogSink;
use queue::{Batch, Queue};
use writer::Writer;

mod queue;
mod writer;

/// How long [`AccessLog::close`] waits for a stuck output.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where access-log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Appended to a file, which is created if it is missing, and created again after it was moved away
    /// (logrotate).
    File(PathBuf),
}

/// The writer thread of the access log and its bounded queue. When the queue is full, lines are dropped
/// and counted, so that a slow disk never delays a request.
#[derive(Debug)]
pub struct AccessLog {
    queue: Arc<Queue>,
    counts: Arc<Counts>,
    thread: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    handle: JoinHandle<()>,
    /// Carries no messages; disconnected when the thread ends.
    ended: Receiver<()>,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Counts {
    fn drop_lines(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}

impl AccessLog {
    /// Opens `sink` and starts the writer thread. The queue holds `queue_batches` batches of about 32 KiB.
    pub fn start(sink: Sink, queue_batches: usize) -> io::Result<Arc<Self>> {
        let mut writer = Writer::open(sink)?;
        let counts = Arc::new(Counts::default());
        let queue = Arc::new(Queue::new(queue_batches));
        let (ending, ended) = mpsc::channel();
        let (thread_queue, thread_counts) = (Arc::clone(&queue), Arc::clone(&counts));
        let handle = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _ending: mpsc::Sender<()> = ending;
                write_batches(&mut writer, &thread_queue, &thread_counts);
            })?;
        Ok(Arc::new(Self {
            queue,
            counts,
            thread: Mutex::new(Some(Running { handle, ended })),
        }))
    }

    /// Lines written so far.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }

    /// Lines dropped so far, because the queue was full or the output failed.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Writes the queued lines, then ends the thread. Later lines count as dropped. Gives up after five
    /// seconds if the output is stuck, like a pipe without a reader.
    pub fn close(&self) {
        let running = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(running) = running else {
            return;
        };
        self.queue.close();
        match running.ended.recv_timeout(CLOSE_TIMEOUT) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("access log: the output is stuck; lines were lost");
            }
            // The panic hook has already reported a panic of the thread.
            _ => drop(running.handle.join()),
        }
    }
}

impl LogSink for AccessLog {
    fn send(&self, bytes: Vec<u8>, lines: u64) -> Vec<u8> {
        let sent = self.queue.push(Batch { bytes, lines });
        sent.unwrap_or_else(|mut batch| {
            self.counts.drop_lines(batch.lines);
            batch.bytes.clear();
            batch.bytes
        })
    }

    fn flush(&self) {
        self.queue.wake();
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_batches(writer: &mut Writer, queue: &Queue, counts: &Counts) {
    let mut failing = false;
    let mut batches = VecDeque::new();
    while queue.take(&mut batches) {
        writer.look();
        for batch in &batches {
            match writer.write(&batch.bytes) {
                Ok(()) => {
                    counts.written.fetch_add(batch.lines, Ordering::Relaxed);
                    failing = false;
                }
                Err(error) => {
                    counts.drop_lines(batch.lines);
                    // Once per outage: a full disk must not fill the log of the process as well.
                    if !failing {
                        tracing::warn!(%error, "access log: cannot write; lines are lost");
                    }
                    failing = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
