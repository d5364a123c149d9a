//! An idle elbow uses almost no CPU.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use elbow_tests::command::Running;
use elbow_tests::config::{alb, file, fixed, forward, group, listener};
use elbow_tests::usage::Usage;
use elbow_tests::{Elbow, Target, TempDir, address, elbow, wait};
use serde_json::json;

/// How long usage is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// The limits within the window.
const CPU: Duration = Duration::from_millis(50);
const WAKEUPS: u64 = 20 * WINDOW.as_secs();

/// An Ingress with a fixed response.
const MANIFEST: &str = r#"apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/load-balancer-name: web
    alb.ingress.kubernetes.io/actions.answer: >
      {"type": "fixed-response", "fixedResponseConfig": {"statusCode": "200", "contentType": "text/plain"}}
spec:
  defaultBackend: {service: {name: answer, port: {name: use-annotation}}}
"#;

fn demo() -> Running {
    let demo = Running::start(&mut elbow::demo(&["--minio", "never", "-o", "json"]));
    // The line comes once all targets are healthy.
    demo.line_within(Duration::from_secs(90));
    demo
}

/// Serves a native file beside a cluster whose API server is away.
fn controller(dir: &TempDir) -> Running {
    let away = SocketAddr::from((address(), 1));
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{away}")}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
    });
    let kubeconfig = dir.write("kubeconfig", kubeconfig.to_string());
    let balancer = alb(
        "beside",
        address(),
        &[listener(8080, "HTTP", &fixed(200, "a"))],
    );
    let native = dir.write("elbow.yaml", file(&[balancer], &[]).to_string());
    let admin = SocketAddr::from((address(), 9901));
    let mut command = elbow::command(&["controller", "--admin", &admin.to_string()]);
    command.arg("--kubeconfig").arg(kubeconfig);
    command.arg("--config").arg(native);
    let mut controller = Running::start(&mut command);
    wait::until("the controller to serve the native file", || {
        controller.assert_running();
        elbow::admin_get(admin, "/health").filter(|r| r.status == 200)
    });
    controller
}

/// All run at once, since each should cost nothing.
#[test]
fn idle_elbow_uses_almost_no_cpu() {
    let target = Target::ok("a");
    let web = alb(
        "web",
        address(),
        &[listener(8080, "HTTP", &forward("pods"))],
    );
    let native = file(&[web], &[group("pods", "HTTP", &[target.addr()])]);
    let mut of_file = Elbow::run(&native);
    let dir = TempDir::new();
    dir.write("web.yaml", MANIFEST);
    // Another program's log in the folder of the manifests.
    let mut log = File::create(dir.join("other.log")).unwrap();
    let mut of_folder = Elbow::run_manifests(dir, &[]);
    let demo = demo();
    let dir = TempDir::new();
    let controller = controller(&dir);
    of_file.wait_for_state("pods", target.addr(), "healthy");

    let all = [
        ("run --config", of_file.process().id()),
        ("run -f", of_folder.process().id()),
        ("demo", demo.id()),
        ("controller", controller.id()),
    ];
    let before = all.map(|(_, pid)| Usage::of(pid));
    let start = Instant::now();
    while start.elapsed() < WINDOW {
        writeln!(log, "another program's line").unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    let costs = all.map(|(_, pid)| Usage::of(pid));
    let costs = costs.into_iter().zip(before).map(|(now, was)| now - was);
    let costs: Vec<(&str, Usage)> = all.map(|(name, _)| name).into_iter().zip(costs).collect();
    println!("{costs:?}");
    for (name, cost) in &costs {
        assert!(cost.cpu < CPU, "{name}: {costs:?}");
        assert!(cost.wakeups <= WAKEUPS, "{name}: {costs:?}");
    }
}
