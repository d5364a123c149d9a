//! Which stacks a change makes the cluster plan again, and which stay untouched (control-plane.md 3.6, 3.7).

use std::sync::Arc;

use elbow_manifest::Context;
use elbow_manifest::cluster::{Outcome, Reconciled};

use crate::kit::{Live, keys, outcome};

/// Two IngressGroups and one Network Load Balancer, each with its own Service.
const BASE: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb, annotations: {ingressclass.kubernetes.io/is-default-class: 'true'}}
spec: {controller: ingress.k8s.aws/alb}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: one
  namespace: a
  annotations: {alb.ingress.kubernetes.io/target-type: ip}
spec: {ingressClassName: alb, defaultBackend: {service: {name: one, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: two, namespace: b}
spec: {defaultBackend: {service: {name: two, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: one, namespace: a}
spec: {type: ClusterIP, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: two, namespace: b, uid: u}
spec: {type: NodePort, ports: [{name: http, port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata:
  name: net
  namespace: a
  uid: v
  annotations: {service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip}
spec: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{port: 443, nodePort: 30443}]}
---
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 10.0.0.1}], conditions: [{type: Ready, status: 'True'}]}
";

const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: one-x, namespace: a, labels: {kubernetes.io/service-name: one}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.1.0.1], conditions: {ready: true}, nodeName: n1}]
";

const NODE: &str = "
apiVersion: v1
kind: Node
metadata: {name: n1, annotations: {x: z}}
status: {addresses: [{type: InternalIP, address: 10.0.0.1}], conditions: [{type: Ready, status: 'True'}]}
";

fn base() -> Live {
    let (live, told) = Live::new(Context::default(), BASE);
    assert_eq!(
        keys(&told),
        ["a/one (Ingress)", "b/two (Ingress)", "a/net (Service)"]
    );
    assert!(told.iter().all(|one| outcome(one) == "made"));
    live
}

/// A part of the base, with `from` replaced.
fn part(kind: &str, name: &str, from: &str, to: &str) -> String {
    let mut parts = BASE.split("---");
    let wanted = |part: &&str| {
        part.contains(&format!("kind: {kind}\n")) && part.contains(&format!("name: {name}"))
    };
    let part = parts.find(wanted).unwrap();
    assert!(part.contains(from), "{part}");
    part.replace(from, to)
}

fn arc<'a>(live: &'a elbow_model::Model, name: &str) -> &'a Arc<elbow_model::LoadBalancer> {
    let mut all = live.load_balancers.iter();
    all.find(|one| one.name.contains(name)).unwrap()
}

/// A changed slice concerns the stack of its Service alone; unchanged values stay the same allocation.
#[test]
fn an_endpoint_slice_concerns_its_service() {
    let mut live = base();
    let before = live.cluster.model();
    assert_eq!(keys(&live.set(SLICE)), ["a/one (Ingress)"]);
    assert_eq!(live.targets("k8s-a-one"), ["10.1.0.1:8080"]);
    let after = live.cluster.model();
    assert!(Arc::ptr_eq(
        arc(&before, "k8s-b-two"),
        arc(&after, "k8s-b-two")
    ));
    assert!(Arc::ptr_eq(
        arc(&before, "k8s-a-one"),
        arc(&after, "k8s-a-one")
    ));
    assert!(live.set(SLICE).is_empty());
    let moved = SLICE.replace("service-name: one", "service-name: net");
    assert_eq!(
        keys(&live.set(&moved)),
        ["a/one (Ingress)", "a/net (Service)"]
    );
    assert!(live.targets("k8s-a-one").is_empty());
    assert_eq!(keys(&live.gone(SLICE)), ["a/net (Service)"]);
    let stray = SLICE.replace("service-name: one", "service-name: nobody");
    assert!(live.set(&stray).is_empty());
}

