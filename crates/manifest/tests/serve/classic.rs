//! control-plane.md section 4: Classic load balancers, their instances and what annotations set.

use elbow_manifest::Context;
use elbow_manifest::context::Personality;
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    BackendServerPolicy, Classic, HealthCheckPort, HealthCheckProtocol, LoadBalancerType, Model,
    Protocol, Scheme,
};

use super::{codes, served_in};

/// The model that Services of the in-tree provider become.
fn served(text: &str) -> (Model, Vec<Diagnostic>) {
    let context = Context {
        personality: Personality::InTree,
        ..Context::default()
    };
    served_in(text, &context)
}

fn service(annotations: &str, spec: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    {annotations}
spec:
  type: LoadBalancer
  {spec}
  ports:
  - {{name: http, port: 80, targetPort: 8080, nodePort: 30080}}
  - {{name: https, port: 443, targetPort: 8443, nodePort: 30443}}
---
"
    )
}

const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer";

fn node(name: &str, labels: &str, more: &str) -> String {
    format!(
        "
apiVersion: v1
kind: Node
metadata: {{name: {name}, labels: {{{labels}}}}}
{more}
status:
  addresses: [{{type: InternalIP, address: 192.168.1.1}}]
  conditions: [{{type: Ready, status: 'False'}}]
---
"
    )
}

fn slice(name: &str, ports: &str, addresses: &str) -> String {
    format!(
        "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{ports}]
endpoints: [{addresses}]
---
"
    )
}

fn classic(model: &Model) -> &Classic {
    model.load_balancers[0].classic.as_ref().unwrap()
}

fn instances(model: &Model) -> Vec<String> {
    let instances = classic(model).instances.iter();
    let text =
        |one: &elbow_model::Instance| format!("{} {} {}", one.id, one.port(30080), one.port(30443));
    instances.map(text).collect()
}

/// "Targets: nodes handed over by the service controller": ready or not, except excluded nodes and nodes that are about
/// to be removed.
#[test]
fn nodes_are_instances() {
    let labels = format!("{PREFIX}-target-node-labels: pool=web,edge=");
    let kept = "node.kubernetes.io/exclude-from-external-load-balancers: ''";
    let gone = "spec: {taints: [{key: ToBeDeletedByClusterAutoscaler, effect: NoSchedule}]}";
    let disrupted = "spec: {taints: [{key: karpenter.sh/disrupted, effect: NoSchedule}]}";
    let there: &[&str] = &["192.168.1.1 30080 30443"];
    let none: &[&str] = &[];
    for (annotation, node, expected) in [
        ("", node("node", "", ""), there),
        ("", node("node", kept, ""), none),
        ("", node("node", "", gone), none),
        ("", node("node", "", disrupted), there),
        (
            "",
            node("node", "node-role.kubernetes.io/master: ''", ""),
            there,
        ),
        (&*labels, node("node", "pool: web, edge: any", ""), there),
        (&*labels, node("node", "pool: web", ""), none),
        (&*labels, node("node", "pool: db, edge: any", ""), none),
    ] {
        let (model, found) = served(&(service(annotation, "") + &node));
        assert_eq!(instances(&model), *expected, "{annotation} {node}");
        assert_eq!(found.is_empty(), !expected.is_empty(), "{found:?}");
    }
}

/// Endpoints that replace nodes: an address is one instance for all of its ports, or several if one port name has several
/// numbers.
#[test]
fn endpoints_that_replace_nodes_are_instances() {
    let text = service("", "")
        + &slice(
            "a",
            "{name: http, port: 8080}, {name: https, port: 8443}",
            "{addresses: [10.0.0.1]}, {addresses: [10.0.0.2]}",
        )
        + &slice("b", "{name: http, port: 8081}", "{addresses: [10.0.0.1]}")
        + &slice("c", "{name: https, port: 8444}", "{addresses: [10.0.0.1]}");
    let (model, found) = served(&text);
    assert_eq!(codes(&found), ["endpoints-stand-in"]);
    assert_eq!(
        instances(&model),
        [
            "10.0.0.1 8080 8443",
            "10.0.0.2 8080 8443",
            "10.0.0.1 8081 8444"
        ]
    );
}

