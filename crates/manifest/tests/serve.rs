//! Manifests to the model that serves.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use elbow_manifest::context::Personality;
use elbow_manifest::{Context, read, translate};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    Action, HealthCheckPort, HealthCheckProtocol, LoadBalancerType, Model, Protocol,
};

fn served(text: &str) -> (Model, Vec<Diagnostic>) {
    let (objects, found) = read(text, "web.yaml");
    assert!(found.is_empty(), "{found:?}");
    translate(&objects, &Context::default())
}

fn targets(model: &Model, group: usize) -> Vec<String> {
    let targets = model.target_groups[group].targets.iter();
    targets
        .map(|one| format!("{}:{}", one.id, one.port))
        .collect()
}

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
";

const WEB: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints:
- {addresses: [10.0.0.1], zone: us-east-1a}
- {addresses: [10.0.0.2], conditions: {ready: false}}
---
";

#[test]
fn an_ingress_becomes_an_alb_that_serves() {
    let (model, found) = served(&format!(
        "{CLASS}{WEB}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/success-codes: 200,403
    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=30
spec:
  ingressClassName: alb
  rules:
  - host: web.example.com
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{name: http}}}}}}}}
"
    ));
    assert_eq!(found, []);
    let balancer = &model.load_balancers[0];
    assert_eq!(balancer.kind, LoadBalancerType::Application);
    assert_eq!(balancer.attributes.idle_timeout.as_secs(), 30);
    let listener = &balancer.listeners[0];
    assert_eq!((listener.port, listener.protocol), (80, Protocol::Http));
    assert!(
        matches!(&listener.default_actions[..], [Action::FixedResponse(answer)] if answer.status == 404)
    );
    assert_eq!(listener.rules.len(), 1);
    assert_eq!(targets(&model, 0), ["10.0.0.1:8080"]);
    let group = &model.target_groups[0];
    assert_eq!(
        group.targets[0].availability_zone.as_deref(),
        Some("us-east-1a")
    );
    assert_eq!(group.health_check.protocol, HealthCheckProtocol::Http);
    assert_eq!(group.health_check.interval.as_secs(), 15);
    assert_eq!(group.health_check.matcher.0, [200..=200, 403..=403]);
}

/// control-plane.md section 1, S1, and section 4: every node port of a Classic load balancer is a pod's port where
/// endpoints stand in for nodes.
#[test]
fn a_tenant_becomes_classic_load_balancers_that_serve() {
    let text = "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: files, namespace: storage}
spec: {exposeServices: {minio: true}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, namespace: storage, labels: {kubernetes.io/service-name: minio}}
addressType: IPv4
ports: [{name: https-minio, port: 9000}]
endpoints: [{addresses: [127.0.0.1]}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: b, namespace: storage, labels: {kubernetes.io/service-name: minio}}
addressType: IPv4
ports: [{name: https-minio, port: 9001}]
endpoints: [{addresses: [127.0.0.1]}]
";
    let (objects, found) = read(text, "tenant.yaml");
    assert!(found.is_empty(), "{found:?}");
    let context = Context {
        personality: Personality::InTree,
        ..Context::default()
    };
    let (model, found) = translate(&objects, &context);
    assert_eq!(codes(&found), ["endpoints-stand-in"]);
    let balancer = &model.load_balancers[0];
    assert_eq!(balancer.kind, LoadBalancerType::Classic);
    let listener = &balancer.listeners[0];
    assert_eq!((listener.port, listener.protocol), (443, Protocol::Tcp));
    let node_port = listener.instance.unwrap().port;
    let classic = balancer.classic.as_ref().unwrap();
    let ports: Vec<u16> = classic
        .instances
        .iter()
        .map(|one| one.port(node_port))
        .collect();
    assert_eq!(ports, [9000, 9001]);
    assert_eq!(classic.health_check.port, HealthCheckPort::Port(node_port));
    assert_eq!(classic.health_check.unhealthy_threshold, 6);
}

fn codes(found: &[Diagnostic]) -> Vec<&str> {
    found.iter().map(|one| one.code).collect()
}
