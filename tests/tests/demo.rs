//! `elbow demo -o json`: three load balancers in front of four pods, without leftovers.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use elbow_tests::browser::Browser;
use elbow_tests::certificates::{client_that_trusts, client_that_trusts_all};
use elbow_tests::chromium::Chromium;
use elbow_tests::command::{Running, stdout};
use elbow_tests::{Client, Response, TempDir, address, client, elbow, need, wait};
use rustix::process::Signal;
use rustls::ClientConfig;
use serde_json::{Value, json};

/// How long a test waits for a demo, on a busy machine.
const START: Duration = Duration::from_secs(90);

/// A running demo.
struct Demo {
    running: Running,
    json: Value,
    dir: TempDir,
}

impl Demo {
    fn start(minio: &str) -> Self {
        Self::start_with(&["--minio", minio])
    }

    fn start_with(args: &[&str]) -> Self {
        let dir = TempDir::new();
        let mut command = elbow::demo(args);
        command
            .args(["-o", "json"])
            .arg("--dir")
            .arg(dir.join("demo"))
            .env("TMPDIR", dir.path());
        let running = Running::start(&mut command);
        let line = running.line_within(START);
        let json: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Self { running, json, dir }
    }

    fn load_balancer(&self, name: &str) -> &Value {
        let all = self.json["loadBalancers"].as_array().unwrap();
        all.iter()
            .find(|lb| lb["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.json))
    }

    /// The socket of the listener of this port.
    fn bound(&self, name: &str, port: u16) -> SocketAddr {
        let listeners = self.load_balancer(name)["listeners"].as_array().unwrap();
        let listener = listeners.iter().find(|l| l["port"] == port).unwrap();
        listener["bound"].as_str().unwrap().parse().unwrap()
    }

    /// A client that trusts only the demo's CA.
    fn trust(&self) -> Arc<ClientConfig> {
        client_that_trusts(&fs::read(self.json["caFile"].as_str().unwrap()).unwrap())
    }

    /// A GET through the ALB's HTTPS listener, with verification.
    fn alb_get(&self, host: &str, path: &str) -> Response {
        // The SNI and the Host may differ.
        let known = self.json["hosts"].get(host).is_some();
        let name = if known {
            host
        } else {
            "minio.example.localhost"
        };
        let mut connection =
            Client::tls(self.bound("minio-alb", 443), name, &self.trust()).unwrap();
        connection.ask(client::get(host, path))
    }

    fn admin(&self) -> SocketAddr {
        self.json["admin"].as_str().unwrap().parse().unwrap()
    }

    /// The targets in `/targets` with the pod's S3 port.
    fn rows(&self, port: u64) -> Vec<Value> {
        let page = elbow::admin_get(self.admin(), "/targets").unwrap();
        elbow::rows(&serde_json::from_slice(&page.body).unwrap())
            .into_iter()
            .filter(|row| row["port"] == port)
            .collect()
    }

    fn switch(&self, pod: &str, what: &str) {
        let path = format!("/demo/pods/{pod}/{what}");
        let status = elbow::admin_ask(self.admin(), "POST", &path).map(|r| r.status);
        assert!(
            status.is_some_and(|s| (200..300).contains(&s)),
            "{path}: {status:?}"
        );
    }

    /// Its process and all descendants.
    fn processes(&self) -> HashSet<u32> {
        let mut found = HashSet::from([self.running.id()]);
        let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
                let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
                Some((pid, parent))
            })
            .collect();
        while let Some((pid, _)) = parents
            .iter()
            .find(|(pid, parent)| found.contains(parent) && !found.contains(pid))
        {
            found.insert(*pid);
        }
        found
    }
}

