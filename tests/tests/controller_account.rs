//! elbow with only the permissions of config/kube, on a real API server: they suffice to serve, to write results,
//! and to give new pods their readiness gates.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::SocketAddr;

use elbow_tests::address::network;
use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::command::{Running, stdout};
use elbow_tests::{TempDir, address, elbow, tools, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

const NAMESPACE: &str = "elbow-system";

fn config(file: &str) -> String {
    tools::repository()
        .join("config")
        .join(file)
        .display()
        .to_string()
}

/// The kubeconfig of the service account.
fn service_account(access: &Access, dir: &TempDir) -> String {
    let admin = fs::read_to_string(access.kubeconfig()).unwrap();
    let token = access.ask(&["create", "token", "elbow", "-n", NAMESPACE]);
    let user = admin
        .lines()
        .find(|line| line.starts_with("users:"))
        .unwrap();
    let own = format!(
        "users: [{{name: admin, user: {{token: \"{}\"}}}}]",
        token.trim()
    );
    let of_namespace = "context: {namespace: elbow-system, ";
    let text = admin
        .replace(user, &own)
        .replace("context: {", of_namespace);
    dir.write("kubeconfig", text).display().to_string()
}

fn objects() -> [Value; 4] {
    let ports = json!([{"port": 80}]);
    let nlb = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let rules =
        json!([{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]);
    [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop",
            "labels": {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web", "annotations": {nlb: "ip"}},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "selector": {"app": "web"}, "ports": ports}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"namespace": "shop", "name": "web",
                "annotations": {"alb.ingress.kubernetes.io/target-type": "ip"}},
            "spec": {"ingressClassName": "alb", "rules": rules}}),
        json!({"apiVersion": "elbv2.k8s.aws/v1beta1", "kind": "TargetGroupBinding", "metadata": {"namespace": "shop", "name": "mine"},
            "spec": {"targetGroupName": "a", "targetType": "ip", "serviceRef": {"name": "gone", "port": 80}}}),
    ]
}

