//! Collects lines in files.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::sync::Arc;

use elbow_telemetry::DeliveryCounts;
use tracing::error;

use crate::destination::Destination;
use crate::file::{FinishedFile, OpenFile};

/// Bytes in memory at most: open files, and finished ones that wait for their bucket.
pub(crate) const MAX_HELD: u64 = 64 * 1024 * 1024;

/// A file of this size is finished before the end of its interval. AWS delivers several files of one interval as well.
const MAX_FILE: usize = 8 * 1024 * 1024;

/// Lines of one destination.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) destination: Arc<Destination>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
}

/// The open files.
pub(crate) struct Collector {
    open: HashMap<Arc<Destination>, OpenFile>,
    counts: Arc<DeliveryCounts>,
    random: RandomState,
    /// Files finished so far.
    finished: u64,
}

impl Collector {
    pub(crate) fn new(counts: Arc<DeliveryCounts>) -> Self {
        Self {
            open: HashMap::new(),
            counts,
            random: RandomState::new(),
            finished: 0,
        }
    }

    /// Appends `batch` to the file of its destination. Returns a file that is full, or whose interval is over.
    pub(crate) fn add(&mut self, batch: &Batch, now: u64) -> Vec<FinishedFile> {
        let mut done = Vec::new();
        let destination = &batch.destination;
        if self
            .open
            .get(destination)
            .is_some_and(|file| file.end <= now)
        {
            done.extend(self.take(destination));
        }
        if self.counts.held() >= MAX_HELD {
            self.counts.dropped.add(batch.lines);
            return done;
        }
        let file = match self.open.entry(Arc::clone(destination)) {
            Entry::Occupied(file) => file.into_mut(),
            Entry::Vacant(place) => place.insert(OpenFile::new(Arc::clone(destination), now)),
        };
        match file.write(&batch.bytes, batch.lines) {
            Ok(grown) => self.counts.hold(grown),
            Err(error) => self.lost(batch.lines, &error),
        }
        let is_full = self
            .open
            .get(destination)
            .is_some_and(|file| file.size() >= MAX_FILE);
        if is_full {
            done.extend(self.take(destination));
        }
        done
    }

    /// The files whose interval is over.
    pub(crate) fn due(&mut self, now: u64) -> Vec<FinishedFile> {
        let due = self.open.iter().filter(|(_, file)| file.end <= now);
        let due: Vec<Arc<Destination>> = due
            .map(|(destination, _)| Arc::clone(destination))
            .collect();
        due.iter().filter_map(|one| self.take(one)).collect()
    }

    /// When the next interval ends, in seconds since 1970; `None` without open files.
    pub(crate) fn next_end(&self) -> Option<u64> {
        self.open.values().map(|file| file.end).min()
    }

    fn take(&mut self, destination: &Arc<Destination>) -> Option<FinishedFile> {
        let file = self.open.remove(destination)?;
        self.counts.release(file.size());
        self.finished += 1;
        let mut hasher = self.random.build_hasher();
        hasher.write_u64(self.finished);
        let lines = file.lines();
        match file.finish(hasher.finish()) {
            Ok(finished) => {
                self.counts.hold(finished.bytes.len());
                Some(finished)
            }
            Err(error) => {
                self.lost(lines, &error);
                None
            }
        }
    }

    fn lost(&self, lines: u64, error: &io::Error) {
        self.counts.dropped.add(lines);
        error!(%error, lines, "log delivery: cannot compress; lines are lost");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Kind;
    use crate::destination::tests::{END, destination};

    fn collector() -> (Collector, Arc<DeliveryCounts>) {
        let counts = Arc::new(DeliveryCounts::default());
        (Collector::new(Arc::clone(&counts)), counts)
    }

    fn batch(kind: Kind, bytes: &[u8]) -> Batch {
        let destination = Destination {
            kind,
            ..destination()
        };
        Batch {
            destination: Arc::new(destination),
            bytes: bytes.to_vec(),
            lines: 1,
        }
    }

    #[test]
    fn interval_that_is_over_ends_the_file() {
        let (mut collector, counts) = collector();
        let line = batch(Kind::ClassicAccess, b"line\n");
        assert!(collector.add(&line, END - 2).is_empty());
        assert!(collector.add(&line, END - 1).is_empty());
        assert!(collector.due(END - 1).is_empty());
        assert_eq!(collector.next_end(), Some(END));
        let files = collector.add(&line, END);
        assert_eq!(files.len(), 1);
        assert_eq!(
            (&*files[0].bytes, files[0].lines),
            (&b"line\nline\n"[..], 2)
        );
        assert_eq!(collector.next_end(), Some(END + 300));
        let files = collector.due(END + 300);
        assert_eq!(files[0].lines, 1);
        assert_eq!((collector.next_end(), counts.held()), (None, 15));
    }

    #[test]
    fn destinations_have_files_of_their_own() {
        let (mut collector, _) = collector();
        collector.add(&batch(Kind::ClassicAccess, b"a\n"), END);
        collector.add(&batch(Kind::Access, b"b\n"), END);
        assert_eq!(collector.due(END + 300).len(), 2);
    }

    #[test]
    fn full_file_ends_early_under_another_name() {
        let (mut collector, _) = collector();
        let large = batch(Kind::ClassicAccess, &vec![b'x'; MAX_FILE]);
        let first = collector.add(&large, END);
        let second = collector.add(&large, END);
        assert_eq!((first.len(), second.len()), (1, 1));
        assert_ne!(first[0].key, second[0].key);
        assert_eq!(collector.next_end(), None);
    }

    #[test]
    fn memory_is_bounded_and_lines_beyond_are_counted() {
        let (mut collector, counts) = collector();
        let large = batch(Kind::ClassicAccess, &vec![b'x'; MAX_FILE]);
        let fitting = usize::try_from(MAX_HELD).unwrap() / MAX_FILE;
        let waiting: Vec<_> = (0..fitting + 2)
            .flat_map(|_| collector.add(&large, END))
            .collect();
        assert_eq!((waiting.len(), counts.dropped.get()), (fitting, 2));
        assert_eq!(counts.held(), MAX_HELD);
        counts.release(MAX_FILE);
        assert_eq!(collector.add(&large, END).len(), 1);
    }
}