/// A stack keeps its `Made` as long as its plan does not change.
#[test]
fn targets_change_no_plan() {
    let mut live = base();
    let made = |told: &[Reconciled]| match &told[0].outcome {
        Outcome::Made(made) => made.clone(),
        _ => panic!("{told:?}"),
    };
    let first = made(&live.set(SLICE));
    let second = made(&live.set(&SLICE.replace("10.1.0.1", "10.1.0.2")));
    assert!(Arc::ptr_eq(&first, &second));
}

/// Nodes concern stacks with instance targets; heartbeats concern no stack.
#[test]
fn nodes_concern_instance_targets() {
    let mut live = base();
    assert_eq!(live.targets("k8s-b-two"), ["10.0.0.1:30080"]);
    assert!(live.set(NODE).is_empty(), "an annotation");
    let beat = NODE.replace("status: 'True'", "status: 'True', lastHeartbeatTime: x");
    assert!(live.set(&beat).is_empty(), "a heartbeat");
    let lost = NODE.replace("status: 'True'", "status: 'False'");
    assert_eq!(keys(&live.set(&lost)), ["b/two (Ingress)"]);
    assert!(live.targets("k8s-b-two").is_empty());
    let more = NODE.replace("n1", "n2").replace("10.0.0.1", "10.0.0.2");
    assert_eq!(keys(&live.set(&more)), ["b/two (Ingress)"]);
    assert_eq!(live.targets("k8s-b-two"), ["10.0.0.2:30080"]);
    assert_eq!(keys(&live.gone(&more)), ["b/two (Ingress)"]);
}

/// control-plane.md 3.6: a Pod only matters for an endpoint that is not ready.
#[test]
fn pods_concern_endpoints_that_are_not_ready() {
    let pod = "
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: a}
spec: {nodeName: n1}
status: {conditions: [{type: ContainersReady, status: 'True'}]}
";
    let of_pod = SLICE.replace(
        "nodeName: n1",
        "nodeName: n1, targetRef: {kind: Pod, namespace: a, name: p}",
    );
    let mut live = base();
    live.set(&of_pod);
    assert!(live.set(pod).is_empty());
    live.gone(pod);
    live.set(&of_pod.replace("ready: true", "ready: false"));
    assert!(live.targets("k8s-a-one").is_empty());
    assert_eq!(keys(&live.set(pod)), ["a/one (Ingress)"]);
    assert_eq!(live.targets("k8s-a-one"), ["10.1.0.1:8080"]);
    let status = pod.replace("conditions:", "startTime: x, conditions:");
    assert!(live.set(&status).is_empty());
}

/// Services concern the stacks that reference them, by path or by action.
#[test]
fn services_concern_the_stacks_that_reference_them() {
    let mut live = base();
    let one = part("Service", "one", "targetPort: 8080", "targetPort: 8081");
    assert_eq!(keys(&live.set(&one)), ["a/one (Ingress)"]);
    // What is written back changes nothing that is served, so nothing is reported again.
    let version = live.cluster.version();
    let written = one.replace("metadata: {", "metadata: {finalizers: [example.com/kept], ");
    for status in ["{}", "{ingress: [{hostname: one.example}]}"] {
        let status = format!("{written}\nstatus: {{loadBalancer: {status}}}");
        assert!(live.set(&status).is_empty());
    }
    assert_eq!(live.cluster.version(), version);
    let applied = one.replace(
        "metadata: {",
        "metadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: x}, resourceVersion: '7', ",
    );
    assert!(live.set(&applied).is_empty());
    let acts = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: acts
  namespace: a
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/actions.x: '{\"type\":\"forward\",\"forwardConfig\":{\"targetGroups\":[{\"serviceName\":\"late\",\"servicePort\":80}]}}'
spec: {ingressClassName: alb, defaultBackend: {service: {name: x, port: {name: use-annotation}}}}
";
    assert_eq!(keys(&live.set(acts)), ["a/acts (Ingress)"]);
    assert!(live.targets("k8s-a-late").is_empty());
    let late = one.replace("name: one", "name: late");
    assert_eq!(keys(&live.set(&late)), ["a/acts (Ingress)"]);
    live.set(&SLICE.replace("one", "late"));
    assert_eq!(live.targets("k8s-a-late"), ["10.1.0.1:8080"]);
}

