use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use elbow_model::Model;
use elbow_model::addresses::{DEFAULT_POOL, Ipv6Source};
use elbow_telemetry::Telemetry;
use tokio::task::{Id, LocalSet};

use super::*;
use crate::{DataPath, Logs, Options, Plane};

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The first port of the listeners; tests run side by side, each on a thread of its own.
    static FIRST_PORT: usize = 8100 + 100 * THREADS.fetch_add(1, Ordering::Relaxed);
}

/// Groups `g-0`, `g-1`, ... behind one load balancer, with targets at these ports.
fn model(groups: &[&[u16]]) -> Model {
    let forward = |n: usize| {
        format!("{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: g-{n}}}]}}}}")
    };
    let listeners: Vec<String> = (0..groups.len())
        .map(|n| {
            format!(
                "{{port: {}, protocol: TCP, defaultActions: [{}]}}",
                FIRST_PORT.with(|first| first + n),
                forward(n)
            )
        })
        .collect();
    let mut text = format!(
        "loadBalancers: [{{name: lb, type: network, addresses: [127.0.7.1], listeners: [{}]}}]\ntargetGroups:\n",
        listeners.join(", ")
    );
    for (n, ports) in groups.iter().enumerate() {
        let targets = ports
            .iter()
            .map(|port| format!("{{id: 127.0.7.2, port: {port}}}"));
        let targets: Vec<String> = targets.collect();
        text += &format!(
            "- {{name: g-{n}, protocol: TCP, port: 1, targetType: ip, targets: [{}]}}\n",
            targets.join(", ")
        );
    }
    let (model, diagnostics) = elbow_native::parse(&text, "checks.yaml");
    model.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// The tasks of the checks, by checked port.
fn running(checks: &Checks) -> BTreeMap<u16, Id> {
    let running = checks.running.values().flat_map(FxHashMap::values);
    running
        .map(|check| (check.config.address.port(), check.task.id()))
        .collect()
}

fn plane() -> Plane {
    let options = Options {
        workers: 0,
        address_pool: DEFAULT_POOL,
        ipv6: Ipv6Source::None,
        port_offset: 0,
        data_path: DataPath::Portable,
        dns: elbow_model::DnsZone::default(),
        max_connections: None,
        targets_within: false,
        drain_timeout: Duration::ZERO,
    };
    Plane::start(options, Telemetry::new(1), Logs::default()).unwrap()
}

/// Runs `test` where tasks can be started.
fn on_a_runtime(test: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    LocalSet::new().block_on(&runtime.unwrap(), async { test() });
}

#[test]
fn group_change_starts_and_stops_only_its_own_checks() {
    on_a_runtime(|| {
        let plane = plane();
        let mut checks = Checks::new(Arc::clone(&plane.shared));
        plane.apply(model(&[&[1, 2], &[3, 4], &[5]])).unwrap();
        let first = plane.shared.snapshot.load_full();
        for name in first.groups.keys() {
            checks.follow_group(&first, name);
        }
        let before = running(&checks);
        assert_eq!(before.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);

        plane.apply(model(&[&[1, 2], &[4, 6], &[5]])).unwrap();
        let second = plane.shared.snapshot.load_full();
        checks.follow_group(&second, &"g-1".into());
        let mut after = running(&checks);
        let new = after.remove(&6);
        assert!(new.is_some_and(|task| !before.values().any(|other| *other == task)));
        let mut stay = before;
        stay.remove(&3);
        assert_eq!(after, stay);

        plane.apply(model(&[&[1, 2]])).unwrap();
        let third = plane.shared.snapshot.load_full();
        for name in second.groups.keys() {
            checks.follow_group(&third, name);
        }
        stay.retain(|port, _| [1, 2].contains(port));
        assert_eq!(running(&checks), stay);
        assert_eq!(checks.running.len(), 1, "owners without checks are removed");
        plane.drain(Duration::ZERO);
    });
}

#[test]
fn first_checks_are_spread_over_time() {
    on_a_runtime(|| {
        let plane = plane();
        let mut checks = Checks::new(Arc::clone(&plane.shared));
        let ports: Vec<u16> = (1..=500).collect();
        plane.apply(model(&[&ports])).unwrap();
        let began = Instant::now();
        checks.follow_group(&plane.shared.snapshot.load_full(), &"g-0".into());
        assert!(checks.next_start >= began + SPACING * 500);
        plane.drain(Duration::ZERO);
    });
}

#[test]
fn subscribers_are_notified_of_health_changes() {
    let plane = plane();
    let mut changes = plane.view().health_changes();
    let health = || plane.view().target_health("g-0", "127.0.7.2", 7);
    assert_eq!(health(), None);
    plane.apply(model(&[&[7]])).unwrap();
    let health = |state: &str, reason: &str| {
        let health = plane.view().target_health("g-0", "127.0.7.2", 7);
        health.is_some_and(|h| h.state == state && h.reason == Some(reason))
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        // Nothing listens there, so the first check fails.
        while !health("initial", "Elb.InitialHealthChecking") {
            changes.changed().await.unwrap();
        }
    });
    plane.apply(model(&[&[8]])).unwrap();
    assert!(health("draining", "Target.DeregistrationInProgress"));
    assert_eq!(plane.view().target_health("g-0", "127.0.7.2", 9), None);
    let served = plane.view().load_balancer("lb").unwrap();
    assert_eq!(served.addresses, ["127.0.7.1".parse::<IpAddr>().unwrap()]);
    plane.drain(Duration::ZERO);
}
