//! Nodes in zones: which targets the node at an address uses.

use elbow_model::ZoneName;

use super::*;

/// A load balancer with nodes in the zones a and b, and `targets` of a group with `attributes`.
fn zonal(kind: &str, attributes: &str, targets: &str) -> Arc<Model> {
    let (listener, group) = match kind {
        "network" => ("TCP", "TCP"),
        _ => ("HTTP", "HTTP"),
    };
    parse(&format!(
        "loadBalancers:
- name: web
  type: {kind}
  availabilityZones:
  - {{zoneName: a, loadBalancerAddresses: [{{ipAddress: 127.0.10.1}}]}}
  - {{zoneName: b, loadBalancerAddresses: [{{ipAddress: 127.0.10.2}}]}}
  listeners: [{{port: 80, protocol: {listener}, defaultActions: [{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: pods}}]}}}}]}}]
targetGroups:
- {{name: pods, protocol: {group}, port: 1, targetType: ip, attributes: {{{attributes}}}, targets: [{targets}]}}
"
    ))
}

const TARGETS: &str = "{id: 127.0.0.1, port: 1, availabilityZone: a}, {id: 127.0.0.1, port: 2, availabilityZone: b}, \
                       {id: 127.0.0.1, port: 3}, {id: 127.0.0.1, port: 4, availabilityZone: c}";
const OFF: &str = "load_balancing.cross_zone.enabled: 'false'";
const ON: &str = "load_balancing.cross_zone.enabled: 'true'";

/// The ports of the targets that the node at `address` uses.
fn used(snapshot: &Snapshot, address: &str) -> Vec<u16> {
    let address = format!("{address}:8080");
    let mut listeners = snapshot.listeners.iter();
    let (_, listener) = listeners
        .find(|(key, _)| key.to_string() == address)
        .unwrap();
    let Handler::Tcp(listener) = &listener.handler else {
        panic!("a TCP listener");
    };
    let targets = &listener.forwards.ipv4.groups[0].group.targets;
    targets.iter().map(|target| target.address.port()).collect()
}

/// ELB guide, how it works: without cross-zone load balancing, a node uses the targets of its zone.
#[test]
fn node_keeps_to_its_zone_unless_it_crosses_zones() {
    let off = next(&zonal("network", "", TARGETS), &Snapshot::default());
    assert_eq!(used(&off, "127.0.10.1"), [1, 3]);
    assert_eq!(used(&off, "127.0.10.2"), [2, 3]);
    let on = next(&zonal("network", ON, TARGETS), &off);
    for address in ["127.0.10.1", "127.0.10.2"] {
        assert_eq!(used(&on, address), [1, 2, 3, 4]);
    }
    assert!(on.balancers["web"].zonal.is_empty());
    let again = next(&zonal("network", OFF, TARGETS), &on);
    assert_eq!(used(&again, "127.0.10.1"), [1, 3]);
}

#[test]
fn changed_targets_reach_the_nodes_of_all_zones() {
    let first = next(&zonal("network", "", TARGETS), &Snapshot::default());
    let target = "{id: 127.0.0.1, port: 2, availabilityZone: b}";
    let second = next(&zonal("network", "", target), &first);
    // The others drain.
    assert_eq!(used(&second, "127.0.10.2"), [2, 3]);
    assert_eq!(used(&second, "127.0.10.1"), [1, 3]);
    let zone = ZoneName::new("a").value.unwrap();
    let state = &second.groups["pods"];
    assert!(state.in_zone(&zone).choose_flow(1).is_none());
    assert!(Arc::ptr_eq(&state.in_zone(&zone), &state.in_zone(&zone)));
    state
        .draining()
        .iter()
        .for_each(|target| target.set_state(TargetState::Unused));
    let third = refresh(&["pods"], &second, &FxHashMap::default());
    assert_eq!(used(&third, "127.0.10.1"), [0; 0]);
    assert_eq!(used(&third, "127.0.10.2"), [2]);
}

/// Both nodes have the same metrics, so that a change of zones does not restart accept loops.
#[test]
fn nodes_share_the_metrics_of_a_listener() {
    let snapshot = next(&zonal("network", "", TARGETS), &Snapshot::default());
    let listeners: Vec<_> = snapshot.listeners.values().collect();
    assert_eq!(listeners.len(), 2);
    assert!(!Arc::ptr_eq(listeners[0], listeners[1]));
    assert!(listeners[0].is_like(listeners[1]));
    let none = FxHashMap::default();
    let (_, changes) = build(&zonal("network", ON, TARGETS), &snapshot, &none).unwrap();
    assert!(
        changes.opened.is_empty() && changes.closed.is_empty() && changes.handed_over.is_empty()
    );
}

/// ALB guide and NLB guide, target groups: a target in a zone that is not enabled is unused.
#[test]
fn target_outside_the_zones_is_unused_until_its_zone_is_enabled() {
    for kind in ["network", "application"] {
        let first = next(&zonal(kind, ON, TARGETS), &Snapshot::default());
        let initial = |port| (port, TargetState::Initial);
        let unused = (4, TargetState::Unused);
        assert_eq!(
            states(&first, "pods"),
            [initial(1), initial(2), initial(3), unused]
        );
        let mut more = Model::clone(&zonal(kind, ON, TARGETS));
        let balancer = Arc::make_mut(&mut more.load_balancers[0]);
        balancer.zones[1].name = ZoneName::new("c").value.unwrap();
        let second = next(&Arc::new(more), &first);
        let after = [initial(1), (2, TargetState::Unused), initial(3), initial(4)];
        assert_eq!(states(&second, "pods"), after, "{kind}");
    }
}
