//! control-plane.md 3.6 and 3.7: what becomes a target.

use elbow_manifest::Context;
use elbow_manifest::context::Personality;

use super::{codes, served, served_in, targets};

/// An NLB for Service `web` with targets of `kind`, and node port 30080.
fn service(kind: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: {kind}
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{{name: http, port: 80, targetPort: 8080, nodePort: 30080}}]
---
"
    )
}

fn slice(name: &str, family: &str, port: &str, endpoints: &str) -> String {
    format!(
        "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}
addressType: {family}
ports: [{port}]
endpoints: [{endpoints}]
---
"
    )
}

fn node(name: &str, address: &str, labels: &str, taints: &str, ready: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Node
metadata: {{name: {name}, labels: {{topology.kubernetes.io/zone: us-east-1b, {labels}}}}}
spec: {{taints: [{taints}]}}
status:
  addresses: [{{type: InternalIP, address: {address}}}, {{type: Hostname, address: {name}}}]
  conditions: [{{type: Ready, status: '{ready}'}}]
---
"
    )
}

fn pod(name: &str, containers: &str, more: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: {name}{more}}}
spec: {{nodeName: n1, containers: [{{name: c, image: c}}]}}
status: {{conditions: [{{type: ContainersReady, status: '{containers}'}}]}}
---
"
    )
}

const HTTP: &str = "{name: http, port: 8080}";
const NOT_READY: &str = "{addresses: [10.0.0.1], conditions: {ready: false}, nodeName: n1, targetRef: {kind: Pod, name: p}}";

/// Mode ip: an endpoint is a target if it is ready or its readiness is unknown, and also if it is not ready but its
/// containers and its node are.
#[test]
fn ready_endpoints_are_targets() {
    let one = |endpoint: &str| slice("a", "IPv4", HTTP, endpoint);
    let n1 = |ready: &str| node("n1", "192.168.1.1", "", "", ready);
    let containers = |ready| pod("p", ready, "");
    let terminating = NOT_READY.replace("ready: false", "ready: false, terminating: true");
    let cases: &[(&str, String, &[&str])] = &[
        (
            "ready",
            one("{addresses: [10.0.0.1], conditions: {ready: true}}"),
            &["10.0.0.1:8080"],
        ),
        (
            "unknown",
            one("{addresses: [10.0.0.1], conditions: {}}"),
            &["10.0.0.1:8080"],
        ),
        (
            "not ready",
            one("{addresses: [10.0.0.1], conditions: {ready: false}}"),
            &[],
        ),
        (
            "a pod",
            one("{addresses: [10.0.0.1], targetRef: {kind: Pod, name: p}}"),
            &["10.0.0.1:8080"],
        ),
        (
            "no pod",
            one("{addresses: [10.0.0.1], targetRef: {kind: Node, name: p}}"),
            &[],
        ),
        (
            "the first address",
            one("{addresses: [10.0.0.1, 10.0.0.2]}"),
            &["10.0.0.1:8080"],
        ),
        (
            "gates are not ready",
            one(NOT_READY) + &n1("True") + &containers("True"),
            &["10.0.0.1:8080"],
        ),
        (
            "containers are not ready",
            one(NOT_READY) + &n1("True") + &containers("False"),
            &[],
        ),
        (
            "the node is not ready",
            one(NOT_READY) + &n1("False") + &containers("True"),
            &[],
        ),
        ("no such node", one(NOT_READY) + &containers("True"), &[]),
        ("no such pod", one(NOT_READY) + &n1("True"), &[]),
        (
            "terminating",
            one(&terminating) + &n1("True") + &containers("True"),
            &[],
        ),
        (
            "the pod goes",
            one(NOT_READY)
                + &n1("True")
                + &pod("p", "True", ", deletionTimestamp: '2026-01-01T00:00:00Z'"),
            &[],
        ),
        (
            "fail open to an unknown node",
            one(NOT_READY) + &n1("Unknown") + &containers("True"),
            &["10.0.0.1:8080"],
        ),
        (
            "not while another is ready",
            one(&format!("{NOT_READY}, {{addresses: [10.0.0.2]}}"))
                + &n1("Unknown")
                + &containers("True"),
            &["10.0.0.2:8080"],
        ),
    ];
    for (what, objects, expected) in cases {
        let (model, _) = served(&(service("ip") + objects));
        assert_eq!(targets(&model, 0), *expected, "{what}");
    }
}

