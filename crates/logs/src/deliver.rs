//! Delivers the files of one place, one after another.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use elbow_telemetry::DeliveryCounts;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::bucket::{self, Buckets};
use crate::destination::Place;
use crate::file::FinishedFile;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(30);

/// What the deliveries of a process share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    buckets: Mutex<Arc<Buckets>>,
    pub(crate) counts: Arc<DeliveryCounts>,
}

impl Shared {
    pub(crate) fn new(counts: Arc<DeliveryCounts>) -> Self {
        Self {
            buckets: Mutex::default(),
            counts,
        }
    }

    pub(crate) fn set_buckets(&self, buckets: Buckets) {
        *self.buckets.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(buckets);
    }

    fn buckets(&self) -> Arc<Buckets> {
        Arc::clone(&self.buckets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether `place` is configured.
    pub(crate) fn has(&self, place: &Place) -> bool {
        match place {
            Place::Bucket(name) => self.buckets().contains_key(name),
            Place::Folder(_) => true,
        }
    }

    /// One attempt; `None` if the bucket is not configured.
    async fn put(&self, file: &FinishedFile) -> Option<Result<(), String>> {
        let bytes = Arc::clone(&file.bytes);
        match &file.destination.place {
            Place::Folder(root) => Some(bucket::put_into_folder(root, &file.key, bytes).await),
            Place::Bucket(name) => {
                let buckets = self.buckets();
                let putting = buckets.get(name)?.put(&file.key, bytes);
                let ended = tokio::time::timeout(ATTEMPT, putting).await;
                Some(ended.unwrap_or_else(|_| Err(format!("no answer in {ATTEMPT:?}"))))
            }
        }
    }
}

/// Delivers `files` until their sender is dropped. From when `closing` is true, each gets one attempt.
pub(crate) async fn deliver(
    shared: Arc<Shared>,
    mut files: mpsc::UnboundedReceiver<FinishedFile>,
    mut closing: watch::Receiver<bool>,
) {
    let mut pause = FIRST_PAUSE;
    while let Some(file) = files.recv().await {
        loop {
            let place = &file.destination.place;
            let error = match shared.put(&file).await {
                Some(Ok(())) => {
                    if pause > FIRST_PAUSE {
                        info!("log delivery: {place} takes files again");
                    }
                    pause = FIRST_PAUSE;
                    shared.counts.files.increment();
                    shared.counts.lines.add(file.lines);
                    break;
                }
                Some(Err(error)) => error,
                None => {
                    shared.counts.dropped.add(file.lines);
                    break;
                }
            };
            shared.counts.failures.increment();
            // Once per outage.
            if pause == FIRST_PAUSE {
                warn!(%error, "log delivery: {place} does not take a file; it is tried again");
            }
            if *closing.borrow() {
                let lines = file.lines;
                warn!(%error, lines, "log delivery: {place} does not take a file; its lines are lost");
                shared.counts.dropped.add(lines);
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // The last attempt.
                _ = closing.wait_for(|is_closing| *is_closing) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        shared.counts.release(file.bytes.len());
    }
}
