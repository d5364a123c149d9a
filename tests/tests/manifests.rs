//! `elbow run -f` serves Kubernetes manifests and reloads edits.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;

use elbow_tests::address::network;
use elbow_tests::command::{Running, output, texts};
use elbow_tests::{Client, Elbow, Target, TempDir, address, client, elbow, wait};
use serde_json::Value;

/// An Ingress with a load balancer named `name`. Each of `hosts` leads to the Service of the same
/// name.
fn ingress(name: &str, hosts: &[&str]) -> String {
    let rules: String = hosts
        .iter()
        .map(|host| {
            format!(
                "  - host: {host}.example\n    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: \
                 {host}, port: {{number: 80}}}}}}}}]}}\n"
            )
        })
        .collect();
    format!(
        "apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/load-balancer-name: {name}
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/healthcheck-interval-seconds: '5'
    alb.ingress.kubernetes.io/healthcheck-timeout-seconds: '2'
spec:
  rules:
{rules}"
    )
}

/// A Service named `name` with `target` as its endpoint.
fn service(name: &str, target: &Target) -> String {
    let SocketAddr::V4(at) = target.addr() else {
        panic!("targets are IPv4")
    };
    let (ip, port) = (at.ip(), at.port());
    format!(
        "apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {name}, labels: {{kubernetes.io/service-name: {name}}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints: [{{addresses: [{ip}]}}]
"
    )
}

/// The HTTP listener of the load balancer `name`.
fn at(elbow: &Elbow, name: &str) -> SocketAddr {
    wait::until(&format!("{name} to listen"), || elbow.bound(name, 80))
}

fn ask(at: SocketAddr, host: &str) -> (u16, String) {
    let answer = Client::plain(at).ask(client::get(&format!("{host}.example"), "/"));
    (answer.status, answer.text())
}

/// Waits until `host` at `at` responds with `text`.
fn wait_for(at: SocketAddr, host: &str, text: &str) {
    wait::until(&format!("{host} to answer {text}"), || {
        (ask(at, host) == (200, text.to_owned())).then_some(())
    });
}

#[test]
fn ingress_in_a_folder_is_served_and_edits_are_reloaded() {
    let (one, two) = (Target::ok("one"), Target::ok("two"));
    let dir = TempDir::new();
    dir.write("ingress.yaml", ingress("web", &["one"]));
    dir.write("one.yaml", service("one", &one));
    let elbow = Elbow::run_manifests(dir, &[]);
    let web = at(&elbow, "web");
    wait_for(web, "one", "one");
    assert_eq!(ask(web, "two").0, 404);

    // An open connection, which sees the edits too.
    let mut open = Client::plain(web);
    assert_eq!(open.ask(client::get("one.example", "/")).text(), "one");

    let dir = elbow.dir();
    fs::create_dir(dir.join("more")).unwrap();
    dir.write("more/two.yaml", service("two", &two));
    dir.write("ingress.yaml", ingress("web", &["one", "two"]));
    wait_for(web, "two", "two");
    assert_eq!(open.ask(client::get("two.example", "/")).text(), "two");

    fs::remove_file(dir.join("ingress.yaml")).unwrap();
    wait::until("the load balancer to be removed", || {
        elbow.bound("web", 80).is_none().then_some(())
    });
}

#[test]
fn broken_edit_changes_nothing_and_reports_its_position() {
    let one = Target::ok("one");
    let dir = TempDir::new();
    dir.write("ingress.yaml", ingress("web", &["one"]));
    dir.write("one.yaml", service("one", &one));
    let elbow = Elbow::run_manifests(dir, &[]);
    let web = at(&elbow, "web");
    wait_for(web, "one", "one");
    let broken = ingress("web", &["one"]).replace("    http:", "\thttp:");
    elbow.dir().write("ingress.yaml", broken);
    elbow.wait_for_metric("elbow_config_last_reload_success", &[], 0.0);
    assert_eq!(ask(web, "one"), (200, "one".to_owned()));
    elbow.log_with(&["ingress.yaml:13:11: "]);
    elbow
        .dir()
        .write("ingress.yaml", ingress("web", &["one", "one"]));
    elbow.wait_for_metric("elbow_config_last_reload_success", &[], 1.0);
}