/// The endpoints' port is found by the name of the Service's port, in every slice of the address family.
#[test]
fn slices_are_merged_by_the_name_of_the_port() {
    let text = service("ip")
        + &slice(
            "a",
            "IPv4",
            "{name: other, port: 1}, {name: http, port: 8080}",
            "{addresses: [10.0.0.1]}",
        )
        + &slice(
            "b",
            "IPv4",
            "{name: http, port: 9090}",
            "{addresses: [10.0.0.1]}, {addresses: [10.0.0.3]}",
        )
        + &slice("c", "IPv4", HTTP, "{addresses: [10.0.0.1]}")
        + &slice("d", "IPv6", HTTP, "{addresses: ['fd00::1']}")
        + &slice("e", "FQDN", HTTP, "{addresses: [web.example.com]}");
    let (model, found) = served(&text);
    assert_eq!(found, []);
    let expected = [
        "10.0.0.1:8080",
        "10.0.0.1:9090",
        "10.0.0.3:9090",
        "web.example.com:8080",
    ];
    assert_eq!(targets(&model, 0), expected);
}

/// A target's zone is the endpoint's, else its node's.
#[test]
fn targets_have_zones() {
    let endpoints =
        "{addresses: [10.0.0.1], zone: us-east-1a}, {addresses: [10.0.0.2], nodeName: n1}";
    let text = service("ip")
        + &slice("a", "IPv4", HTTP, endpoints)
        + &node("n1", "192.168.1.1", "", "", "True");
    let (model, _) = served(&text);
    let zones = model.target_groups[0].targets.iter();
    let zones: Vec<_> = zones.map(|one| one.availability_zone.as_deref()).collect();
    assert_eq!(zones, [Some("us-east-1a"), Some("us-east-1b")]);
}

/// Endpoints are read if the Service has no EndpointSlice.
#[test]
fn endpoints_count_without_slices() {
    let endpoints = "
apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets:
- ports: [{name: http, port: 8080}]
  addresses: [{ip: 10.0.0.7}]
  notReadyAddresses: [{ip: 10.0.0.8}]
---
";
    let (model, found) = served(&(service("ip") + endpoints));
    assert_eq!(found, []);
    assert_eq!(targets(&model, 0), ["10.0.0.7:8080"]);
    let both = service("ip") + endpoints + &slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}");
    assert_eq!(targets(&served(&both).0, 0), ["10.0.0.1:8080"]);
}

/// Mode instance: nodes with the node port, by labels, taints and readiness.
#[test]
fn nodes_that_may_take_traffic_are_targets() {
    let ready = |name: &str, address: &str, labels: &str, taints: &str| {
        node(name, address, labels, taints, "True")
    };
    let plain = ready("n1", "192.168.1.1", "", "");
    let kept = "node.kubernetes.io/exclude-from-external-load-balancers: ''";
    let cases: &[(&str, String, &[&str])] = &[
        ("ready", plain.clone(), &["192.168.1.1:30080"]),
        ("not ready", node("n1", "192.168.1.1", "", "", "False"), &[]),
        (
            "fail open",
            node("n1", "192.168.1.1", "", "", "Unknown"),
            &["192.168.1.1:30080"],
        ),
        (
            "not while another is ready",
            plain.clone() + &node("n2", "192.168.1.2", "", "", "Unknown"),
            &["192.168.1.1:30080"],
        ),
        (
            "master",
            ready(
                "n1",
                "192.168.1.1",
                "node-role.kubernetes.io/master: ''",
                "",
            ),
            &[],
        ),
        ("kept away", ready("n1", "192.168.1.1", kept, ""), &[]),
        (
            "kept away, the old way",
            ready(
                "n1",
                "192.168.1.1",
                "alpha.service-controller.kubernetes.io/exclude-balancer: x",
                "",
            ),
            &[],
        ),
        (
            "fargate",
            ready(
                "n1",
                "192.168.1.1",
                "eks.amazonaws.com/compute-type: fargate",
                "",
            ),
            &[],
        ),
        (
            "ec2",
            ready(
                "n1",
                "192.168.1.1",
                "eks.amazonaws.com/compute-type: ec2",
                "",
            ),
            &["192.168.1.1:30080"],
        ),
        (
            "to be deleted",
            ready(
                "n1",
                "192.168.1.1",
                "",
                "{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}",
            ),
            &[],
        ),
        (
            "disrupted",
            ready(
                "n1",
                "192.168.1.1",
                "",
                "{key: karpenter.sh/disrupted, effect: NoSchedule}",
            ),
            &[],
        ),
        (
            "another taint",
            ready(
                "n1",
                "192.168.1.1",
                "",
                "{key: karpenter.sh/disrupted, effect: PreferNoSchedule}",
            ),
            &["192.168.1.1:30080"],
        ),
        (
            "by name",
            plain.replace("InternalIP", "ExternalIP"),
            &["n1:30080"],
        ),
    ];
    for (what, nodes, expected) in cases {
        // Endpoints never replace nodes that exist.
        let endpoints = slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}");
        let (model, found) = served(&(service("instance") + nodes + &endpoints));
        assert_eq!(targets(&model, 0), *expected, "{what}");
        assert_eq!(found.is_empty(), !expected.is_empty(), "{what}: {found:?}");
    }
}

