//! Errors in manifests are reported with position, rule and hint; everything else serves.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fmt::Write as _;

use elbow_tests::command::{output, texts};
use elbow_tests::{TempDir, elbow};
use serde_json::Value;

/// A Service and its endpoints: 11 lines.
const WEB: &str = "apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [127.0.0.7]}]
---
";

/// An Ingress for port 80 of the Service `web`. After [`WEB`] it starts at line 13; `annotations` are at its line 9.
fn ingress(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: shop
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/target-type: ip
{annotations}spec:
  rules:
  - http:
      paths:
      - path: /
        pathType: Prefix
        backend: {{service: {{name: web, port: {{number: 80}}}}}}
"
    )
}

fn alb(key: &str, value: &str) -> String {
    format!("    alb.ingress.kubernetes.io/{key}: {value}\n")
}

/// The result of `elbow check -f`: exit code, and `severity[code] line:column: message` with the hint.
fn check(text: &str) -> (i32, Vec<String>) {
    let dir = TempDir::new();
    let path = dir.write("web.yaml", text);
    let path = path.to_str().unwrap();
    let output = output(&mut elbow::command(&["check", "-o", "json", "-f", path]));
    let (stdout, stderr) = texts(&output);
    let found: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}\n{stderr}"));
    let line = |one: &Value| {
        assert_eq!(one["file"], path);
        let mut line = format!(
            "{}[{}] {}:{}: {}",
            one["severity"].as_str().unwrap(),
            one["code"].as_str().unwrap(),
            one["line"],
            one["column"],
            one["message"].as_str().unwrap()
        );
        if let Some(hint) = one["hint"].as_str() {
            let _ = write!(line, " => {hint}");
        }
        line
    };
    let found = found.as_array().unwrap().iter().map(line).collect();
    (output.status.code().unwrap(), found)
}

/// The ids of the planned stacks.
fn planned(text: &str) -> Vec<String> {
    let dir = TempDir::new();
    let path = dir.write("web.yaml", text);
    let output = output(&mut elbow::command(&[
        "plan",
        "-o",
        "stack",
        "-f",
        path.to_str().unwrap(),
    ]));
    let stacks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = stacks.as_array().unwrap().iter();
    ids.map(|stack| stack["id"].as_str().unwrap().to_owned())
        .collect()
}

fn refused(text: &str, expected: &str) {
    assert_eq!(check(text), (1, vec![expected.to_owned()]));
}

fn warned(text: &str, expected: &str) {
    assert_eq!(check(text), (0, vec![expected.to_owned()]));
}

#[test]
fn valid_manifests_have_no_diagnostics() {
    assert_eq!(
        check(&(WEB.to_owned() + &ingress("web", ""))),
        (0, Vec::new())
    );
}

#[test]
fn unknown_annotation_is_a_warning_with_a_suggestion() {
    warned(
        &(WEB.to_owned() + &ingress("web", &alb("helthcheck-path", "/live"))),
        "warning[unknown-annotation] 21:5: there is no annotation alb.ingress.kubernetes.io/helthcheck-path; it has \
         no effect => did you mean \"healthcheck-path\"?",
    );
}

#[test]
fn annotation_of_the_wrong_type_is_an_error() {
    refused(
        &(WEB.to_owned() + &ingress("web", &alb("healthcheck-interval-seconds", "often"))),
        "error[invalid-annotation] 21:61: alb.ingress.kubernetes.io/healthcheck-interval-seconds: expected a whole \
         number of 32 bits, found \"often\"",
    );
}

#[test]
fn field_of_the_wrong_type_is_an_error() {
    let (code, found) = check(&(WEB.replace("port: 80}", "port: eighty}") + &ingress("web", "")));
    assert_eq!(code, 1);
    assert_eq!(
        found[0],
        "error[wrong-type] 4:35: expected a whole number, found the string \"eighty\""
    );
}

/// Section 2.2, column merge: members must agree on one value, else the whole group fails; other groups serve.
#[test]
fn conflict_in_a_group_names_the_members() {
    let member = |name: &str, scheme: &str| {
        ingress(
            name,
            &(alb("group.name", "shared") + &alb("scheme", scheme)),
        )
    };
    let all = [
        WEB,
        &member("one", "internal"),
        "---\n",
        &member("two", "internet-facing"),
        "---\n",
    ];
    let text = all.concat() + &ingress("other", "");
    refused(
        &text,
        "error[conflict] 40:39: the members of the group set different values for scheme: internal in shop/one, \
         internet-facing in shop/two => set it on one member, or to the same value on each",
    );
    assert_eq!(planned(&text), ["shop/other"]);
}

