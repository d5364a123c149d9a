//! The order in which objects come and go does not matter: only their last state counts.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use elbow_manifest::cluster::{Change, Cluster, Identity, Outcome};
use elbow_manifest::{Object, plan, translate};
use proptest::prelude::*;

use crate::kit::{Case, Heard, cases, objects, text};

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let mut all = cases("lbc");
    all.extend(cases("clb"));
    all.extend(cases("tenant"));
    assert!(all.len() > 150, "{} cases", all.len());
    for case in &mut all {
        populate(case);
    }
    all
});

/// Adds the objects that a cluster creates itself: nodes, and endpoints with their Pods, some of them not ready.
fn populate(case: &mut Case) {
    let services = case.objects.iter().filter(|one| one.kind == "Service");
    let names = services.map(|one| (one.namespace.clone(), one.name.clone()));
    let names: Vec<(String, String)> = names.collect();
    let mut text = String::new();
    for (node, ready) in [("n1", "True"), ("n2", "Unknown"), ("n3", "False")] {
        text += &format!(
            "
apiVersion: v1
kind: Node
metadata: {{name: {node}, labels: {{topology.kubernetes.io/zone: us-west-2a}}}}
status: {{addresses: [{{type: InternalIP, address: 10.9.0.{}}}], conditions: [{{type: Ready, status: '{ready}'}}]}}
---",
            &node[1..]
        );
    }
    for (number, (namespace, name)) in names.iter().enumerate() {
        for (one, ready) in [(1, true), (2, false), (3, false)] {
            let status = if one == 2 { "True" } else { "False" };
            text += &format!(
                "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}-{one}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}, {{name: '', port: 8081}}]
endpoints:
- addresses: [10.1.{number}.{one}]
  conditions: {{ready: {ready}}}
  nodeName: n{one}
  targetRef: {{kind: Pod, namespace: {namespace}, name: {name}-{one}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}-{one}, namespace: {namespace}, labels: {{v1.min.io/tenant: minio}}}}
spec: {{nodeName: n{one}}}
status:
  podIP: 10.1.{number}.{one}
  conditions: [{{type: ContainersReady, status: '{status}'}}, {{type: Ready, status: '{status}'}}]
---"
            );
        }
        text += &format!(
            "
apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{targetGroupName: {name}, serviceRef: {{name: {name}, port: 80}}}}
---"
        );
    }
    case.objects.extend(objects(&text));
}

/// A cluster that has been given `objects` at once.
fn at_once(case: &Case, objects: impl Iterator<Item = Object>) -> (Cluster, Heard) {
    let mut cluster = Cluster::new(case.context.clone());
    let mut heard = Heard::default();
    objects.for_each(|object| cluster.take(Change::Set(object)));
    heard.hear(cluster.reconcile());
    (cluster, heard)
}

/// control-plane.md 0.4: a live cluster makes the same load balancers from the recorded objects as files do.
#[test]
fn a_cluster_makes_what_files_make() {
    for case in &*CASES {
        let (cluster, heard) = at_once(case, case.objects.iter().cloned());
        let (model, found) = translate(&case.objects, &case.context);
        assert_eq!(text(&cluster.model()), text(&model), "{}", case.name);
        assert_eq!(cluster.diagnostics(), found, "{}", case.name);
        for one in heard.0.values() {
            if let Outcome::Refused(why) = &one.outcome
                && one.key.ends_with(')')
            {
                assert!(found.contains(why), "{}: {why}", case.name);
            }
        }
        let planned = plan(&case.objects, &case.context);
        // Services of Tenants have no load balancer.
        let planned = planned.stacks.into_iter();
        for stack in planned.filter(|stack| stack.others.is_empty()) {
            let Some(one) = heard.0.get(&stack.key()) else {
                continue;
            };
            let Outcome::Made(made) = &one.outcome else {
                continue;
            };
            assert_eq!(made.stack.to_json(), stack.to_json(), "{}", case.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// control-plane.md 0.4: any sequence of changes ends in the same state as the last state of each object alone.
    #[test]
    fn any_sequence_ends_in_the_same(
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
        steps in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<bool>()), 1..40),
    ) {
        let (case, other) = (first.get(&CASES), second.get(&CASES));
        let pool: Vec<&Object> = case.objects.iter().chain(&other.objects).collect();
        let mut cluster = Cluster::new(case.context.clone());
        let mut heard = Heard::default();
        let mut there: BTreeMap<Identity, Object> = BTreeMap::new();
        let mut refused_once = false;
        let all = pool.iter().map(|object| (*object, 1, false));
        let steps = steps.iter().map(|(index, kind, now)| (*index.get(&pool), *kind, *now));
        for (object, kind, now) in all.chain(steps) {
            let identity = Identity::from(object);
            if kind == 0 {
                there.remove(&identity);
                cluster.take(Change::Gone(identity));
            } else {
                there.insert(identity, object.clone());
                cluster.take(Change::Set(object.clone()));
            }
            if now {
                heard.hear(cluster.reconcile());
                refused_once |= !heard.refused().is_empty();
            }
        }
        heard.hear(cluster.reconcile());
        let (fresh, expected) = at_once(case, there.into_values());
        prop_assert_eq!(heard.text(), expected.text(), "{} {}", &case.name, &other.name);
        prop_assert_eq!(cluster.diagnostics(), fresh.diagnostics(), "{} {}", &case.name, &other.name);
        // A refused stack serves its earlier state; a cluster that is created at once has none.
        if !refused_once && expected.refused().is_empty() {
            prop_assert_eq!(text(&cluster.model()), text(&fresh.model()), "{} {}", &case.name, &other.name);
        }
    }
}