/// "kind caveat": a cluster whose only node is its control plane has no targets. A warning says so, and an option
/// changes it.
#[test]
fn a_lone_control_plane_is_reported() {
    let kept = "node.kubernetes.io/exclude-from-external-load-balancers: ''";
    let text = service("instance") + &node("kind", "172.18.0.2", kept, "", "True");
    let (model, found) = served(&text);
    assert_eq!(targets(&model, 0), [""; 0]);
    assert_eq!(codes(&found), ["excluded-nodes"]);
    assert!(
        found[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("kubectl label node kind node.kubernetes.io/exclude-from")
    );
    let (context, problems) = Context::parse("ignoreExcludedNodes: true", "environment.yaml");
    assert_eq!(problems, []);
    let (model, found) = served_in(&text, &context);
    assert_eq!(found, []);
    assert_eq!(targets(&model, 0), ["172.18.0.2:30080"]);
}

/// `target-node-labels` chooses among the nodes.
#[test]
fn node_labels_choose() {
    let text = service("instance").replace(
        "target-type: instance",
        "target-type: instance\n    service.beta.kubernetes.io/aws-load-balancer-target-node-labels: pool=web",
    ) + &node("n1", "192.168.1.1", "pool: web", "", "True")
        + &node("n2", "192.168.1.2", "pool: db", "", "True");
    assert_eq!(targets(&served(&text).0, 0), ["192.168.1.1:30080"]);
}

/// Without a cluster, endpoints replace nodes; a health check of a node port goes to the endpoint's port.
#[test]
fn endpoints_replace_nodes() {
    let check = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: '30080'";
    let text = service("instance").replace(
        "target-type: instance",
        &format!("target-type: instance\n    {check}"),
    ) + &slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}");
    let (model, found) = served(&text);
    assert_eq!(codes(&found), ["endpoints-stand-in"]);
    assert_eq!(targets(&model, 0), ["10.0.0.1:8080"]);
    let port = model.target_groups[0].health_check.port;
    assert_eq!(port, elbow_model::HealthCheckPort::Port(8080));
}

/// No node listens on the node port of a Service that was never in a cluster: endpoints have precedence there.
#[test]
fn a_node_port_that_no_cluster_assigned_is_not_used() {
    let text = service("instance").replace(", nodePort: 30080", "")
        + &slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}")
        + &node("n1", "192.168.1.1", "", "", "True");
    assert_eq!(targets(&served(&text).0, 0), ["10.0.0.1:8080"]);
}

