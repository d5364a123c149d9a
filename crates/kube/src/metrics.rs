//! Metrics of a controller.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use elbow_manifest::context::Neighbours;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

type Labels<const N: usize> = [(&'static str, String); N];
type Counters<const N: usize> = Family<Labels<N>, Counter<u64, AtomicU64>>;

/// Metrics of a controller.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    synced: Gauge,
    leader: Gauge,
    neighbours: Family<Labels<1>, Gauge>,
    objects: Family<Labels<1>, Gauge>,
    restarts: Counters<1>,
    reconciles: Counters<1>,
    seconds: Histogram,
    requests: Counters<3>,
    writes: Counters<2>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let synced = Gauge::default();
        let leader = Gauge::default();
        let neighbours = Family::default();
        let objects = Family::default();
        let restarts = Family::default();
        let reconciles = Family::default();
        // From 0.1 ms to about a minute.
        let seconds = Histogram::new(exponential_buckets(0.0001, 4.0, 10));
        let requests = Family::default();
        let writes = Family::default();
        let r = &mut registry;
        r.register(
            "elbow_kube_synced",
            "Whether the view of the cluster is complete: 0 while the API server is away",
            synced.clone(),
        );
        r.register(
            "elbow_kube_leader",
            "Whether this replica writes to the cluster",
            leader.clone(),
        );
        r.register(
            "elbow_kube_other_controller",
            "Whether another controller is in the cluster, whose objects elbow leaves alone",
            Clone::clone(&neighbours),
        );
        r.register(
            "elbow_kube_objects",
            "Watched objects",
            Clone::clone(&objects),
        );
        r.register(
            "elbow_kube_watch_restarts",
            "Watches that ended early",
            Clone::clone(&restarts),
        );
        r.register(
            "elbow_kube_reconciles",
            "Rebuilt stacks, by result",
            Clone::clone(&reconciles),
        );
        r.register(
            "elbow_kube_reconcile_seconds",
            "Time from the first of a batch of changes until they serve",
            seconds.clone(),
        );
        r.register(
            "elbow_kube_api_requests",
            "Requests to the API server",
            Clone::clone(&requests),
        );
        r.register(
            "elbow_kube_writes",
            "Writes to the cluster, by kind of object",
            Clone::clone(&writes),
        );
        Self(Arc::new(Inner {
            registry,
            synced,
            leader,
            neighbours,
            objects,
            restarts,
            reconciles,
            seconds,
            requests,
            writes,
        }))
    }

    /// The text of a scrape, without the end marker.
    pub fn render(&self) -> String {
        let mut out = String::new();
        match text::encode_registry(&mut out, &self.0.registry) {
            Ok(()) => out,
            // Writing to a String cannot fail.
            Err(fmt::Error) => String::new(),
        }
    }

    pub(crate) fn synced(&self, synced: bool) {
        self.0.synced.set(i64::from(synced));
    }

    /// Whether this replica writes.
    pub fn leader(&self, leader: bool) {
        self.0.leader.set(i64::from(leader));
    }

    /// Which other controllers are in the cluster.
    pub(crate) fn neighbours(&self, neighbours: Neighbours) {
        let Neighbours { lbc, eks } = neighbours;
        for (controller, is_there) in [("aws-load-balancer-controller", lbc), ("eks", eks)] {
            let labels = [("controller", controller.to_owned())];
            let gauge = self.0.neighbours.get_or_create(&labels);
            gauge.set(i64::from(is_there));
        }
    }

    pub(crate) fn objects(&self, kind: &str, count: usize) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let objects = self.0.objects.get_or_create(&[("kind", kind.to_owned())]);
        objects.set(count);
    }

    pub(crate) fn watch_restarted(&self, kind: &str) {
        let restarts = self.0.restarts.get_or_create(&[("kind", kind.to_owned())]);
        restarts.inc();
    }

    pub(crate) fn reconciled(&self, result: &str) {
        let labels = [("result", result.to_owned())];
        self.0.reconciles.get_or_create(&labels).inc();
    }

    pub(crate) fn served_after(&self, time: Duration) {
        self.0.seconds.observe(time.as_secs_f64());
    }

    /// Counts a request to the API server that was answered with `code`; 0 for no answer.
    pub fn asked(&self, verb: &str, resource: &str, code: u16) {
        let labels = [
            ("verb", verb.to_owned()),
            ("resource", resource.to_owned()),
            ("code", code.to_string()),
        ];
        self.0.requests.get_or_create(&labels).inc();
    }

    /// Counts a write to an object of `kind`, with result `ok`, `conflict` or `failed`.
    pub fn wrote(&self, kind: &str, result: &str) {
        let labels = [("kind", kind.to_owned()), ("result", result.to_owned())];
        self.0.writes.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scrape_has_the_documented_names_and_no_end_marker() {
        let metrics = Metrics::new();
        metrics.synced(true);
        metrics.objects("Ingress", 3);
        metrics.watch_restarted("Ingress");
        metrics.reconciled("made");
        metrics.asked("watch", "ingresses", 410);
        metrics.wrote("Ingress", "ok");
        metrics.served_after(Duration::from_millis(2));
        let text = metrics.render();
        for line in [
            "elbow_kube_synced 1",
            "elbow_kube_leader 0",
            "elbow_kube_objects{kind=\"Ingress\"} 3",
            "elbow_kube_watch_restarts_total{kind=\"Ingress\"} 1",
            "elbow_kube_reconciles_total{result=\"made\"} 1",
            "elbow_kube_reconcile_seconds_count 1",
            "elbow_kube_api_requests_total{verb=\"watch\",resource=\"ingresses\",code=\"410\"} 1",
            "elbow_kube_writes_total{kind=\"Ingress\",result=\"ok\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
        assert!(!text.contains("# EOF"), "{text}");
    }
}
