use std::sync::LazyLock;

use elbow_model::addresses::{DEFAULT_POOL, assign};

use super::*;

mod churn;
mod sharing;

const ADDRESS: &str = "127.0.0.1";

/// A model with one ALB at `balancers`' addresses and one group with targets at `ports`.
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
    let (model, diagnostics) = elbow_model::file::parse(text, "test.yaml");
    Arc::new(model.unwrap_or_else(|| panic!("{diagnostics:?}")))
}

fn build(
    model: &Arc<Model>,
    previous: &Snapshot,
    resolved: &FxHashMap<Arc<str>, Resolved>,
) -> Result<(Snapshot, Changes), Vec<Rejection>> {
    let before = |name: &str| Some(&*previous.balancers.get(name)?.addresses);
    let addresses = assign(model, DEFAULT_POOL, before).unwrap();
    with_parts(previous, resolved, |parts| {
        Snapshot::build(Arc::clone(model), &addresses, parts)
    })
}

fn with_parts<T>(
    previous: &Snapshot,
    resolved: &FxHashMap<Arc<str>, Resolved>,
    make: impl FnOnce(&Parts<'_>) -> T,
) -> T {
    // One for all, as a process has.
    static TELEMETRY: LazyLock<Arc<Telemetry>> = LazyLock::new(|| Telemetry::new(1));
    make(&Parts {
        previous,
        resolved,
        telemetry: &TELEMETRY,
        tickets: &Tickets::new(),
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

/// What follows when nothing but `groups` is to be made anew.
fn refresh(
    groups: &[&str],
    previous: &Snapshot,
    resolved: &FxHashMap<Arc<str>, Resolved>,
) -> Snapshot {
    let groups = groups.iter().map(|name| Arc::from(*name)).collect();
    let refreshed = with_parts(previous, resolved, |parts| {
        Snapshot::refreshed(groups, parts)
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
fn listeners_are_bound_at_their_offset() {
    let snapshot = next(&model(&[1]), &Snapshot::default());
    let bound: Vec<_> = snapshot.listeners.keys().map(ToString::to_string).collect();
    assert_eq!(bound, ["127.0.10.9:8080"]);
    assert_eq!(snapshot.generation, 1);
}

// ALB guide, target groups: a group in no rule is unused.
#[test]
fn a_group_that_nothing_forwards_to_is_unused() {
    let snapshot = next(&model(&[1]), &Snapshot::default());
    assert_eq!(states(&snapshot, "pods"), [(1, TargetState::Initial)]);
    assert_eq!(states(&snapshot, "spare"), [(1, TargetState::Unused)]);
}

#[test]
fn a_target_that_stays_keeps_its_live_numbers() {
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
fn a_deregistered_target_drains_and_goes_when_its_delay_is_over() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    let second = next(&model(&[2]), &first);
    assert_eq!(second.groups["pods"].draining().len(), 1);
    let third = next(&model(&[2]), &second);
    let draining = third.groups["pods"].draining();
    assert_eq!(draining.len(), 1, "it drains on while its delay runs");
    draining[0].set_state(TargetState::Unused);
    let fourth = refresh(&["pods"], &third, &FxHashMap::default());
    assert_eq!(states(&fourth, "pods"), [(2, TargetState::Initial)]);
}

#[test]
fn a_target_that_is_registered_again_is_initial() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    let second = next(&model(&[2]), &first);
    let third = next(&model(&[1, 2]), &second);
    assert_eq!(
        states(&third, "pods"),
        [(1, TargetState::Initial), (2, TargetState::Initial)]
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    let first = next(&model(&[1, 2]), &Snapshot::default());
    // Target 1 would drain. The file refuses two load balancers on one socket, other doors may not.
    let mut refused = Model::clone(&model(&[2]));
    let mut twin = LoadBalancer::clone(&refused.load_balancers[0]);
    twin.name = "twin".into();
    refused.load_balancers.push(Arc::new(twin));
    let errors = build(&Arc::new(refused), &first, &FxHashMap::default())
        .err()
        .unwrap();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].diagnostic.code, "address-in-use");
    assert_eq!(
        states(&first, "pods"),
        [(1, TargetState::Initial), (2, TargetState::Initial)]
    );
}

#[test]
fn a_name_stands_for_all_its_addresses() {
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
fn a_new_listener_of_a_classic_load_balancer_finds_the_instances_as_healthy_as_they_are() {
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
fn an_instance_is_one_whatever_the_number_of_listeners() {
    let snapshot = next(&classic(&format!("{PLAIN}, {WEB}")), &Snapshot::default());
    let instances = instances::of(&snapshot, &snapshot.balancers["web"]);
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
