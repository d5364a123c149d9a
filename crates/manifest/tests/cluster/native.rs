//! Native files beside a cluster, and TargetGroupBindings.

use elbow_manifest::Context;
use elbow_manifest::cluster::Cluster;

use crate::kit::{Live, keys, outcome};
use crate::semantics::{SERVICE, live, row, web};

const NATIVE: &str = "
loadBalancers:
- name: native
  type: network
  scheme: internal
  listeners: [{port: 9000, protocol: TCP, defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: pool}]}}]}]
targetGroups:
- {name: pool, protocol: TCP, port: 9000, targetType: ip, targets: [{id: 127.0.0.9, port: 9000}]}
";

const BINDING: &str = "
apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata: {name: b, namespace: a}
spec: {targetGroupName: pool, targetType: ip, serviceRef: {name: web, port: http}}
";

const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: x, namespace: a, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.0.1]}]
";

/// A TargetGroupBinding adds targets to a target group of the native file; its errors name it.
#[test]
fn a_binding_for_a_native_group() {
    let (model, found) = elbow_native::parse(NATIVE, "native.yaml");
    assert!(found.is_empty(), "{found:?}");
    let cluster = Cluster::with_native(Context::default(), model.unwrap());
    let mut live = Live { cluster };
    assert!(live.cluster.reconcile().is_empty());
    assert_eq!(live.cluster.model().load_balancers.len(), 1);
    let told = live.set(BINDING);
    let member = &told[0].members[0];
    assert_eq!(
        (&*told[0].key, outcome(&told[0])),
        ("TargetGroupBinding/a/b", "unknown-service")
    );
    assert_eq!((member.kind, &*member.name), ("TargetGroupBinding", "b"));
    let plain = SERVICE.replace(
        "  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb",
        "  type: ClusterIP",
    );
    assert_eq!(
        outcome(&live.set(&plain.replace("name: http", "name: other"))[1]),
        "unknown-port"
    );
    let told = live.set(&plain);
    assert!(
        told.iter()
            .any(|one| one.key == "TargetGroupBinding/a/b" && outcome(one) == "gone")
    );
    live.set(SLICE);
    assert_eq!(live.targets("pool"), ["127.0.0.9:9000", "10.1.0.1:8080"]);
    live.set(&SLICE.replace("10.1.0.1", "10.1.0.2"));
    assert_eq!(live.targets("pool"), ["127.0.0.9:9000", "10.1.0.2:8080"]);
    let told = live.set(&BINDING.replace("pool", "lost"));
    assert_eq!(outcome(&told[0]), "unknown-target-group");
    assert_eq!(live.targets("pool"), ["127.0.0.9:9000"]);
    live.gone(BINDING);
    assert!(live.cluster.is_reconciled());
}

/// Pods that a TargetGroupBinding adds to a group of QUIC need server IDs, as with a Service.
#[test]
fn pods_bound_to_a_native_group_of_quic_have_their_server_ids() {
    let native = NATIVE.replace("TCP", "QUIC").replace(
        "port: 9000}]}\n",
        "port: 9000, quicServerId: '0x0000000000000009'}]}\n",
    );
    let (model, found) = elbow_native::parse(&native, "native.yaml");
    assert!(found.is_empty(), "{found:?}");
    let cluster = Cluster::with_native(Context::default(), model.unwrap());
    let mut live = Live { cluster };
    live.set(&SERVICE.replace(
        "  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb",
        "  type: ClusterIP",
    ));
    live.set(BINDING);
    let endpoint = |i: usize| {
        format!("{{addresses: [10.1.0.{i}], targetRef: {{kind: Pod, namespace: a, name: p{i}}}}}")
    };
    let endpoints: Vec<String> = (1..=4).map(endpoint).collect();
    live.set(&SLICE.replace("{addresses: [10.1.0.1]}", &endpoints.join(", ")));
    for (i, id) in ["AAAAAAAAAKE=", "AAAAAAAAAKE=", "AAAAAAAAAAk=", "?"]
        .iter()
        .enumerate()
    {
        live.set(&format!(
            "
apiVersion: v1
kind: Pod
metadata:
  name: p{}
  namespace: a
  annotations: {{service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers: web}}
spec: {{containers: [{{name: web, image: w, env: [{{name: AWS_LBC_QUIC_SERVER_ID, value: '{id}'}}]}}]}}
",
            i + 1
        ));
    }
    assert_eq!(live.targets("pool"), ["127.0.0.9:9000", "10.1.0.1:8080"]);
    let group = &live.cluster.model().target_groups[0];
    let id = group.targets[1].quic_server_id.unwrap();
    assert_eq!(id.to_string(), "0x00000000000000a1");
    let found = live.cluster.diagnostics();
    let codes = found.iter().map(|one| one.code);
    let codes: Vec<&str> = codes.filter(|code| code.contains("quic")).collect();
    assert_eq!(codes, ["duplicate-quic-server-id", "no-quic-server-id"]);
}

/// The native file keeps a name that a stack asks for, too.
#[test]
fn the_native_file_keeps_its_names() {
    let (model, _) = elbow_native::parse(NATIVE, "native.yaml");
    let cluster = Cluster::with_native(Context::default(), model.unwrap());
    let mut live = Live { cluster };
    let named = SERVICE.replace(
        "{service.beta",
        "{service.beta.kubernetes.io/aws-load-balancer-name: native, service.beta",
    );
    let told = live.set(&named);
    assert_eq!(
        row(&told[0]),
        ("a/web (Service)", "duplicate-name", web(), vec![])
    );
    assert_eq!(
        live.cluster.model().load_balancers[0].listeners[0].port,
        9000
    );
}

/// A TargetGroupBinding for the group of a stack.
#[test]
fn a_binding_for_the_group_of_a_stack() {
    let (mut live, _) = live(SERVICE);
    let name = live.cluster.model().target_groups[0].name.to_string();
    let other = SLICE
        .replace("service-name: web", "service-name: more")
        .replace("name: x", "name: y");
    let more = SERVICE
        .replace("name: web", "name: more")
        .replace(
            "  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb",
            "  type: ClusterIP",
        )
        .replace("  finalizers: [service.k8s.aws/resources]\n", "");
    live.set(&format!("{other}---{more}"));
    let binding = BINDING
        .replace("pool", &name)
        .replace("name: web", "name: more");
    assert_eq!(keys(&live.set(&binding)), ["a/web (Service)"]);
    assert_eq!(live.targets(&name), ["10.1.0.1:8080"]);
    assert_eq!(keys(&live.gone(&binding)), ["a/web (Service)"]);
    assert!(live.targets(&name).is_empty());
}
