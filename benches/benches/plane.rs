//! Measures one change and the health checks of a plane that serves many load balancers, and prints the memory of the
//! process.
#![allow(missing_docs, reason = "criterion's macros write undocumented items")]

use std::fs;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group};
use elbow_model::addresses::{Ipv4Net, Ipv6Source};
use elbow_model::{DnsZone, LoadBalancer, Model, Target, TargetGroup};
use elbow_plane::{DataPath, Logs, Options, Plane};
use elbow_telemetry::Telemetry;

/// An ALB has ten target groups, an NLB one, and each group five targets.
const ALBS: usize = 500;
const NLBS: usize = 5_000;
const GROUPS_OF_ALB: usize = 10;
const TARGETS: usize = 5;
/// How long the health checks are measured.
const MEASURED: Duration = Duration::from_secs(30);

/// One load balancer of each kind, in the native format.
const PATTERN: &str = "
loadBalancers:
- name: alb
  type: application
  listeners:
  - port: 80
    protocol: HTTP
    defaultActions: [{type: fixed-response, fixedResponseConfig: {statusCode: '404'}}]
    rules: [RULES]
- name: nlb
  type: network
  listeners:
  - port: 80
    protocol: TCP
    defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: tcp}]}}]
targetGroups:
- {name: http, protocol: HTTP, port: 80, targetType: ip, healthCheckConfig: {intervalSeconds: 10}}
- {name: tcp, protocol: TCP, port: 80, targetType: ip, healthCheckConfig: {intervalSeconds: 10}}
";

fn rule(index: usize, group: &str) -> String {
    format!(
        "{{priority: {}, conditions: [{{field: path-pattern, pathPatternConfig: {{values: [/{index}/*]}}}}], actions: \
         [{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: {group}}}]}}}}]}}",
        index + 1
    )
}

/// 10,000 groups with 50,000 targets behind 5,500 load balancers. All targets are closed ports of this machine.
fn model() -> Model {
    let mut model = Model::default();
    let read = |rules: &str| elbow_native::parse(&PATTERN.replace("RULES", rules), "bench.yaml").0;
    let Some(pattern) = read("") else {
        return model;
    };
    for number in 0..ALBS {
        let names: Vec<String> = (0..GROUPS_OF_ALB)
            .map(|g| format!("http-{number}-{g}"))
            .collect();
        let rules: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(i, name)| rule(i, name))
            .collect();
        let groups: String = names.iter().map(|name| group_line(name)).collect();
        let text = PATTERN.replace("RULES", &rules.join(", ")) + &groups;
        let Some(one) = elbow_native::parse(&text, "bench.yaml").0 else {
            continue;
        };
        model.load_balancers.extend(
            one.load_balancers
                .first()
                .map(|lb| named(lb, format!("alb-{number}"))),
        );
        for name in names {
            model.target_groups.extend(
                pattern
                    .target_groups
                    .first()
                    .map(|group| with_targets(group, name, model.target_groups.len())),
            );
        }
    }
    for number in 0..NLBS {
        let name = format!("tcp-{number}");
        let text = PATTERN
            .replace("RULES", "")
            .replace("targetGroup: tcp", &format!("targetGroup: {name}"))
            + &group_line(&name).replace("HTTP", "TCP");
        let Some(one) = elbow_native::parse(&text, "bench.yaml").0 else {
            continue;
        };
        model.load_balancers.extend(
            one.load_balancers
                .get(1)
                .map(|lb| named(lb, format!("nlb-{number}"))),
        );
        model.target_groups.extend(
            pattern
                .target_groups
                .get(1)
                .map(|group| with_targets(group, name, model.target_groups.len())),
        );
    }
    model
}

fn group_line(name: &str) -> String {
    format!("- {{name: {name}, protocol: HTTP, port: 80}}\n")
}

