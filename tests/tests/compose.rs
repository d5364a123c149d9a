//! docker-compose.yml: run for real where an engine can be had, and read by elbow everywhere.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use elbow_tests::command::{output, stdout, texts};
use elbow_tests::docker::Engine;
use elbow_tests::{Client, client, elbow, need, need_python, tools, wait};
use serde_json::{Value, json};

fn compose_file() -> PathBuf {
    tools::repository().join("docker-compose.yml")
}

#[test]
fn the_compose_file_parses_and_every_configuration_it_mounts_passes_check() {
    let mounted = tools::repository().join("config/compose/elbow.yaml");
    let checked = output(elbow::command(&["check", "--config"]).arg(&mounted));
    assert!(checked.status.success(), "{}", texts(&checked).1);
    let python = need_python!();
    let file = stdout(tools::client_script(&python, "compose.py").arg(compose_file()));
    let file: Value = serde_json::from_str(&file).unwrap();
    let services = file["services"].as_object().unwrap();
    let mut names: Vec<&String> = services.keys().collect();
    names.sort();
    assert_eq!(names, ["elbow", "minio1", "minio2", "minio3", "minio4"]);
    assert_eq!(
        services["elbow"]["volumes"],
        json!(["./config/compose:/etc/elbow:ro"])
    );
    let command = services["elbow"]["command"].to_string();
    assert!(command.contains("/etc/elbow/elbow.yaml"), "{command}");
    for service in services.values() {
        assert!(service["healthcheck"]["test"].is_array(), "{service}");
        let image = service["image"].as_str().unwrap();
        assert!(
            image.contains(':') && !image.ends_with(":latest"),
            "{image}"
        );
    }
}

/// The project while it is up; taken down when dropped.
struct Project<'a> {
    engine: &'a Engine,
    alb: SocketAddr,
    nlb: SocketAddr,
    admin: SocketAddr,
}

impl<'a> Project<'a> {
    fn up(engine: &'a Engine) -> Self {
        // Held at once, so that they differ; free again when compose publishes them.
        let held = [0; 3].map(|_| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [alb, nlb, admin] = held.each_ref().map(|l| l.local_addr().unwrap());
        drop(held);
        let project = Self {
            engine,
            alb,
            nlb,
            admin,
        };
        stdout(
            project
                .compose(&["up", "--detach"])
                .env("PATH", std::env::var_os("PATH").unwrap()),
        );
        project
    }

    fn compose(&self, args: &[&str]) -> Command {
        let mut command = self.engine.compose(&compose_file());
        command
            .args(args)
            .env("ELBOW_ALB_PORT", self.alb.port().to_string())
            .env("ELBOW_NLB_PORT", self.nlb.port().to_string())
            .env("ELBOW_ADMIN_PORT", self.admin.port().to_string());
        command
    }

    /// Waits until the target of this host name is in `state` in every group.
    fn wait_for(&self, host: &str, state: &str) {
        wait::until_for(
            Duration::from_secs(120),
            &format!("{host} to be {state}"),
            || {
                let page = elbow::admin_get(self.admin, "/targets").filter(|r| r.status == 200)?;
                let rows = elbow::rows(&serde_json::from_slice(&page.body).ok()?);
                let of_host: Vec<&Value> = rows.iter().filter(|row| row["id"] == host).collect();
                (of_host.len() == 3 && of_host.iter().all(|row| row["state"] == state))
                    .then_some(())
            },
        );
    }

    fn scenario(&self, python: &std::path::Path, endpoint: &str, name: &str) {
        let settings = json!({"endpoint": endpoint, "verify": false, "accessKey": "elbow-demo",
            "secretKey": "elbow-demo-secret", "minio": true, "resolve": {"minio.example.localhost": "127.0.0.1"}});
        let mut command = tools::client_script(python, "s3.py");
        assert_eq!(
            stdout(command.arg(name).env("ELBOW_S3", settings.to_string())),
            "good\n"
        );
    }
}

impl Drop for Project<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = output(&mut self.compose(&["logs", "--no-color", "--tail", "50"]));
            println!(
                "{}{}",
                texts(&logs).0,
                texts(&output(&mut self.compose(&["ps"]))).0
            );
        }
        drop(output(&mut self.compose(&[
            "down",
            "--volumes",
            "--timeout",
            "5",
        ])));
    }
}

#[test]
fn compose_serves_s3_through_its_published_ports_while_a_server_comes_and_goes() {
    let (python, minio, mc) = (need_python!(), need!("minio"), need!("mc"));
    let engine = match Engine::start() {
        Ok(engine) => engine,
        Err(needs) => return tools::skipped(needs),
    };
    let file = fs::read_to_string(compose_file()).unwrap();
    let image = |prefix: &str| {
        let line = file.lines().find_map(|l| l.trim().strip_prefix(prefix));
        format!("{}{}", prefix.trim_start_matches("image: "), line.unwrap())
    };
    engine.make_base();
    engine.make_minio(&image("image: minio/minio:"), &minio, &mc);
    engine.make_elbow(
        &image("image: elbow:"),
        &tools::repository().join("Dockerfile"),
    );

    let project = Project::up(&engine);
    for host in ["minio1", "minio2", "minio3", "minio4"] {
        project.wait_for(host, "healthy");
    }
    let alb = format!("http://minio.example.localhost:{}", project.alb.port());
    let nlb = format!("http://127.0.0.1:{}", project.nlb.port());
    for endpoint in [&alb, &nlb] {
        project.scenario(&python, endpoint, "round-trip");
        project.scenario(&python, endpoint, "presigned");
    }
    let console = format!("console.example.localhost:{}", project.alb.port());
    let page = Client::plain(project.alb).ask(client::get(&console, "/"));
    assert_eq!(page.status, 200, "{}", page.head);
    assert_eq!(
        Client::plain(project.alb)
            .ask(client::get("other.example", "/"))
            .status,
        404
    );

    stdout(&mut project.compose(&["stop", "minio2"]));
    wait::until_for(Duration::from_secs(60), "minio2 to be out of use", || {
        let page = elbow::admin_get(project.admin, "/targets").filter(|r| r.status == 200)?;
        let rows = elbow::rows(&serde_json::from_slice(&page.body).ok()?);
        rows.iter()
            .all(|row| row["id"] != "minio2" || row["state"] != "healthy")
            .then_some(())
    });
    project.scenario(&python, &alb, "round-trip");
    project.scenario(&python, &nlb, "round-trip");
    stdout(&mut project.compose(&["start", "minio2"]));
    project.wait_for("minio2", "healthy");
    project.scenario(&python, &alb, "round-trip");

    wait::until_for(
        Duration::from_secs(60),
        "compose to see elbow healthy",
        || {
            stdout(&mut project.compose(&["ps"]))
                .lines()
                .any(|l| l.contains("elbow_") && l.contains("(healthy)"))
                .then_some(())
        },
    );
    stdout(&mut project.compose(&["down", "--volumes"]));
    for (what, args) in [
        ("container", &["ps", "--all", "--quiet"][..]),
        ("volume", &["volume", "ls", "--quiet"]),
        (
            "network",
            &["network", "ls", "--quiet", "--filter", "type=custom"],
        ),
    ] {
        assert_eq!(stdout(engine.docker().args(args)), "", "a {what} is left");
    }
}
