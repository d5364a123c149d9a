//! Measures the first load and one change of a live cluster: 5,000 Services, and 5,000 Ingresses in 500 groups, with 50,000
//! endpoints. `peak` is the peak memory of the process so far.
#![allow(missing_docs, reason = "criterion's macros write undocumented items")]

use std::fs;
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, criterion_group};
use elbow_manifest::cluster::{Change, Cluster};
use elbow_manifest::{Context, Object};
use serde_json::{Value, json};

const APPLICATIONS: usize = 5000;
const GROUPS: usize = 500;
const ENDPOINTS: usize = 10;

fn class() -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"},
    })
}

fn service(number: usize) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "a", "name": format!("web-{number}"), "uid": format!("uid-{number}")},
        "spec": {"type": "ClusterIP", "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]},
    })
}

fn ingress(number: usize) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {
            "namespace": "a", "name": format!("web-{number}"), "uid": format!("uid-i{number}"),
            "annotations": {
                "alb.ingress.kubernetes.io/target-type": "ip",
                "alb.ingress.kubernetes.io/group.name": format!("group-{}", number % GROUPS),
            },
        },
        "spec": {
            "ingressClassName": "alb",
            "rules": [{
                "host": format!("web-{number}.example.com"),
                "http": {"paths": [{
                    "path": "/", "pathType": "Prefix",
                    "backend": {"service": {"name": format!("web-{number}"), "port": {"name": "http"}}},
                }]},
            }],
        },
    })
}

/// The endpoints of a Service. `ready` is the condition of the first, the others are ready.
fn slice(number: usize, ready: bool) -> Value {
    let endpoint = |one: usize| {
        let address = number * ENDPOINTS + one;
        json!({
            "addresses": [format!("10.{}.{}.{}", address >> 16, address >> 8 & 255, address & 255)],
            "conditions": {"ready": ready || one > 0, "serving": true, "terminating": false},
            "nodeName": format!("node-{}", address % 100), "zone": "us-east-1a",
            "targetRef": {"kind": "Pod", "namespace": "a", "name": format!("web-{number}-{one}"), "uid": "u"},
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": "a", "name": format!("web-{number}-x"),
            "labels": {"kubernetes.io/service-name": format!("web-{number}")},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>(),
    })
}

fn set(cluster: &mut Cluster, object: Value) {
    match Object::from_json(object) {
        Ok(object) => cluster.take(Change::Set(object)),
        Err(found) => panic!("{found}"),
    }
}

fn memory(field: &str) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap_or("unknown").trim().to_owned()
}

fn cluster(criterion: &mut Criterion) {
    let start = Instant::now();
    let mut cluster = Cluster::new(Context::default());
    set(&mut cluster, class());
    for number in 0..APPLICATIONS {
        set(&mut cluster, service(number));
        set(&mut cluster, ingress(number));
        set(&mut cluster, slice(number, true));
    }
    let taken = start.elapsed();
    let stacks = cluster.reconcile().len();
    let targets: usize = cluster
        .model()
        .target_groups
        .iter()
        .map(|one| one.targets.len())
        .sum();
    println!(
        "first load: {taken:?} to take, {:?} in total; {stacks} stacks, {targets} targets; memory {}, peak {}",
        start.elapsed(),
        memory("VmRSS:"),
        memory("VmHWM:")
    );
    let mut group = criterion.benchmark_group("cluster");
    // Each object changes in one iteration, and back in the next.
    let mut turn = 0;
    group.bench_function("endpoint slice", |bench| {
        bench.iter(|| {
            set(&mut cluster, slice(turn / 2 % APPLICATIONS, turn % 2 == 1));
            assert_eq!(cluster.reconcile().len(), 1);
            turn += 1;
        });
    });
    group.bench_function("endpoint slice and model", |bench| {
        bench.iter(|| {
            set(&mut cluster, slice(turn / 2 % APPLICATIONS, turn % 2 == 1));
            assert_eq!(cluster.reconcile().len(), 1);
            turn += 1;
            black_box(cluster.model());
        });
    });
    let mut turn = 0;
    group.bench_function("ingress", |bench| {
        bench.iter(|| {
            let mut changed = ingress(turn / 2 % APPLICATIONS);
            if turn % 2 == 0 {
                changed["metadata"]["annotations"]["alb.ingress.kubernetes.io/group.order"] =
                    json!("7");
            }
            set(&mut cluster, changed);
            assert_eq!(cluster.reconcile().len(), 1);
            turn += 1;
        });
    });
    group.bench_function("status alone", |bench| {
        bench.iter(|| {
            let mut written = service(7);
            turn += 1;
            written["status"] =
                json!({"loadBalancer": {"ingress": [{"hostname": turn.to_string()}]}});
            set(&mut cluster, written);
            assert!(cluster.reconcile().is_empty());
        });
    });
    group.finish();
    println!("memory {}, peak {}", memory("VmRSS:"), memory("VmHWM:"));
}

criterion_group!(benches, cluster);
elbow_benches::main!(benches);