fn named(lb: &LoadBalancer, name: String) -> Arc<LoadBalancer> {
    let mut lb = lb.clone();
    lb.name = name.into();
    Arc::new(lb)
}

fn with_targets(group: &TargetGroup, name: String, number: usize) -> Arc<TargetGroup> {
    let target = |index: usize| {
        let number = (number * TARGETS + index) as u32;
        Target::at((Ipv4Addr::from_bits(0x7f80_0000 + number), 9).into())
    };
    let mut group = group.clone();
    group.name = name.into();
    group.targets = (0..TARGETS).map(target).collect();
    Arc::new(group)
}

/// Returns `model` with another port for one target of an ALB.
fn with_change(model: &Model, port: u16) -> Model {
    let mut model = model.clone();
    if let Some(group) = model.target_groups.get_mut(77)
        && let Some(target) = Arc::make_mut(group).targets.last_mut()
    {
        target.port = port;
    }
    model
}

fn resident() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap_or("unknown").trim().to_owned()
}

/// Returns the CPU time of the threads named `thread`.
fn on_cpu(thread: &str) -> Duration {
    let mut ticks = 0;
    for task in fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat.split_once(") ") else {
            continue;
        };
        if name.ends_with(&format!("({thread}")) {
            let fields = rest.split(' ').skip(11).take(2);
            ticks += fields.filter_map(|n| n.parse::<u64>().ok()).sum::<u64>();
        }
    }
    Duration::from_millis(ticks * 10)
}

fn apply(c: &mut Criterion) {
    let options = Options {
        workers: 1,
        address_pool: Ipv4Net::new_assert(Ipv4Addr::new(127, 64, 0, 0), 16),
        ipv6: Ipv6Source::None,
        port_offset: 0,
        data_path: DataPath::Auto,
        dns: DnsZone::default(),
        max_connections: None,
        targets_within: false,
        drain_timeout: Duration::ZERO,
    };
    let model = model();
    let targets: usize = model.target_groups.iter().map(|g| g.targets.len()).sum();
    println!(
        "model: {}, {} load balancers, {targets} targets",
        resident(),
        model.load_balancers.len()
    );
    let telemetry = Telemetry::new(1);
    let Ok(plane) = Plane::start(options, Arc::clone(&telemetry), Logs::default()) else {
        return;
    };
    let started = Instant::now();
    if let Err(error) = plane.apply(model.clone()) {
        println!("cannot serve the model: {error}");
        return;
    }
    println!("serving after {:?}: {}", started.elapsed(), resident());
    // Waits until every target has had its first check.
    thread::sleep(Duration::from_secs(20));
    let (before, started) = (on_cpu("control"), Instant::now());
    let checks = || -> u64 {
        let groups = telemetry.groups().into_iter();
        groups.map(|group| group.health_checks_failed.get()).sum()
    };
    let checked = checks();
    thread::sleep(MEASURED);
    let seconds = started.elapsed().as_secs_f64();
    let share = (on_cpu("control") - before).as_secs_f64() / seconds;
    let rate = (checks() - checked) as f64 / seconds;
    println!(
        "{rate:.0} health checks/s take {:.1} % of a CPU: {}",
        share * 100.0,
        resident()
    );
    let mut port = 10;
    c.bench_function("apply/one target of 50,000", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times {
                port = if port == 10 { 11 } else { 10 };
                let next = with_change(&model, port);
                let started = Instant::now();
                let _ = plane.apply(next);
                spent += started.elapsed();
            }
            spent
        });
    });
    let mut added = model.clone();
    added.load_balancers.extend(
        model
            .load_balancers
            .last()
            .map(|lb| named(lb, "another".to_owned())),
    );
    c.bench_function("apply/a load balancer comes and goes", |b| {
        b.iter(|| {
            let _ = plane.apply(added.clone());
            plane.apply(model.clone())
        });
    });
    plane.drain(Duration::ZERO);
}

criterion_group!(benches, apply);
elbow_benches::main!(benches);
