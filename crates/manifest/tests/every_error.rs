//! All errors of the annotations of an object are told at once, and none that only follows from another.

use elbow_manifest::{Context, plan, read};

/// The annotations at fault, without their prefixes, and the field of the Service, in the order of the file.
fn refused(text: &str, environment: &str) -> Vec<String> {
    let (context, found) = Context::parse(environment, "environment.yaml");
    assert_eq!(found, []);
    let (objects, found) = read(text, "in.yaml");
    assert_eq!(found, []);
    let made = plan(&objects, &context);
    assert_eq!(made.stacks.len(), 0);
    let errors = made.diagnostics.iter().filter(|one| one.is_error());
    errors
        .map(|one| {
            assert!(one.line > 1, "{one} has no place");
            let field = one.field.trim_start_matches("metadata.annotations.");
            let name = field.rsplit('/').next().unwrap_or_default();
            name.trim_start_matches("aws-load-balancer-").to_owned()
        })
        .collect()
}

/// An Ingress with `annotations`, each `key: value`, in front of a Service with those after them.
fn ingress(annotations: &[&str], behind: &[&str]) -> Vec<String> {
    let lines = |annotations: &[&str]| {
        let lines = annotations.iter();
        let lines = lines.map(|line| format!("    alb.ingress.kubernetes.io/{line}\n"));
        lines.collect::<String>()
    };
    let text = format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    kubernetes.io/ingress.class: alb
{}spec:
  rules:
  - http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}
      - {{path: /a, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    a: b
{}spec: {{type: NodePort, ports: [{{port: 80, nodePort: 30080}}]}}
",
        lines(annotations),
        lines(behind)
    );
    refused(&text, "")
}

fn service(personality: &str, annotations: &[&str]) -> Vec<String> {
    let lines = annotations.iter();
    let lines =
        lines.map(|line| format!("    service.beta.kubernetes.io/aws-load-balancer-{line}\n"));
    let text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    a: b
{}spec: {{type: LoadBalancer, ports: [{{name: s3, port: 443, nodePort: 30443}}]}}
",
        lines.collect::<String>()
    );
    refused(&text, &format!("personality: {personality}"))
}

/// <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/443>.
#[test]
fn an_ingress_with_three_wrong_annotations_gets_three_errors() {
    let told = ingress(
        &[
            "scheme: public",
            "healthcheck-timeout-seconds: \"5s\"",
            "target-type: pod",
        ],
        &[],
    );
    assert_eq!(
        told,
        ["scheme", "healthcheck-timeout-seconds", "target-type"]
    );
}

#[test]
fn annotations_of_all_parts_of_an_ingress_are_read() {
    let told = ingress(
        &[
            "ip-address-type: ipv5",
            "load-balancer-attributes: idle",
            "tags: owner",
            "inbound-cidrs: 10.0.0.0",
            "mutual-authentication: '[]'",
            "auth-type: basic",
            "conditions.web: '{}'",
            "shield-advanced-protection: maybe",
            "minimum-load-balancer-capacity: Units=1",
            "security-groups: sg-1, sg-1",
        ],
        &["backend-protocol: TCP", "healthy-threshold-count: two"],
    );
    assert_eq!(
        told,
        [
            "ip-address-type",
            "load-balancer-attributes",
            "tags",
            "inbound-cidrs",
            "mutual-authentication",
            "auth-type",
            "conditions.web",
            "shield-advanced-protection",
            "minimum-load-balancer-capacity",
            "security-groups",
            "backend-protocol",
            "healthy-threshold-count",
        ]
    );
}

/// Without its listeners there is nothing that the redirect could be wrong about, and without its scheme no subnet.
#[test]
fn what_depends_on_a_refused_annotation_is_not_told() {
    let told = ingress(
        &["listen-ports: '[{\"HTTP\":0}]'", "ssl-redirect: '443'"],
        &[],
    );
    assert_eq!(told, ["listen-ports"]);
    let told = service(
        "lbc",
        &[
            "type: external",
            "nlb-target-type: instance",
            "scheme: public",
            "eip-allocations: eipalloc-1",
            "private-ipv4-addresses: 10.0.0.1",
        ],
    );
    assert_eq!(told, ["scheme"]);
    let told = ingress(&["auth-type: oidc", "auth-idp-oidc: '['"], &[]);
    assert_eq!(told, ["auth-idp-oidc"]);
}

#[test]
fn annotations_of_all_parts_of_a_service_are_read() {
    let told = service(
        "lbc",
        &[
            "type: external",
            "nlb-target-type: instance",
            "scheme: public",
            "ip-address-type: ipv5",
            "attributes: a",
            "alpn-policy: HTTP3",
            "ssl-cert: arn:aws:acm:us-east-1:1:certificate/a",
            "proxy-protocol: 'yes'",
            "healthcheck-protocol: ICMP",
            "healthcheck-interval: ten",
            "healthcheck-port: web",
            "additional-resource-tags: owner",
            "disable-nlb-sg: maybe",
        ],
    );
    assert_eq!(
        told,
        [
            "scheme",
            "ip-address-type",
            "attributes",
            "alpn-policy",
            "proxy-protocol",
            "healthcheck-protocol",
            "healthcheck-interval",
            "healthcheck-port",
            "additional-resource-tags",
            "disable-nlb-sg",
        ]
    );
}

#[test]
fn the_load_balancers_of_the_cloud_provider_tell_every_error() {
    let told = service(
        "intree",
        &[
            "type: nlb",
            "target-group-attributes: stickiness.enabled=true",
            "healthcheck-protocol: ICMP",
            "healthcheck-port: web",
            "healthcheck-interval: ten",
            "cross-zone-load-balancing-enabled: maybe",
            "eip-allocations: eipalloc-1",
        ],
    );
    assert_eq!(
        told,
        [
            "target-group-attributes",
            "healthcheck-protocol",
            "healthcheck-port",
            "healthcheck-interval",
            "cross-zone-load-balancing-enabled",
            "eip-allocations",
        ]
    );
    let told = service(
        "intree",
        &[
            "proxy-protocol: 'yes'",
            "healthcheck-healthy-threshold: '1'",
            "healthcheck-protocol: ICMP",
            "connection-idle-timeout: 60s",
            "connection-draining-enabled: maybe",
        ],
    );
    assert_eq!(
        told,
        [
            "proxy-protocol",
            "healthcheck-healthy-threshold",
            "healthcheck-protocol",
            "connection-idle-timeout",
            "connection-draining-enabled",
        ]
    );
}
