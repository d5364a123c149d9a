use elbow_model::diagnostic::Severity;
use elbow_yaml::{Limits, Node, parse_all};

use crate::{Cursor, Fault, Faults};

/// What decoding alone finds in an object.
fn decode(object: &Node) -> Vec<Fault> {
    let root = Cursor::root(object);
    let mut faults = Faults::default();
    let text = |name| root.get(name).text().unwrap_or_default();
    super::check(text("apiVersion"), text("kind"), &root, &mut faults);
    faults.into_sorted()
}

/// The faults of the objects in `text` as `code line:column path`.
fn faults(text: &str) -> Vec<String> {
    let (documents, problems) = parse_all(text, Limits::OBJECTS);
    assert!(problems.is_empty(), "{problems:?}");
    let faults = documents.iter().flat_map(decode);
    let line = |f: Fault| format!("{} {}:{} {}", f.code, f.at.line, f.at.column, f.path);
    faults.map(line).collect()
}

/// The message and the hint of the only fault.
fn told(text: &str) -> (String, String) {
    let (documents, _) = parse_all(text, Limits::OBJECTS);
    let mut faults = decode(&documents[0]);
    assert_eq!(faults.len(), 1, "{faults:?}");
    let fault = faults.remove(0);
    (fault.message, fault.hint.unwrap_or_default())
}

fn service(spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec: {spec}\n")
}

#[test]
fn misspelt_and_misplaced_fields_are_unknown() {
    let text = "apiVersion: v1
kind: Service
metadata:
  name: web
annotations:
  service.beta.kubernetes.io/aws-load-balancer-scheme: internal
spec:
  type: LoadBalancer
  loadBalancerSourceRange: [10.0.0.0/8]
  ports:
  - {port: 80, targetport: 8080, selector: {}}
";
    assert_eq!(
        faults(text),
        [
            "unknown-field 5:1 annotations",
            "unknown-field 9:3 spec.loadBalancerSourceRange",
            "unknown-field 11:16 spec.ports[0].targetport",
            "unknown-field 11:34 spec.ports[0].selector",
        ]
    );
}

#[test]
fn the_hint_says_where_a_field_belongs() {
    let object = |fields: &str| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\n{fields}\n")
    };
    for (fields, hint) in [
        ("annotations: {}", "this field belongs under metadata"),
        (
            "alb.ingress.kubernetes.io/scheme: internal",
            "this field belongs under metadata.annotations",
        ),
        ("ports: []", "this field belongs under spec"),
        (
            "spec: {targetPort: 80}",
            "this field belongs under spec.ports[]",
        ),
        (
            "spec: {kind: Service}",
            "this field belongs at the top of the object",
        ),
        (
            "spec: {loadBalancerSourceRange: []}",
            "did you mean \"loadBalancerSourceRanges\"?",
        ),
        ("spec: {nothingLikeIt: 1}", ""),
    ] {
        assert_eq!(told(&object(fields)).1, hint, "{fields}");
    }
}

#[test]
fn a_value_has_the_type_of_its_field() {
    for (spec, expected) in [
        ("{clusterIP: 10}", Some("wrong-type 4:19 spec.clusterIP")),
        ("{clusterIP: on}", Some("wrong-type 4:19 spec.clusterIP")),
        ("{clusterIP: '10'}", None),
        ("{clusterIP: !!str 10}", None),
        ("{clusterIP: null}", None),
        ("{publishNotReadyAddresses: yes}", None),
        (
            "{publishNotReadyAddresses: 'true'}",
            Some("wrong-type 4:34 spec.publishNotReadyAddresses"),
        ),
        (
            "{healthCheckNodePort: '80'}",
            Some("wrong-type 4:29 spec.healthCheckNodePort"),
        ),
        ("{healthCheckNodePort: 0x50}", None),
        ("{healthCheckNodePort: 80.0}", None),
        (
            "{healthCheckNodePort: 80.5}",
            Some("wrong-type 4:29 spec.healthCheckNodePort"),
        ),
        (
            "{healthCheckNodePort: 3000000000}",
            Some("out-of-range 4:29 spec.healthCheckNodePort"),
        ),
        ("{ports: {port: 80}}", Some("wrong-type 4:15 spec.ports")),
        (
            "{ports: [{port: 80, targetPort: true}]}",
            Some("wrong-type 4:39 spec.ports[0].targetPort"),
        ),
        ("{ports: [{port: 80, targetPort: http}]}", None),
        (
            "{selector: {app: 1}}",
            Some("wrong-type 4:24 spec.selector.app"),
        ),
        ("{selector: {app: }}", None),
        ("[]", Some("wrong-type 4:7 spec")),
    ] {
        let found = faults(&service(spec));
        let structural = found
            .iter()
            .find(|fault| fault.starts_with("wrong-type") || fault.starts_with("out-of-range"));
        assert_eq!(structural.map(String::as_str), expected, "{spec}");
    }
}

