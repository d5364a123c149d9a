//! The delivery thread and its handle.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc as sync_mpsc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use elbow_telemetry::{DeliveryCounts, LogSink};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{error, warn};

use crate::bucket::Buckets;
use crate::collect::{Batch, Collector};
use crate::deliver::{Shared, deliver};
use crate::destination::{Destination, Place};
use crate::file::FinishedFile;

/// Batches of about 32 KiB that may wait for the thread.
const QUEUE: usize = 512;

/// How long [`Delivery::close`] waits for buckets.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Delivers log files. Its thread starts with the first destination.
#[derive(Debug)]
pub struct Delivery {
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
    thread: OnceLock<Option<Thread>>,
}

#[derive(Debug)]
struct Thread {
    batches: mpsc::Sender<Batch>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    handle: JoinHandle<()>,
    /// Carries no messages; disconnected when the thread ends.
    ended: sync_mpsc::Receiver<()>,
}

/// One destination of a delivery.
#[derive(Debug)]
struct To {
    delivery: Arc<Delivery>,
    destination: Arc<Destination>,
}

impl Delivery {
    /// A delivery that knows no buckets yet and counts into `counts`.
    pub fn new(counts: Arc<DeliveryCounts>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::new(Shared::new(counts)),
            closing: watch::Sender::new(false),
            thread: OnceLock::new(),
        })
    }

    /// Sets where buckets are, from now on. Lines for other buckets are dropped.
    pub fn set_buckets(&self, buckets: Buckets) {
        self.shared.set_buckets(buckets);
    }

    /// The sink of the lines of `destination`.
    pub fn to(self: &Arc<Self>, destination: Destination) -> Arc<dyn LogSink> {
        Arc::new(To {
            delivery: Arc::clone(self),
            destination: Arc::new(destination),
        })
    }

    /// Ends all files, tries to deliver each once more, and ends the thread; waits for at most ten seconds. Later lines
    /// count as dropped.
    pub fn close(&self) {
        self.closing.send_replace(true);
        let Some(Some(thread)) = self.thread.get() else {
            return;
        };
        let running = thread.running.lock();
        let running = running.unwrap_or_else(PoisonError::into_inner).take();
        let Some(running) = running else { return };
        match running.ended.recv_timeout(CLOSE_TIMEOUT) {
            Err(sync_mpsc::RecvTimeoutError::Timeout) => {
                warn!("log delivery: a bucket does not answer; lines are lost");
            }
            // The panic hook has already reported a panic of the thread.
            _ => drop(running.handle.join()),
        }
    }

    fn thread(&self) -> Option<&Thread> {
        let start = || {
            let started = start(Arc::clone(&self.shared), self.closing.subscribe());
            started
                .inspect_err(|error| error!(%error, "log delivery: cannot start; lines are lost"))
                .ok()
        };
        self.thread.get_or_init(start).as_ref()
    }

    fn send(&self, batch: Batch) {
        let lines = batch.lines;
        let is_sent = !*self.closing.borrow()
            && self.shared.has(&batch.destination.place)
            && self
                .thread()
                .is_some_and(|thread| thread.batches.try_send(batch).is_ok());
        if !is_sent {
            self.shared.counts.dropped.add(lines);
        }
    }
}

impl LogSink for To {
    fn send(&self, bytes: Vec<u8>, lines: u64) -> Vec<u8> {
        self.delivery.send(Batch {
            destination: Arc::clone(&self.destination),
            bytes,
            lines,
        });
        Vec::new()
    }
}

fn start(shared: Arc<Shared>, closing: watch::Receiver<bool>) -> io::Result<Thread> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (batches, incoming) = mpsc::channel(QUEUE);
    let (ending, ended) = sync_mpsc::channel();
    let handle = thread::Builder::new()
        .name("log-delivery".into())
        .spawn(move || {
            let _ending: sync_mpsc::Sender<()> = ending;
            run(&runtime, shared, incoming, closing);
        })?;
    Ok(Thread {
        batches,
        running: Mutex::new(Some(Running { handle, ended })),
    })
}

fn run(
    runtime: &Runtime,
    shared: Arc<Shared>,
    mut incoming: mpsc::Receiver<Batch>,
    mut closing: watch::Receiver<bool>,
) {
    runtime.block_on(async {
        let mut collector = Collector::new(Arc::clone(&shared.counts));
        let mut places = Places::new(shared, closing.clone());
        loop {
            tokio::select! {
                Some(batch) = incoming.recv() => places.deliver(collector.add(&batch, now())),
                () = until(collector.next_end()) => places.deliver(collector.due(now())),
                _ = closing.wait_for(|is_closing| *is_closing) => break,
            }
        }
        incoming.close();
        while let Some(batch) = incoming.recv().await {
            places.deliver(collector.add(&batch, now()));
        }
        places.deliver(collector.due(u64::MAX));
        places.finish().await;
    });
}

/// The running deliveries, by place. Each place has its own, so that none waits for another.
struct Places {
    shared: Arc<Shared>,
    closing: watch::Receiver<bool>,
    queues: HashMap<Place, mpsc::UnboundedSender<FinishedFile>>,
    tasks: JoinSet<()>,
}

impl Places {
    fn new(shared: Arc<Shared>, closing: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            closing,
            queues: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    fn deliver(&mut self, files: Vec<FinishedFile>) {
        for file in files {
            let place = &file.destination.place;
            let queue = self.queues.entry(place.clone()).or_insert_with(|| {
                let (queue, files) = mpsc::unbounded_channel();
                let task = deliver(Arc::clone(&self.shared), files, self.closing.clone());
                self.tasks.spawn(task);
                queue
            });
            if let Err(mpsc::error::SendError(file)) = queue.send(file) {
                // The task panicked.
                self.shared.counts.dropped.add(file.lines);
                self.shared.counts.release(file.bytes.len());
            }
        }
    }

    /// Waits until every file has had its last attempt.
    async fn finish(mut self) {
        self.queues.clear();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Waits until `end`, in seconds since 1970.
async fn until(end: Option<u64>) {
    /// Longer waits look at the clock in between, because somebody may set it.
    const LONGEST: Duration = Duration::from_secs(10);
    let Some(end) = end else {
        return std::future::pending().await;
    };
    let end = UNIX_EPOCH + Duration::from_secs(end);
    let left = end.duration_since(SystemTime::now()).unwrap_or_default();
    tokio::time::sleep(left.min(LONGEST)).await;
}

#[cfg(test)]
mod tests;
