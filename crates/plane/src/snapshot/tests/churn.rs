//! Random sequences of changes. Each snapshot equals one built from scratch, and shares its unchanged parts with the
//! previous one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::SocketAddr;

use elbow_balance::Target;
use proptest::prelude::*;

use super::*;
use crate::snapshot::make_listener::ListenerSpec;
use crate::snapshot::refresh as refresh_groups;

/// Groups with even numbers are for HTTP, the others for TCP.
const GROUPS: u8 = 6;
const BALANCERS: u8 = 4;

/// The current configuration.
#[derive(Clone, Debug, Default)]
struct World {
    /// Ports of the targets.
    groups: BTreeMap<u8, BTreeSet<u16>>,
    balancers: BTreeMap<u8, Balancer>,
}

#[derive(Clone, Debug)]
struct Balancer {
    kind: Kind,
    port: u16,
    /// The groups of the default action and of the rules; the instances of a Classic load balancer.
    groups: BTreeSet<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Application,
    Network,
    Classic,
}

#[derive(Clone, Debug)]
enum Step {
    Group(u8, BTreeSet<u16>),
    NoGroup(u8),
    Balancer(u8, Balancer),
    NoBalancer(u8),
    /// A health check result of a target.
    Health(u8, usize, bool),
    /// The deregistration delays of a group have passed.
    Drained(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let ports = prop::collection::btree_set(1_u16..6, 0..5);
    let kind = prop_oneof![
        Just(Kind::Application),
        Just(Kind::Network),
        Just(Kind::Classic)
    ];
    let groups = prop::collection::btree_set(0..GROUPS, 1..5);
    let balancer =
        (kind, 80_u16..83, groups).prop_map(|(kind, port, groups)| Balancer { kind, port, groups });
    prop_oneof![
        6 => (0..GROUPS, ports).prop_map(|(group, ports)| Step::Group(group, ports)),
        1 => (0..GROUPS).prop_map(Step::NoGroup),
        3 => (0..BALANCERS, balancer).prop_map(|(name, balancer)| Step::Balancer(name, balancer)),
        1 => (0..BALANCERS).prop_map(Step::NoBalancer),
        4 => (0..GROUPS, 0_usize..5, any::<bool>()).prop_map(|(g, t, ok)| Step::Health(g, t, ok)),
        3 => (0..GROUPS).prop_map(Step::Drained),
    ]
}

impl World {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Group(name, ports) => {
                self.groups.insert(*name, ports.clone());
            }
            Step::NoGroup(name) => {
                self.groups.remove(name);
            }
            Step::Balancer(name, balancer) => {
                self.balancers.insert(*name, balancer.clone());
            }
            Step::NoBalancer(name) => {
                self.balancers.remove(name);
            }
            Step::Health(..) | Step::Drained(_) => {}
        }
    }

    fn model(&self) -> Arc<Model> {
        let mut text = String::from("loadBalancers:\n");
        for (name, balancer) in &self.balancers {
            let (port, kind) = (balancer.port, balancer.kind);
            let head = |kind| format!("name: lb-{name}, type: {kind}, addresses: [127.0.9.{name}]");
            // Load balancers without a group are left out.
            let is_http = matches!(kind, Kind::Application);
            let known = |g: &&u8| self.groups.contains_key(g) && g.is_multiple_of(2) == is_http;
            let forwards: Vec<String> = balancer.groups.iter().filter(known).map(forward).collect();
            let default = match (forwards.first(), kind) {
                (Some(forward), _) => format!("defaultActions: [{forward}]"),
                (None, Kind::Classic) => String::new(),
                (None, _) => continue,
            };
            let line = match kind {
                Kind::Application => {
                    let rules: Vec<String> =
                        forwards.iter().enumerate().skip(1).map(rule).collect();
                    format!(
                        "{}, listeners: [{{port: {port}, protocol: HTTP, {default}, rules: [{}]}}, {{port: 90, \
                         protocol: HTTP, defaultActions: [{{type: redirect, redirectConfig: {{port: '443', \
                         statusCode: HTTP_301}}}}]}}]",
                        head("application"),
                        rules.join(", ")
                    )
                }
                Kind::Network => format!(
                    "{}, listeners: [{{port: {port}, protocol: TCP, {default}}}]",
                    head("network")
                ),
                Kind::Classic => {
                    let instances: Vec<String> = balancer.groups.iter().map(instance).collect();
                    format!(
                        "{}, instances: [{}], listeners: [{{port: {port}, protocol: TCP, instancePort: 1}}, {{port: \
                         90, protocol: HTTP, instancePort: 2}}]",
                        head("classic"),
                        instances.join(", ")
                    )
                }
            };
            writeln!(text, "- {{{line}}}").unwrap();
        }
        text += "targetGroups:\n";
        for (name, ports) in &self.groups {
            let targets = ports
                .iter()
                .map(|port| format!("{{id: 127.0.0.1, port: {port}}}"));
            let targets: Vec<String> = targets.collect();
            let targets = targets.join(", ");
            let protocol = if name.is_multiple_of(2) {
                "HTTP"
            } else {
                "TCP"
            };
            writeln!(
                text,
                "- {{name: g-{name}, protocol: {protocol}, port: 1, targetType: ip, targets: [{targets}]}}"
            )
            .unwrap();
        }
        parse(&text)
    }
}