/// Section 4: the rows of annotations.
#[test]
fn annotations_set_their_attributes() {
    let annotations = [
        "internal: 'true'",
        "backend-protocol: https",
        "ssl-cert: arn:aws:acm:r:a:certificate/1",
        "ssl-ports: https",
        "ssl-negotiation-policy: ELBSecurityPolicy-TLS-1-2-2017-01",
        "proxy-protocol: '*'",
        "connection-idle-timeout: '17'",
        "connection-draining-enabled: 'true'",
        "connection-draining-timeout: '31'",
        "healthcheck-protocol: HTTPS",
        "healthcheck-path: /live",
        "healthcheck-interval: '20'",
    ];
    let annotations = annotations
        .map(|one| format!("{PREFIX}-{one}"))
        .join("\n    ");
    let (model, found) = served(&(service(&annotations, "") + &node("node", "", "")));
    assert!(!found.iter().any(Diagnostic::is_error), "{found:?}");
    let balancer = &model.load_balancers[0];
    assert_eq!(
        (balancer.kind, balancer.scheme),
        (LoadBalancerType::Classic, Scheme::Internal)
    );
    let listeners: Vec<_> = balancer
        .listeners
        .iter()
        .map(|one| {
            (
                one.port,
                one.protocol,
                one.instance.unwrap().protocol,
                one.certificates.len(),
            )
        })
        .collect();
    // A port without the certificate is plain TCP, whatever the instance port is.
    assert_eq!(
        listeners,
        [
            (80, Protocol::Tcp, Protocol::Tcp, 0),
            (443, Protocol::Https, Protocol::Https, 1)
        ]
    );
    let policy = balancer.listeners[1].ssl_policy.as_deref();
    assert_eq!(policy, Some("ELBSecurityPolicy-TLS-1-2-2017-01"));
    assert_eq!(balancer.attributes.idle_timeout.as_secs(), 17);
    let raw = &balancer.attributes.raw;
    assert_eq!(raw["connection_draining.enabled"], "true");
    assert_eq!(raw["connection_draining.timeout_seconds"], "31");
    let classic = classic(&model);
    let check = &classic.health_check;
    assert_eq!(check.protocol, HealthCheckProtocol::Https);
    assert_eq!(check.port, HealthCheckPort::Port(30080));
    assert_eq!((&*check.path, check.interval.as_secs()), ("/live", 20));
    let policies = classic.backend_server_policies.get(&30080);
    assert_eq!(
        policies.map(Vec::as_slice),
        Some(&[BackendServerPolicy::ProxyProtocol][..])
    );
}

/// Section 4, "Health check", externalTrafficPolicy Local: nodes are checked at healthCheckNodePort, endpoints that
/// replace them at their own port.
#[test]
fn a_local_check_is_for_nodes() {
    let text = service(
        "",
        "externalTrafficPolicy: Local\n  healthCheckNodePort: 32000",
    );
    let (model, _) = served(&(text.clone() + &node("node", "", "")));
    let check = &classic(&model).health_check;
    assert_eq!(
        (check.protocol, check.port),
        (HealthCheckProtocol::Http, HealthCheckPort::Port(32000))
    );
    assert_eq!(&*check.path, "/healthz");
    let ports = "{name: http, port: 8080}, {name: https, port: 8443}";
    let (model, found) = served(&(text + &slice("a", ports, "{addresses: [10.0.0.1]}")));
    assert_eq!(codes(&found), ["endpoints-stand-in", "endpoints-stand-in"]);
    let check = &classic(&model).health_check;
    assert_eq!(
        (check.protocol, check.port),
        (HealthCheckProtocol::Tcp, HealthCheckPort::Port(30080))
    );
}
