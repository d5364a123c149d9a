//! The steps of docs/kind.md on a real one-node cluster.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;

use elbow_tests::address::network;
use elbow_tests::cluster::{Cluster, MINIO_IMAGE, NODE};
use elbow_tests::command::{Running, output, stdout, texts};
use elbow_tests::docker::{Builder, Engine};
use elbow_tests::s3::Endpoint;
use elbow_tests::{Client, Elbow, TempDir, address, client, elbow, need, need_python, tools, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// The line of docs/kind.md that starts with `start`.
fn documented(start: &str) -> String {
    let text = fs::read_to_string(tools::repository().join("docs/kind.md")).unwrap();
    let line = text.lines().find(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("docs/kind.md has no line that starts with {start}"))
        .to_owned()
}

#[test]
fn documented_steps_lead_to_s3() {
    let (minio, python) = (need!("minio"), need_python!());
    let cluster = match Cluster::start(&minio) {
        Ok(cluster) => cluster,
        Err(needs) => return tools::skipped(&needs),
    };
    // kubeadm labels a control plane so; kind itself needs a registry.
    cluster.ask(&["label", "node", "node1", &format!("{EXCLUDE}=")]);
    let mut objects = cluster.read(&tools::repository().join("config/kind/minio.yaml"));
    for object in objects.iter_mut().filter(|o| o["kind"] == "Deployment") {
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(MINIO_IMAGE);
    }
    cluster.apply(&objects);
    cluster.wait_for_pods("minio");
    let dump = documented("kubectl get -A $kinds -o yaml | elbow").replace("elbow run -f -", "cat");
    let dump = format!("{}\n{dump}", documented("kinds="));

    let check = TempDir::new();
    let file = check.write("cluster.yaml", stdout(&mut cluster.shell(&dump)));
    let checked = output(elbow::command(&["check", "-f"]).arg(file));
    let stderr = texts(&checked).1;
    assert!(stderr.contains("warning[excluded-nodes]"), "{stderr}");

    let label = documented("kubectl label node").replace("elbow-control-plane", "node1");
    stdout(&mut cluster.shell(&label));
    let dir = TempDir::new();
    let manifests = dir.write("cluster.yaml", stdout(&mut cluster.shell(&dump)));
    let elbow = Elbow::run_manifests(dir, &[]);
    wait_until_healthy(elbow.admin());
    for (balancer, port, host) in [
        ("minio-nodes", 9000, "minio-nodes"),
        ("minio-pods", 9000, "minio-pods"),
        ("minio-alb", 8080, "minio.example.localhost"),
    ] {
        let bound = elbow.bound(balancer, port).unwrap();
        let answer = Client::plain(bound).ask(client::get(host, "/"));
        assert_eq!(answer.status, 403, "{balancer}: {}", answer.head);
        let url = format!("http://{host}:{port}");
        let settings = json!({"endpoint": url, "verify": false, "resolve": {host: bound.ip()}});
        let s3 = Endpoint::new(settings, true).with_keys("elbow-demo", "elbow-demo-secret");
        assert_eq!(
            stdout(&mut s3.scenario(&python, "round-trip", &[])),
            "good\n",
            "{balancer}"
        );
    }
    match Engine::start() {
        Ok(engine) => in_a_container(&engine, &manifests),
        Err(needs) => tools::skipped(needs),
    }
    let routes = documented("kubectl get nodes -o jsonpath=");
    let routes = stdout(&mut cluster.shell(routes.trim_end_matches(" |")));
    assert_eq!(routes, format!("10.244.0.0/24 via {NODE}\n"));
}

/// The documented `docker run`, until S3 answers.
fn in_a_container(engine: &Engine, manifests: &Path) {
    engine.make_base();
    engine.make_elbow("elbow:local", Builder::Legacy);
    let line = documented("kubectl get -A $kinds -o yaml | docker");
    let (_, arguments) = line.split_once("| docker ").unwrap();
    let admin = SocketAddr::from((address(), 9901));
    let mut command = engine.docker();
    command.args(arguments.split_whitespace()).args([
        "--admin",
        &admin.to_string(),
        "--address-pool",
        &network(),
    ]);
    let mut elbow = Running::start_with(&mut command, File::open(manifests).unwrap().into());
    let status = wait::until("elbow to serve in a container", || {
        elbow.assert_running();
        elbow::admin_get(admin, "/health").filter(|page| page.status == 200)?;
        elbow::admin_get(admin, "/status")
    });
    wait_until_healthy(admin);
    let status: Value = serde_json::from_slice(&status.body).unwrap();
    for balancer in status["loadBalancers"].as_array().unwrap() {
        let bound = balancer["listeners"][0]["bound"].as_str().unwrap();
        let bound: SocketAddr = bound.parse().unwrap();
        let answer = Client::plain(bound).ask(client::get("minio.example.localhost", "/"));
        assert_eq!(answer.status, 403, "{balancer}: {}", answer.head);
    }
    // The docker client forwards the signal to the container.
    elbow.end(Signal::INT);
}

/// Waits until all targets are healthy; kube-proxy's rules follow the pods with a delay.
fn wait_until_healthy(admin: SocketAddr) {
    wait::until("all targets to be healthy", || {
        let page = elbow::admin_get(admin, "/targets")?;
        let rows = elbow::rows(&serde_json::from_slice(&page.body).ok()?);
        rows.iter()
            .all(|row| row["state"] == "healthy")
            .then_some(())
    });
}
