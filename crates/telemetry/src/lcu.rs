//! Load balancer capacity units: what AWS bills, from what was counted (pricing page of Elastic Load Balancing).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ListenerMetrics;

/// The rules of each request that consume no capacity units (pricing page: "the first 10 processed rules are free").
pub const FREE_RULES: u32 = 10;

const HOUR: f64 = 3600.0;
const GIGABYTE: f64 = 1e9;

/// What one capacity unit contains, by dimension.
struct Unit {
    connections_per_second: f64,
    active_connections: f64,
}

/// Whose capacity units are computed: those of an NLB are computed for each protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Consumer {
    pub(crate) load_balancer: Arc<str>,
    pub(crate) kind: &'static str,
    /// `TCP`, `TLS` or `UDP`; `HTTP` for all listeners of an ALB.
    pub(crate) protocol: &'static str,
}

impl Consumer {
    /// `None` for a load balancer that is not billed by capacity units.
    fn of(metrics: &ListenerMetrics) -> Option<Self> {
        let labels = metrics.labels();
        let protocol = match (labels.kind, labels.protocol) {
            ("application", _) => "HTTP",
            ("network", "UDP" | "TCP_UDP" | "QUIC" | "TCP_QUIC") => "UDP",
            ("network", "TLS") => "TLS",
            ("network", _) => "TCP",
            _ => return None,
        };
        Some(Self {
            load_balancer: Arc::clone(&labels.load_balancer),
            kind: labels.kind,
            protocol,
        })
    }

    fn unit(&self) -> Unit {
        let (connections_per_second, active_connections) = match self.protocol {
            "TCP" => (800.0, 100_000.0),
            "UDP" => (400.0, 50_000.0),
            "TLS" => (50.0, 3_000.0),
            _ => (25.0, 3_000.0),
        };
        Unit {
            connections_per_second,
            active_connections,
        }
    }
}

/// What was counted of a consumer so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    connections: u64,
    active: u64,
    bytes: u64,
    charged_rules: u64,
}

impl Totals {
    fn add(&mut self, metrics: &ListenerMetrics) {
        self.connections += metrics.sum(|c| &c.connections);
        self.active += metrics.active_connections();
        self.bytes += metrics.sum(|c| &c.received_bytes) + metrics.sum(|c| &c.sent_bytes);
        self.charged_rules += metrics.sum(|c| &c.charged_rule_evaluations);
    }
}

/// The capacity units that a consumer used on average, by dimension. The largest counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Consumed {
    pub(crate) new_connections: f64,
    pub(crate) active_connections: f64,
    pub(crate) processed_bytes: f64,
    pub(crate) rule_evaluations: f64,
}

impl Consumed {
    fn between(before: Totals, now: Totals, elapsed: Duration, unit: &Unit) -> Self {
        let seconds = elapsed.as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        Self {
            new_connections: rate(now.connections, before.connections)
                / unit.connections_per_second,
            active_connections: now.active as f64 / unit.active_connections,
            processed_bytes: rate(now.bytes, before.bytes) * HOUR / GIGABYTE,
            rule_evaluations: rate(now.charged_rules, before.charged_rules) / 1_000.0,
        }
    }

    /// Each dimension with its name as a label.
    pub(crate) fn dimensions(&self) -> [(&'static str, f64); 4] {
        [
            ("new_connections", self.new_connections),
            ("active_connections", self.active_connections),
            ("processed_bytes", self.processed_bytes),
            ("rule_evaluations", self.rule_evaluations),
        ]
    }
}

/// Computes the capacity units of each minute.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    since: Option<Instant>,
    totals: BTreeMap<Consumer, Totals>,
    consumed: BTreeMap<Consumer, Consumed>,
}

impl Meter {
    /// Ends a period at `now` and begins the next one.
    pub(crate) fn sample(&mut self, listeners: &[Arc<ListenerMetrics>], now: Instant) {
        let mut totals: BTreeMap<Consumer, Totals> = BTreeMap::new();
        for metrics in listeners {
            if let Some(consumer) = Consumer::of(metrics) {
                totals.entry(consumer).or_default().add(metrics);
            }
        }
        if let Some(since) = self.since.filter(|since| *since < now) {
            let elapsed = now.duration_since(since);
            let consumed = totals.iter().map(|(consumer, &now)| {
                // A consumer that appeared within the period began at zero.
                let before = self.totals.get(consumer).copied().unwrap_or_default();
                let unit = consumer.unit();
                let used = Consumed::between(before, now, elapsed, &unit);
                (consumer.clone(), used)
            });
            self.consumed = consumed.collect();
        }
        self.totals = totals;
        self.since = Some(now);
    }

    /// The capacity units of the last full period.
    pub(crate) fn consumed(&self) -> &BTreeMap<Consumer, Consumed> {
        &self.consumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Telemetry;

    fn consumed(meter: &Meter) -> Vec<(&str, &str, [f64; 4])> {
        let consumed = meter.consumed().iter();
        consumed
            .map(|(consumer, used)| {
                (
                    &*consumer.load_balancer,
                    consumer.protocol,
                    used.dimensions().map(|(_, units)| units),
                )
            })
            .collect()
    }

    #[test]
    fn an_hour_of_one_unit_in_each_dimension() {
        let telemetry = Telemetry::new(1);
        let web = telemetry.listener("web", "application", 80, "HTTP");
        let tls = telemetry.listener("net", "network", 443, "TLS");
        let tcp = telemetry.listener("net", "network", 80, "TCP");
        let udp = telemetry.listener("net", "network", 53, "TCP_UDP");
        let classic = telemetry.listener("old", "classic", 80, "HTTP");
        let start = Instant::now();
        let mut meter = Meter::default();
        meter.sample(&telemetry.listeners(), start);
        assert_eq!(consumed(&meter), []);
        let count = |metrics: &ListenerMetrics, connections: u64, open: u64, bytes: u64, rules| {
            let cells = metrics.worker(0);
            cells.connections.add(connections);
            cells.connections_closed.add(connections - open);
            cells.received_bytes.add(bytes / 4);
            cells.sent_bytes.add(bytes - bytes / 4);
            cells.charged_rule_evaluations.add(rules);
        };
        let bytes = 1_000_000_000 / 60;
        count(&web, 25 * 60, 300, 0, 60_000);
        count(&tls, 50 * 60, 1_500, 0, 0);
        count(&tcp, 800 * 60, 25_000, 3 * bytes, 0);
        count(&udp, 200 * 60, 12_000, 0, 0);
        count(&classic, 60, 0, 0, 0);
        meter.sample(&telemetry.listeners(), start + Duration::from_secs(60));
        let seen = consumed(&meter);
        let expected = [
            ("net", "TCP", [1.0, 0.25, 3.0, 0.0]),
            ("net", "TLS", [1.0, 0.5, 0.0, 0.0]),
            ("net", "UDP", [0.5, 0.24, 0.0, 0.0]),
            ("web", "HTTP", [1.0, 0.1, 0.0, 1.0]),
        ];
        assert_eq!(seen.len(), expected.len());
        for (seen, expected) in seen.iter().zip(expected) {
            assert_eq!((seen.0, seen.1), (expected.0, expected.1));
            for (seen, expected) in seen.2.iter().zip(expected.2) {
                assert!((seen - expected).abs() < 1e-6, "{seen} {expected}");
            }
        }
        meter.sample(&telemetry.listeners(), start + Duration::from_secs(120));
        assert_eq!(consumed(&meter)[3], ("web", "HTTP", [0.0, 0.1, 0.0, 0.0]));
    }
}