/// `externalTrafficPolicy: Local` checks whether a node has a pod; endpoints are checked themselves.
#[test]
fn endpoints_are_not_checked_at_the_health_check_node_port() {
    let text = service("instance").replace(
        "  ports:",
        "  externalTrafficPolicy: Local\n  healthCheckNodePort: 32000\n  ports:",
    );
    let nodes = text.clone() + &node("n1", "192.168.1.1", "", "", "True");
    let check = served(&nodes).0.target_groups[0].health_check.clone();
    assert_eq!(check.port, elbow_model::HealthCheckPort::Port(32000));
    assert_eq!(&*check.path, "/healthz");
    let (model, found) = served(&(text + &slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}")));
    assert_eq!(codes(&found), ["endpoints-stand-in", "endpoints-stand-in"]);
    let check = &model.target_groups[0].health_check;
    assert_eq!(check.protocol, elbow_model::HealthCheckProtocol::Tcp);
    assert_eq!(check.port, elbow_model::HealthCheckPort::TrafficPort);
}

/// Missing endpoints are reported, with a hint.
#[test]
fn missing_endpoints_are_reported() {
    let (_, found) = served(&service("ip"));
    assert_eq!(codes(&found), ["no-endpoints"]);
    assert!(
        found[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("kubernetes.io/service-name")
    );
    let (_, found) = served(
        &(service("ip")
            + &slice(
                "a",
                "IPv4",
                "{name: htpp, port: 1}",
                "{addresses: [10.0.0.1]}",
            )),
    );
    assert_eq!(
        found[0].hint.as_deref(),
        Some("the endpoints' ports are called: htpp")
    );
    let misnamed = slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}")
        .replace("service-name: web", "service-name: wbe");
    let (_, found) = served(&(service("ip") + &misnamed));
    assert_eq!(codes(&found), ["no-endpoints", "stray-endpoints"]);
    assert_eq!(found[1].hint.as_deref(), Some("did you mean \"web\"?"));
    let (_, found) =
        served(&(service("ip") + &slice("a", "IPv4", HTTP, "{addresses: [web.example.com]}")));
    assert!(
        found
            .iter()
            .any(|one| one.code == "invalid-value" && (one.line, one.column) == (19, 26))
    );
}

/// control-plane.md 3.7: a user's TargetGroupBinding adds targets to a target group, by name or ARN.
#[test]
fn bindings_fill_groups() {
    let text = service("ip") + &slice("a", "IPv4", HTTP, "{addresses: [10.0.0.1]}");
    let name = served(&text).0.target_groups[0].name.to_string();
    let more = "
apiVersion: v1
kind: Service
metadata: {name: more}
spec: {ports: [{port: 81}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: more, labels: {kubernetes.io/service-name: more}}
addressType: IPv4
ports: [{port: 8181}]
endpoints: [{addresses: [10.0.0.9]}]
---
apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata: {name: more}
spec: {serviceRef: {name: more, port: 81}, targetGroupName: ";
    let (model, found) = served(&format!("{text}{more}{name}}}\n"));
    assert_eq!(found, []);
    assert_eq!(targets(&model, 0), ["10.0.0.1:8080", "10.0.0.9:8181"]);
    let arn = format!("arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/{name}/0123");
    let by_arn = more.replace("targetGroupName", "targetGroupARN");
    let (model, _) = served(&format!("{text}{by_arn}{arn}}}\n"));
    assert_eq!(targets(&model, 0).len(), 2);
    let (model, found) = served(&format!("{text}{more}nobody}}\n"));
    assert_eq!(codes(&found), ["unknown-target-group"]);
    assert_eq!(targets(&model, 0).len(), 1);
}

const NODES: &str = "
apiVersion: v1
kind: Node
metadata: {name: node-1}
status:
  addresses: [{type: InternalIP, address: 192.0.2.1}]
  conditions: [{type: Ready, status: 'True'}]
---
";

/// A node port that no cluster assigned may belong to another tenant's Service: it gets no traffic.
#[test]
fn a_service_that_was_not_created_has_no_targets_on_nodes() {
    let tenant = "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: store}
spec: {exposeServices: {minio: true, console: true}, requestAutoCert: false, pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]}
";
    for personality in [Personality::LbcDefault, Personality::InTree] {
        let context = Context {
            personality,
            ..Context::default()
        };
        let (model, found) = served_in(&format!("{NODES}{tenant}"), &context);
        let groups = model.target_groups.iter().map(|group| group.targets.len());
        let classic = model.load_balancers.iter();
        let classic = classic.filter_map(|one| one.classic.as_ref());
        let targets: usize = groups.chain(classic.map(|one| one.instances.len())).sum();
        assert_eq!(model.load_balancers.len(), 2, "{personality:?}: {found:?}");
        assert_eq!(targets, 0, "{personality:?}");
        let lost = found.iter().filter(|one| one.code == "no-node-ports");
        assert_eq!(lost.count(), 2, "{personality:?}: {found:?}");
    }
}