/// elbow's own writes are not changes.
#[test]
fn own_writes_concern_no_stack() {
    let mut live = base();
    let written = part(
        "Ingress",
        "two",
        "namespace: b",
        "namespace: b, annotations: {alb.ingress.kubernetes.io/dry-run-plan: x}, finalizers: [ingress.k8s.aws/resources]",
    );
    assert!(live.set(&written).is_empty());
    assert!(
        live.set(&format!(
            "{written}\nstatus: {{loadBalancer: {{ingress: [{{hostname: x}}]}}}}"
        ))
        .is_empty()
    );
    let ingress = &live.cluster.inventory().ingresses[&("b".to_owned(), "two".to_owned())];
    assert_eq!(ingress.meta.finalizers, ["ingress.k8s.aws/resources"]);
    assert!(ingress.meta.annotations.is_empty());
}

/// Classes, their parameters and the labels of namespaces concern the Ingresses of that class.
#[test]
fn classes_concern_their_ingresses() {
    let mut live = base();
    let class = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: team}
spec: {controller: ingress.k8s.aws/alb, parameters: {apiGroup: elbv2.k8s.aws, kind: IngressClassParams, name: team}}
";
    let params = "
apiVersion: elbv2.k8s.aws/v1beta1
kind: IngressClassParams
metadata: {name: team}
spec: {group: {name: team}, namespaceSelector: {matchLabels: {team: x}}}
";
    let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {team: x}}";
    let one = part(
        "Ingress",
        "one",
        "ingressClassName: alb",
        "ingressClassName: team",
    );
    let told = live.set(&one);
    assert_eq!(keys(&told), ["Ingress/a/one", "a/one (Ingress)"]);
    assert_eq!(
        [outcome(&told[0]), outcome(&told[1])],
        ["unknown-ingress-class", "gone"]
    );
    let told = live.set(class);
    assert_eq!(keys(&told), ["Ingress/a/one"]);
    assert_eq!(outcome(&told[0]), "unknown-parameters");
    assert_eq!(outcome(&live.set(params)[0]), "namespace-not-selected");
    let told = live.set(namespace);
    assert_eq!(keys(&told), ["Ingress/a/one", "team (Ingress)"]);
    assert_eq!([outcome(&told[0]), outcome(&told[1])], ["gone", "made"]);
    assert!(
        live.set(&namespace.replace("team: x", "team: x, more: y"))
            .iter()
            .all(|one| outcome(one) == "made")
    );
    let internal = params.replace("spec: {", "spec: {scheme: internet-facing, ");
    assert_eq!(keys(&live.set(&internal)), ["team (Ingress)"]);
    let told = live.gone(class);
    assert_eq!(keys(&told), ["Ingress/a/one", "team (Ingress)"]);
    assert_eq!(
        [outcome(&told[0]), outcome(&told[1])],
        ["unknown-ingress-class", "gone"]
    );
}

/// The default class concerns the Ingresses that name none.
#[test]
fn the_default_class_concerns_ingresses_without_class() {
    let mut live = base();
    let plain = part("IngressClass", "alb", "'true'", "'false'");
    let told = live.set(&plain);
    // The other one names its class.
    assert_eq!(keys(&told), ["b/two (Ingress)"]);
    assert_eq!(outcome(&told[0]), "gone");
}

