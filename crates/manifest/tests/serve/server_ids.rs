//! QUIC server IDs of pods (AWS Load Balancer Controller, guide: QUIC).

use elbow_manifest::Context;
use elbow_model::{Model, QuicServerId};

use super::{codes, served, served_in, targets};

const ANNOTATED: &str =
    "annotations: {service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers: web}";

/// 0xa1 and 0xb2, as the controller writes them.
const A1: &str = "AAAAAAAAAKE=";
const B2: &str = "AAAAAAAAALI=";

/// A Service with a QUIC listener, whose endpoints at 10.0.0.1 and so on are the pods `p0` and so on, beside `objects`.
fn behind_quic(pods: usize, objects: &str) -> String {
    let endpoint =
        |i: usize| format!("- {{addresses: [10.0.0.{i}], targetRef: {{kind: Pod, name: p{i}}}}}\n");
    let endpoints: String = (0..pods).map(endpoint).collect();
    format!(
        "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-quic-enabled-ports: '443'
    service.beta.kubernetes.io/aws-load-balancer-disable-nlb-sg: 'true'
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: '8080'
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{{name: h3, port: 443, targetPort: 4433, protocol: UDP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: h3, port: 4433, protocol: UDP}}]
endpoints:
{endpoints}---
{objects}"
    )
}

/// A pod with more metadata and with this `spec`.
fn pod(name: &str, metadata: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, {metadata}}}\nspec: {{{spec}}}\n---\n"
    )
}

/// A pod whose only container has the variable with `value`.
fn with_id(name: &str, value: &str) -> String {
    pod(
        name,
        ANNOTATED,
        &format!("containers: [{}]", container("web", "", value)),
    )
}

fn container(name: &str, more: &str, value: &str) -> String {
    format!(
        "{{name: {name}, image: i, {more} env: [{{name: AWS_LBC_QUIC_SERVER_ID, value: '{value}'}}]}}"
    )
}

fn ids(model: &Model) -> Vec<Option<u64>> {
    let targets = model.target_groups[0].targets.iter();
    targets
        .map(|target| target.quic_server_id.map(|QuicServerId(id)| id))
        .collect()
}

#[test]
fn ids_of_pods_are_those_of_targets() {
    let pods = with_id("p0", A1) + &with_id("p1", B2);
    let (model, found) = served(&behind_quic(2, &pods));
    assert_eq!(found, []);
    assert_eq!(targets(&model, 0), ["10.0.0.0:4433", "10.0.0.1:4433"]);
    assert_eq!(ids(&model), [Some(0xa1), Some(0xb2)]);
}

/// `pkg/k8s/pod_info.go`.
#[test]
fn id_is_that_of_the_container_with_the_port_else_the_first() {
    let of = |spec: &str| {
        let (model, found) = served(&behind_quic(1, &pod("p0", ANNOTATED, spec)));
        assert_eq!(found, []);
        ids(&model)[0]
    };
    let own = "ports: [{containerPort: 4433, protocol: UDP}],";
    let other = "ports: [{containerPort: 80}],";
    let first = container("log", other, A1);
    let two = |second: &str| format!("containers: [{first}, {second}]");
    assert_eq!(of(&two(&container("web", own, B2))), Some(0xb2));
    assert_eq!(of(&two(&container("web", "", B2))), Some(0xa1));
    // The annotation lists neither: what is written counts. A value that is not base64 counts as none.
    assert_eq!(of(&two(&container("x", own, "?"))), Some(0xa1));
    let without = "{name: web, image: i, ports: [{containerPort: 4433}]}";
    assert_eq!(of(&two(without)), Some(0xa1));
    let init = |more: &str| {
        let sidecar = container("web", &format!("{own} {more}"), B2);
        format!("containers: [{first}], initContainers: [{sidecar}]")
    };
    assert_eq!(of(&init("restartPolicy: Always,")), Some(0xb2));
    assert_eq!(of(&init("")), Some(0xa1));
}

