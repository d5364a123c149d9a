//! The stacks of Ingresses that no recording covers.

#![allow(clippy::unwrap_used)] // what cannot be read fails the test

use elbow_manifest::context::UnknownResources;
use elbow_manifest::{Context, Translation, plan, read};
use elbow_model::diagnostic::Severity;
use serde_json::{Value, json};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, ports: [{name: http, port: 80, nodePort: 30080}]}
";

/// An Ingress with these annotations and paths, in front of a Service `web`.
fn ingress(name: &str, annotations: &Value, paths: &Value) -> String {
    let ingress = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"ingressClassName": "alb", "rules": [{"http": {"paths": paths}}]},
    });
    ingress.to_string()
}

fn path(path: &str, kind: &str, service: &str, port: &Value) -> Value {
    json!({"path": path, "pathType": kind, "backend": {"service": {"name": service, "port": port}}})
}

fn translated(documents: &[&str]) -> Translation {
    let (objects, found) = read(&documents.join("\n---\n"), "a.yaml");
    assert!(found.is_empty(), "{found:?}");
    plan(&objects, &Context::default())
}

/// The paths of the rules on port 80, in their order.
fn paths(translation: &Translation) -> Vec<Value> {
    let stack = translation.stacks[0].to_json();
    let rules = &stack["resources"]["AWS::ElasticLoadBalancingV2::ListenerRule"];
    (1..=rules.as_object().map_or(0, serde_json::Map::len))
        .map(|priority| &rules[format!("80:{priority}")]["spec"]["conditions"])
        .map(|conditions| conditions[0]["pathPatternConfig"]["values"].clone())
        .collect()
}

/// control-plane.md 2.7: Exact, then prefixes from long to short, then patterns.
#[test]
fn paths_are_sorted_by_type_and_length() {
    let port = json!({"number": 80});
    let paths_in = json!([
        path("/z*", "ImplementationSpecific", "web", &port),
        path("/", "Prefix", "web", &port),
        path("/a/", "Prefix", "web", &port),
        path("/b", "Exact", "web", &port),
    ]);
    let translation = translated(&[&ingress("a", &json!({}), &paths_in), SERVICE]);
    assert_eq!(
        paths(&translation),
        [
            json!(["/b"]),
            json!(["/a", "/a/*"]),
            json!(["/*"]),
            json!(["/z*"])
        ]
    );
}