/// Secrets concern the stacks that serve their certificates, by name or by ARN.
#[test]
fn secrets_concern_the_stacks_that_serve_them() {
    let arn = "arn:aws:acm:us-east-1:000000000000:certificate/1";
    let tls = part(
        "Ingress",
        "two",
        "namespace: b",
        &format!(
            "namespace: b, annotations: {{alb.ingress.kubernetes.io/certificate-arn: '{arn}'}}"
        ),
    );
    let secret = format!(
        "
apiVersion: v1
kind: Secret
metadata: {{name: s, namespace: c, annotations: {{elbow.dev/certificate-arn: '{arn}'}}}}
type: kubernetes.io/tls
stringData: {{tls.crt: '-----BEGIN CERTIFICATE----- 1', tls.key: 'BEGIN PRIVATE KEY-----'}}
"
    );
    let mut live = base();
    live.set(&tls);
    assert_eq!(live.cluster.model().certificates.len(), 1);
    let other = secret.replace("/1'", "/2'");
    assert!(live.set(&other).is_empty());
    let told = live.set(&secret);
    assert_eq!(keys(&told), ["b/two (Ingress)"]);
    let before = live.cluster.model();
    let told = live.set(&secret.replace("CERTIFICATE----- 1", "CERTIFICATE----- 2"));
    assert_eq!(keys(&told), ["b/two (Ingress)"]);
    let after = live.cluster.model();
    assert_ne!(before.certificates, after.certificates);
    assert!(Arc::ptr_eq(
        arc(&before, "k8s-a-one"),
        arc(&after, "k8s-a-one")
    ));
    assert_eq!(keys(&live.gone(&secret)), ["b/two (Ingress)"]);
}

/// Two stacks that name the same unknown ARN share a self-signed certificate for the hosts of both.
#[test]
fn a_shared_certificate_concerns_all_stacks_with_its_arn() {
    let tls = |name: &str, host: &str| {
        format!(
            "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, namespace: d, annotations: {{alb.ingress.kubernetes.io/certificate-arn: arn:x}}}}
spec:
  ingressClassName: alb
  tls: [{{hosts: [{host}]}}]
  defaultBackend: {{service: {{name: nobody, port: {{number: 80}}}}}}
"
        )
    };
    let mut live = base();
    live.set(&tls("x", "x.example"));
    let told = live.set(&tls("y", "y.example"));
    assert_eq!(keys(&told), ["d/x (Ingress)", "d/y (Ingress)"]);
    let model = live.cluster.model();
    assert_eq!(model.certificates.len(), 1);
    let hosts = format!("{:?}", model.certificates[0]);
    assert!(
        hosts.contains("x.example") && hosts.contains("y.example"),
        "{hosts}"
    );
    for balancer in ["k8s-d-x", "k8s-d-y"] {
        let certificate = &arc(&model, balancer).listeners[0].certificates[0];
        assert!(Arc::ptr_eq(certificate, &model.certificates[0]));
    }
    assert_eq!(
        keys(&live.gone(&tls("y", "y.example"))),
        ["d/x (Ingress)", "d/y (Ingress)"]
    );
    let hosts = format!("{:?}", live.cluster.model().certificates);
    assert!(!hosts.contains("y.example"), "{hosts}");
}

/// A stack that forwards to another stack's target group is planned again when that changes.
#[test]
fn a_group_of_another_stack_is_followed() {
    let mut live = base();
    live.set(SLICE);
    let name = live
        .cluster
        .model()
        .target_groups
        .iter()
        .find(|one| one.name.starts_with("k8s-a-one"))
        .unwrap()
        .name
        .clone();
    let other = format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: other
  namespace: d
  annotations:
    alb.ingress.kubernetes.io/actions.x: '{{\"type\":\"forward\",\"targetGroupARN\":\"arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/{name}/1\"}}'
spec: {{ingressClassName: alb, defaultBackend: {{service: {{name: x, port: {{name: use-annotation}}}}}}}}
"
    );
    assert_eq!(keys(&live.set(&other)), ["d/other (Ingress)"]);
    assert_eq!(live.cluster.model().target_groups.len(), 3);
    let told = live.set(&SLICE.replace("10.1.0.1", "10.1.0.9"));
    assert_eq!(keys(&told), ["a/one (Ingress)", "d/other (Ingress)"]);
    assert_eq!(live.targets("k8s-a-one"), ["10.1.0.9:8080"]);
    assert!(told.iter().all(|one| outcome(one) == "made"));
    let told = live.gone(&part("Ingress", "one", "", ""));
    assert_eq!(keys(&told), ["a/one (Ingress)", "d/other (Ingress)"]);
    let mut codes = told[1].diagnostics.iter().map(|found| found.code);
    assert!(codes.any(|code| code == "unknown-target-group"));
}
