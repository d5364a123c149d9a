//! Measures a scrape of a large cluster: 10,000 groups of five targets behind 5,500 listeners.
#![allow(missing_docs, reason = "criterion's macros write undocumented items")]

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use elbow_model::TargetState;
use elbow_telemetry::{Exposition, Format, GroupRow, Rows, TargetRow, Telemetry};

const LISTENERS: usize = 5_500;
const GROUPS: usize = 10_000;
const TARGETS: usize = 5;
const WORKERS: usize = 2;

/// Counts the bytes and keeps none, like a client that reads fast.
#[derive(Default)]
struct Length(usize);

impl Write for Length {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

fn target(group: usize, number: usize) -> TargetRow {
    TargetRow {
        target: format!("10.{}.{}.{number}:8080", group / 256, group % 256),
        state: TargetState::Healthy,
        state_name: TargetState::Healthy.as_str(),
        in_flight: 3,
        is_anomalous: false,
        is_mitigated: false,
        zone: None,
        requests: 40,
    }
}

fn scrape(c: &mut Criterion) {
    let telemetry = Telemetry::new(WORKERS);
    let listeners = (0..LISTENERS).map(|n| {
        let listener = telemetry.listener(&format!("lb-{n}"), "application", 80, "HTTP");
        listener.worker(0).target_responses.increment(200);
        listener
    });
    let _listeners: Vec<_> = listeners.collect();
    let names = (0..GROUPS).map(|n| telemetry.group(&format!("k8s-shop-web-{n:010x}")));
    let groups: Vec<_> = names.collect();
    let rows = || -> Rows {
        let numbered = groups.iter().enumerate();
        let row = |(n, group): (usize, &std::sync::Arc<elbow_telemetry::GroupMetrics>)| GroupRow {
            name: group.name().clone(),
            targets: (0..TARGETS).map(|number| target(n, number)).collect(),
        };
        Rows {
            groups: numbered.map(row).collect(),
            ..Rows::default()
        }
    };
    let mut bench = c.benchmark_group("scrape");
    bench.sample_size(10);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        bench.bench_function(format!("{format:?}"), |b| {
            b.iter(|| {
                let mut length = Length::default();
                let mut exposition = Exposition::new(format, &mut length);
                let written = telemetry.write(rows(), &mut exposition);
                black_box(written.and_then(|()| exposition.finish()))
            });
        });
    }
    bench.finish();
}

criterion_group!(benches, scrape);
elbow_benches::main!(benches);