fn forward(group: &u8) -> String {
    format!(
        "{{type: forward, forwardConfig: {{targetGroups: [{{targetGroup: g-{group}, weight: 1}}]}}}}"
    )
}

fn rule((index, forward): (usize, &String)) -> String {
    format!(
        "{{priority: {index}, conditions: [{{field: path-pattern, pathPatternConfig: {{values: [/{index}]}}}}], \
         actions: [{forward}]}}"
    )
}

fn instance(number: &u8) -> String {
    let port = 100 + 2 * u16::from(*number);
    format!("{{id: 127.0.0.1, ports: {{1: {port}, 2: {}}}}}", port + 1)
}

/// `model` sharing the unchanged parts of `before`.
fn share(model: &Model, before: &Model) -> Arc<Model> {
    let mut model = model.clone();
    for lb in &mut model.load_balancers {
        if let Some(same) = before.load_balancers.iter().find(|b| *b == lb) {
            *lb = Arc::clone(same);
        }
    }
    for group in &mut model.target_groups {
        if let Some(same) = before.target_groups.iter().find(|g| *g == group) {
            *group = Arc::clone(same);
        }
    }
    Arc::new(model)
}

/// The draining targets after `next` replaced `previous`: removed ones, and those already draining.
fn expected_draining(previous: &GroupState, next: &GroupState) -> BTreeSet<u16> {
    let alive = |t: &&Arc<Target>| t.state() != TargetState::Unused;
    let before: BTreeSet<u16> = previous
        .group
        .targets
        .iter()
        .filter(alive)
        .map(port)
        .collect();
    let now: BTreeSet<u16> = next.registered().iter().map(port).collect();
    before.difference(&now).copied().collect()
}

fn port(target: &Arc<Target>) -> u16 {
    target.address.port()
}

fn serves(listener: &ListenerState) -> String {
    match &listener.handler {
        Handler::Tcp(listener) => format!("{listener:?}"),
        Handler::Udp(listener) => format!("{listener:?}"),
        Handler::TcpUdp(tcp, udp) => format!("{tcp:?} {udp:?}"),
        Handler::Http(listener) => format!("{listener:?}"),
    }
}