/// Section 2.7: AWS answers 503 for a missing Service.
#[test]
fn missing_service_is_a_warning() {
    let ingress = ingress("web", "").replace("name: web, port", "name: wep, port");
    warned(
        &(WEB.to_owned() + &ingress),
        "warning[missing-service] 25:9: there is no Service shop/wep: requests for it are answered 503 => did you mean \
         \"web\"?",
    );
}

#[test]
fn missing_port_is_an_error() {
    for (port, name, hint) in [
        ("number: 81", "81", ""),
        ("name: htpp", "htpp", "did you mean \"http\"? "),
    ] {
        let ingress = ingress("web", "").replace("number: 80", port);
        refused(
            &(WEB.to_owned() + &ingress),
            &format!(
                "error[unknown-port] 25:9: Service shop/web has no port {name} => {hint}its ports are http (80)"
            ),
        );
    }
}

/// Section 2.1: with two default classes, neither is used.
#[test]
fn two_default_classes_are_an_error() {
    let class = |name: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: {name}, annotations: {{ingressclass.kubernetes.io/is-default-class: \"true\"}}}}
spec: {{controller: ingress.k8s.aws/alb}}
---
"
        )
    };
    let ingress = ingress("web", "").replace("    kubernetes.io/ingress.class: alb\n", "");
    refused(
        &(WEB.to_owned() + &class("alb") + &class("alb-too") + &ingress),
        "error[two-default-classes] 23:1: two IngressClasses are marked as default: alb and alb-too => set \
         spec.ingressClassName, or keep ingressclass.kubernetes.io/is-default-class on one of them",
    );
}

#[test]
fn secret_without_a_key_is_an_error() {
    let secret = "apiVersion: v1
kind: Secret
metadata: {name: web-tls, namespace: shop}
type: kubernetes.io/tls
data: {tls.crt: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==}
---
";
    let tls = "spec:\n  tls: [{hosts: [web.example.com], secretName: web-tls}]\n";
    let ingress =
        ingress("web", &alb("listen-ports", "'[{\"HTTPS\": 443}]'")).replace("spec:\n", tls);
    let expected = [
        "error[incomplete-secret] 13:1: the Secret has no tls.key => a Secret of type kubernetes.io/tls holds tls.crt \
         and tls.key",
        "error[missing-field] 17:7: data[tls.key]: Required value => write `tls.key` here",
    ];
    let expected = expected.map(str::to_owned).to_vec();
    assert_eq!(check(&(WEB.to_owned() + secret + &ingress)), (1, expected));
}

/// Aliases that expand tenfold ten times are counted before they are copied.
#[test]
fn alias_bomb_is_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let before = format!("*a{}", n - 1);
        let _ = writeln!(text, "a{n}: &a{n} [{}]", vec![before; 10].join(", "));
    }
    refused(
        &text,
        "error[too-large] 5:45: anchors and aliases copy more than 8 MiB => split the file, or replace aliases with the parts that you need",
    );
}

#[test]
fn duplicate_key_is_an_error() {
    let ingress =
        ingress("web", "").replace("  namespace: shop\n", "  namespace: shop\n  name: again\n");
    refused(
        &(WEB.to_owned() + &ingress),
        "error[duplicate-field] 18:3: \"name\" is given twice in the same place => keep one of the two",
    );
}

#[test]
fn tab_is_an_error() {
    let ingress = ingress("web", "").replace("  rules:\n", "\trules:\n");
    refused(
        &(WEB.to_owned() + &ingress),
        "error[yaml-syntax] 22:2: tabs disallowed within this context (block indentation) => indent with spaces",
    );
}

#[test]
fn windows_line_ends_are_accepted() {
    let text = WEB.to_owned() + &ingress("web", "");
    assert_eq!(check(&text.replace('\n', "\r\n")), (0, Vec::new()));
    // Positions are the same.
    let broken = text.replace("  namespace: shop\n", "  namespace: shop\n  name: again\n");
    assert_eq!(check(&broken.replace('\n', "\r\n")), check(&broken));
}

/// The API server's limit applies to all annotations; a value that is too long is not printed.
#[test]
fn huge_annotation_is_refused_for_its_object_only() {
    let note = format!("    example.com/note: {}\n", "x".repeat(10_000_000));
    let text = [WEB, &ingress("web", &note), "---\n", &ingress("other", "")].concat();
    let expected = [
        "error[too-long] 19:5: metadata.annotations: Too long: may not be more than 262144 bytes",
        "error[too-large] 21:23: the annotations of an object exceed 262144 bytes with this one of 10000000 bytes; \
         keep large values in a ConfigMap",
    ];
    assert_eq!(check(&text), (1, expected.map(str::to_owned).to_vec()));
    assert_eq!(planned(&text), ["shop/other"]);
}
