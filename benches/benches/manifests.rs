//! Manifests to the model that serves: one folder of many Ingresses, each with its Service and endpoints. The time
//! per Ingress must not grow with their number.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use elbow_manifest::{Context, read, translate};

/// `n` Ingresses, every tenth in a group with nine others.
fn manifests(n: usize) -> String {
    let mut text = String::from(
        "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
",
    );
    for i in 0..n {
        let group = match i % 100 {
            0..10 => format!(", alb.ingress.kubernetes.io/group.name: shared-{}", i / 100),
            _ => String::new(),
        };
        let (third, fourth) = (i / 250, i % 250 + 1);
        write!(
            text,
            "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web-{i}
  namespace: ns-{}
  annotations: {{alb.ingress.kubernetes.io/target-type: ip, alb.ingress.kubernetes.io/success-codes: '200,403'{group}}}
spec:
  ingressClassName: alb
  rules:
  - host: web-{i}.example.com
    http:
      paths:
      - {{path: /api, pathType: Prefix, backend: {{service: {{name: web-{i}, port: {{number: 80}}}}}}}}
      - {{path: /, pathType: Prefix, backend: {{service: {{name: web-{i}, port: {{number: 80}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web-{i}, namespace: ns-{}}}
spec: {{ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-{i}, namespace: ns-{}, labels: {{kubernetes.io/service-name: web-{i}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints: [{{addresses: [10.0.{third}.{fourth}]}}, {{addresses: [10.1.{third}.{fourth}]}}]
",
            i % 50,
            i % 50,
            i % 50
        )
        .expect("a string takes all that is written");
    }
    text
}

fn ingresses(c: &mut Criterion) {
    let mut group = c.benchmark_group("ingresses");
    group.sample_size(10);
    for n in [1_250, 2_500, 5_000] {
        let text = manifests(n);
        group.throughput(Throughput::Elements(n as u64));
        group.bench_with_input(BenchmarkId::new("read", n), &text, |b, text| {
            b.iter(|| read(black_box(text), "many.yaml"));
        });
        let (objects, found) = read(&text, "many.yaml");
        assert!(found.is_empty(), "{found:?}");
        group.bench_with_input(BenchmarkId::new("translate", n), &objects, |b, objects| {
            b.iter(|| translate(black_box(objects), &Context::default()));
        });
        drop(objects);
        println!("peak memory with {n}: {}", peak_memory());
    }
    group.finish();
}

/// The most memory that this process has had.
fn peak_memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap_or("not known").trim().to_owned()
}

criterion_group!(benches, ingresses);
criterion_main!(benches);
