//! EKS Auto Mode's objects in a live cluster outside of EKS.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;

use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::command::stdout;
use elbow_tests::elbow::{self, Place};
use elbow_tests::{Elbow, TempDir, tools, wait};
use serde_json::{Value, json};

const GROUP: &str = "eks.amazonaws.com";

/// Applies the definitions that elbow prints for such clusters.
fn define(access: &Access) {
    let definitions = stdout(&mut elbow::command(&[
        "controller",
        "crds",
        "--eks-auto-mode",
    ]));
    let dir = TempDir::new();
    let file = dir.join("crds.yaml");
    fs::write(&file, definitions).unwrap();
    access.ask(&["apply", "--filename", file.to_str().unwrap()]);
    let established = "--for=condition=Established";
    access.ask(&["wait", established, "customresourcedefinitions", "--all"]);
}

/// An Ingress `name` of the class `auto`.
fn ingress(name: &str) -> Value {
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "default", "name": name},
        "spec": {"ingressClassName": "auto", "rules": [
            {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})
}

/// An IngressClass of Auto Mode with parameters, a Service, and what registers its pods with a target group.
fn objects() -> Vec<Value> {
    let params = |name: &str, spec: Value| {
        json!({"apiVersion": "eks.amazonaws.com/v1", "kind": "IngressClassParams",
            "metadata": {"name": name}, "spec": spec})
    };
    let class = |name: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
            "spec": {"controller": "eks.amazonaws.com/alb",
                "parameters": {"apiGroup": GROUP, "kind": "IngressClassParams", "name": name}}})
    };
    let mut grouped = ingress("grouped");
    grouped["spec"]["ingressClassName"] = json!("shared");
    vec![
        params("auto", json!({"scheme": "internet-facing"})),
        params("shared", json!({"group": {"name": "shop"}})),
        class("auto"),
        class("shared"),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "web"},
            "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}),
        ingress("alone"),
        grouped,
    ]
}

fn address(access: &Access, kind: &str, name: &str) -> Option<String> {
    let object = access.get(&[kind, name]);
    let address = &object["status"]["loadBalancer"]["ingress"][0]["hostname"];
    address.as_str().map(str::to_owned)
}

fn finalizers(access: &Access, kind: &str, name: &str) -> Value {
    access.get(&[kind, name])["metadata"]["finalizers"].clone()
}

#[test]
fn auto_mode_is_served_with_its_own_names() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    define(&access);
    let place = Place::new(access.kubeconfig());
    access.apply(&objects());
    let mut elbow = Elbow::control(&place, &["--personality", "eks-auto"]);

    for (kind, name, expected) in [
        ("ingress", "alone", "ingress.eks.amazonaws.com/resources"),
        ("ingress", "grouped", "group.ingress.eks.amazonaws.com/shop"),
        ("service", "web", "service.eks.amazonaws.com/resources"),
    ] {
        wait::until(&format!("the address of {name}"), || {
            address(&access, kind, name)
        });
        assert_eq!(finalizers(&access, kind, name), json!([expected]));
    }
    let scheme = |name: &str| {
        let address = address(&access, "ingress", name).unwrap();
        address.starts_with("internal-")
    };
    assert!(!scheme("alone"), "the parameters say internet-facing");
    assert!(scheme("grouped"), "internal is the default");

    // A TargetGroupBinding of a user, and the gate of a pod behind it.
    let config = elbow.json("/config");
    let group = config["targetGroups"][0]["name"].as_str().unwrap();
    let gate = format!("target-health.{GROUP}/mine");
    access.apply(&[
        json!({"apiVersion": "eks.amazonaws.com/v1", "kind": "TargetGroupBinding",
            "metadata": {"namespace": "default", "name": "mine"},
            "spec": {"targetGroupName": group, "targetType": "ip", "serviceRef": {"name": "web", "port": 80}}}),
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"namespace": "default", "name": "web-0", "labels": {"app": "web"}},
            "spec": {"readinessGates": [{"conditionType": gate}], "automountServiceAccountToken": false,
                "containers": [{"name": "web", "image": "localhost/web"}]}}),
    ]);
    let binding = wait::until("the binding to be observed", || {
        let binding = access.get(&["targetgroupbindings.eks.amazonaws.com", "mine"]);
        let observed = binding["status"]["observedGeneration"] == binding["metadata"]["generation"];
        observed.then_some(binding)
    });
    assert_eq!(
        binding["metadata"]["finalizers"],
        json!(["eks.amazonaws.com/resources"])
    );
    // The pod has no node, and gets its address here.
    access.ask(&[
        "patch",
        "pod",
        "web-0",
        "--subresource",
        "status",
        "--type",
        "merge",
        "--patch",
        r#"{"status": {"podIP": "10.0.0.9", "podIPs": [{"ip": "10.0.0.9"}]}}"#,
    ]);
    wait::until("the condition of the gate", || {
        let pod = access.get(&["pod", "web-0"]);
        let conditions = pod["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        conditions
            .iter()
            .any(|one| one["type"] == *gate && one["status"] == "False")
            .then_some(())
    });

    // Another class of the same cluster: the finalizer follows.
    access.apply(&[json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": "alb"},
        "spec": {"controller": "ingress.k8s.aws/alb"}})]);
    access.ask(&[
        "patch",
        "ingress",
        "alone",
        "--type",
        "merge",
        "--patch",
        r#"{"spec": {"ingressClassName": "alb"}}"#,
    ]);
    wait::until("the finalizer of the other controller", || {
        (finalizers(&access, "ingress", "alone") == json!(["ingress.k8s.aws/resources"]))
            .then_some(())
    });

    for (kind, name) in [
        ("ingress", "alone"),
        ("ingress", "grouped"),
        ("service", "web"),
        ("targetgroupbindings.eks.amazonaws.com", "mine"),
    ] {
        access.ask(&["delete", kind, name, "--timeout=30s"]);
    }
    assert!(elbow.terminate().success());
}

/// Without the personality, AWS serves these objects: elbow neither reads its kinds nor touches its finalizers.
#[test]
fn auto_mode_is_left_to_aws_without_the_personality() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    define(&access);
    let place = Place::new(access.kubeconfig());
    let mut all = objects();
    let service = all.iter_mut().find(|one| one["kind"] == "Service").unwrap();
    service["spec"]["loadBalancerClass"] = json!("eks.amazonaws.com/nlb");
    service["metadata"]["finalizers"] = json!(["service.eks.amazonaws.com/resources"]);
    access.apply(&all);
    let before = access.get(&["services,ingresses"]);
    let mut elbow = Elbow::control(&place, &[]);
    // What elbow serves is written after what it leaves.
    access.apply(&[json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": "z-own"},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "ports": [{"port": 80}]}})]);
    wait::until("the address of z-own", || {
        address(&access, "service", "z-own")
    });
    let mut after = access.get(&["services,ingresses"]);
    let items = after["items"].as_array_mut().unwrap();
    items.retain(|one| one["metadata"]["name"] != "z-own");
    assert_eq!(after["items"], before["items"]);
    assert!(elbow.terminate().success());
}
