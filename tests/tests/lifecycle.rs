//! `elbow run` from start to end: reloads, drains, exit codes.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use elbow_tests::command::{Running, output, texts};
use elbow_tests::config::{alb, file, fixed, forward, group, listener, nlb};
use elbow_tests::{Client, Elbow, Scene, Target, TempDir, address, client, eks, elbow, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

fn fixed_config(ip: std::net::Ipv4Addr, text: &str) -> Value {
    file(
        &[alb("alb", ip, &[listener(8080, "HTTP", &fixed(200, text))])],
        &[],
    )
}

fn text_at(ip: std::net::Ipv4Addr) -> String {
    Client::plain((ip, 8080))
        .ask(client::get("a.example", "/"))
        .text()
}

#[test]
fn changed_file_is_reloaded_and_connections_continue() {
    let ip = address();
    let elbow = Elbow::run(&fixed_config(ip, "one"));
    let mut open = Client::plain((ip, 8080));
    assert_eq!(open.ask(client::get("a.example", "/")).text(), "one");
    elbow.write_config(&fixed_config(ip, "two").to_string());
    wait::until("the new file to be in force", || {
        (text_at(ip) == "two").then_some(())
    });
    // The open connection uses the new listener.
    assert_eq!(open.ask(client::get("a.example", "/")).text(), "two");
    // A reload is counted after it serves.
    elbow.wait_for_metric("elbow_config_last_reload_success", &[], 1.0);
}

#[test]
fn sighup_reloads() {
    let ip = address();
    let mut elbow = Elbow::run(&fixed_config(ip, "one"));
    let path = elbow.dir().join("elbow.yaml");
    fs::write(path, fixed_config(ip, "two").to_string()).unwrap();
    elbow.process().signal(Signal::HUP);
    wait::until("the new file to be in force", || {
        (text_at(ip) == "two").then_some(())
    });
}

#[test]
fn swapped_symlink_is_reloaded() {
    // As a ConfigMap is mounted: elbow.yaml -> ..data/elbow.yaml, ..data -> ..one, later -> ..two.
    let ip = address();
    let dir = TempDir::new();
    for (version, text) in [("..one", "one"), ("..two", "two")] {
        fs::create_dir(dir.join(version)).unwrap();
        dir.write(
            format!("{version}/elbow.yaml"),
            fixed_config(ip, text).to_string(),
        );
    }
    symlink("..one", dir.join("..data")).unwrap();
    symlink("..data/elbow.yaml", dir.join("elbow.yaml")).unwrap();
    let admin = format!("{}:9901", address());
    let config = dir.join("elbow.yaml");
    let mut command = elbow::command(&[
        "run",
        "--admin",
        &admin,
        "--config",
        config.to_str().unwrap(),
    ]);
    let mut running = Running::start(&mut command);
    wait::until("elbow to serve", || {
        running.assert_running();
        elbow::admin_get(admin.parse().unwrap(), "/health").filter(|r| r.status == 200)
    });
    assert_eq!(text_at(ip), "one");
    symlink("..two", dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    wait::until("the new file to be in force", || {
        (text_at(ip) == "two").then_some(())
    });
}

#[test]
fn bad_file_keeps_the_old_configuration_and_reports_its_position() {
    let ip = address();
    let elbow = Elbow::run(&fixed_config(ip, "old"));
    elbow.write_config("loadBalancers:\n- name: alb\n  type: appliction\n");
    elbow.wait_for_metric("elbow_config_last_reload_success", &[], 0.0);
    assert_eq!(text_at(ip), "old");
    assert_eq!(elbow.page("/health").status, 200);
    elbow.log_with(&["elbow.yaml:3:9: "]);
    elbow.write_config(&fixed_config(ip, "new").to_string());
    wait::until("the valid file", || (text_at(ip) == "new").then_some(()));
    // A reload is counted after it serves.
    elbow.wait_for_metric("elbow_config_last_reload_success", &[], 1.0);
}

#[test]
fn reload_adds_and_removes_listeners_without_closing_others() {
    let (one, two) = (address(), address());
    let elbow = Elbow::run(&fixed_config(one, "one"));
    let mut open = Client::plain((one, 8080));
    let mut both = fixed_config(one, "one");
    let second = fixed_config(two, "two")["loadBalancers"][0].clone();
    both["loadBalancers"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "second", "type": "application",
        "addresses": second["addresses"], "listeners": second["listeners"]}));
    elbow.reload(&both);
    wait::until("the second load balancer", || {
        std::net::TcpStream::connect((two, 8080)).ok().map(drop)
    });
    assert_eq!(text_at(two), "two");
    elbow.reload(&fixed_config(one, "one"));
    wait::until("the second load balancer to be removed", || {
        std::net::TcpStream::connect((two, 8080))
            .is_err()
            .then_some(())
    });
    assert_eq!(open.ask(client::get("a.example", "/")).text(), "one");
}

