//! QUIC server IDs of pods in a cluster: the webhook gives them to new pods, and the pods' targets have them.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;

use elbow_tests::address::network;
use elbow_tests::cluster::ControlPlane;
use elbow_tests::command::Running;
use elbow_tests::{address, elbow, tools, wait};
use serde_json::{Value, json};

const CONTAINERS: &str = "service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers";
const VARIABLE: &str = "QUIC_ID";

/// A pod with a server and a sidecar. Its annotation lists `containers`.
fn pod(name: &str, containers: &str, env: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shop", "name": name, "annotations": {CONTAINERS: containers}},
        "spec": {"nodeName": "n", "containers": [
            {"name": "log", "image": "log"},
            {"name": "web", "image": "web", "env": env, "ports": [{"containerPort": 4433, "protocol": "UDP"}]}]}})
}

/// A Service with a QUIC listener, whose endpoints are the pods `a` to `d`.
fn service() -> [Value; 2] {
    let prefix = "service.beta.kubernetes.io/aws-load-balancer";
    let endpoint = |(index, name): (usize, &str)| {
        json!({"addresses": [format!("10.1.1.{index}")],
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": name}})
    };
    let endpoints: Vec<Value> = ["a", "b", "c", "d"]
        .into_iter()
        .enumerate()
        .map(endpoint)
        .collect();
    [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web", "annotations": {
                format!("{prefix}-nlb-target-type"): "ip",
                format!("{prefix}-quic-enabled-ports"): "443",
                format!("{prefix}-disable-nlb-sg"): "true"}},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb",
                "ports": [{"port": 443, "targetPort": 4433, "protocol": "UDP"}]}}),
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"namespace": "shop", "name": "web", "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"port": 4433, "protocol": "UDP"}], "endpoints": endpoints}),
    ]
}

/// The value of the variable in each container, decoded and as elbow writes it.
fn ids(pod: &Value) -> Vec<Option<String>> {
    let containers = pod["spec"]["containers"].as_array().unwrap().iter();
    let id = |container: &Value| {
        let variables = container["env"].as_array()?;
        let variable = variables.iter().find(|one| one["name"] == VARIABLE)?;
        let octets = decoded(variable["value"].as_str().unwrap());
        assert_eq!(octets.len(), 8, "{variable}");
        let digits: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        Some(format!("0x{digits}"))
    };
    containers.map(id).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

#[test]
fn new_pods_get_server_ids_that_their_targets_have() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    let namespace = |name: &str, labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "default"}});
    access.apply(&[
        namespace("elbow-system", json!({})),
        namespace(
            "shop",
            json!({"elbv2.k8s.aws/quic-server-id-inject": "enabled"}),
        ),
    ]);
    access.apply(&[account]);
    let [hook, admin] = [9443, 9901].map(|port| SocketAddr::from((address(), port)));
    access.apply_webhooks(hook);
    let mut command = elbow::command(&["controller", "--leader-election-namespace", "default"]);
    command
        .args([
            "--webhook",
            &hook.to_string(),
            "--admin",
            &admin.to_string(),
        ])
        .args(["--quic-environment-variable-name", VARIABLE])
        .args(["--address-pool", &network()])
        .arg("--kubeconfig")
        .arg(access.kubeconfig());
    let controller = Running::start_with(&mut command, Stdio::null());
    wait::until("API servers to know the certificate", || {
        let known = access.get(&["mutatingwebhookconfiguration", "elbow-webhook"]);
        let webhooks = known["webhooks"].as_array()?;
        let mut bundles = webhooks.iter().map(|one| &one["clientConfig"]["caBundle"]);
        bundles.all(Value::is_string).then_some(())
    });

    let written = json!([{"name": VARIABLE, "value": "AAAAAAAAAKE="}]);
    let none = json!([]);
    access.apply(&[
        pod("a", "web", &none),
        pod("b", "log,web", &json!([{"name": "A", "value": "b"}])),
        pod("c", "web", &written),
        pod("d", "other", &none),
    ]);
    let [a, b, c, d] =
        ["a", "b", "c", "d"].map(|name| ids(&access.get(&["-n", "shop", "pod", name])));
    assert!(a[0].is_none() && a[1].is_some(), "{a:?}");
    assert!(b.iter().all(Option::is_some), "{b:?}");
    assert_eq!(c, [None, Some("0x00000000000000a1".to_owned())]);
    assert_eq!(d, [None, None]);
    let all: BTreeSet<&String> = [&a, &b, &c].into_iter().flatten().flatten().collect();
    assert_eq!(all.len(), 4, "each container has an ID of its own");

    access.apply(&service());
    let of_targets = wait::until("the targets", || {
        let config: Value =
            serde_json::from_str(&elbow::admin_get(admin, "/config")?.text()).ok()?;
        let targets = config["targetGroups"][0]["targets"].as_array()?;
        let id = |target: &Value| target["quicServerId"].as_str().map(str::to_owned);
        (targets.len() == 3).then(|| targets.iter().map(id).collect::<Vec<_>>())
    });
    // That of the container with the port.
    assert_eq!(of_targets, [a[1].clone(), b[1].clone(), c[1].clone()]);
    controller.stderr_with(&["Pod shop/d has no QUIC server ID: it is not registered"]);
}
