//! Readiness gates of pods, and TargetGroupBindings.

use elbow_kube::write::WriterOptions;
use serde_json::{Value, json};

use super::bench::{Bench, service, turn};
use super::{DONE, event, need_turn};
use elbow_tests::tools;

const GATE: &str = "target-health.elbv2.k8s.aws/";

fn pod(namespace: &str, name: &str, gate: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "nowhere", "containers": [{"name": "c", "image": "i"}],
            "readinessGates": [{"conditionType": format!("{GATE}{gate}")}]},
    })
}

/// Plays the kubelet: the pod runs.
fn run(bench: &Bench, name: &str, ip: &str) {
    let status = json!({"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
        "conditions": [{"type": "ContainersReady", "status": "True"}]}});
    bench.kubectl(&[
        "patch",
        "pod",
        name,
        "--subresource=status",
        "-p",
        &status.to_string(),
    ]);
}

fn endpoints(namespace: &str, ips: &[&str]) -> Value {
    let endpoints: Vec<Value> = ips
        .iter()
        .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": namespace, "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
    })
}

fn web(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": "web"},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb",
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    })
}

/// Status, reason and message of a gate.
fn gate(bench: &Bench, pod: &str, gate: &str) -> Option<(String, String, String)> {
    let pod = bench.get("pod", pod);
    let kind = format!("{GATE}{gate}");
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    let found = conditions.find(|one| one["type"] == kind.as_str())?;
    let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

fn until(bench: &mut Bench, pod: &str, group: &str, expected: (&str, &str, &str)) {
    let (status, reason, message) = expected;
    let expected = Some((status.to_owned(), reason.to_owned(), message.to_owned()));
    bench.until(&format!("{expected:?} of {pod}"), |bench| {
        (gate(bench, pod, group) == expected).then_some(())
    });
}

/// control-plane.md 3.8: the condition follows the health of the target; a deleted group holds no pod back.
#[test]
fn gate_follows_target_health() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "gates", WriterOptions::default());
    let mut svc = web("gates");
    svc["metadata"]["annotations"] =
        json!({"service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"});
    bench.apply(&[svc, endpoints("gates", &["10.1.0.1"])]);
    bench.until("an address", |bench| {
        bench.addresses("service", "web").as_array().map(drop)
    });
    let group = bench.group_of("gates/web:80");
    bench.apply(&[
        pod("gates", "a", &group),
        pod("gates", "b", "k8s-nobody-knows-0"),
    ]);
    run(&bench, "a", "10.1.0.1");
    run(&bench, "b", "10.1.0.2");
    let registering = (
        "False",
        "Elb.RegistrationInProgress",
        "Target registration is in progress",
    );
    until(&mut bench, "a", &group, registering);
    bench.balancers.set(
        "10.1.0.1:8080",
        "initial",
        Some("Elb.InitialHealthChecking"),
    );
    let initial = (
        "False",
        "Elb.InitialHealthChecking",
        "description of Elb.InitialHealthChecking",
    );
    until(&mut bench, "a", &group, initial);
    bench.balancers.set("10.1.0.1:8080", "healthy", None);
    until(&mut bench, "a", &group, ("True", "", ""));
    bench
        .balancers
        .set("10.1.0.1:8080", "unhealthy", Some("Target.Timeout"));
    until(
        &mut bench,
        "a",
        &group,
        ("False", "Target.Timeout", "description of Target.Timeout"),
    );
    // The kubelet's condition is kept.
    let conditions = bench.get("pod", "a")["status"]["conditions"].clone();
    assert!(
        conditions
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["type"] == "ContainersReady")
    );
    assert_eq!(gate(&bench, "b", "k8s-nobody-knows-0"), None);
    assert_eq!(bench.settle(), Default::default());

    bench.kubectl(&["delete", "service", "web", "--wait=false"]);
    until(
        &mut bench,
        "a",
        &group,
        ("True", "", "Target Group Binding is deleted"),
    );
}

/// Deletes the TargetGroupBinding `web`, and waits until it is gone.
fn delete_binding(bench: &mut Bench) {
    bench.kubectl(&["delete", "targetgroupbinding", "web", "--wait=false"]);
    bench.until("the deletion", |bench| {
        bench
            .find("targetgroupbinding", "web")
            .is_none()
            .then_some(())
    });
}

/// control-plane.md 3.7, for a binding that a user wrote.
#[test]
fn binding_reports_whether_its_backend_exists() {
    let turn = need_turn!();
    let mut bench = Bench::start(turn, "bound", WriterOptions::default());
    let binding = json!({
        "apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding",
        "metadata": {"namespace": "bound", "name": "web"},
        "spec": {"targetGroupName": "of-a-file", "targetType": "ip", "serviceRef": {"name": "web", "port": 80}},
    });
    let mut known = binding.clone();
    bench.apply(&[service("bound", "svc"), binding]);
    bench.until("a refusal", |bench| {
        (bench.reasons("web") == ["FailedReconcile"]).then_some(())
    });
    assert_eq!(
        bench.finalizers("targetgroupbinding", "web"),
        ["elbv2.k8s.aws/resources"]
    );
    assert!(bench.get("targetgroupbinding", "web")["status"].is_null());
    delete_binding(&mut bench);
    bench.kubectl(&["delete", "events", "--all"]);

    known["spec"]["targetGroupName"] = bench.group_of("bound/svc:80").into();
    known["spec"]["targetType"] = "instance".into();
    bench.apply(&[known]);
    bench.until("both events", |bench| {
        (bench.events("web").len() == 2).then_some(())
    });
    let missing = "backend not found: TargetGroupBinding bound/web: spec.serviceRef.name: there is no Service bound/web; \
                   Add the Service, or correct its name.";
    let done = event("Normal", "SuccessfullyReconciled", DONE, 1);
    assert_eq!(
        bench.events("web"),
        [done, event("Warning", "BackendNotFound", missing, 1)]
    );
    let found = bench.get("targetgroupbinding", "web");
    assert_eq!(
        found["metadata"]["finalizers"],
        json!(["elbv2.k8s.aws/resources"])
    );
    assert_eq!(
        found["status"]["observedGeneration"],
        found["metadata"]["generation"]
    );
    assert_eq!(bench.settle(), Default::default());
    delete_binding(&mut bench);
}