#[test]
fn address_moves_to_a_load_balancer_of_another_type() {
    let ip = address();
    let tcp = nlb("first", ip, &[listener(8080, "TCP", &forward("nobody"))]);
    let elbow = Elbow::run(&file(&[tcp], &[group("nobody", "TCP", &[])]));
    assert!(std::net::TcpStream::connect((ip, 8080)).is_ok());
    elbow.reload(&fixed_config(ip, "web"));
    wait::until("the other load balancer", || {
        let mut client = Client::try_plain((ip, 8080).into()).ok()?;
        client.try_send(client::get("a.example", "/")).ok()?;
        let answer = client.try_response("GET").ok()?;
        (answer.text() == "web").then_some(())
    });
    // The metrics of the old load balancer disappear with its last connection.
    wait::until("only the metrics of the new load balancer", || {
        let metrics = elbow.page("/metrics").text();
        let has = |name: &str| metrics.contains(&format!("load_balancer=\"{name}\""));
        (has("alb") && !has("first")).then_some(())
    });
}

#[test]
fn target_health_survives_a_reload() {
    let (a, b) = (Target::ok("a"), Target::ok("b"));
    let ip = address();
    let config = |targets: &[&Target]| {
        let addrs: Vec<_> = targets.iter().map(|t| t.addr()).collect();
        file(
            &[alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))])],
            &[group("web", "HTTP", &addrs)],
        )
    };
    let elbow = Elbow::run(&config(&[&a]));
    elbow.wait_for_state("web", a.addr(), "healthy");
    elbow.reload(&config(&[&a, &b]));
    let row = elbow::target_row(&elbow.json("/targets"), "web", a.addr()).unwrap();
    assert_eq!(row["state"], "healthy", "{row}");
    elbow.wait_for_state("web", b.addr(), "healthy");
}

#[test]
fn sigterm_finishes_requests_and_exits_0() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let target = Target::http(move |_| {
        drop(released.lock().map(|r| r.recv_timeout(wait::TIMEOUT)));
        elbow_tests::target::ok("finished")
    });
    let mut scene = Scene::http(&[&target]);
    let mut open = scene.connect();
    open.send(client::get("a.example", "/"));
    target.wait_for_requests(1);
    scene.elbow.process().signal(Signal::TERM);
    wait::until("the listener to close", || {
        std::net::TcpStream::connect(scene.lb)
            .is_err()
            .then_some(())
    });
    scene.elbow.process().assert_running();
    release.send(()).unwrap();
    let response = open.response();
    assert_eq!(response.text(), "finished");
    assert_eq!(scene.elbow.process().wait().code(), Some(0));
    open.expect_end();
}

#[test]
fn drain_timeout_ends_the_drain() {
    let target = Target::start(|peer| peer.rest().map(drop));
    let ip = address();
    let config = file(
        &[alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))])],
        &[group("web", "HTTP", &[target.addr()])],
    );
    let mut elbow = Elbow::run_with(&config, &["--drain-timeout", "1s"]);
    elbow.wait_for_state("web", target.addr(), "healthy");
    let mut open = Client::plain((ip, 8080));
    open.send(client::get("a.example", "/"));
    wait::until("the request to reach the target", || {
        (target.connections() > 0).then_some(())
    });
    assert_eq!(elbow.terminate().code(), Some(0));
    open.expect_end();
}

#[test]
fn second_sigterm_stops_at_once() {
    let target = Target::start(|peer| peer.rest().map(drop));
    let mut scene = Scene::tcp(&[&target]);
    let mut open = scene.connect();
    open.send("x");
    wait::until("the connection to reach the target", || {
        (target.connections() > 0).then_some(())
    });
    scene.elbow.process().signal(Signal::TERM);
    wait::until("the listener to close", || {
        std::net::TcpStream::connect(scene.lb)
            .is_err()
            .then_some(())
    });
    scene.elbow.process().assert_running();
    scene.elbow.process().signal(Signal::TERM);
    // The drain timeout is 30 seconds; this wait is shorter.
    assert!(
        wait::until_for(wait::TIMEOUT / 3, "the end", || scene
            .elbow
            .process()
            .ended())
        .code()
        .is_some()
    );
    open.expect_end();
}