/// Asserts that `snapshot` equals `scratch`, which was built from the same model.
fn assert_equal(snapshot: &Snapshot, scratch: &Snapshot) {
    let names = |s: &Snapshot| s.groups.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(snapshot), names(scratch));
    for (name, made) in &scratch.groups {
        let group = &snapshot.groups[name];
        assert_eq!(group.group.config, made.group.config);
        assert_eq!(group.users, made.users, "{name}");
        let addresses = |g: &GroupState| g.registered().iter().map(port).collect::<Vec<_>>();
        assert_eq!(addresses(group), addresses(made), "{name}");
        for target in group.registered() {
            let unused = target.state() == TargetState::Unused;
            assert_eq!(unused, !group.in_use(), "{name}");
            assert_ne!(target.state(), TargetState::Draining, "{name}");
        }
        let drains = |t: &Arc<Target>| t.state() == TargetState::Draining;
        assert!(group.draining().iter().all(drains), "{name}");
    }
    let names = |s: &Snapshot| s.balancers.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(snapshot), names(scratch));
    let sockets = |s: &Snapshot| s.listeners.keys().copied().collect::<BTreeSet<_>>();
    assert_eq!(sockets(snapshot), sockets(scratch));
    for (name, made) in &scratch.balancers {
        let balancer = &snapshot.balancers[name];
        assert_eq!(balancer.config, made.config);
        assert_eq!(balancer.addresses, made.addresses);
        assert_eq!(balancer.instance_groups, made.instance_groups);
        let listeners = balancer.config.listeners.iter().zip(&balancer.listeners);
        for (config, listener) in listeners {
            let key = ListenerKey {
                address: SocketAddr::new(balancer.addresses[0], config.port + 8000),
                transport: Transport::Tcp,
            };
            assert!(Arc::ptr_eq(&snapshot.listeners[&key], listener));
            assert_eq!(listener.load_balancer, *name);
            // Rebuilding it from the active groups gives the same.
            let spec = ListenerSpec {
                balancer: &balancer.config,
                listener: config,
                addresses: &balancer.addresses,
                zone: None,
                before: None,
            };
            let made = with_parts(snapshot, &FxHashMap::default(), |parts| {
                spec.make(snapshot, parts)
            });
            assert_eq!(serves(listener), serves(&made.unwrap()));
        }
    }
}

/// Asserts that everything outside `changes` is shared with the previous snapshot.
fn assert_shared(previous: &Snapshot, next: &Snapshot, changes: &Changes) {
    for (name, group) in &next.groups {
        if !changes.groups.contains(name) {
            assert!(Arc::ptr_eq(group, &previous.groups[name]), "{name}");
        }
    }
    for (name, balancer) in &next.balancers {
        if !changes.balancers.contains(name) {
            assert!(Arc::ptr_eq(balancer, &previous.balancers[name]), "{name}");
        }
    }
    for (address, listener) in &next.listeners {
        let before = previous.listeners.get(address);
        assert_eq!(changes.opened.contains(address), before.is_none());
        let is_like = before.is_none_or(|before| listener.is_like(before));
        assert_eq!(changes.handed_over.contains(address), !is_like);
    }
    let closed = previous.listeners.keys();
    let closed = closed.filter(|address| !next.listeners.contains_key(address));
    let closed: BTreeSet<_> = closed.copied().collect();
    assert_eq!(
        changes.closed.iter().copied().collect::<BTreeSet<_>>(),
        closed
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn each_snapshot_equals_one_built_from_scratch(
        steps in prop::collection::vec(step(), 1..80), shares in any::<bool>(),
    ) {
        let mut world = World::default();
        let mut snapshot = Snapshot::default();
        let resolved = FxHashMap::default();
        for step in &steps {
            world.take(step);
            let (next, changes) = match step {
                Step::Health(group, target, ok) => {
                    let group = snapshot.groups.get(&*format!("g-{group}"));
                    let group = group.filter(|group| group.in_use());
                    if let Some(target) = group.and_then(|g| g.registered().get(*target)) {
                        let state = if *ok { TargetState::Healthy } else { TargetState::Unhealthy };
                        target.set_state(state);
                    }
                    continue;
                }
                Step::Drained(group) => {
                    let name: Arc<str> = format!("g-{group}").into();
                    for target in snapshot.groups.get(&name).into_iter().flat_map(|g| g.draining()) {
                        target.set_state(TargetState::Unused);
                    }
                    with_parts(&snapshot, &resolved, |parts| {
                        built(refresh_groups(vec![name], parts)).unwrap()
                    })
                }
                _ => {
                    let model = world.model();
                    let model = if shares { share(&model, &snapshot.model) } else { model };
                    build(&model, &snapshot, &resolved).unwrap()
                }
            };
            let draining: Vec<_> = next.groups.iter().filter_map(|(name, group)| {
                let before = snapshot.groups.get(name)?;
                Some((Arc::clone(name), expected_draining(before, group)))
            }).collect();
            next.activate(&changes);
            for (name, expected) in draining {
                let drains: BTreeSet<u16> = next.groups[&name].draining().iter().map(port).collect();
                prop_assert_eq!(drains, expected, "{}", name);
            }
            let (scratch, made) = build(&next.model, &Snapshot::default(), &resolved).unwrap();
            scratch.activate(&made);
            assert_equal(&next, &scratch);
            assert_shared(&snapshot, &next, &changes);
            snapshot = next;
        }
    }
}
