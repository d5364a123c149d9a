//! Log lines on their way from the workers to where they are written.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxHashMap;

use crate::stamp::Timestamps;
use crate::{AccessRecord, ClassicRecord, ConnectionRecord, TlsRecord};

/// A worker sends its lines when it holds this many bytes, or at its tick.
const BATCH: usize = 32 * 1024;
/// Initial capacity of a buffer in bytes, so that the last line of a batch rarely makes it grow.
const CAPACITY: usize = BATCH + 4 * 1024;

/// Takes the log lines of workers.
pub trait LogSink: fmt::Debug + Send + Sync {
    /// Takes `lines` whole lines, and returns an empty buffer for the next ones, perhaps without memory. Never blocks; lines that
    /// do not fit into the queue are dropped and counted.
    fn send(&self, bytes: Vec<u8>, lines: u64) -> Vec<u8>;

    /// No further lines follow for now: those that were sent should not wait for them.
    fn flush(&self) {}
}

/// One log, for example the access log of a load balancer, and where its lines go.
#[derive(Debug)]
pub struct LogStream {
    /// Tells it from the other streams of the process.
    id: u64,
    sinks: Vec<Arc<dyn LogSink>>,
}

impl LogStream {
    /// A log whose lines go to all of `sinks`.
    pub fn new(sinks: Vec<Arc<dyn LogSink>>) -> Arc<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            sinks,
        })
    }

    /// Sends lines of a thread that keeps no [`LogBuffers`].
    pub fn send(&self, bytes: Vec<u8>, lines: u64) {
        self.pass(bytes, lines);
        self.flush();
    }

    fn pass(&self, bytes: Vec<u8>, lines: u64) -> Vec<u8> {
        let Some((last, others)) = self.sinks.split_last() else {
            return Vec::new();
        };
        for sink in others {
            sink.send(bytes.clone(), lines);
        }
        last.send(bytes, lines)
    }

    fn flush(&self) {
        self.sinks.iter().for_each(|sink| sink.flush());
    }
}

/// The buffered lines of one worker, by log.
#[derive(Debug, Default)]
pub struct LogBuffers {
    inner: RefCell<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    timestamps: Timestamps,
    pending: FxHashMap<u64, Pending>,
}

#[derive(Debug)]
struct Pending {
    stream: Arc<LogStream>,
    bytes: Vec<u8>,
    lines: u64,
}

impl Pending {
    fn send(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.bytes = self.stream.pass(std::mem::take(&mut self.bytes), lines);
    }

    fn flush(&mut self) {
        if self.lines > 0 {
            self.send();
        }
        self.stream.flush();
        // A log that nothing is written to holds no buffer.
        self.bytes = Vec::new();
    }
}

impl LogBuffers {
    /// Appends the line of a request of an ALB to `stream`. Sends the lines when they are a full batch.
    pub fn record(&self, stream: &Arc<LogStream>, record: &AccessRecord<'_>) {
        self.line(stream, |timestamps, out| record.write_with(timestamps, out));
    }

    /// Like [`Self::record`], for a Classic load balancer.
    pub fn classic(&self, stream: &Arc<LogStream>, record: &ClassicRecord<'_>) {
        self.line(stream, |timestamps, out| record.write_with(timestamps, out));
    }

    /// Like [`Self::record`], for a TLS connection of an NLB.
    pub fn tls(&self, stream: &Arc<LogStream>, record: &TlsRecord<'_>) {
        self.line(stream, |timestamps, out| record.write_with(timestamps, out));
    }

    /// Like [`Self::record`], for a connection with an ALB.
    pub fn connection(&self, stream: &Arc<LogStream>, record: &ConnectionRecord<'_>) {
        self.line(stream, |timestamps, out| record.write_with(timestamps, out));
    }

    fn line(&self, stream: &Arc<LogStream>, write: impl FnOnce(&mut Timestamps, &mut Vec<u8>)) {
        let inner = &mut *self.inner.borrow_mut();
        let pending = inner.pending.entry(stream.id).or_insert_with(|| Pending {
            stream: Arc::clone(stream),
            bytes: Vec::new(),
            lines: 0,
        });
        if pending.bytes.capacity() == 0 {
            pending.bytes.reserve(CAPACITY);
        }
        write(&mut inner.timestamps, &mut pending.bytes);
        pending.lines += 1;
        if pending.bytes.len() >= BATCH {
            pending.send();
        }
    }

    /// Sends the buffered lines of every log, and forgets logs that nobody writes any more.
    pub fn flush(&self) {
        self.inner.borrow_mut().pending.retain(|_, pending| {
            pending.flush();
            Arc::strong_count(&pending.stream) > 1
        });
    }
}

impl Drop for LogBuffers {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::record::tests::record;

    /// What was sent: the number of lines of each batch.
    #[derive(Debug, Default)]
    struct Sent(Mutex<Vec<(usize, u64)>>);

    impl LogSink for Sent {
        fn send(&self, bytes: Vec<u8>, lines: u64) -> Vec<u8> {
            self.0.lock().unwrap().push((bytes.len(), lines));
            Vec::new()
        }
    }

    impl Sent {
        fn lines(&self) -> Vec<u64> {
            self.0.lock().unwrap().iter().map(|sent| sent.1).collect()
        }
    }

    #[test]
    fn lines_wait_for_the_flush_and_go_to_every_sink() {
        let sinks = [Arc::new(Sent::default()), Arc::new(Sent::default())];
        let stream = LogStream::new(sinks.iter().map(|one| Arc::clone(one) as _).collect());
        let buffers = LogBuffers::default();
        for _ in 0..3 {
            buffers.record(&stream, &record("a"));
        }
        assert_eq!(sinks[0].lines(), []);
        buffers.flush();
        buffers.flush();
        for sink in &sinks {
            assert_eq!(sink.lines(), [3]);
        }
    }

    #[test]
    fn full_batch_is_sent_without_a_flush() {
        let sink = Arc::new(Sent::default());
        let stream = LogStream::new(vec![Arc::clone(&sink) as _]);
        let buffers = LogBuffers::default();
        let long = "x".repeat(1_000);
        for _ in 0..BATCH / 1_024 {
            buffers.record(&stream, &record(&long));
        }
        let sent = sink.0.lock().unwrap().clone();
        assert_eq!(sent.len(), 1);
        assert!(sent[0].0 >= BATCH, "{sent:?}");
    }

    #[test]
    fn streams_are_buffered_apart_and_forgotten_after_their_last_use() {
        let sinks = [Arc::new(Sent::default()), Arc::new(Sent::default())];
        let streams = sinks
            .iter()
            .map(|one| LogStream::new(vec![Arc::clone(one) as _]));
        let mut streams: Vec<_> = streams.collect();
        let buffers = LogBuffers::default();
        buffers.record(&streams[0], &record("a"));
        buffers.record(&streams[1], &record("b"));
        streams.pop();
        buffers.flush();
        assert_eq!((sinks[0].lines(), sinks[1].lines()), (vec![1], vec![1]));
        assert_eq!(buffers.inner.borrow().pending.len(), 1);
    }

    #[test]
    fn drop_sends_what_is_left() {
        let sink = Arc::new(Sent::default());
        let stream = LogStream::new(vec![Arc::clone(&sink) as _]);
        let buffers = LogBuffers::default();
        buffers.record(&stream, &record("a"));
        drop(buffers);
        assert_eq!(sink.lines(), [1]);
    }
}