#[test]
fn busy_port_exits_3_and_names_the_socket() {
    let ip = address();
    let _busy = TcpListener::bind((ip, 8080)).unwrap();
    let dir = TempDir::new();
    let config = dir.write("elbow.yaml", fixed_config(ip, "never").to_string());
    let out = output(elbow::command(&["run", "--admin", "off", "--config"]).arg(config));
    let (_, stderr) = texts(&out);
    assert_eq!(out.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains(&format!("{ip}:8080")), "{stderr}");
}

#[test]
fn busy_admin_port_exits_3_and_bad_file_1() {
    let admin = TcpListener::bind((address(), 0)).unwrap();
    let dir = TempDir::new();
    let config = dir.write("elbow.yaml", fixed_config(address(), "never").to_string());
    let busy = admin.local_addr().unwrap().to_string();
    let out = output(elbow::command(&["run", "--admin", &busy, "--config"]).arg(&config));
    assert_eq!(out.status.code(), Some(3), "{}", texts(&out).1);
    fs::write(&config, "loadBalancers: 7\n").unwrap();
    let out = output(elbow::command(&["run", "--admin", "off", "--config"]).arg(&config));
    assert_eq!(out.status.code(), Some(1), "{}", texts(&out).1);
}

#[test]
fn wrong_usage_exits_2() {
    for args in [
        &["run"][..],
        &["fly"],
        &["run", "--config"],
        &["get", "everything"],
        &["check", "-x"],
    ] {
        let out = output(&mut elbow::command(args));
        assert_eq!(out.status.code(), Some(2), "{args:?}: {}", texts(&out).1);
    }
}

#[test]
fn version_completions_and_manual_are_printed() {
    let version = elbow_tests::command::stdout(&mut elbow::command(&["--version"]));
    // Cargo names the target folder after the profile.
    let folder = elbow::binary().parent().unwrap().to_owned();
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    assert_eq!(
        version,
        format!("elbow {} ({profile})\n", env!("CARGO_PKG_VERSION"))
    );
    for shell in ["bash", "zsh", "fish"] {
        let script = elbow_tests::command::stdout(&mut elbow::command(&["completions", shell]));
        assert!(script.contains("completions"), "{shell}: {script}");
    }
    let manual = elbow_tests::command::stdout(&mut elbow::command(&["man"]));
    assert!(manual.contains(".TH elbow 1"), "{manual}");
}

#[test]
fn port_offset_shifts_ports() {
    let ip = address();
    let config = file(
        &[alb(
            "alb",
            ip,
            &[listener(80, "HTTP", &fixed(200, "shifted"))],
        )],
        &[],
    );
    let _elbow = Elbow::run_with(&config, &["--port-offset", "8000"]);
    assert_eq!(text_at_port(ip, 8080), "shifted");
}

fn text_at_port(ip: std::net::Ipv4Addr, port: u16) -> String {
    Client::plain((ip, port))
        .ask(client::get("a.example", "/"))
        .text()
}

#[test]
fn every_configuration_of_the_repository_passes_check() {
    let config = elbow_tests::tools::repository().join("config");
    let dir = TempDir::new();
    let leaf = elbow_tests::Ca::new().leaf(&["demo.example"]);
    let mut native = Vec::new();
    for entry in fs::read_dir(config.join("native")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        write_certificates(&text, &dir, &leaf);
        native.push(dir.write(path.file_name().unwrap(), &text));
    }
    assert!(native.len() > 3, "{native:?}");
    let mut manifests: Vec<PathBuf> = eks::rows().iter().map(|row| eks::folder(row)).collect();
    manifests.push(config.join("kind/minio.yaml"));
    let native = native.iter().map(|path| ("--config", path));
    for (option, path) in native.chain(manifests.iter().map(|path| ("-f", path))) {
        let out = output(elbow::command(&["check", option]).arg(path));
        let (_, stderr) = texts(&out);
        assert!(out.status.success(), "{}: {stderr}", path.display());
    }
}

/// Writes the certificates that a configuration names; users provide their own.
fn write_certificates(config: &str, dir: &TempDir, leaf: &elbow_tests::certificates::Leaf) {
    for word in config.split([' ', ',', '{', '}', '[', ']', '\n']) {
        if word.ends_with(".pem") {
            dir.write(word, &leaf.certificate);
        } else if word.ends_with(".key") {
            dir.write(word, &leaf.key);
        }
    }
}
