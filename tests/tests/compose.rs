//! docker-compose.yml: run by a Docker engine where there is one, and checked by elbow everywhere.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use elbow_tests::address::Ports;
use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::command::{output, stdout, texts};
use elbow_tests::docker::{Builder, Engine};
use elbow_tests::s3::Endpoint;
use elbow_tests::{Client, client, elbow, need, need_python, tools, wait};
use rustls::ALL_VERSIONS;
use serde_json::{Value, json};

const S3: &str = "minio.example.com";

fn compose_file() -> PathBuf {
    tools::repository().join("docker-compose.yml")
}

#[test]
fn compose_file_parses_and_its_manifests_pass_check() {
    let python = need_python!();
    let file = stdout(tools::client_script(&python, "compose.py").arg(compose_file()));
    let file: Value = serde_json::from_str(&file).unwrap();
    let services = file["services"].as_object().unwrap();
    let mut names: Vec<&String> = services.keys().collect();
    names.sort();
    let servers = ["minio1", "minio2", "minio3", "minio4"];
    assert_eq!(
        names,
        ["certificates", "elbow"]
            .iter()
            .chain(&servers)
            .collect::<Vec<_>>()
    );
    for (name, service) in services {
        let image = service["image"].as_str().unwrap();
        assert!(
            image.contains(':') && !image.ends_with(":latest"),
            "{image}"
        );
        assert_eq!(
            service["healthcheck"]["test"].is_array(),
            name != "certificates",
            "{name}"
        );
    }
    let elbow = &services["elbow"];
    assert_eq!(elbow["volumes"][0], "./config:/etc/elbow:ro");
    let mounted = |word: &Value| {
        let config = tools::repository().join("config");
        word.as_str()
            .unwrap()
            .replace("/etc/elbow", config.to_str().unwrap())
    };
    let arguments = elbow["command"].as_array().unwrap().iter().map(mounted);
    let manifests = arguments
        .skip(1)
        .take_while(|word| !word.starts_with("--address-pool"));
    let checked = output(elbow::command(&["check"]).args(manifests));
    assert!(checked.status.success(), "{}", texts(&checked).1);
}

/// The running project; taken down when dropped.
struct Project<'a> {
    engine: &'a Engine,
    alb: SocketAddr,
    admin: SocketAddr,
    _ports: Ports,
}

impl<'a> Project<'a> {
    fn up(engine: &'a Engine) -> Self {
        let ports = Ports::claim();
        let [alb, admin] = [ports.first, ports.first + 1].map(|port| ([127, 0, 0, 1], port).into());
        let project = Self {
            engine,
            alb,
            admin,
            _ports: ports,
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
            .env("ELBOW_ADMIN_PORT", self.admin.port().to_string());
        command
    }

    /// Waits until the target with this host name is in `state` in every group.
    fn wait_for(&self, host: &str, state: &str) {
        wait::until_for(
            Duration::from_secs(120),
            &format!("{host} to be {state}"),
            || {
                let page = elbow::admin_get(self.admin, "/targets").filter(|r| r.status == 200)?;
                let rows = elbow::rows(&serde_json::from_slice(&page.body).ok()?);
                let of_host: Vec<&Value> = rows.iter().filter(|row| row["id"] == host).collect();
                (of_host.len() == 2 && of_host.iter().all(|row| row["state"] == state))
                    .then_some(())
            },
        );
    }

    fn scenario(&self, python: &std::path::Path, name: &str) {
        let settings = json!({"endpoint": format!("https://{S3}:{}", self.alb.port()),
            "verify": false, "resolve": {S3: "127.0.0.1"}});
        let s3 = Endpoint::new(settings, true).with_keys("elbow-demo", "elbow-demo-secret");
        assert_eq!(stdout(&mut s3.scenario(python, name, &[])), "good\n");
    }

    /// The status of the ALB's response for `host`, over TLS.
    fn status(&self, host: &str) -> u16 {
        let trust = client_that_trusts_all(ALL_VERSIONS, &[]);
        let mut client = Client::tls(self.alb, host, &trust).unwrap();
        client.ask(client::get(host, "/")).status
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
fn compose_keeps_serving_s3_while_a_server_restarts() {
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
    engine.make_elbow(&image("image: elbow:"), Builder::Legacy);

    let project = Project::up(&engine);
    for host in ["minio1", "minio2", "minio3", "minio4"] {
        project.wait_for(host, "healthy");
    }
    for scenario in ["round-trip", "presigned"] {
        project.scenario(&python, scenario);
    }
    assert_eq!(project.status(S3), 403);
    assert_eq!(project.status("tenant-console.example.com"), 200);
    assert_eq!(project.status("other.example.com"), 404);

    stdout(&mut project.compose(&["stop", "minio2"]));
    wait::until_for(Duration::from_secs(60), "minio2 to be out of use", || {
        let page = elbow::admin_get(project.admin, "/targets").filter(|r| r.status == 200)?;
        let rows = elbow::rows(&serde_json::from_slice(&page.body).ok()?);
        rows.iter()
            .all(|row| row["id"] != "minio2" || row["state"] != "healthy")
            .then_some(())
    });
    project.scenario(&python, "round-trip");
    stdout(&mut project.compose(&["start", "minio2"]));
    project.wait_for("minio2", "healthy");
    project.scenario(&python, "round-trip");

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
