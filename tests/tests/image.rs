//! The image of the Dockerfile, built by both builders of Debian's Docker engine: small, without root, on port 80.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::{fs, iter};

use elbow_tests::command::{output, stdout, texts};
use elbow_tests::config::{alb, fixed, listener};
use elbow_tests::docker::{Builder, Engine};
use elbow_tests::{Client, Response, TempDir, address, client, need, tools, wait};
use serde_json::{Value, json};

/// The most bytes besides the binary: libraries, CA certificates, a user.
const BESIDE_THE_BINARY: u64 = 5_000_000;
/// Without root, capabilities, privilege escalation or writable files.
const CONFINED: [&str; 3] = [
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--read-only",
];

#[test]
fn image_serves_port_80_without_root_and_without_capabilities() {
    need!("strip");
    let engine = match Engine::start() {
        Ok(engine) => engine,
        Err(needs) => return tools::skipped(needs),
    };
    engine.make_base();
    for builder in [Builder::Legacy, Builder::BuildKit] {
        let tag = format!("elbow:{builder:?}").to_lowercase();
        let binary = engine.make_elbow(&tag, builder);
        let image = inspect(&engine, &tag);
        let beside = image["Size"].as_u64().unwrap() - binary;
        assert!(
            beside < BESIDE_THE_BINARY,
            "{builder:?}: {beside} bytes beside the binary"
        );
        assert_eq!(image["Config"]["User"], "65532:65532");
        serves_in_its_own_network(&engine, &tag);
        issues_certificates(&engine, &tag);
        if matches!(builder, Builder::BuildKit) {
            serves_on_the_hosts_network(&engine, &tag);
        }
    }
}

fn inspect(engine: &Engine, what: &str) -> Value {
    let text = stdout(engine.docker().args(["inspect", what]));
    let mut all: Vec<Value> = serde_json::from_str(&text).unwrap();
    all.remove(0)
}

/// A folder readable by any user, with a configuration of a load balancer at `ip` with a fixed response.
fn configuration(ip: Ipv4Addr) -> TempDir {
    let dir = TempDir::new();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let web = listener(80, "HTTP", &fixed(200, "port 80"));
    let config = json!({"loadBalancers": [alb("web", ip, &[web])]});
    dir.write("elbow.yaml", config.to_string());
    dir
}

/// Runs `docker run` with these options and elbow arguments; the container is removed when dropped.
fn run<'a>(
    engine: &'a Engine,
    tag: &str,
    config: &TempDir,
    options: &[&str],
    arguments: &[&str],
) -> Container<'a> {
    let mount = format!("{}:/etc/elbow:ro", config.path().display());
    let mut command = engine.docker();
    command.args(["run", "--detach", "--volume", &mount]);
    command.args(options).arg(tag).args(arguments);
    let id = stdout(&mut command).trim().to_owned();
    Container { engine, id }
}

struct Container<'a> {
    engine: &'a Engine,
    id: String,
}

impl Container<'_> {
    /// Its response on port 80 of `ip`, once it listens.
    fn answer(&self, ip: IpAddr) -> Response {
        let socket = SocketAddr::new(ip, 80);
        wait::until("port 80 of the container", || {
            let state = inspect(self.engine, &self.id)["State"].clone();
            assert_eq!(state["Running"], true, "{state}\n{}", self.logs());
            std::net::TcpStream::connect(socket).ok()
        });
        Client::plain(socket).ask(client::get("web", "/"))
    }

    fn logs(&self) -> String {
        let (out, err) = texts(&output(self.engine.docker().args(["logs", &self.id])));
        out + &err
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let mut remove = self.engine.docker();
        stdout(remove.args(["rm", "--force", "--volumes", &self.id]));
    }
}

/// Runs the image's own command; its health check passes.
fn serves_in_its_own_network(engine: &Engine, tag: &str) {
    let config = configuration(Ipv4Addr::UNSPECIFIED);
    let container = run(engine, tag, &config, &CONFINED, &[]);
    let ip = &inspect(engine, &container.id)["NetworkSettings"]["IPAddress"];
    let answer = container.answer(ip.as_str().unwrap().parse().unwrap());
    assert_eq!((answer.status, answer.text()), (200, "port 80".into()));
    wait::until("the health check to pass", || {
        let state = inspect(engine, &container.id)["State"].clone();
        (state["Health"]["Status"] == "healthy").then_some(())
    });
}

/// The image's user owns the folder of the local CA.
fn issues_certificates(engine: &Engine, tag: &str) {
    let run = ["run", "--rm"].into_iter().chain(CONFINED);
    let arguments = [
        "cert",
        "issue",
        "web.example.com",
        "--out",
        "/var/lib/elbow/web",
    ];
    let command = run.chain(iter::once(tag)).chain(arguments);
    let out = stdout(engine.docker().args(command));
    assert!(out.contains("/var/lib/elbow/web"), "{out}");
}

/// Here the capability is needed, and only the file capability gives it to a user other than root.
fn serves_on_the_hosts_network(engine: &Engine, tag: &str) {
    let ip = address();
    let config = configuration(ip);
    // Docker gives a user other than root no capability, so that the file capability raises privileges.
    let options = [
        "--cap-drop=ALL",
        "--cap-add=NET_BIND_SERVICE",
        "--read-only",
        "--network=host",
    ];
    let file = ["run", "--config", "/etc/elbow/elbow.yaml", "--admin", "off"];
    let container = run(engine, tag, &config, &options, &file);
    assert_eq!(container.answer(ip.into()).status, 200);
}