/// control-plane.md 2.7: rules behind a redirect of everything are left out.
#[test]
fn a_redirect_hides_later_rules() {
    let annotations = json!({"alb.ingress.kubernetes.io/actions.go":
        r#"{"Type":"redirect","RedirectConfig":{"protocol":"HTTPS","statusCode":"HTTP_301"}}"#});
    let paths_in = json!([
        path(
            "/*",
            "ImplementationSpecific",
            "go",
            &json!({"name": "use-annotation"})
        ),
        path(
            "/b",
            "ImplementationSpecific",
            "web",
            &json!({"number": 80})
        ),
    ]);
    let translation = translated(&[&ingress("a", &annotations, &paths_in), SERVICE]);
    assert_eq!(paths(&translation), [json!(["/*"])]);
}

/// control-plane.md 2.7: a missing Service answers 503.
#[test]
fn a_missing_service_answers_503() {
    let paths_in = json!([path("/", "Prefix", "none", &json!({"number": 80}))]);
    let translation = translated(&[&ingress("a", &json!({}), &paths_in)]);
    let stack = translation.stacks[0].to_json();
    let rule = &stack["resources"]["AWS::ElasticLoadBalancingV2::ListenerRule"]["80:1"]["spec"];
    assert_eq!(
        rule["actions"][0]["fixedResponseConfig"]["statusCode"],
        "503"
    );
}

#[test]
fn a_refused_ingress_does_not_affect_the_others() {
    let port = json!({"number": 80});
    let paths_in = json!([path("/", "Prefix", "web", &port)]);
    let bad = ingress(
        "bad",
        &json!({"alb.ingress.kubernetes.io/listen-ports": "80"}),
        &paths_in,
    );
    let good = ingress("good", &json!({}), &paths_in);
    let translation = translated(&[&bad, &good, SERVICE]);
    let ids: Vec<&str> = translation.stacks.iter().map(|stack| &*stack.id).collect();
    assert_eq!(ids, ["default/good"]);
    let [error] = &translation.diagnostics[..] else {
        panic!("{:?}", translation.diagnostics)
    };
    assert_eq!((error.code, error.line), ("invalid-listen-ports", 1));
    assert_eq!(error.object, "Ingress/default/bad");
}

#[test]
fn the_order_of_documents_makes_no_difference() {
    let paths_in = json!([path("/", "Prefix", "web", &json!({"name": "http"}))]);
    let group = json!({"alb.ingress.kubernetes.io/group.name": "g"});
    let (a, b) = (
        ingress("a", &group, &paths_in),
        ingress("b", &group, &paths_in),
    );
    let one = translated(&[&a, &b, SERVICE]);
    let other = translated(&[SERVICE, &b, &a]);
    assert_eq!(one.stacks.len(), 1);
    assert_eq!(one.stacks[0].to_json(), other.stacks[0].to_json());
}

#[test]
fn a_misspelt_annotation_gets_a_hint() {
    let annotations = json!({"alb.ingress.kubernetes.io/sheme": "internal"});
    let paths = json!([path("/", "Prefix", "web", &json!({"name": "http"}))]);
    let translation = translated(&[&ingress("a", &annotations, &paths), SERVICE]);
    let [found] = &translation.diagnostics[..] else {
        panic!("{:?}", translation.diagnostics)
    };
    assert_eq!(found.code, "unknown-annotation");
    assert_eq!(found.hint.as_deref(), Some("did you mean \"scheme\"?"));
}

/// Kubernetes accepts only strings as annotations.
#[test]
fn an_annotation_without_quotes_is_refused() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n    \
                alb.ingress.kubernetes.io/ssl-redirect: 443\nspec: {ingressClassName: alb}\n";
    let translation = translated(&[text]);
    assert!(translation.stacks.is_empty());
    let error = &translation.diagnostics[0];
    assert_eq!(
        (error.code, error.line, error.column),
        ("wrong-type", 6, 45)
    );
}

/// control-plane.md 2.1: the annotation is compared with `--ingress-class`, or with `alb` when the flag is empty.
#[test]
fn the_class_annotation_is_compared_with_the_flag() {
    let of = |class: &str| {
        let ingress = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": class, "annotations": {"kubernetes.io/ingress.class": class}},
            "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
        });
        ingress.to_string()
    };
    let text = [SERVICE, &of("alb"), &of("internal")].join("\n---\n");
    let (objects, _) = read(&text, "a.yaml");
    let owned = |context: &Context| -> Vec<String> {
        let stacks = plan(&objects, context).stacks.into_iter();
        stacks.map(|stack| stack.id).collect()
    };
    assert_eq!(owned(&Context::default()), ["default/alb"]);
    let (context, found) = Context::parse("defaults: {ingressClass: internal}\n", "env.yaml");
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(owned(&context), ["default/internal"]);
}

/// The reader of an event in a live cluster must learn what to change: the annotation or the environment file.
#[test]
fn an_unknown_subnet_is_reported_at_its_annotation() {
    let root = json!([path("/", "Prefix", "web", &json!({"number": 80}))]);
    for (subnet, hint) in [
        (
            "subnet-0a1b",
            "list it under subnets in the environment file",
        ),
        ("public-aa", "did you mean \"public-a\"?"),
    ] {
        let annotations =
            json!({"alb.ingress.kubernetes.io/subnets": format!("public-b, {subnet}")});
        let (objects, _) = read(
            &[SERVICE, &ingress("web", &annotations, &root)].join("\n---\n"),
            "a.yaml",
        );
        let (mut context, _) = Context::parse("unknownResources: controller", "env.yaml");
        let translation = plan(&objects, &context);
        assert!(translation.stacks.is_empty());
        let found = &translation.diagnostics[0];
        assert_eq!(found.message, format!("there is no subnet {subnet}"));
        assert!(found.is_error());
        context.unknown_resources = UnknownResources::StandIn;
        let translation = plan(&objects, &context);
        assert_eq!(translation.stacks[0].id, "default/web");
        let found = &translation.diagnostics[0];
        assert_eq!(
            (found.severity, found.code),
            (Severity::Warning, "unknown-subnet")
        );
        assert_eq!(
            found.field,
            "metadata.annotations.alb.ingress.kubernetes.io/subnets"
        );
        assert_eq!(found.hint.as_deref(), Some(hint));
    }
}
