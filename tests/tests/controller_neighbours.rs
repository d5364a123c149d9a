//! elbow beside AWS Load Balancer Controller: each serves its own objects.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::process::Command;

use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::command::{output, stdout};
use elbow_tests::elbow::{Place, command};
use elbow_tests::{Elbow, tools, wait};
use serde_json::{Value, json};

/// Finalizers of AWS Load Balancer Controller.
const THEIRS: [&str; 2] = ["ingress.k8s.aws/resources", "service.k8s.aws/resources"];

fn ingress(name: &str, class: &str) -> Value {
    let backend = json!({"service": {"name": "hello", "port": {"name": "use-annotation"}}});
    let hello = r#"{"type":"fixed-response","fixedResponseConfig":{"contentType":"text/plain","statusCode":"200"}}"#;
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "default", "name": name,
            "annotations": {"alb.ingress.kubernetes.io/actions.hello": hello}},
        "spec": {"ingressClassName": class, "rules": [
            {"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]}})
}

fn service(name: &str, class: Option<&str>) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "default", "name": name},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": class,
            "ports": [{"port": 80}]}})
}

fn class(name: &str, controller: &str) -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
        "spec": {"controller": controller}})
}

/// The Lease that a live AWS Load Balancer Controller holds.
fn lease() -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"namespace": "kube-system", "name": "aws-load-balancer-controller-leader"},
        "spec": {"holderIdentity": "lbc-0", "leaseDurationSeconds": 15, "renewTime": now()}})
}

fn now() -> String {
    let mut date = Command::new("date");
    let now = stdout(date.args(["-u", "+%Y-%m-%dT%H:%M:%S.000000Z"]));
    now.trim().to_owned()
}

fn finalizers(access: &Access, kind: &str, name: &str) -> Vec<String> {
    let object = access.get(&[kind, name]);
    let finalizers = object["metadata"]["finalizers"].as_array().cloned();
    let finalizers = finalizers.unwrap_or_default().into_iter();
    finalizers
        .map(|one| one.as_str().unwrap().to_owned())
        .collect()
}

fn address(access: &Access, kind: &str, name: &str) -> Option<Value> {
    let object = access.get(&[kind, name]);
    let address = object["status"]["loadBalancer"]["ingress"].clone();
    (!address.is_null()).then_some(address)
}

#[test]
fn objects_of_aws_load_balancer_controller_are_left_to_it() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    let place = Place::new(access.kubeconfig());
    let (mut their_ingress, mut their_service) = (
        ingress("a-theirs", "alb"),
        service("a-theirs", Some("service.k8s.aws/nlb")),
    );
    their_ingress["metadata"]["finalizers"] = json!([THEIRS[0]]);
    their_service["metadata"]["finalizers"] = json!([THEIRS[1]]);
    let binding = json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {"namespace": "default", "name": "a-theirs"},
        "spec": {"targetGroupName": "a", "targetType": "ip", "serviceRef": {"name": "gone", "port": 80}}});
    access.apply(&[
        class("alb", "ingress.k8s.aws/alb"),
        class("elbow", "elbow/alb"),
        lease(),
        their_ingress,
        their_service,
        binding,
        service("a-unclassed", None),
        ingress("ours", "elbow"),
        service("ours", Some("elbow/nlb")),
    ]);

    let mut check = command(&["controller", "check", "--kubeconfig"]);
    let checked = output(check.arg(access.kubeconfig()));
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(
        text.contains("lbc-0 holds the Lease kube-system/aws-load-balancer-controller-leader"),
        "{text}"
    );

    let mut elbow = Elbow::control(&place, &[]);
    for kind in ["ingress", "service"] {
        wait::until("the status", || address(&access, kind, "ours"));
        assert_eq!(finalizers(&access, kind, "ours"), ["elbow/resources"]);
    }
    let label = r#"controller="aws-load-balancer-controller""#;
    elbow.wait_for_metric("elbow_kube_other_controller", &[label], 1.0);
    // They were queued before the others.
    assert_eq!(address(&access, "ingress", "a-theirs"), None);
    assert_eq!(address(&access, "service", "a-theirs"), None);
    assert_eq!(address(&access, "service", "a-unclassed"), None);
    assert_eq!(finalizers(&access, "ingress", "a-theirs"), [THEIRS[0]]);
    assert_eq!(finalizers(&access, "service", "a-theirs"), [THEIRS[1]]);
    let bound = finalizers(&access, "targetgroupbinding", "a-theirs");
    assert_eq!(bound, [""; 0]);

    // Only that controller releases its objects.
    access.ask(&["delete", "ingress,service", "a-theirs", "--wait=false"]);
    access.ask(&["delete", "ingress,service", "ours", "--timeout=60s"]);
    assert_eq!(finalizers(&access, "ingress", "a-theirs"), [THEIRS[0]]);
    assert_eq!(finalizers(&access, "service", "a-theirs"), [THEIRS[1]]);
    let events = access.get(&["events"]);
    let events = events["items"].as_array().unwrap().iter();
    let mut about: Vec<&str> = events
        .filter(|one| one["reportingComponent"] == "elbow")
        .filter_map(|one| one["involvedObject"]["name"].as_str())
        .collect();
    about.dedup();
    assert_eq!(about, ["ours"]);
    elbow.terminate();
}

/// A webhook is proof enough; CRDs and a Lease that nobody renews are none.
#[test]
fn shared_names_are_served_without_that_controller() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    let place = Place::new(access.kubeconfig());
    let mut stale = lease();
    stale["spec"]["renewTime"] = json!("2020-01-01T00:00:00.000000Z");
    access.apply(&[
        class("alb", "ingress.k8s.aws/alb"),
        class("elbow", "elbow/alb"),
        class("mine", "example.com/alb"),
        stale,
        ingress("shared", "alb"),
        ingress("own", "elbow"),
        ingress("named", "mine"),
    ]);
    let mut elbow = Elbow::control(&place, &[]);
    for name in ["shared", "own"] {
        wait::until("the status", || address(&access, "ingress", name));
        assert_eq!(finalizers(&access, "ingress", name), [THEIRS[0]]);
    }
    assert_eq!(address(&access, "ingress", "named"), None);
    elbow.terminate();

    access.apply(&[json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "aws-load-balancer-webhook"}, "webhooks": []})]);
    let mut elbow = Elbow::control(&place, &["--controller-name=example.com/alb"]);
    wait::until("the status", || address(&access, "ingress", "named"));
    assert_eq!(finalizers(&access, "ingress", "named"), ["elbow/resources"]);
    elbow.log_with(&["aws-load-balancer-webhook"]);
    elbow.terminate();
}
