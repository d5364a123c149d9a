//! Commands that read a cluster, with a real API server.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::process::Command;

use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::command::{output, stdout, texts};
use elbow_tests::{TempDir, elbow, tools};
use serde_json::{Value, json};

/// elbow with these arguments, for this cluster.
fn elbow(access: &Access, words: &[&str]) -> Command {
    let mut command = elbow::command(words);
    command.env("KUBECONFIG", access.kubeconfig());
    command
}

fn node(name: &str, address: &str, networks: &[&str]) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "spec": {"podCIDR": networks[0], "podCIDRs": networks},
        "status": {"addresses": [{"type": "InternalIP", "address": address}],
            "conditions": [{"type": "Ready", "status": "True"}]}})
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": "web", "annotations": {
            "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip"}},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "selector": {"app": "web"},
            "ports": [{"port": 80}]}})
}

#[test]
fn plan_and_routes_read_the_cluster() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    access.apply(&[
        node("far", "192.0.2.7", &["10.244.1.0/24", "fd00:10:244:1::/64"]),
        node("here", "127.0.0.1", &["10.244.2.0/24"]),
        service(),
    ]);
    let nodes = access.get(&["nodes"]);
    for node in nodes["items"].as_array().unwrap() {
        let name = node["metadata"]["name"].as_str().unwrap();
        let address = if name == "far" {
            "192.0.2.7"
        } else {
            "127.0.0.1"
        };
        let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": address}]}});
        let patch = [
            "patch",
            "node",
            name,
            "--subresource=status",
            "--type=merge",
            "-p",
        ];
        stdout(access.kubectl().args(patch).arg(status.to_string()));
    }

    let routes = output(&mut elbow(&access, &["controller", "routes"]));
    let (lines, stderr) = texts(&routes);
    assert_eq!(
        lines, "ip route add 10.244.1.0/24 via 192.0.2.7\n",
        "{stderr}"
    );
    assert!(
        stderr.contains("here: this machine; 10.244.2.0/24 needs no route"),
        "{stderr}"
    );

    let plan = stdout(&mut elbow(
        &access,
        &["plan", "--cluster", "--admin=off", "-o", "stack"],
    ));
    let plan: Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan[0]["id"], "default/web");
    let balancers = &plan[0]["resources"]["AWS::ElasticLoadBalancingV2::LoadBalancer"];
    let name = balancers["LoadBalancer"]["spec"]["name"].as_str().unwrap();
    assert!(name.starts_with("k8s-default-web-"), "{name}");

    // As a plugin, elbow uses the cluster.
    let bin = TempDir::new();
    std::os::unix::fs::symlink(elbow::binary(), bin.join("kubectl-elbow")).unwrap();
    let path = format!(
        "{}:{}",
        bin.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut kubectl = access.kubectl();
    kubectl
        .env("PATH", &path)
        .args(["elbow", "plan", "--admin=off", "-o", "stack"]);
    assert_eq!(
        serde_json::from_str::<Value>(&stdout(&mut kubectl)).unwrap(),
        plan
    );
    let mut get = access.kubectl();
    let refused = output(get.env("PATH", path).args(["elbow", "get", "targets"]));
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        texts(&refused)
            .1
            .contains("no pod of elbow is ready in the cluster")
    );
}

#[test]
fn crds_are_printed_without_a_cluster() {
    let mut command = elbow::command(&["controller", "crds"]);
    command.env_remove("KUBECONFIG");
    let file = tools::repository().join("config/kube/crds.yaml");
    assert_eq!(stdout(&mut command), fs::read_to_string(file).unwrap());
}

#[test]
fn kubectl_plugin_uses_its_name_in_help() {
    let bin = TempDir::new();
    let link = bin.join("kubectl-elbow");
    std::os::unix::fs::symlink(elbow::binary(), &link).unwrap();
    let usage = |words: &[&str]| texts(&output(Command::new(&link).args(words)));
    let (help, _) = usage(&["plan", "--help"]);
    assert!(
        help.contains("Usage: kubectl elbow plan [OPTIONS]"),
        "{help}"
    );
    let (_, wrong) = usage(&["plann"]);
    assert!(wrong.contains("kubectl elbow"), "{wrong}");
    let (help, _) = texts_of(&["plan", "--help"]);
    assert!(help.contains("Usage: elbow plan"), "{help}");
    let (_, missing) = texts_of(&["plan"]);
    assert!(
        missing.contains("--filename <PATH>...|--helm <CHART>|--cluster"),
        "{missing}"
    );
}

fn texts_of(words: &[&str]) -> (String, String) {
    texts(&output(&mut elbow::command(words)))
}
