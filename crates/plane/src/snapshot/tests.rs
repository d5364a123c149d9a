use std::sync::{Arc, LazyLock};

use elbow_http::Providers;
use elbow_model::addresses::{DEFAULT_POOL, Preferred, assign};
use elbow_model::{DnsZone, LoadBalancer, Model, Protocol, TargetState, Transport};
use elbow_telemetry::Telemetry;
use elbow_tls::Tickets;
use rustc_hash::FxHashMap;

use super::*;
use crate::error::{Cause, Failure, ListenerId};
use crate::listener_key::ListenerKey;
use crate::logs::Logs;
use crate::names::Resolved;

mod churn;
mod sharing;
mod zones;

const ADDRESS: &str = "127.0.0.1";

/// A model with one ALB and one group with targets at `ports`.
fn model(ports: &[u16]) -> Arc<Model> {
    let targets: String = ports
        .iter()
        .map(|port| format!("  - {{id: {ADDRESS}, port: {port}}}\n"))
        .collect();
    parse(&format!(
        "loadBalancers:
- name: web
  type: application
  addresses: [127.0.10.9]
  listeners:
  - port: 80
    protocol: HTTP
    defaultActions:
    - type: forward
      forwardConfig: {{targetGroups: [{{targetGroup: pods}}]}}
targetGroups:
- name: pods
  protocol: HTTP
  port: 8080
  targets:
{targets}- name: spare
  protocol: HTTP
  port: 8080
  targets:
  - {{id: {ADDRESS}, port: 1}}
"
    ))
}

fn parse(text: &str) -> Arc<Model> {
    let (model, diagnostics) = elbow_native::parse(text, "test.yaml");
    Arc::new(model.unwrap_or_else(|| panic!("{diagnostics:?}")))
}

fn build(
    model: &Arc<Model>,
    previous: &Snapshot,
    resolved: &FxHashMap<Arc<str>, Resolved>,
) -> Result<(Snapshot, Changes), Vec<Failure>> {
    let before = |name: &str| Some(&*previous.balancers.get(name)?.addresses);
    let addresses = assign(model, DEFAULT_POOL, &Preferred::default(), before).unwrap();
    with_parts(previous, resolved, |parts| {
        built(super::build(Arc::clone(model), &addresses, parts))
    })
}

fn built(built: Built) -> Result<(Snapshot, Changes), Vec<Failure>> {
    if built.failures.is_empty() {
        Ok((built.snapshot, built.changes))
    } else {
        Err(built.failures)
    }
}

fn with_parts<T>(
    previous: &Snapshot,
    resolved: &FxHashMap<Arc<str>, Resolved>,
    make: impl FnOnce(&Parts<'_>) -> T,
) -> T {
    // One for all, as in a process.
    static TELEMETRY: LazyLock<Arc<Telemetry>> = LazyLock::new(|| Telemetry::new(1));
    make(&Parts {
        previous,
        resolved,
        telemetry: &TELEMETRY,
        tickets: &Tickets::new(),
        logs: &Logs::default(),
        providers: &Providers::default(),
        workers: 1,
        port_offset: 8000,
        dns: &DnsZone::default(),
    })
}

fn next(model: &Arc<Model>, previous: &Snapshot) -> Snapshot {
    let (snapshot, changes) = build(model, previous, &FxHashMap::default()).unwrap();
    snapshot.activate(&changes);
    snapshot
}

/// The next snapshot when only `groups` are rebuilt.
fn refresh(
    groups: &[&str],
    previous: &Snapshot,
    resolved: &FxHashMap<Arc<str>, Resolved>,
) -> Snapshot {
    let groups = groups.iter().map(|name| Arc::from(*name)).collect();
    let refreshed = with_parts(previous, resolved, |parts| {
        built(super::refresh(groups, parts))
    });
    let (snapshot, changes) = refreshed.unwrap();
    snapshot.activate(&changes);
    snapshot
}

fn states(snapshot: &Snapshot, group: &str) -> Vec<(u16, TargetState)> {
    let targets = &snapshot.groups[group].group.targets;
    targets
        .iter()
        .map(|t| (t.address.port(), t.state()))
        .collect()
}

#[test]
fn listeners_are_bound_with_the_port_offset() {
    let snapshot = next(&model(&[1]), &Snapshot::default());
    let bound: Vec<_> = snapshot.listeners.keys().map(ToString::to_string).collect();
    assert_eq!(bound, ["127.0.10.9:8080"]);
    assert_eq!(snapshot.generation, 1);
}

/// A load balancer that listens on port 53 with `protocols`, which share a port by transport.
fn dns(protocols: &[Protocol]) -> Arc<Model> {
    let model = parse(
        "loadBalancers:
- name: dns
  type: network
  addresses: [127.0.10.9]
  listeners: [{port: 53, protocol: TCP, defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: pods}]}}]}]
