//! Measures a folder of Ingresses, each with its Service and endpoints. Time per Ingress must not grow with their number.
//! `peak` is the peak memory of the process so far.
#![allow(missing_docs, reason = "criterion's macros write undocumented items")]

use std::fs;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use elbow_manifest::{Context, plan, read, translate};

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
";

/// The objects of `count` applications, as one text.
fn folder(count: usize) -> String {
    let application = |number: usize| {
        format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: web-{number}}}
spec: {{ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{number}, labels: {{kubernetes.io/service-name: web-{number}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.0.0.1]}}, {{addresses: [10.0.0.2]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web-{number}
  annotations: {{alb.ingress.kubernetes.io/target-type: ip}}
spec:
  ingressClassName: alb
  rules:
  - host: web-{number}.example.com
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: web-{number}, port: {{name: http}}}}}}}}
---
"
        )
    };
    let applications: String = (0..count).map(application).collect();
    CLASS.to_owned() + &applications
}

fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("unknown").trim().to_owned()
}

fn manifests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("manifest");
    group.sample_size(10);
    let context = Context::default();
    for count in [500, 1000, 5000] {
        let text = folder(count);
        let (objects, found) = read(&text, "folder.yaml");
        assert!(found.is_empty(), "{found:?}");
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::new("read", count), &text, |bench, text| {
            bench.iter(|| black_box(read(text, "folder.yaml")));
        });
        group.bench_with_input(
            BenchmarkId::new("plan", count),
            &objects,
            |bench, objects| {
                bench.iter(|| black_box(plan(objects, &context)));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("translate", count),
            &objects,
            |bench, objects| {
                bench.iter(|| black_box(translate(objects, &context)));
            },
        );
        println!("{count} Ingresses: peak {}", peak());
    }
    group.finish();
}

criterion_group!(benches, manifests);
elbow_benches::main!(benches);
