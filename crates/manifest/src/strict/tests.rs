use crate::context::Reading;
use crate::{Context, plan, read};

/// What is found in `text`, as `severity[code] line:column field`, and the number of load balancers.
fn found(text: &str, reading: Reading) -> (Vec<String>, usize) {
    let (objects, mut found) = read(text, "in.yaml");
    let context = Context {
        reading,
        ..Context::default()
    };
    let translation = plan(&objects, &context);
    found.extend(translation.diagnostics);
    let line = |one: &elbow_model::diagnostic::Diagnostic| {
        let (severity, code) = (one.severity, one.code);
        format!(
            "{severity}[{code}] {}:{} {}",
            one.line, one.column, one.field
        )
    };
    (found.iter().map(line).collect(), translation.stacks.len())
}

const MISPLACED: &str = "apiVersion: v1
kind: Service
metadata:
  name: lb
spec:
  type: LoadBalancer
  loadBalancerSourceRange: [10.0.0.0/8]
  externalTrafficpolicy: Local
  ports:
  - {name: http, port: 80, targetPort: 8080}
  selector: {app: web}
annotations:
  service.beta.kubernetes.io/aws-load-balancer-internal: \"true\"
";

/// A misspelt source range would open the load balancer to the world, an annotation in the wrong place too.
#[test]
fn misplaced_and_misspelt_fields_are_refused() {
    let (found, stacks) = found(MISPLACED, Reading::Strict);
    assert_eq!(
        found,
        [
            "error[unknown-field] 7:3 spec.loadBalancerSourceRange",
            "error[unknown-field] 8:3 spec.externalTrafficpolicy",
            "error[unknown-field] 12:1 annotations",
        ]
    );
    assert_eq!(stacks, 0);
}

#[test]
fn lenient_reading_warns_and_plans() {
    let (found, stacks) = found(MISPLACED, Reading::Lenient);
    assert!(
        found.contains(&"warning[unknown-field] 12:1 annotations".to_owned()),
        "{found:?}"
    );
    assert!(
        !found.iter().any(|one| one.starts_with("error")),
        "{found:?}"
    );
    assert_eq!(stacks, 1);
}

/// Kubernetes' YAML is 1.1: `on` is true, and no string.
#[test]
fn a_boolean_is_no_annotation() {
    let text = "apiVersion: v1
kind: Service
metadata:
  name: nlb
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-enable-icmp-for-path-mtu-discovery: on
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
";
    let field = "metadata.annotations.service.beta.kubernetes.io/aws-load-balancer-enable-icmp-for-path-mtu-discovery";
    let (found, _) = found(text, Reading::Strict);
    assert_eq!(found, [format!("error[wrong-type] 6:86 {field}")]);
}

#[test]
fn merge_keys_and_tags_are_taken() {
    let text = "apiVersion: v1
kind: Service
metadata:
  name: nlb
  labels: &l {app: web}
  annotations:
    <<: *l
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval: !!str 20
spec: {type: LoadBalancer, selector: {<<: *l}, ports: [{port: 0x50}]}
";
    let (found, stacks) = found(text, Reading::Strict);
    assert!(
        !found.iter().any(|one| one.starts_with("error")),
        "{found:?}"
    );
    assert_eq!(stacks, 1);
}

#[test]
fn metadata_is_read_strictly() {
    let text = "apiVersion: v1
kind: Service
metadata: {name: a, annotations: [x], labels: {a: {b: c}}, finalizer: [x]}
spec: {ports: [{port: http}]}
";
    let (found, _) = found(text, Reading::Strict);
    assert_eq!(
        found,
        [
            "error[wrong-type] 3:34 metadata.annotations",
            "error[wrong-type] 3:51 metadata.labels.a",
            "error[unknown-field] 3:60 metadata.finalizer",
            "error[wrong-type] 4:23 spec.ports[0].port",
        ]
    );
}