#[test]
fn user_logs_in_at_the_provider_of_the_demo() {
    let demo = Demo::start_with(&["--minio", "never", "--pods", "1", "--login"]);
    let login = &demo.json["login"];
    assert_eq!(
        (&login["user"], &login["password"]),
        (&json!("alice"), &json!("secret"))
    );
    let url = login["url"].as_str().unwrap();
    assert!(url.starts_with("https://localhost:"), "{url}");
    let bound = demo.load_balancer("login-alb")["listeners"][0]["bound"].clone();
    assert!(bound.as_str().unwrap().starts_with("127.0.0.1:"), "{bound}");

    let mut mallory = Browser::with(demo.trust());
    let page = mallory.open(url);
    assert!(
        page.url.starts_with(&format!("{url}provider/authorize?")),
        "{}",
        page.url
    );
    assert!(
        page.response.text().contains("toy identity provider"),
        "{}",
        page.response.text()
    );
    let refused = mallory.post(&page.url, "login=alice&password=guess");
    assert_eq!(refused.response.status, 401);
    assert!(refused.response.text().contains("Wrong user or password"));

    let mut alice = Browser::with(demo.trust());
    let asked = format!("{url}a/page");
    let page = alice.log_in(&asked, "alice");
    assert_eq!((page.response.status, &page.url), (200, &asked));
    let text = page.response.text();
    assert!(
        text.contains("Hello alice") && text.contains("alice@example.com"),
        "{text}"
    );
    let again = alice.get(url);
    assert!(again.text().contains("Hello alice"), "{}", again.text());
}

#[test]
fn browser_logs_in_at_the_provider_of_the_demo() {
    let chromium = need!("chromium");
    let demo = Demo::start_with(&["--minio", "never", "--pods", "1", "--login"]);
    let mut browser = Chromium::start(&chromium);
    browser.open(demo.json["login"]["url"].as_str().unwrap());
    browser.wait_for("document.querySelector('[name=login]') !== null");
    browser.evaluate(
        "document.querySelector('[name=login]').value = 'alice';
         document.querySelector('[name=password]').value = 'secret';
         document.querySelector('button[type=submit]').click()",
    );
    browser.wait_for("document.title === 'Hello alice'");
}

/// Checks everything that the demo documents.
fn check_demo(mut demo: Demo, minio: bool) {
    shape(&demo);
    passthrough(&demo);
    console_nlb(&demo, minio);
    application(&demo, minio);
    pod_switches(&demo);
    leaves_nothing(&mut demo);
}

