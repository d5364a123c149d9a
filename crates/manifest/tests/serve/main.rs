//! Manifests become the model that serves.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use elbow_manifest::context::Personality;
use elbow_manifest::{Context, read, translate};
use elbow_model::diagnostic::Diagnostic;
use elbow_model::{
    Action, HealthCheckPort, HealthCheckProtocol, LoadBalancerType, Model, Protocol, Scheme,
};

mod certificates;
mod classic;
mod frontend;
mod golden;
mod security_groups;
mod server_ids;
mod support;
mod targets;

/// The model of `text` in the default context.
fn served(text: &str) -> (Model, Vec<Diagnostic>) {
    served_in(text, &Context::default())
}

fn served_in(text: &str, context: &Context) -> (Model, Vec<Diagnostic>) {
    let (objects, found) = read(text, "web.yaml");
    assert!(found.is_empty(), "{found:?}");
    translate(&objects, context)
}

/// An Ingress of class alb for `web.example.com` that leads to port `http` of Service `web`, with more annotations.
fn ingress(annotations: &str) -> String {
    format!(
        "{CLASS}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    {annotations}
spec:
  ingressClassName: alb
  rules:
  - host: web.example.com
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{name: http}}}}}}}}
---
"
    )
}

/// The targets of a group, as `id:port`.
fn targets(model: &Model, group: usize) -> Vec<String> {
    let targets = model.target_groups[group].targets.iter();
    targets
        .map(|one| format!("{}:{}", one.id, one.port))
        .collect()
}

