use std::cell::RefCell;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{AccessRecord, ClassicRecord, Stamps};
use writer::Writer;

mod writer;

/// A worker hands over its lines when it holds this much, or when its tick asks it to.
const BATCH: usize = 64 * 1024;
/// Room for the line that fills a batch, so that a buffer rarely grows.
const ROOM: usize = BATCH + 4 * 1024;
/// How long [`AccessLog::close`] waits for an output that takes nothing.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where access-log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// Appended to a file, which is made when it is missing and again when it was moved away
    /// (logrotate).
    File(PathBuf),
}

/// The thread that writes access-log lines, and the bounded queue before it. A full queue drops
/// lines and counts them: a slow disk never slows a request.
#[derive(Debug)]
pub struct AccessLog {
    queue: SyncSender<Message>,
    counts: Arc<Counts>,
    thread: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    handle: JoinHandle<()>,
    /// Says nothing; disconnected when the thread ends.
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
    /// Opens `sink` and starts its thread; `queue_batches` batches of about 64 KiB may wait for it.
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

    /// A buffer for one worker.
    pub fn buffer(self: &Arc<Self>) -> LogBuffer {
        LogBuffer {
            log: Arc::clone(self),
            pending: RefCell::new(Pending::default()),
        }
    }

    /// Lines written so far.
    pub fn written(&self) -> u64 {
        self.counts.written.load(Ordering::Relaxed)
    }

    /// Lines lost so far: the queue was full, or the output failed.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Writes what was flushed into the queue, then ends the thread; later lines count as dropped.
    /// An output that takes nothing (a pipe that nobody reads) is given up after five seconds.
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
                return tracing::warn!("access log: the output is stuck, lines were lost");
            }
            thread::sleep(Duration::from_millis(1));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        match running.ended.recv_timeout(left) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::warn!("access log: the output is stuck, lines were lost");
            }
            // A panic of the thread has been reported by its hook.
            _ => drop(running.handle.join()),
        }
    }

    fn send(&self, batch: Batch) {
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
                    tracing::warn!(%error, "access log: cannot write, lines are lost");
                }
                failing = true;
            }
        }
    }
    // Whoever sent after the close lost its lines.
    while let Ok(Message::Batch(batch)) = batches.try_recv() {
        counts.drop_lines(batch.lines);
    }
}

/// The lines of one worker that wait for its tick.
#[derive(Debug)]
pub struct LogBuffer {
    log: Arc<AccessLog>,
    pending: RefCell<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    lines: u64,
    stamps: Stamps,
}

impl LogBuffer {
    /// Appends the line of `record`; hands the lines over when they are a batch.
    pub fn record(&self, record: &AccessRecord<'_>) {
        self.line(|stamps, out| record.write_with(stamps, out));
    }

    /// As [`Self::record`], for a Classic load balancer.
    pub fn classic(&self, record: &ClassicRecord<'_>) {
        self.line(|stamps, out| record.write_with(stamps, out));
    }

    fn line(&self, write: impl FnOnce(&mut Stamps, &mut Vec<u8>)) {
        let mut pending = self.pending.borrow_mut();
        let Pending {
            bytes,
            lines,
            stamps,
        } = &mut *pending;
        if bytes.capacity() == 0 {
            bytes.reserve(ROOM);
        }
        write(stamps, bytes);
        *lines += 1;
        if bytes.len() >= BATCH {
            drop(pending);
            self.flush();
        }
    }

    /// Hands over what there is; if the queue is full, the lines are lost and counted.
    pub fn flush(&self) {
        let mut pending = self.pending.borrow_mut();
        if pending.lines == 0 {
            return;
        }
        let batch = Batch {
            bytes: std::mem::take(&mut pending.bytes),
            lines: std::mem::take(&mut pending.lines),
        };
        drop(pending);
        self.log.send(batch);
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests;
