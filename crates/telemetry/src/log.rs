use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::LogSink;
use writer::Writer;

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
    queue: SyncSender<Message>,
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

#[derive(Debug)]
enum Message {
    Batch(Batch),
    Close,
}

/// Whole lines.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    lines: u64,
}

impl AccessLog {
    /// Opens `sink` and starts the writer thread. The queue holds `queue_batches` batches of about 64 KiB.
    pub fn start(sink: Sink, queue_batches: usize) -> io::Result<Arc<Self>> {
        let mut writer = Writer::open(sink)?;
        let counts = Arc::new(Counts::default());
        let (queue, batches) = mpsc::sync_channel(queue_batches);
        let (ending, ended) = mpsc::channel();
        let thread_counts = Arc::clone(&counts);
        let handle = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || {
                let _ending: mpsc::Sender<()> = ending;
                write_batches(&mut writer, &batches, &thread_counts);
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
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Message::Close) {
            if Instant::now() >= deadline {
                return tracing::warn!("access log: the output is stuck; lines were lost");
            }
            thread::sleep(Duration::from_millis(1));
        }
        let remaining = deadline.saturating_duration_since(Instant::now());
        match running.ended.recv_timeout(remaining) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("access log: the output is stuck; lines were lost");
            }
            // The panic hook has already reported a panic of the thread.
            _ => drop(running.handle.join()),
        }
    }
}

impl LogSink for AccessLog {
    fn send(&self, bytes: Vec<u8>, lines: u64) {
        let batch = Batch { bytes, lines };
        match self.queue.try_send(Message::Batch(batch)) {
            Ok(()) => {}
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                if let Message::Batch(batch) = message {
                    self.counts.drop_lines(batch.lines);
                }
            }
        }
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.close();
    }
}

fn write_batches(writer: &mut Writer, batches: &Receiver<Message>, counts: &Counts) {
    let mut failing = false;
    while let Ok(Message::Batch(batch)) = batches.recv() {
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
    // Lines sent after the close are dropped.
    while let Ok(Message::Batch(batch)) = batches.try_recv() {
        counts.drop_lines(batch.lines);
    }
}

#[cfg(test)]
mod tests;
