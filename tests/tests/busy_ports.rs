//! A listener whose port is busy is left out and reported, the rest serves, and the port is taken when it becomes free.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{IpAddr, SocketAddr, TcpListener};

use elbow_tests::command::Running;
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::{Client, Elbow, TempDir, address, client, elbow, wait};
use rustix::process::Signal;
use serde_json::json;

fn text_at(at: SocketAddr) -> Option<String> {
    let mut client = Client::try_plain(at).ok()?;
    client.try_send(client::get("a.example", "/")).ok()?;
    Some(client.try_response("GET").ok()?.text())
}

fn wait_for(at: SocketAddr, text: &str) {
    wait::until(&format!("{text} at {at}"), || {
        (text_at(at).as_deref() == Some(text)).then_some(())
    });
}

fn health(admin: SocketAddr) -> Option<(u16, String)> {
    let page = elbow::admin_get(admin, "/health")?;
    Some((page.status, page.text()))
}

fn wait_for_success(admin: SocketAddr, value: u8) {
    let line = format!("elbow_config_last_reload_success {value}");
    wait::until(&line, || {
        let metrics = elbow::admin_get(admin, "/metrics")?.text();
        metrics.contains(&line).then_some(())
    });
}

#[test]
fn a_native_file_serves_without_the_listener_whose_port_is_busy() {
    let (ip, other) = (address(), address());
    let busy = TcpListener::bind((ip, 8081)).unwrap();
    let listeners = [
        listener(8080, "HTTP", &fixed(200, "free")),
        listener(8081, "HTTP", &fixed(200, "taken")),
    ];
    let beside = [listener(8081, "HTTP", &fixed(200, "beside"))];
    let config = file(
        &[alb("one", ip, &listeners), alb("two", other, &beside)],
        &[],
    );
    let dir = TempDir::new();
    let path = dir.write("elbow.yaml", config.to_string());
    let admin = SocketAddr::from((address(), 9901));
    let mut command = elbow::command(&["run", "--admin", &admin.to_string()]);
    let mut elbow = Running::start(command.arg("--config").arg(&path));
    wait_for((ip, 8080).into(), "free");
    wait_for((other, 8081).into(), "beside");
    // What is free serves before the rest is reported.
    elbow.stderr_with(&[
        &format!("cannot listen on {ip}:8081"),
        "error[cannot-listen]",
    ]);
    let page = wait::until("the page of what is missing", || {
        let (status, page) = health(admin)?;
        (status == 503).then_some(page)
    });
    assert!(page.contains(&format!("{ip}:8081")), "{page}");
    wait_for_success(admin, 0);

    drop(busy);
    wait_for((ip, 8081).into(), "taken");
    wait::until("the health of everything", || {
        (health(admin)?.0 == 200).then_some(())
    });
    wait_for_success(admin, 1);
    elbow.signal(Signal::TERM);
    assert_eq!(elbow.wait().code(), Some(0));
}

#[test]
fn a_process_whose_ports_are_all_busy_ends_and_says_what_to_do() {
    let ip = address();
    let _busy = TcpListener::bind((ip, 8080)).unwrap();
    let config = file(
        &[alb("one", ip, &[listener(8080, "HTTP", &fixed(200, "x"))])],
        &[],
    );
    let dir = TempDir::new();
    let path = dir.write("elbow.yaml", config.to_string());
    let mut command = elbow::command(&["run", "--admin", "off", "--config"]);
    let mut elbow = Running::start(command.arg(path));
    assert_eq!(elbow.wait().code(), Some(3));
    elbow.stderr_with(&["hint: another process listens there"]);
}

/// An Ingress that answers its name on these ports.
fn ingress(name: &str, ports: &[u16]) -> String {
    let answer = json!({"type": "fixed-response", "fixedResponseConfig":
        {"statusCode": "200", "contentType": "text/plain", "messageBody": name}});
    let ports: Vec<_> = ports.iter().map(|port| json!({"HTTP": port})).collect();
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "annotations": {
            "kubernetes.io/ingress.class": "alb",
            "alb.ingress.kubernetes.io/load-balancer-name": name,
            "alb.ingress.kubernetes.io/listen-ports": json!(ports).to_string(),
            "alb.ingress.kubernetes.io/actions.answer": answer.to_string()}},
        "spec": {"defaultBackend": {"service": {"name": "answer", "port": {"name": "use-annotation"}}}}})
    .to_string()
}

#[test]
fn an_edit_of_manifests_is_followed_but_for_the_port_that_is_busy() {
    let dir = TempDir::new();
    dir.write("one.yaml", ingress("one", &[80]));
    dir.write("two.yaml", ingress("two", &[80]));
    let mut elbow = Elbow::run_manifests(dir, &[]);
    let one = elbow.bound("one", 80).unwrap();
    let two = elbow.bound("two", 80).unwrap();
    let ip: IpAddr = one.ip();
    let busy = TcpListener::bind((ip, 81)).unwrap();
    elbow.dir().write("one.yaml", ingress("one", &[80, 81, 82]));
    elbow.dir().write("two.yaml", ingress("two", &[80, 83]));
    wait_for((ip, 82).into(), "one");
    wait_for((two.ip(), 83).into(), "two");
    assert_eq!(text_at(one).as_deref(), Some("one"));
    elbow.log_with(&[
        "one.yaml:1:1: load balancer \"one\", listener 81: cannot listen",
        "reloaded in part",
    ]);
    assert_eq!(health(elbow.admin()).unwrap().0, 503);
    let success = |value| elbow.wait_for_metric("elbow_config_last_reload_success", &[], value);
    success(0.0);

    // Without another edit.
    drop(busy);
    wait_for((ip, 81).into(), "one");
    success(1.0);
    wait::until("health to follow", || {
        (health(elbow.admin()).unwrap().0 == 200).then_some(())
    });
    assert_eq!(elbow.terminate().code(), Some(0));
}