#[test]
fn error_in_one_ingress_does_not_affect_others() {
    let one = Target::ok("one");
    let dir = TempDir::new();
    dir.write("good.yaml", ingress("good", &["one"]));
    dir.write("one.yaml", service("one", &one));
    let bad = ingress("bad", &["one"]).replace("target-type: ip", "target-type: pod");
    dir.write("bad.yaml", bad);
    let elbow = Elbow::run_manifests(dir, &[]);
    wait_for(at(&elbow, "good"), "one", "one");
    assert_eq!(elbow.bound("bad", 80), None);
    elbow.log_with(&["bad.yaml:8:"]);
}

#[test]
fn edit_applies_except_for_what_it_breaks() {
    let (one, two) = (Target::ok("one"), Target::ok("two"));
    let dir = TempDir::new();
    dir.write("a.yaml", ingress("a", &["one"]));
    dir.write("b.yaml", ingress("b", &["one"]));
    dir.write("one.yaml", service("one", &one));
    let elbow = Elbow::run_manifests(dir, &[]);
    let (a, b) = (at(&elbow, "a"), at(&elbow, "b"));
    wait_for(a, "one", "one");
    let broken = ingress("a", &["one"]).replace("target-type: ip", "target-type: pod");
    elbow.dir().write("a.yaml", broken);
    elbow.dir().write("two.yaml", service("two", &two));
    elbow.dir().write("b.yaml", ingress("b", &["one", "two"]));
    wait_for(b, "two", "two");
    assert_eq!(ask(a, "one"), (200, "one".to_owned()));
    elbow.wait_for_metric("elbow_config_last_reload_success", &[], 0.0);

    // An object that no API server would accept changes nothing: the old object stays in force.
    elbow.dir().write(
        "b.yaml",
        ingress("b", &["one"]).replace("pathType: Prefix", "pathType: 7"),
    );
    elbow.log_with(&["not reloaded"]);
    assert_eq!(ask(b, "two"), (200, "two".to_owned()));
    elbow.dir().write("b.yaml", ingress("b", &["one"]));
    fs::remove_file(elbow.dir().join("a.yaml")).unwrap();
    wait::until("the load balancer to be removed", || {
        elbow.bound("a", 80).is_none().then_some(())
    });
}

#[test]
fn swapped_config_map_links_are_reloaded_once() {
    let (one, two) = (Target::ok("one"), Target::ok("two"));
    let dir = TempDir::new();
    for (version, target) in [("..one", &one), ("..two", &two)] {
        fs::create_dir(dir.join(version)).unwrap();
        let all = ingress("web", &["web"]) + "---\n" + &service("web", target);
        dir.write(format!("{version}/web.yaml"), all);
    }
    symlink("..one", dir.join("..data")).unwrap();
    symlink("..data/web.yaml", dir.join("web.yaml")).unwrap();
    let elbow = Elbow::run_manifests(dir, &[]);
    let web = at(&elbow, "web");
    wait_for(web, "web", "one");
    symlink("..two", elbow.dir().join("..data_tmp")).unwrap();
    fs::rename(elbow.dir().join("..data_tmp"), elbow.dir().join("..data")).unwrap();
    wait_for(web, "web", "two");
    let stderr = elbow.log();
    assert!(!stderr.contains("duplicate-object"), "{stderr}");
}

#[test]
fn cluster_dump_is_served_from_stdin() {
    let one = Target::ok("one");
    let admin = SocketAddr::from((address(), 9901));
    let pool = network();
    let args = ["run", "-f", "-", "--address-pool", &pool, "--admin"];
    let mut command = elbow::command(&args);
    command.arg(admin.to_string());
    let dir = TempDir::new();
    let dump = ingress("web", &["one"]) + "---\n" + &service("one", &one);
    let dump = fs::File::open(dir.write("dump", dump)).unwrap();
    let mut running = Running::start_with(&mut command, dump.into());
    wait::until("elbow to serve", || {
        running.assert_running();
        elbow::admin_get(admin, "/health").filter(|r| r.status == 200)
    });
    let page = elbow::admin_get(admin, "/targets").unwrap();
    let targets: Value = serde_json::from_slice(&page.body).unwrap();
    let rows = elbow::rows(&targets);
    assert_eq!(rows.len(), 1, "{targets}");
    assert_eq!(rows[0]["address"], one.addr().to_string());
}

