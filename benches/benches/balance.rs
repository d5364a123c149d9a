//! Measures target selection.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{Criterion, criterion_group};
use elbow_balance::{Group, Target};
use elbow_model::{TargetId, TargetState};

/// A group of `count` healthy targets.
fn group(algorithm: &str, count: u8) -> Group {
    let targets: Vec<_> = (1..=count)
        .map(|n| format!("{{id: 10.0.0.{n}, port: 80}}"))
        .collect();
    let text = format!(
        "targetGroups: [{{name: pods, protocol: HTTP, port: 80, targetType: ip, \
         attributes: {{load_balancing.algorithm.type: {algorithm}}}, targets: [{}]}}]\n",
        targets.join(", ")
    );
    let (model, diagnostics) = elbow_native::parse(&text, "bench.yaml");
    let model = model.unwrap_or_else(|| panic!("{diagnostics:?}"));
    let config = Arc::clone(&model.target_groups[0]);
    let resolved = config.targets.iter().map(|target| {
        let TargetId::Ip(ip) = target.id else {
            panic!("{target:?}");
        };
        let address = SocketAddr::from((ip, target.port));
        let target = Target::new(target.clone(), address);
        target.set_state(TargetState::Healthy);
        Arc::new(target)
    });
    let resolved = resolved.collect();
    Group::new(config, resolved, 1)
}

fn choose(c: &mut Criterion) {
    let mut benches = c.benchmark_group("choose");
    for algorithm in [
        "round_robin",
        "least_outstanding_requests",
        "weighted_random",
    ] {
        for count in [4, 100] {
            let group = group(algorithm, count);
            let mut random = 1_u64;
            benches.bench_function(format!("{algorithm} of {count}"), |b| {
                b.iter(|| {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    group.choose(0, black_box(random)).unwrap().target.start()
                });
            });
        }
    }
    for count in [4, 100] {
        let group = group("round_robin", count);
        let mut hash = 1_u64;
        benches.bench_function(format!("flow of {count}"), |b| {
            b.iter(|| {
                hash = hash.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                group.choose_flow(black_box(hash)).unwrap().target.start()
            });
        });
    }
}

criterion_group!(benches, choose);
elbow_benches::main!(benches);
