//! Manifests to the model that serves.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use elbow_manifest::{Context, read, translate};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Action, HealthCheckProtocol, LoadBalancerType, Model, Protocol};

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