#[test]
fn environment_of_the_folder_is_used_and_checked() {
    let dir = TempDir::new();
    dir.write(
        "environment.yaml",
        "personality: intree\nregion: nowhere-1\nsubnet: []\n",
    );
    dir.write("ingress.yaml", ingress("web", &["one"]));
    let path = dir.path().to_str().unwrap();
    let (code, text) = check(&["-f", path]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("environment.yaml:3:1: ") && text.contains("did you mean \"subnets\"?"),
        "{text}"
    );
    // A manifest with the name of the environment file is a manifest.
    dir.write(
        "environment.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {}\n",
    );
    let (code, text) = check(&["-f", path]);
    assert_eq!(code, Some(1));
    assert!(text.contains("a Service needs metadata.name"), "{text}");
}

/// Parity: the Ingress annotation inbound-cidrs limits client addresses.
#[test]
fn client_outside_inbound_cidrs_is_rejected() {
    let one = Target::ok("one");
    let with = |cidrs: &str| {
        let annotation =
            format!("  annotations:\n    alb.ingress.kubernetes.io/inbound-cidrs: {cidrs}\n");
        ingress("web", &["one"]).replace("  annotations:\n", &annotation)
    };
    let dir = TempDir::new();
    dir.write("ingress.yaml", with("192.0.2.0/24, 127.0.0.0/8"));
    dir.write("one.yaml", service("one", &one));
    let elbow = Elbow::run_manifests(dir, &[]);
    let web = at(&elbow, "web");
    wait_for(web, "one", "one");
    elbow.dir().write("ingress.yaml", with("192.0.2.0/24"));
    let admitted = || {
        let mut client = Client::try_plain(web).ok()?;
        client.try_send(client::get("one.example", "/")).ok()?;
        (client.try_response("GET").ok()?.status == 200).then_some(())
    };
    wait::until("the client to be rejected", || {
        admitted().is_none().then_some(())
    });
    wait::until("the rejection to be counted", || {
        let rejected = elbow.metric("elbow_rejected_connections_total", &["\"web\""])?;
        (rejected >= 1.0).then_some(())
    });
    elbow.dir().write("ingress.yaml", ingress("web", &["one"]));
    wait::until("every client to be admitted", admitted);
}

#[test]
fn native_file_and_manifests_exclude_each_other() {
    for args in [
        &[][..],
        &["--config", "a.yaml", "-f", "b.yaml"],
        &["--config", "a.yaml", "--personality", "lbc"],
    ] {
        let (code, text) = check(args);
        assert_eq!(code, Some(2), "{text}");
    }
    let (code, text) = check(&["-f", "nowhere.yaml"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.starts_with("error[unreadable-file] nowhere.yaml: "),
        "{text}"
    );
}

fn check(args: &[&str]) -> (Option<i32>, String) {
    let out = output(elbow::command(&["check"]).args(args));
    (out.status.code(), texts(&out).1)
}

/// A Network Load Balancer in front of an Application Load Balancer passes connections on: the targets see the client.
#[test]
fn frontend_nlb_serves_what_the_alb_serves() {
    const MORE: &str = "    alb.ingress.kubernetes.io/enable-frontend-nlb: 'true'
    alb.ingress.kubernetes.io/frontend-nlb-healthcheck-success-codes: '404'
    alb.ingress.kubernetes.io/frontend-nlb-healthcheck-interval-seconds: '5'
    alb.ingress.kubernetes.io/load-balancer-attributes: routing.http.xff_client_port.enabled=true
spec:
";
    let target = Target::ok("one");
    let dir = TempDir::new();
    dir.write(
        "ingress.yaml",
        ingress("web", &["one"]).replace("spec:\n", MORE),
    );
    dir.write("one.yaml", service("one", &target));
    let elbow = Elbow::run_manifests(dir, &[]);
    wait_for(at(&elbow, "web"), "one", "one");
    let front = wait::until("the NLB to listen", || elbow.bound("web-nlb", 80));
    // The ALB answers the health checks of the NLB, so that it is healthy.
    wait::until("the ALB to be healthy", || {
        let targets = elbow::rows(&elbow.json("/targets"));
        let mut targets = targets.iter().filter(|row| row["id"] == "web");
        targets.any(|row| row["state"] == "healthy").then_some(())
    });
    let mut client = Client::plain(front);
    for _ in 0..2 {
        assert_eq!(client.ask(client::get("one.example", "/")).text(), "one");
        let seen = target.requests().pop().unwrap();
        let expected = client.local_addr().to_string();
        assert_eq!(seen.header("x-forwarded-for"), Some(&*expected));
        assert_eq!(seen.header("x-forwarded-port"), Some("80"));
    }
    assert_eq!(ask(front, "two").0, 404);
}