fn codes(found: &[Diagnostic]) -> Vec<&str> {
    found.iter().map(|one| one.code).collect()
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
    let annotations = "alb.ingress.kubernetes.io/success-codes: 200,403
    alb.ingress.kubernetes.io/load-balancer-attributes: idle_timeout.timeout_seconds=30";
    let (model, found) = served(&format!("{}{WEB}", ingress(annotations)));
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

/// control-plane.md section 1, S1, and section 4: where endpoints replace nodes, each node port of a Classic load
/// balancer maps to a pod's port.
#[test]
fn a_tenant_becomes_classic_load_balancers_that_serve() {
    let text = "
apiVersion: minio.min.io/v2
kind: Tenant
metadata: {name: files, namespace: storage}
spec: {exposeServices: {minio: true}, pools: [{servers: 1, volumesPerServer: 1, volumeClaimTemplate: {}}]}
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
    let context = Context {
        personality: Personality::InTree,
        ..Context::default()
    };
    let (model, found) = served_in(text, &context);
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

/// An NLB with two weighted groups, its own health check and TLS termination.
#[test]
fn a_service_becomes_an_nlb_that_serves() {
    let text = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-type: external
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-scheme: internet-facing
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: HTTP
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-path: /live
    service.beta.kubernetes.io/aws-load-balancer-listener-attributes.TCP-80: tcp.idle_timeout.seconds=90
    service.beta.kubernetes.io/aws-load-balancer-target-group-attributes: deregistration_delay.timeout_seconds=7
    service.beta.kubernetes.io/actions.TCP-80: >-
      {\"type\":\"forward\",\"forwardConfig\":{\"baseServiceWeight\":90,\"targetGroups\":
      [{\"serviceName\":\"canary\",\"servicePort\":80,\"weight\":10}]}}
spec:
  type: LoadBalancer
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: canary}
spec: {ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: canary, labels: {kubernetes.io/service-name: canary}}
addressType: FQDN
ports: [{port: 8081}]
endpoints: [{addresses: [canary.example.com]}]
---
"
    .replace("\\\"", "\"");
    let (model, found) = served(&format!("{text}{}", &WEB[WEB.find("---").unwrap()..]));
    assert_eq!(found, []);
    let balancer = &model.load_balancers[0];
    assert_eq!(balancer.kind, LoadBalancerType::Network);
    assert_eq!(balancer.scheme, Scheme::InternetFacing);
    let listener = &balancer.listeners[0];
    assert_eq!(listener.attributes.tcp_idle_timeout.unwrap().as_secs(), 90);
    let forward = balancer.target_groups();
    assert_eq!(forward.len(), 2);
    let canary = model
        .target_groups
        .iter()
        .position(|group| group.name.contains("canary"))
        .unwrap();
    let web = 1 - canary;
    assert_eq!(targets(&model, canary), ["canary.example.com:8081"]);
    assert_eq!(targets(&model, web), ["10.0.0.1:8080"]);
    let group = &model.target_groups[web];
    assert_eq!(group.attributes.deregistration_delay.as_secs(), 7);
    let check = &group.health_check;
    assert_eq!(
        (check.protocol, &*check.path),
        (HealthCheckProtocol::Http, "/live")
    );
    assert_eq!((check.interval.as_secs(), check.healthy_threshold), (10, 3));
}

/// A stack with an error is reported with its place; the other stacks serve.
#[test]
fn an_error_in_one_stack_leaves_the_others_serving() {
    let bad = ingress("alb.ingress.kubernetes.io/healthcheck-interval-seconds: '1'");
    let good = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, annotations: {alb.ingress.kubernetes.io/target-type: ip}}
spec: {ingressClassName: alb, defaultBackend: {service: {name: web, port: {number: 80}}}}
---
";
    let (model, found) = served(&format!("{bad}{good}{WEB}"));
    assert_eq!(model.load_balancers.len(), 1);
    assert!(
        model.load_balancers[0]
            .name
            .starts_with("k8s-default-other-")
    );
    assert_eq!(codes(&found), ["out-of-range"]);
    let found = &found[0];
    assert_eq!(
        (&*found.file, found.line, found.column),
        ("web.yaml", 14, 61)
    );
    assert_eq!(found.object, "Ingress/default/web");
    assert_eq!(
        found.field,
        "metadata.annotations.alb.ingress.kubernetes.io/healthcheck-interval-seconds"
    );
}

/// Of two stacks that ask for the same name, the one with the lesser id serves.
#[test]
fn of_two_stacks_with_one_name_the_first_serves() {
    let name = "alb.ingress.kubernetes.io/load-balancer-name: shop";
    let first = ingress(name);
    let second = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: {alb.ingress.kubernetes.io/load-balancer-name: shop}}
spec: {ingressClassName: alb, rules: [{}]}
---
";
    let (model, found) = served(&format!("{first}{second}{WEB}"));
    assert_eq!(model.load_balancers.len(), 1);
    assert_eq!(codes(&found), ["duplicate-name"]);
    assert_eq!(found[0].object, "Ingress/default/web");
}

/// The model of manifests can be written as a native file.
#[test]
fn the_model_is_a_native_file() {
    let (model, _) = served(&format!("{}{WEB}", ingress("")));
    let file = elbow_native::render(&model).to_string();
    let (again, found) = elbow_native::parse(&file, "native.json");
    assert_eq!(found, []);
    assert_eq!(again.unwrap(), model);
}

/// A Service and an Ingress with the same name are two load balancers, each with its own target groups.
#[test]
fn a_service_and_an_ingress_may_share_a_name() {
    let balanced = "spec: {type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ";
    let text = format!("{}{}", ingress(""), WEB.replacen("spec: {", balanced, 1));
    let (model, _) = served(&text);
    let kinds: Vec<LoadBalancerType> = model.load_balancers.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [LoadBalancerType::Application, LoadBalancerType::Network]
    );
    assert_eq!(model.target_groups.len(), 2);
}

/// The model does not depend on the order of the documents.
#[test]
fn the_order_of_documents_does_not_matter() {
    let text = format!("{}{WEB}", ingress(""));
    let mut documents: Vec<&str> = text.split("---").collect();
    documents.reverse();
    let (one, _) = served(&text);
    let (other, _) = served(&documents.join("---\n"));
    assert_eq!(one, other);
}

/// A forward may name a target group of another stack.
#[test]
fn a_group_of_another_stack_is_forwarded_to() {
    let text = format!("{}{WEB}", ingress(""));
    let name = served(&text).0.target_groups[0].name.to_string();
    let other = format!(
        "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: other
  annotations:
    alb.ingress.kubernetes.io/actions.borrow: '{{\"type\": \"forward\", \"targetGroupName\": \"{name}\"}}'
spec:
  ingressClassName: alb
  defaultBackend: {{service: {{name: borrow, port: {{name: use-annotation}}}}}}
---
"
    );
    let (model, found) = served(&(text + &other));
    assert_eq!(found, []);
    assert_eq!(model.target_groups.len(), 1);
    for balancer in &model.load_balancers {
        assert_eq!(balancer.target_groups(), [name.as_str()]);
    }
}
