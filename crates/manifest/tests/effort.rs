//! The cost of one object is proportional to its size: nothing compares all of its parts with all others. One thread
//! plans the load balancers of all tenants.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::fs;

use elbow_manifest::{Context, read, translate};
use elbow_model::diagnostic::Diagnostic;

/// Seconds of CPU that any of these inputs may take, in a build without optimization. Comparing all pairs takes ten and
/// more.
const SECONDS: f64 = 4.0;

/// The CPU time of this thread in seconds: the first field of schedstat (proc(5)), in nanoseconds.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// The diagnostics of `text`; fails if they take too long.
fn found(text: &str) -> Vec<Diagnostic> {
    let (objects, found) = read(text, "a.yaml");
    assert_eq!(found, []);
    let before = cpu();
    let (_, found) = translate(&objects, &Context::default());
    let spent = cpu() - before;
    assert!(spent < SECONDS, "{spent} s of CPU");
    found
}

fn count(found: &[Diagnostic], code: &str) -> usize {
    found.iter().filter(|one| one.code == code).count()
}

const CLASS: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: alb}
spec: {controller: ingress.k8s.aws/alb}
---
";

fn ingress(annotations: &str, rest: &str) -> String {
    format!(
        "{CLASS}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
{annotations}
spec:
  ingressClassName: alb
{rest}
"
    )
}

fn paths(count: usize, service: &str) -> String {
    let mut text = "  rules:\n  - http:\n      paths:\n".to_owned();
    for path in 0..count {
        let service = format!("{{service: {{name: {service}-{path}, port: {{number: 80}}}}}}");
        writeln!(
            text,
            "      - {{path: /{path}, pathType: Exact, backend: {service}}}"
        )
        .unwrap();
    }
    text
}

#[test]
fn annotations_that_no_path_uses() {
    let mut annotations = String::new();
    for name in 0..3_000 {
        writeln!(
            annotations,
            "    alb.ingress.kubernetes.io/actions.none-{name}: '{{}}'"
        )
        .unwrap();
    }
    let found = found(&ingress(&annotations, &paths(3_000, "web")));
    assert_eq!(count(&found, "no-effect"), 3_000);
}

#[test]
fn missing_services_among_many() {
    let mut text = ingress("    a: b", &paths(3_000, "web"));
    for name in 0..3_000 {
        write!(
            text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: wed-{name}}}\n"
        )
        .unwrap();
    }
    let found = found(&text);
    assert_eq!(count(&found, "missing-service"), 3_000);
    let hints = found.iter().filter(|one| one.hint.is_some());
    assert!(hints.count() >= 10);
}

#[test]
fn hosts_beside_hosts_of_secrets() {
    let mut tls = "  tls:\n".to_owned();
    for host in 0..6_000 {
        writeln!(tls, "  - {{secretName: web, hosts: [h{host}.example.com]}}").unwrap();
    }
    let mut text = ingress(
        "    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\":443}]'",
        &tls,
    );
    text += "---\napiVersion: v1\nkind: Secret\nmetadata: {name: web}\ntype: kubernetes.io/tls\ndata: {}\n";
    // One Secret is one certificate, for however many hosts.
    assert_eq!(count(&found(&text), "too-many-certificates"), 0);
}

#[test]
fn ports_that_speak_tls() {
    let mut text = "
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-ssl-cert: arn:aws:acm:us-east-1:1:certificate/a
    service.beta.kubernetes.io/aws-load-balancer-ssl-ports: '"
        .to_owned();
    let ports: Vec<String> = (1..=400)
        .chain(10_000..50_000)
        .map(|port| port.to_string())
        .collect();
    text += &ports.join(",");
    text += "'\nspec:\n  type: LoadBalancer\n  loadBalancerClass: service.k8s.aws/nlb\n  ports:\n";
    for port in 1..=400 {
        writeln!(text, "  - {{name: p{port}, port: {port}}}").unwrap();
    }
    assert_eq!(count(&found(&text), "invalid-annotation"), 1);
}