targetGroups:
- {name: pods, protocol: TCP_UDP, port: 1, targetType: ip, targets: []}
",
    );
    let mut balancer = LoadBalancer::clone(&model.load_balancers[0]);
    let like = balancer.listeners.remove(0);
    balancer.listeners = protocols
        .iter()
        .map(|protocol| {
            let mut listener = like.clone();
            listener.protocol = *protocol;
            listener
        })
        .collect();
    let mut model = Model::clone(&model);
    model.load_balancers = vec![Arc::new(balancer)];
    Arc::new(model)
}

#[test]
fn tcp_and_udp_listeners_share_a_port() {
    let keys = |keys: &mut dyn Iterator<Item = &ListenerKey>| {
        let mut keys: Vec<_> = keys.map(ToString::to_string).collect();
        keys.sort();
        keys
    };
    let (tcp, udp) = ("127.0.10.9:8053", "127.0.10.9:8053/udp");
    let none = FxHashMap::default();
    let first = next(&dns(&[Protocol::Tcp]), &Snapshot::default());
    let (second, changes) = build(&dns(&[Protocol::Tcp, Protocol::Udp]), &first, &none).unwrap();
    assert_eq!(keys(&mut second.listeners.keys()), [tcp, udp]);
    assert_eq!(keys(&mut changes.opened.iter()), [udp]);
    assert!(changes.closed.is_empty() && changes.handed_over.is_empty());
    let listener = |snapshot: &Snapshot, name: &str| {
        let mut listeners = snapshot.listeners.iter();
        let (_, listener) = listeners.find(|(key, _)| key.to_string() == name).unwrap();
        Arc::clone(&listener.metrics)
    };
    assert!(Arc::ptr_eq(&listener(&first, tcp), &listener(&second, tcp)));
    assert!(!Arc::ptr_eq(
        &listener(&second, tcp),
        &listener(&second, udp)
    ));
    let (third, changes) = build(&dns(&[Protocol::Udp]), &second, &none).unwrap();
    assert_eq!(keys(&mut third.listeners.keys()), [udp]);
    assert_eq!(keys(&mut changes.closed.iter()), [tcp]);
    // One listener with two sockets.
    let (both, changes) = build(&dns(&[Protocol::TcpUdp]), &third, &none).unwrap();
    assert_eq!(keys(&mut both.listeners.keys()), [tcp, udp]);
    assert_eq!(keys(&mut changes.opened.iter()), [tcp]);
}

#[test]
fn all_failures_are_reported_at_once() {
    let mut model = Model::clone(&model(&[1]));
    for name in ["twin", "triplet"] {
        let mut twin = LoadBalancer::clone(&model.load_balancers[0]);
        twin.name = name.into();
        model.load_balancers.push(Arc::new(twin));
    }
    let (model, first) = (Arc::new(model), Snapshot::default());
    let failures = build(&model, &first, &FxHashMap::default()).err().unwrap();
    let at_fault: Vec<&str> = failures.iter().map(|f| &*f.load_balancers[0]).collect();
    assert_eq!(at_fault, ["twin", "triplet"]);
}

// ALB guide, target groups: a group in no rule is unused.
#[test]
fn group_without_forwarding_listeners_is_unused() {
    let snapshot = next(&model(&[1]), &Snapshot::default());
    assert_eq!(states(&snapshot, "pods"), [(1, TargetState::Initial)]);
    assert_eq!(states(&snapshot, "spare"), [(1, TargetState::Unused)]);
}

#[test]
fn unchanged_target_keeps_its_state_and_counters() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    first.groups["pods"].group.targets[1].set_state(TargetState::Healthy);
    let second = next(&model(&[3, 2]), &first);
    assert_eq!(
        states(&second, "pods"),
        [
            (3, TargetState::Initial),
            (2, TargetState::Healthy),
            (1, TargetState::Draining)
        ]
    );
    assert_eq!(
        second.groups["pods"].group.targets[1].serial,
        first.groups["pods"].group.targets[1].serial
    );
}

// ALB guide, edit target group attributes: draining for the delay, then unused.
#[test]
fn deregistered_target_drains_and_is_removed_after_its_delay() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    let second = next(&model(&[2]), &first);
    assert_eq!(second.groups["pods"].draining().len(), 1);
    let third = next(&model(&[2]), &second);
    let draining = third.groups["pods"].draining();
    assert_eq!(draining.len(), 1, "it keeps draining during its delay");
    draining[0].set_state(TargetState::Unused);
    let fourth = refresh(&["pods"], &third, &FxHashMap::default());
    assert_eq!(states(&fourth, "pods"), [(2, TargetState::Initial)]);
}

// ALB guide, edit target group attributes: the first targets of an empty group skip slow start.
#[test]
fn only_targets_of_an_empty_group_skip_slow_start() {
    let skips = |snapshot: &Snapshot| -> Vec<bool> {
        let targets = snapshot.groups["pods"].registered().iter();
        targets.map(|target| target.skips_slow_start()).collect()
    };
    let first = next(&model(&[1, 2]), &Snapshot::default());
    assert_eq!(skips(&first), [true, true]);
    let second = next(&model(&[1, 3]), &first);
    assert_eq!(skips(&second), [true, false]);
    // Target 2 drains. When it is registered again, it starts as a new target.
    let third = next(&model(&[1, 2, 3]), &second);
    assert_eq!(skips(&third), [true, false, false]);
    let empty = next(&model(&[]), &third);
    let refilled = next(&model(&[4]), &empty);
    assert_eq!(skips(&refilled), [true]);
}

