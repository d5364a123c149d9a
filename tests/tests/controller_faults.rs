//! `elbow controller` with something missing or wrong: it reports it, and serves the rest.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use elbow_tests::address::network;
use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::command::{Running, output, stdout, texts};
use elbow_tests::elbow::{admin_get, command};
use elbow_tests::{Client, Target, TempDir, address, client, config, tools, wait};
use serde_json::{Value, json};

/// `elbow controller` for the cluster of `kubeconfig`.
fn controller(kubeconfig: &Path, args: &[&str]) -> Command {
    let mut command = command(&["controller"]);
    command.args(args).arg("--kubeconfig").arg(kubeconfig);
    command
}

/// A kubeconfig for a server without TLS.
fn kubeconfig(dir: &TempDir, server: SocketAddr) -> std::path::PathBuf {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{server}")}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
    });
    dir.write("kubeconfig", config.to_string())
}

/// Runs a command that must fail; returns its exit code and stderr.
fn refused(mut command: Command) -> (i32, String) {
    let done = output(&mut command);
    (done.status.code().unwrap(), texts(&done).1)
}

#[test]
fn unusable_kubeconfig_is_named() {
    let dir = TempDir::new();
    let file = dir.write("broken", "clusters: [");
    for args in [&[][..], &["check"]] {
        let (code, stderr) = refused(controller(&file, args));
        assert_eq!(code, 1, "{stderr}");
        assert!(stderr.contains(file.to_str().unwrap()), "{stderr}");
        assert!(stderr.contains("hint: "), "{stderr}");
    }
    let file = kubeconfig(&dir, SocketAddr::from((address(), 1)));
    let (code, stderr) = refused(controller(&file, &["--context", "prod"]));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("context \"prod\" not found\n  hint: choose one with --context: c"),
        "{stderr}"
    );
}

#[test]
fn too_old_api_server_is_an_error() {
    let version = r#"{"major":"1","minor":"20+","gitVersion":"v1.20.15-eks","gitCommit":"","gitTreeState":"","buildDate":"",
        "goVersion":"","compiler":"","platform":""}"#;
    let server = Target::http(move |_| elbow_tests::target::ok(version));
    let dir = TempDir::new();
    let admin = SocketAddr::from((address(), 9901)).to_string();
    let file = kubeconfig(&dir, server.addr());
    for args in [&["--admin", &*admin][..], &["check"]] {
        let (code, stderr) = refused(controller(&file, args));
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains("v1.20.15-eks"), "{stderr}");
        assert!(
            stderr.contains("upgrade the cluster to Kubernetes 1.21"),
            "{stderr}"
        );
    }
}

/// The native file serves before the cluster is reachable, and without it.
#[test]
fn native_file_serves_while_the_api_server_is_away() {
    let dir = TempDir::new();
    let away = kubeconfig(&dir, SocketAddr::from((address(), 1)));
    let listener = SocketAddr::from((address(), 8080));
    let file = dir.write("elbow.yaml", native(listener, "one"));
    let admin = SocketAddr::from((address(), 9901));
    let args = [
        "--admin",
        &admin.to_string(),
        "--config",
        file.to_str().unwrap(),
    ];
    let mut elbow = Running::start(&mut controller(&away, &args));
    let answers = |elbow: &mut Running, text: &str| {
        wait::until(&format!("{text} to answer"), || {
            elbow.assert_running();
            let mut client = Client::try_plain(listener).ok()?;
            client.try_send(client::get("a.example", "/")).ok()?;
            let answer = client.try_response("GET").ok()?;
            (answer.text() == text).then_some(())
        });
    };
    answers(&mut elbow, "one");
    assert_eq!(admin_get(admin, "/health").unwrap().status, 200);
    assert_eq!(admin_get(admin, "/ready").unwrap().status, 503);
    let metrics = admin_get(admin, "/metrics").unwrap().text();
    assert!(metrics.contains("\nelbow_kube_synced 0\n"), "{metrics}");
    let next = dir.write("next.yaml", native(listener, "two"));
    fs::rename(next, file).unwrap();
    answers(&mut elbow, "two");
    elbow.stderr_with(&["retrying"]);
}

/// A native file with an ALB and a fixed response.
fn native(at: SocketAddr, text: &str) -> String {
    let listener = config::listener(at.port(), "HTTP", &config::fixed(200, text));
    config::file(&[config::alb("beside", at.ip(), &[listener])], &[]).to_string()
}

/// One control plane for all checks that need a real one, because it is slow to start.
#[test]
fn cluster_is_checked_and_served_from_outside() {
    let cluster = match ControlPlane::start() {
        Ok(cluster) => cluster,
        Err(needs) => return tools::skipped(&needs),
    };
    administrator_lacks_nothing(&cluster);
    other_controller_is_reported(&cluster);
    missing_permissions_are_named(&cluster);
    ingress_is_served(&cluster);
}

fn administrator_lacks_nothing(cluster: &Access) {
    let out = stdout(&mut controller(&cluster.kubeconfig(), &["check"]));
    assert!(out.starts_with("API server https://127.0.0.1:"), "{out}");
    assert_eq!(out.lines().count(), 1, "{out}");
}

/// control-plane.md 0.4: both would write the same status.
fn other_controller_is_reported(cluster: &Access) {
    let now = stdout(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.000000Z"]));
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "aws-load-balancer-controller-leader", "namespace": "kube-system"},
        "spec": {"holderIdentity": "aws-load-balancer-controller-0", "renewTime": now.trim()}});
    cluster.apply(std::slice::from_ref(&lease));
    let out = stdout(&mut controller(&cluster.kubeconfig(), &["check"]));
    assert!(out.contains("warning[another-controller]"), "{out}");
    assert!(
        out.contains("aws-load-balancer-controller-0 holds the Lease"),
        "{out}"
    );
    cluster.delete(&[lease]);
}

