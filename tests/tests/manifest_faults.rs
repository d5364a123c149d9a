//! What is wrong with manifests is said with its place, the rule that it breaks and what to do; what is right beside it serves.
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

/// An Ingress to port 80 of the Service `web`; from line 13 on behind [`WEB`], further annotations from line 9 of it.
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

/// What `elbow check -f` says of a file: its exit code, and `severity[code] line:column: message` with the hint.
fn check(text: &str) -> (i32, Vec<String>) {
    let dir = TempDir::new();
    let path = dir.write("web.yaml", text);
    let path = path.to_str().unwrap();
    let output = output(&mut elbow::command(&["check", "-o", "json", "-f", path]));
    let (stdout, said) = texts(&output);
    let found: Value =
        serde_json::from_str(&stdout).unwrap_or_else(|e| panic!("{e}: {stdout}\n{said}"));
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

/// The ids of the stacks that are planned.
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
fn nothing_is_said_of_what_is_right() {
    assert_eq!(
        check(&(WEB.to_owned() + &ingress("web", ""))),
        (0, Vec::new())
    );
}

#[test]
fn an_unknown_annotation() {
    warned(
        &(WEB.to_owned() + &ingress("web", &alb("helthcheck-path", "/live"))),
        "warning[unknown-annotation] 21:5: there is no annotation alb.ingress.kubernetes.io/helthcheck-path; it does \
         nothing => did you mean \"healthcheck-path\"?",
    );
}

#[test]
fn an_annotation_of_the_wrong_type() {
    refused(
        &(WEB.to_owned() + &ingress("web", &alb("healthcheck-interval-seconds", "often"))),
        "error[invalid-annotation] 21:61: alb.ingress.kubernetes.io/healthcheck-interval-seconds is \"often\", which is \
         no whole number",
    );
}

#[test]
fn a_field_of_the_wrong_type() {
    let (code, found) = check(&(WEB.replace("port: 80}", "port: eighty}") + &ingress("web", "")));
    assert_eq!(code, 1);
    assert_eq!(
        found[0],
        "error[wrong-type] 4:35: a whole number in range is wanted here"
    );
}

/// Section 2.2, column merge: one value across the members, else the whole group fails; other groups serve.
#[test]
fn a_conflict_in_a_group() {
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
        "error[conflict] 40:39: the group gives different values for scheme: internal in shop/one, internet-facing in \
         shop/two => give it at one member, or the same at each",
    );
    assert_eq!(planned(&text), ["shop/other"]);
}

/// Section 2.7: AWS answers 503 for a Service that is not there.
#[test]
fn a_missing_service() {
    let ingress = ingress("web", "").replace("name: web, port", "name: wep, port");
    warned(
        &(WEB.to_owned() + &ingress),
        "warning[missing-service] 25:9: there is no Service shop/wep: what leads to it is answered 503 => did you mean \
         \"web\"?",
    );
}

#[test]
fn a_missing_port() {
    for (port, told) in [("number: 81", "81"), ("name: htpp", "htpp")] {
        let ingress = ingress("web", "").replace("number: 80", port);
        refused(
            &(WEB.to_owned() + &ingress),
            &format!(
                "error[unknown-port] 25:9: Service shop/web has no port {told} => its ports are http (80)"
            ),
        );
    }
}

/// Section 2.1: of two default classes none is.
#[test]
fn two_default_classes() {
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
        "error[two-default-classes] 23:1: two IngressClasses are the default: alb and alb-too => name one by \
         spec.ingressClassName, or leave ingressclass.kubernetes.io/is-default-class to one",
    );
}

#[test]
fn a_secret_without_a_key() {
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
    refused(
        &(WEB.to_owned() + secret + &ingress),
        "error[incomplete-secret] 13:1: the Secret lacks tls.key => a Secret of type kubernetes.io/tls holds tls.crt \
         and tls.key",
    );
}

/// Aliases that double ten times over are counted before they are copied.
#[test]
fn a_bomb_of_aliases() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..10 {
        let before = format!("*a{}", n - 1);
        let _ = writeln!(text, "a{n}: &a{n} [{}]", vec![before; 10].join(", "));
    }
    refused(
        &text,
        "error[too-large] 5:45: anchors and aliases copy more than 8 MiB => split the file, or write out what the alias names with the parts that are needed",
    );
}

#[test]
fn a_key_that_is_given_twice() {
    let ingress =
        ingress("web", "").replace("  namespace: shop\n", "  namespace: shop\n  name: again\n");
    refused(
        &(WEB.to_owned() + &ingress),
        "error[duplicate-field] 18:3: \"name\" is given twice in the same place => keep one of the two",
    );
}

#[test]
fn a_tab() {
    let ingress = ingress("web", "").replace("  rules:\n", "\trules:\n");
    refused(
        &(WEB.to_owned() + &ingress),
        "error[yaml-syntax] 22:2: tabs disallowed within this context (block indentation) => indent with blanks",
    );
}

#[test]
fn line_ends_of_windows_are_line_ends() {
    let text = WEB.to_owned() + &ingress("web", "");
    assert_eq!(check(&text.replace('\n', "\r\n")), (0, Vec::new()));
    // And places are counted the same.
    let broken = text.replace("  namespace: shop\n", "  namespace: shop\n  name: again\n");
    assert_eq!(check(&broken.replace('\n', "\r\n")), check(&broken));
}

/// The limit is that of the apiserver, whoever reads the annotation; what is too long is not printed.
#[test]
fn an_annotation_of_ten_megabytes() {
    let note = format!("    example.com/note: {}\n", "x".repeat(10_000_000));
    let text = [WEB, &ingress("web", &note), "---\n", &ingress("other", "")].concat();
    refused(
        &text,
        "error[too-large] 21:23: the annotations of an object may have 262144 bytes together; with this one of \
         10000000 they have more: keep large values in a ConfigMap",
    );
    assert_eq!(planned(&text), ["shop/other"]);
}