#[test]
fn target_registered_again_is_initial() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    let second = next(&model(&[2]), &first);
    let third = next(&model(&[1, 2]), &second);
    assert_eq!(
        states(&third, "pods"),
        [(1, TargetState::Initial), (2, TargetState::Initial)]
    );
}

#[test]
fn rejected_model_changes_nothing() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    // Target 1 would drain. The file reader rejects two load balancers on one socket, but other callers might not.
    let mut refused = Model::clone(&model(&[2]));
    let mut twin = LoadBalancer::clone(&refused.load_balancers[0]);
    twin.name = "twin".into();
    refused.load_balancers.push(Arc::new(twin));
    let errors = build(&Arc::new(refused), &first, &FxHashMap::default())
        .err()
        .unwrap();
    assert_eq!(errors.len(), 1);
    let Cause::Invalid(diagnostic) = &errors[0].cause else {
        panic!("{errors:?}");
    };
    assert_eq!(diagnostic.code, "address-in-use");
    assert_eq!(errors[0].load_balancers, [Arc::from("twin")]);
    let listener = ListenerId {
        port: 80,
        transport: Transport::Tcp,
    };
    assert_eq!(errors[0].listener, Some(listener));
    assert_eq!(
        states(&first, "pods"),
        [(1, TargetState::Initial), (2, TargetState::Initial)]
    );
}

#[test]
fn host_name_registers_all_its_addresses() {
    let model = parse(
        "loadBalancers:
- name: web
  type: network
  addresses: [127.0.10.9]
  listeners: [{port: 80, protocol: TCP, defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: pods}]}}]}]
targetGroups:
- {name: pods, protocol: TCP, port: 1, targetType: ip, targets: [{id: pods.internal, port: 2}]}
",
    );
    let mut resolved = FxHashMap::default();
    let (unresolved, _) = build(&model, &Snapshot::default(), &resolved).unwrap();
    assert!(unresolved.groups["pods"].group.targets.is_empty());
    let ips = vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
    resolved.insert("pods.internal".into(), Ok(ips));
    let groups = unresolved.groups_of_host("pods.internal");
    assert_eq!(groups, ["pods".into()] as [Arc<str>; 1]);
    let snapshot = refresh(&["pods"], &unresolved, &resolved);
    let addresses: Vec<_> = snapshot.groups["pods"]
        .group
        .targets
        .iter()
        .map(|t| t.address.to_string())
        .collect();
    assert_eq!(addresses, ["127.0.0.1:2", "[::1]:2"]);
}

/// A Classic load balancer with `listeners` and two instances.
fn classic(listeners: &str) -> Arc<Model> {
    parse(&format!(
        "loadBalancers:
- name: web
  type: classic
  addresses: [127.0.10.9]
  listeners: [{listeners}]
  instances:
  - {{id: 127.0.0.1, ports: {{30001: 1, 30002: 2}}}}
  - {{id: 127.0.0.1, ports: {{30001: 3, 30002: 4}}}}
"
    ))
}

const PLAIN: &str = "{port: 80, protocol: TCP, instancePort: 30001}";
const WEB: &str = "{port: 81, protocol: HTTP, instancePort: 30002}";

// Parity section 4: one health for the whole load balancer.
#[test]
fn new_listener_of_a_classic_load_balancer_knows_instance_health() {
    let first = next(&classic(PLAIN), &Snapshot::default());
    assert_eq!(
        states(&first, "web/TCP:30001"),
        [(1, TargetState::Initial), (3, TargetState::Initial)]
    );
    let targets = &first.groups["web/TCP:30001"].group.targets;
    targets[0].set_state(TargetState::Healthy);
    targets[1].set_state(TargetState::Unhealthy);
    let second = next(&classic(&format!("{PLAIN}, {WEB}")), &first);
    assert_eq!(
        states(&second, "web/HTTP:30002"),
        [(2, TargetState::Healthy), (4, TargetState::Unhealthy)]
    );
    assert!(second.groups.values().all(|group| group.in_use()));
}

#[test]
fn instance_has_one_check_for_all_listeners() {
    let snapshot = next(&classic(&format!("{PLAIN}, {WEB}")), &Snapshot::default());
    let instances = snapshot.instances(&snapshot.balancers["web"]);
    let shown: Vec<Vec<(&str, u16)>> = instances
        .iter()
        .map(|instance| {
            let targets = instance.targets.iter();
            targets
                .map(|(group, target)| (&*group.config.name, target.address.port()))
                .collect()
        })
        .collect();
    assert_eq!(
        shown,
        [
            [("web/TCP:30001", 1), ("web/HTTP:30002", 2)],
            [("web/TCP:30001", 3), ("web/HTTP:30002", 4)],
        ]
    );
}