#[test]
fn a_wrong_type_says_what_to_write() {
    let (message, hint) =
        told("apiVersion: v1\nkind: Secret\nmetadata: {name: a, annotations: {b: on}}\n");
    assert_eq!(message, "expected a string, found on");
    assert_eq!(hint, "put it in quotes: \"on\"");
}

#[test]
fn a_letter_in_a_label_is_a_warning() {
    let text =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a, labels: {x: y}, annotations: {x: y}}\n";
    let (documents, _) = parse_all(text, Limits::OBJECTS);
    let severities: Vec<_> = decode(&documents[0]).iter().map(|f| f.severity).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Error]);
}

#[test]
fn formats_are_held() {
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: YQ==, b: plain text}\n";
    assert_eq!(faults(secret), ["invalid-value 4:20 data.b"]);
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a, creationTimestamp: yesterday}\nspec: {containers: [{name: a, image: a, resources: {limits: {cpu: 1 core, memory: 1Gi}}}]}\n";
    assert_eq!(
        faults(pod),
        [
            "invalid-value 3:40 metadata.creationTimestamp",
            "invalid-value 4:67 spec.containers[0].resources.limits.cpu",
        ]
    );
}

#[test]
fn a_custom_resource_is_held_against_its_definition() {
    let text = "apiVersion: elbv2.k8s.aws/v1beta1
kind: TargetGroupBinding
metadata: {name: a}
spec:
  serviceRef: {name: web}
  targetType: pod
  networking: {ingress: [{from: [null], ports: []}]}
  targetGroupArn: x
";
    assert_eq!(
        faults(text),
        [
            "missing-field 5:15 spec.serviceRef.port",
            "unknown-value 6:15 spec.targetType",
            "wrong-type 7:34 spec.networking.ingress[0].from[0]",
            "unknown-field 8:3 spec.targetGroupArn",
        ]
    );
}

/// What does not fit is told by number, however it is written.
#[test]
fn numbers_beyond_their_bits_are_refused() {
    let service = |port: &str| {
        faults(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec: {{ports: [{{port: {port}}}]}}\n"
        ))
    };
    assert_eq!(service("80.0"), [""; 0]);
    assert_eq!(service("8e1"), [""; 0]);
    let wrong = ["wrong-type 4:23 spec.ports[0].port"];
    assert_eq!(service("99999999999999999999"), wrong);
    assert_eq!(service("1e20"), wrong);
    let class = |port: &str| {
        faults(&format!(
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: TargetGroupBinding\nmetadata: {{name: a}}\nspec: {{serviceRef: {{name: a, port: {port}}}}}\n"
        ))
    };
    assert_eq!(class("1e17"), [""; 0]);
    assert_eq!(
        class("12345678901234567890"),
        ["out-of-range 4:36 spec.serviceRef.port"]
    );
}

/// An API server drops the status from what is applied, but looks for unknown fields first.
#[test]
fn the_status_of_a_custom_resource_is_not_held() {
    let status = |status: &str| {
        faults(&format!(
            "apiVersion: elbv2.k8s.aws/v1beta1\nkind: TargetGroupBinding\nmetadata: {{name: a}}\nspec: {{serviceRef: {{name: a, port: 80}}}}\nstatus: {status}\n"
        ))
    };
    assert_eq!(status("{observedGeneration: one}"), [""; 0]);
    assert_eq!(
        status("{observed: 1}"),
        ["unknown-field 5:10 status.observed"]
    );
}

/// Go decodes a list of numbers into bytes, too.
#[test]
fn bytes_may_be_numbers() {
    let secret = |data: &str| {
        faults(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\ndata: {{a: {data}}}\n"
        ))
    };
    assert_eq!(secret("[]"), [""; 0]);
    assert_eq!(secret("[104, 105]"), [""; 0]);
    assert_eq!(secret("[256]"), ["wrong-type 4:12 data.a[0]"]);
}

#[test]
fn a_dump_of_a_cluster_and_unknown_kinds_are_fine() {
    let dump = "apiVersion: v1
kind: Service
metadata:
  name: web
  creationTimestamp: null
  generation: 3
  resourceVersion: \"12\"
  uid: 0b0b7a2e-0000-4000-8000-000000000000
  managedFields:
  - {apiVersion: v1, manager: kubectl, operation: Update, fieldsType: FieldsV1, fieldsV1: {f:spec: {}}, time: \"2026-01-01T00:00:00Z\"}
spec: {ports: [{port: 80}]}
status: {loadBalancer: {}}
";
    assert_eq!(faults(dump), [""; 0]);
    assert_eq!(
        faults("apiVersion: example.com/v1\nkind: Thing\nmetadata: 1\n"),
        [""; 0]
    );
}