fn shape(demo: &Demo) {
    let kinds: Vec<(&str, &str)> = demo.json["loadBalancers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lb| (lb["name"].as_str().unwrap(), lb["type"].as_str().unwrap()))
        .collect();
    let mut sorted = kinds;
    sorted.sort_unstable();
    let expected = [
        ("console-nlb", "network"),
        ("minio-alb", "application"),
        ("minio-nlb", "network"),
    ];
    assert_eq!(sorted, expected);
    let pods: HashSet<&str> = demo.json["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["pod"].as_str().unwrap())
        .collect();
    assert_eq!(
        pods,
        HashSet::from(["minio-0", "minio-1", "minio-2", "minio-3"])
    );
    assert_eq!(demo.json["region"], "us-east-1");
    for key in ["accessKey", "secretKey"] {
        assert!(
            demo.json[key].as_str().is_some_and(|s| s.len() >= 8),
            "{}",
            demo.json
        );
    }
    let page = elbow::admin_get(demo.admin(), "/targets").unwrap();
    for row in elbow::rows(&serde_json::from_slice(&page.body).unwrap()) {
        assert_eq!(row["state"], "healthy", "{row}");
    }
    assert_eq!(
        elbow::admin_get(demo.admin(), "/health").map(|r| r.status),
        Some(200)
    );
}

/// The NLB passes TCP through: the pod's own certificate, and S3's 403 for an unsigned request.
fn passthrough(demo: &Demo) {
    let to = demo.bound("minio-nlb", 443);
    let trust = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let mut connection = Client::tls(to, "minio.example.localhost", &trust).unwrap();
    let by_demo_ca = Client::tls(to, "minio.example.localhost", &demo.trust());
    assert!(
        by_demo_ca.is_err(),
        "the certificate must be the pod's, not the demo's"
    );
    let response = connection.ask(client::get(&to.to_string(), "/"));
    assert_eq!(response.status, 403, "{}", response.head);
    assert!(
        response.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        response.text()
    );
}

/// The other NLB terminates TLS, with a certificate valid for its DNS name.
fn console_nlb(demo: &Demo, minio: bool) {
    let name = demo.load_balancer("console-nlb")["dnsName"]
        .as_str()
        .unwrap();
    let mut connection = Client::tls(demo.bound("console-nlb", 443), name, &demo.trust()).unwrap();
    let response = connection.ask(client::get(name, "/"));
    assert_eq!(response.status, 200, "{}", response.head);
    if minio {
        assert!(
            response.text().contains("MinIO Console"),
            "{}",
            response.text()
        );
    }
}

/// The ALB routes by host, answers 404 for others, and redirects HTTP to HTTPS.
fn application(demo: &Demo, minio: bool) {
    let s3 = demo.alb_get("minio.example.localhost", "/");
    assert_eq!(s3.status, 403, "{}", s3.head);
    assert!(
        s3.text().contains("<Code>AccessDenied</Code>"),
        "{}",
        s3.text()
    );
    let console = demo.alb_get("console.example.localhost", "/");
    assert_eq!(console.status, 200, "{}", console.head);
    if minio {
        assert!(
            console.text().contains("MinIO Console"),
            "{}",
            console.text()
        );
    }
    assert_eq!(demo.alb_get("other.example.localhost", "/").status, 404);
    let mut plain = Client::plain(demo.bound("minio-alb", 80));
    let redirect = plain.ask(client::get("minio.example.localhost", "/a?b=c"));
    assert_eq!(redirect.status, 301);
    let location = redirect.header("location").unwrap();
    assert!(
        location.starts_with("https://minio.example.localhost:"),
        "{location}"
    );
    assert!(location.ends_with("/a?b=c"), "{location}");
    let address = demo.load_balancer("minio-alb")["address"].as_str().unwrap();
    for host in ["minio.example.localhost", "console.example.localhost"] {
        assert_eq!(demo.json["hosts"][host], address, "{}", demo.json);
    }
}

/// A stopped pod turns unhealthy with a reason, requests succeed, and the pod comes back.
fn pod_switches(demo: &Demo) {
    let of_pod = |t: &&Value| t["pod"] == "minio-0";
    let targets = demo.json["targets"].as_array().unwrap();
    let ports: Vec<u64> = targets
        .iter()
        .filter(of_pod)
        .map(|t| t["port"].as_u64().unwrap())
        .collect();
    let all_are = |state: &str| {
        let rows: Vec<Value> = ports.iter().flat_map(|port| demo.rows(*port)).collect();
        (!rows.is_empty() && rows.iter().all(|row| row["state"] == state)).then_some(rows)
    };
    demo.switch("minio-0", "stop");
    let rows = wait::until_for(wait::TIMEOUT * 2, "the pod to be unhealthy", || {
        all_are("unhealthy")
    });
    for row in rows {
        assert!(
            row["reason"]
                .as_str()
                .is_some_and(|r| r.starts_with("Target.")),
            "{row}"
        );
    }
    for _ in 0..40 {
        assert_eq!(demo.alb_get("minio.example.localhost", "/").status, 403);
    }
    demo.switch("minio-0", "start");
    wait::until_for(wait::TIMEOUT * 2, "the pod to be healthy", || {
        all_are("healthy")
    });
    assert_eq!(demo.alb_get("minio.example.localhost", "/").status, 403);
}

/// Ctrl-C ends it with 0, and leaves no process, no open port and no file outside --dir.
fn leaves_nothing(demo: &mut Demo) {
    let processes = demo.processes();
    let sockets: Vec<SocketAddr> = [
        ("minio-nlb", 443),
        ("console-nlb", 443),
        ("minio-alb", 443),
        ("minio-alb", 80),
    ]
    .iter()
    .map(|(name, port)| demo.bound(name, *port))
    .chain([demo.admin()])
    .collect();
    let pods: Vec<SocketAddr> = demo.json["targets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| {
            format!("{}:{}", t["id"].as_str().unwrap(), t["port"])
                .parse()
                .unwrap()
        })
        .collect();
    demo.running.signal(Signal::INT);
    assert_eq!(
        demo.running.wait().code(),
        Some(0),
        "{}",
        demo.running.stderr()
    );
    for process in processes {
        assert!(
            !Path::new(&format!("/proc/{process}")).exists(),
            "process {process} is left"
        );
    }
    for socket in sockets.into_iter().chain(pods) {
        assert!(
            TcpStream::connect(socket).is_err(),
            "{socket} still accepts connections"
        );
    }
    let left: Vec<PathBuf> = fs::read_dir(demo.dir.path())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|path| !path.ends_with("demo"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[test]
fn demo_with_embedded_pods() {
    check_demo(Demo::start("never"), false);
}

#[test]
fn demo_with_minio() {
    let minio = need!("minio");
    check_demo(Demo::start(minio.to_str().unwrap()), true);
}

#[test]
fn printed_curl_commands_work() {
    need!("curl");
    let dir = TempDir::new();
    let mut command = elbow::demo(&["--minio", "never"]);
    let running = Running::start(command.env("TMPDIR", dir.path()));
    let mut lines: Vec<String> = Vec::new();
    while !lines.iter().any(|line| line.contains("healthy")) {
        lines.push(running.line_within(START));
    }
    let curls: Vec<&str> = lines
        .iter()
        .map(|l| l.trim())
        .filter(|l| l.starts_with("curl ") && !l.contains("POST"))
        .collect();
    assert!(curls.len() >= 5, "{lines:#?}");
    for curl in curls {
        let shown = stdout(
            Command::new("sh").args(["-c", &format!("{curl} --silent --show-error --include")]),
        );
        let status: u16 = shown.split(' ').nth(1).unwrap().parse().unwrap();
        let expected: &[u16] = match curl {
            _ if curl.contains("console") => &[200],
            _ if curl.contains("http://") => &[301],
            _ => &[403],
        };
        assert!(expected.contains(&status), "{curl}: {shown}");
    }
    let aws = lines
        .iter()
        .filter(|l| l.contains("aws ") && l.contains("--endpoint-url"))
        .count();
    assert!(aws >= 2, "{lines:#?}");
}

#[test]
fn key_stops_and_starts_a_pod() {
    // `script` runs the demo in a terminal and types what it reads.
    let script = need!("script");
    let dir = TempDir::new();
    let keyboard = dir.join("keyboard");
    rustix::fs::mkfifoat(rustix::fs::CWD, &keyboard, 0o600.into()).unwrap();
    let demo = format!(
        "{} demo --minio never --address-pool {}",
        elbow::binary().display(),
        address::network()
    );
    let line = format!(
        "exec {} -qefc '{demo}' /dev/null < {}",
        script.display(),
        keyboard.display()
    );
    let mut terminal = Running::start(
        Command::new("sh")
            .args(["-c", &line])
            .env("TMPDIR", dir.path()),
    );
    let mut keys = File::options().write(true).open(&keyboard).unwrap();
    let until_shown = |what: &str| {
        loop {
            let line = terminal.line_within(START);
            if line.contains(what) {
                break line;
            }
        }
    };
    let shown = until_shown("Admin: http://");
    let admin = shown.split("Admin: http://").nth(1).unwrap();
    let admin: SocketAddr = admin.split('/').next().unwrap().parse().unwrap();
    until_shown("healthy");
    keys.write_all(b"1").unwrap();
    until_shown("unhealthy");
    keys.write_all(b"1").unwrap();
    wait::until("all to be healthy again", || {
        let page = elbow::admin_get(admin, "/targets")?;
        let rows = elbow::rows(&serde_json::from_slice(&page.body).ok()?);
        rows.iter()
            .all(|row| row["state"] == "healthy")
            .then_some(())
    });
    keys.write_all(b"q").unwrap();
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn demo_without_a_folder_leaves_no_files() {
    let dir = TempDir::new();
    let mut command = elbow::demo(&["--minio", "never", "-o", "json"]);
    let mut running = Running::start(command.env("TMPDIR", dir.path()));
    running.line_within(START);
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code(), Some(0), "{}", running.stderr());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
