use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A counter that one thread increments and any thread reads.
///
/// Incrementing is a load and a store instead of an atomic read-modify-write, so a second writer would
/// lose counts.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        let value = self.0.load(Ordering::Relaxed).wrapping_add(n);
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter that any thread increments, for events outside the data path.
#[derive(Debug, Default)]
pub struct SharedCounter(AtomicU64);

impl SharedCounter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// The current value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counts responses by status code. Memory for a class (like 4xx) is allocated with its first response.
#[derive(Debug, Default)]
pub struct StatusCounts {
    classes: [OnceLock<Box<[Counter]>>; Self::CLASSES],
    other: Counter,
}

impl StatusCounts {
    /// The number of classes, from 1xx to 5xx.
    pub(crate) const CLASSES: usize = 5;

    /// For each class, whether any response was counted.
    pub(crate) fn classes(&self) -> impl Iterator<Item = bool> {
        self.classes.iter().map(|class| class.get().is_some())
    }

    /// Counts one response with `status`; codes outside 100-599 count as "other".
    pub fn increment(&self, status: u16) {
        let slot = usize::from(status)
            .checked_sub(100)
            .and_then(|i| Some((self.classes.get(i / 100)?, i % 100)));
        let counter = slot.and_then(|(class, i)| {
            let counters = class.get_or_init(|| (0..100).map(|_| Counter::default()).collect());
            counters.get(i)
        });
        counter.unwrap_or(&self.other).increment();
    }

    /// The number of responses with `status`.
    pub fn get(&self, status: u16) -> u64 {
        let counter = usize::from(status).checked_sub(100).and_then(|i| {
            let class = self.classes.get(i / 100)?.get()?;
            class.get(i % 100)
        });
        counter.map_or(0, Counter::get)
    }

    /// The number of responses with a code outside 100-599.
    pub fn other(&self) -> u64 {
        self.other.get()
    }
}

/// Counts responses by the class of their status, from 1xx to 5xx.
#[derive(Debug, Default)]
pub struct ClassCounts([Counter; StatusCounts::CLASSES]);

impl ClassCounts {
    /// Counts one response with `status`; one outside 100-599 is not counted.
    pub fn increment(&self, status: u16) {
        let class = usize::from(status / 100).checked_sub(1);
        if let Some(counter) = class.and_then(|class| self.0.get(class)) {
            counter.increment();
        }
    }

    /// The number of responses of each class, from 1xx on.
    pub(crate) fn get(&self) -> [u64; StatusCounts::CLASSES] {
        self.0.each_ref().map(Counter::get)
    }
}

/// One kind of event that [`KindCounts`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What happened.
    pub kind: &'static str,
    /// Who caused it.
    pub side: &'static str,
}

/// Counts events by kind; the room that counts has the table of kinds. Memory is allocated with the first event.
#[derive(Debug, Default)]
pub struct KindCounts(OnceLock<Box<[(Kind, Counter)]>>);

impl KindCounts {
    /// Counts one event of the kind that `table` has at `at`. Every call passes the same table.
    pub fn increment(&self, table: &[Kind], at: usize) {
        let counts = self.0.get_or_init(|| {
            let zero = |kind: &Kind| (*kind, Counter::default());
            table.iter().map(zero).collect()
        });
        if let Some((_, counter)) = counts.get(at) {
            counter.increment();
        }
    }

    /// The kinds and their counts; empty before the first event.
    pub fn get(&self) -> impl Iterator<Item = (Kind, u64)> {
        let counts = self.0.get().into_iter().flatten();
        counts.map(|(kind, counter)| (*kind, counter.get()))
    }
}

/// Upper bounds of the buckets of every [`Histogram`], in microseconds.
const BOUNDS: [u64; 16] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// A histogram of durations, with buckets from 0.5 ms to 60 s. Only one thread may write it.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS.len() + 1],
    micros: Counter,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|&bound| bound < micros);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.increment();
        }
        self.micros.add(micros);
    }

    /// The number of durations counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::get).sum()
    }
}

/// The sum of several [`Histogram`]s, for a scrape.
#[derive(Debug, Default)]
pub(crate) struct HistogramSum {
    buckets: [u64; BOUNDS.len() + 1],
    micros: u64,
}

impl HistogramSum {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        for (sum, counter) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += counter.get();
        }
        self.micros = self.micros.wrapping_add(histogram.micros.get());
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.micros as f64 / 1e6
    }

    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Pairs of upper bound in seconds and non-cumulative count.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.iter().map(|&micros| micros as f64 / 1e6);
        bounds
            .chain([f64::INFINITY])
            .zip(self.buckets.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_counted_one_by_one() {
        let counts = StatusCounts::default();
        for status in [100, 200, 200, 404, 599, 0, 99, 600, 999] {
            counts.increment(status);
        }
        assert_eq!(
            [100, 200, 404, 599, 503, 600].map(|s| counts.get(s)),
            [1, 2, 1, 1, 0, 0]
        );
        assert_eq!(counts.other(), 4);
    }

    #[test]
    fn classes_are_counted_without_other_codes() {
        let counts = ClassCounts::default();
        for status in [0, 99, 100, 200, 299, 404, 500, 599, 600] {
            counts.increment(status);
        }
        assert_eq!(counts.get(), [1, 2, 0, 1, 2]);
    }

    #[test]
    fn kinds_are_counted_from_the_first_event_on() {
        let table = [("a", "client"), ("b", "target")].map(|(kind, side)| Kind { kind, side });
        let counts = KindCounts::default();
        assert_eq!(counts.get().count(), 0);
        for at in [1, 1, 2] {
            counts.increment(&table, at);
        }
        assert_eq!(
            counts.get().collect::<Vec<_>>(),
            [(table[0], 0), (table[1], 2)]
        );
    }

    #[test]
    fn duration_equal_to_a_bound_is_in_its_bucket() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 60_000_000, 60_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut sum = HistogramSum::default();
        sum.add(&histogram);
        let buckets = sum.buckets();
        assert_eq!(buckets[0], (0.0005, 2));
        assert_eq!(buckets[1], (0.001, 1));
        assert_eq!(buckets[15], (60.0, 1));
        assert_eq!(buckets[16], (f64::INFINITY, 1));
        assert_eq!((sum.count(), histogram.count()), (5, 5));
        assert_eq!(sum.seconds(), 120.001_002);
    }

    #[test]
    fn maximal_duration_is_counted() {
        let histogram = Histogram::default();
        histogram.observe(Duration::MAX);
        assert_eq!(histogram.count(), 1);
    }
}