/// With an account that may read everything except Secrets, and may write nothing.
fn missing_permissions_are_named(cluster: &Access) {
    let rule = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"},
    "rules": [
        rule("", &["services", "nodes", "namespaces", "pods"]),
        rule("networking.k8s.io", &["ingresses", "ingressclasses"]),
        rule("discovery.k8s.io", &["endpointslices"]),
    ]});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "reader", "namespace": "default"}});
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": "default"}]});
    cluster.apply(&[role, account, binding]);
    let token = cluster.ask(&["create", "token", "reader"]);
    let dir = TempDir::new();
    let reader = dir.join("reader");
    fs::copy(cluster.kubeconfig(), &reader).unwrap();
    let user = [
        "config",
        "set-credentials",
        "admin",
        "--token",
        token.trim(),
        "--kubeconfig",
    ];
    stdout(cluster.kubectl().args(user).arg(&reader));

    let done = output(&mut controller(&reader, &["check"]));
    let (found, stderr) = texts(&done);
    assert_eq!(done.status.code(), Some(3), "{found}{stderr}");
    for line in [
        "error[no-permission]: no permission to list secrets in all namespaces: self-signed certificates stand in for those of Secrets",
        "hint: add to the ClusterRole: {apiGroups: [\"\"], resources: [secrets], verbs: [list]}",
        "error[no-permission]: no permission to patch ingresses/status (networking.k8s.io) in all namespaces: Ingresses show no address",
        "error[no-permission]: no permission to create leases (coordination.k8s.io) in namespace default",
    ] {
        assert!(found.contains(line), "{line} in\n{found}");
    }
    assert!(!found.contains("permission to list services"), "{found}");

    // Readable kinds are served.
    let admin = SocketAddr::from((address(), 9901));
    let mut elbow = serving(&reader, admin);
    wait_until_ready(&mut elbow, admin);
    elbow.stderr_with(&[
        "no permission to watch secrets",
        "resources: [secrets], verbs: [list, watch]}",
    ]);
}

/// Ingresses of elbow's class are served; others are left alone.
fn ingress_is_served(cluster: &Access) {
    let admin = SocketAddr::from((address(), 9901));
    let mut elbow = serving(&cluster.kubeconfig(), admin);
    wait_until_ready(&mut elbow, admin);
    cluster.apply(&objects());
    let bound = wait::until("the load balancer to serve", || {
        elbow.assert_running();
        let status = admin_get(admin, "/status")?.text();
        let status: Value = serde_json::from_str(&status).ok()?;
        status["loadBalancers"][0]["listeners"][0]["bound"]
            .as_str()?
            .parse::<SocketAddr>()
            .ok()
    });
    wait::until("it to answer", || {
        let mut client = Client::try_plain(bound).ok()?;
        client.try_send(client::get("a.example", "/")).ok()?;
        let answer = client.try_response("GET").ok()?;
        (answer.text() == "from the cluster").then_some(())
    });
    let host = wait::until("the status", || {
        let ingress = cluster.get(&["ingress", "ours"]);
        let host = &ingress["status"]["loadBalancer"]["ingress"][0]["hostname"];
        host.as_str().map(str::to_owned)
    });
    assert!(host.contains("k8s-default-ours-"), "{host}");
    let theirs = cluster.get(&["ingress", "theirs"]);
    assert_eq!(theirs["metadata"]["finalizers"], Value::Null);
    assert_eq!(theirs["status"]["loadBalancer"], json!({}));
    elbow.signal(rustix::process::Signal::TERM);
    assert!(elbow.wait().success());
    elbow.stderr_with(&["served key=\"default/ours (Ingress)\""]);
    // Another replica may serve it, so the status keeps its address.
    let ours = cluster.get(&["ingress", "ours"]);
    assert_eq!(
        ours["status"]["loadBalancer"]["ingress"][0]["hostname"],
        *host
    );
}

fn serving(kubeconfig: &Path, admin: SocketAddr) -> Running {
    let (admin, pool) = (admin.to_string(), network());
    Running::start(&mut controller(
        kubeconfig,
        &["--admin", &admin, "--address-pool", &pool],
    ))
}

fn wait_until_ready(elbow: &mut Running, admin: SocketAddr) {
    wait::until("elbow to be ready", || {
        elbow.assert_running();
        admin_get(admin, "/ready").filter(|page| page.status == 200)
    });
}

/// Two Ingresses with fixed responses: an API server accepts no endpoints on loopback addresses.
fn objects() -> Vec<Value> {
    let answer = json!({"type": "fixed-response",
        "fixedResponseConfig": {"contentType": "text/plain", "statusCode": "200", "messageBody": "from the cluster"}});
    let ingress = |name: &str, class: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": name, "namespace": "default",
                "annotations": {"alb.ingress.kubernetes.io/actions.hello": answer.to_string()}},
            "spec": {"ingressClassName": class, "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "hello", "port": {"name": "use-annotation"}}}}]}}]}})
    };
    let class = |name: &str, controller: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": {"name": name},
            "spec": {"controller": controller}})
    };
    vec![
        class("alb", "ingress.k8s.aws/alb"),
        class("nginx", "k8s.io/ingress-nginx"),
        ingress("ours", "alb"),
        ingress("theirs", "nginx"),
    ]
}