// control-plane.md 0.4, 3.8.
#[test]
fn permissions_of_the_installation_are_sufficient() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    for file in ["kube/namespace.yaml", "kube/access.yaml", "kube/class.yaml"] {
        access.ask(&["apply", "-f", &config(file)]);
    }
    let [hook, admin, probes] = [9443, 9901, 9902].map(|port| SocketAddr::from((address(), port)));
    access.apply_webhooks(hook);
    let dir = TempDir::new();
    let kubeconfig = service_account(&access, &dir);
    let (at, pages, pool) = (hook.to_string(), admin.to_string(), network());
    let for_probes = probes.to_string();
    let words = [
        "controller",
        "--kubeconfig",
        &kubeconfig,
        "--admin",
        &pages,
        "--probes",
        &for_probes,
        "--admin-token-secret",
        "elbow-admin",
        "--webhook",
        &at,
        "--address-pool",
        &pool,
    ];
    let mut controller = Running::start(&mut elbow::command(&words));
    wait::until("API servers to know the certificate", || {
        let path = "jsonpath={.webhooks[0].clientConfig.caBundle}";
        let known = access.ask(&[
            "get",
            "mutatingwebhookconfiguration",
            "elbow-webhook",
            "-o",
            path,
        ]);
        (!known.is_empty()).then_some(())
    });

    access.apply(&objects());
    wait::until("the status of both", || {
        let list = access.get(&["-n", "shop", "services,ingresses"]);
        let items = list["items"].as_array().unwrap().iter();
        let mut names = items.map(|one| &one["status"]["loadBalancer"]["ingress"][0]["hostname"]);
        names.all(Value::is_string).then_some(())
    });
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": "shop", "name": "default"}});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "p", "labels": {"app": "web"}},
        "spec": {"nodeName": "n", "containers": [{"name": "c", "image": "c"}]}});
    access.apply(&[account, pod]);
    let address = r#"{"status": {"podIP": "10.1.1.1", "podIPs": [{"ip": "10.1.1.1"}]}}"#;
    let patch = [
        "patch",
        "pod",
        "p",
        "-n",
        "shop",
        "--subresource=status",
        "--type=merge",
        "-p",
        address,
    ];
    stdout(access.kubectl().args(patch));
    wait::until("the conditions of both gates", || {
        let pod = access.get(&["-n", "shop", "pod", "p"]);
        assert_eq!(
            pod["spec"]["readinessGates"].as_array().map(Vec::len),
            Some(2)
        );
        let conditions = pod["status"]["conditions"].as_array()?.iter();
        let gates = conditions.filter(|one| one["reason"] == "Elb.RegistrationInProgress");
        (gates.count() == 2).then_some(())
    });
    // Without a token, the probe address refuses all pages but those for probes.
    wait::until("the probe address to require the token", || {
        let asked = elbow::admin_get(probes, "/config")?;
        (asked.status == 401).then_some(())
    });
    let kept = access.get(&["-n", NAMESPACE, "secret", "elbow-admin"]);
    assert!(kept["data"]["token"].is_string(), "{kept}");
    // elbow removes their finalizers.
    access.ask(&[
        "delete",
        "-n",
        "shop",
        "services,ingresses,targetgroupbindings",
        "--all",
        "--timeout=60s",
    ]);
    let metrics = elbow::admin_get(admin, "/metrics").unwrap().text();
    let counted = |word: &str| metrics.lines().any(|line| line.contains(word));
    assert!(
        counted(r#"code="200""#) && counted(r#"result="ok""#),
        "{metrics}"
    );
    assert!(
        !counted(r#"code="403""#) && !counted(r#"result="forbidden""#),
        "{metrics}"
    );
    controller.end(Signal::TERM);
    let log = controller.stderr();
    assert!(!log.contains("forbidden"), "{log}");
}

/// With `--watch-namespace`, elbow has a Role in that namespace and reads no other.
#[test]
fn permissions_in_one_namespace_are_sufficient_and_end_there() {
    let access = match ControlPlane::start() {
        Ok(access) => access,
        Err(needs) => return tools::skipped(&needs),
    };
    let [_, service, ingress, _] = objects();
    let shop = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    access.apply(&[shop]);
    let made = stdout(
        access
            .kubectl()
            .args(["kustomize", &config("kube-namespace")]),
    );
    let dir = TempDir::new();
    let made = dir.write("made.yaml", made);
    access.ask(&["apply", "--server-side", "-f", made.to_str().unwrap()]);
    let as_elbow = "--as=system:serviceaccount:elbow-system:elbow";
    for (namespace, allowed) in [("shop", "yes"), ("default", "no"), (NAMESPACE, "no")] {
        let ask = [
            "auth", "can-i", "list", "secrets", "-n", namespace, as_elbow,
        ];
        // `no` has its own exit code.
        let answer = elbow_tests::command::output(access.kubectl().args(ask));
        let (out, _) = elbow_tests::command::texts(&answer);
        assert_eq!(out.trim(), allowed, "{namespace}");
    }
    let kubeconfig = service_account(&access, &dir);
    let admin = SocketAddr::from((address(), 9901));
    let (pages, pool) = (admin.to_string(), network());
    let words = [
        "controller",
        "--kubeconfig",
        &kubeconfig,
        "--watch-namespace=shop",
        "--admin",
        &pages,
        "--address-pool",
        &pool,
    ];
    let mut controller = Running::start(&mut elbow::command(&words));
    access.apply(&[service, ingress]);
    wait::until("the status of both", || {
        let list = access.get(&["-n", "shop", "services,ingresses"]);
        let items = list["items"].as_array().unwrap().iter();
        let mut names = items.map(|one| &one["status"]["loadBalancer"]["ingress"][0]["hostname"]);
        names.all(Value::is_string).then_some(())
    });
    let metrics = elbow::admin_get(admin, "/metrics").unwrap().text();
    assert!(!metrics.contains(r#"code="403""#), "{metrics}");
    assert!(!metrics.contains(r#"result="forbidden""#), "{metrics}");
    controller.end(Signal::TERM);
    let log = controller.stderr();
    assert!(!log.contains("forbidden"), "{log}");
}