#[test]
fn pods_without_an_id_are_not_registered() {
    let without = |name: &str| {
        pod(
            name,
            "labels: {a: b}",
            "containers: [{name: web, image: i}]",
        )
    };
    let unannotated = pod(
        "p1",
        "labels: {a: b}",
        &format!("containers: [{}]", container("web", "", B2)),
    );
    let pods = with_id("p0", A1) + &unannotated + &without("p2") + &without("p3") + &without("p4");
    let (model, found) = served(&behind_quic(5, &pods));
    assert_eq!(targets(&model, 0), ["10.0.0.0:4433"]);
    assert_eq!(codes(&found), ["no-quic-server-id"]);
    assert_eq!(
        found[0].message,
        "Pods default/p1, default/p2, default/p3, 1 more have no QUIC server ID: they are not registered"
    );
    assert_eq!(found[0].object, "Pod/default/p1");
    assert!(
        found[0]
            .hint
            .as_ref()
            .unwrap()
            .contains("elbv2.k8s.aws/quic-server-id-inject=enabled")
    );

    let (model, found) = served(&behind_quic(1, &without("p0")));
    assert_eq!(targets(&model, 0), [""; 0]);
    assert_eq!(
        found[0].message,
        "Pod default/p0 has no QUIC server ID: it is not registered"
    );
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn value_that_is_no_id_is_named_at_its_line() {
    for value in ["0x00000000000000a1", "AAAAAAAAoQ==", "", "?"] {
        let text = behind_quic(1, &with_id("p0", value));
        let (model, found) = served(&text);
        let line = 1 + text.lines().position(|line| line.contains("env:")).unwrap() as u32;
        assert_eq!(targets(&model, 0), [""; 0], "{value}");
        assert_eq!(codes(&found), ["no-quic-server-id"], "{value}");
        assert_eq!(
            found[0].message,
            "AWS_LBC_QUIC_SERVER_ID of Pod default/p0 is not 8 octets in base64: the pod is not registered"
        );
        assert_eq!(
            (found[0].line, found[0].object.as_str()),
            (line, "Pod/default/p0")
        );
    }
    let elsewhere = "containers: [{name: web, image: i, env: [{name: AWS_LBC_QUIC_SERVER_ID, \
        valueFrom: {fieldRef: {fieldPath: metadata.uid}}}]}]";
    let (_, found) = served(&behind_quic(1, &pod("p0", ANNOTATED, elsewhere)));
    assert_eq!(codes(&found), ["no-quic-server-id"]);
}

/// `pkg/inject/quic/server_id_injection_config.go`.
#[test]
fn variable_may_have_another_name() {
    let environment = "defaults: {quicEnvironmentVariableName: QUIC_ID}";
    let (context, found) = Context::parse(environment, "environment.yaml");
    assert_eq!(found, []);
    let own = |value: &str| with_id("p0", value).replace("AWS_LBC_QUIC_SERVER_ID", "QUIC_ID");
    let pods = own(A1) + &with_id("p1", B2);
    let (model, found) = served_in(&behind_quic(2, &pods), &context);
    assert_eq!(targets(&model, 0), ["10.0.0.0:4433"]);
    assert_eq!(ids(&model), [Some(0xa1)]);
    assert_eq!(codes(&found), ["no-quic-server-id"]);
    let (_, found) = served_in(&behind_quic(1, &own("?")), &context);
    assert!(found[0].message.starts_with("QUIC_ID of Pod default/p0 "));
}

#[test]
fn second_pod_with_an_id_is_not_registered() {
    let pods = with_id("p0", A1) + &with_id("p1", A1) + &with_id("p2", B2);
    let (model, found) = served(&behind_quic(3, &pods));
    assert_eq!(targets(&model, 0), ["10.0.0.0:4433", "10.0.0.2:4433"]);
    assert_eq!(codes(&found), ["duplicate-quic-server-id"]);
    assert_eq!(
        found[0].message,
        "Pod default/p1 has the QUIC server ID 0x00000000000000a1 of Pod default/p0: it is not registered"
    );
}

/// Files need not have the pods.
#[test]
fn endpoint_of_an_unknown_pod_stays_without_an_id() {
    let (model, found) = served(&behind_quic(2, &with_id("p0", A1)));
    assert_eq!(ids(&model), [Some(0xa1), None]);
    assert_eq!(codes(&found), ["not-supported"]);
}

#[test]
fn targets_of_udp_need_no_id() {
    let quic = "    service.beta.kubernetes.io/aws-load-balancer-quic-enabled-ports: '443'\n";
    let text = behind_quic(1, &with_id("p0", "?")).replace(quic, "");
    let (model, found) = served(&text);
    assert_eq!(found, []);
    assert_eq!(ids(&model), [None]);
}

#[test]
fn pods_bound_to_a_group_have_their_ids() {
    let binding = "
apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata: {name: more}
spec: {targetGroupName: GROUP, targetType: ip, serviceRef: {name: other, port: 443}}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {ports: [{port: 443, protocol: UDP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: other, labels: {kubernetes.io/service-name: other}}
addressType: IPv4
ports: [{port: 443, protocol: UDP}]
endpoints:
- {addresses: [10.0.1.1], targetRef: {kind: Pod, name: q1}}
- {addresses: [10.0.1.2], targetRef: {kind: Pod, name: q2}}
---
";
    let pods = with_id("p0", A1) + &with_id("q1", B2) + &with_id("q2", A1);
    let (model, _) = served(&behind_quic(1, &pods));
    let name = model.target_groups[0].name.to_string();
    let text = behind_quic(1, &(pods + &binding.replace("GROUP", &name)));
    let (model, found) = served(&text);
    assert_eq!(targets(&model, 0), ["10.0.0.0:4433", "10.0.1.1:443"]);
    assert_eq!(ids(&model), [Some(0xa1), Some(0xb2)]);
    assert_eq!(codes(&found), ["duplicate-quic-server-id"]);
}
