//! The admin address: which requests it accepts, and its formats.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use elbow_tests::command::{output, stdout, texts};
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::elbow::admin_ask;
use elbow_tests::{Client, Elbow, Response, TempDir, address, elbow, need};

fn serving(args: &[&str]) -> Elbow {
    let http = listener(8080, "HTTP", &fixed(200, "hi"));
    Elbow::run_with(&file(&[alb("alb", address(), &[http])], &[]), args)
}

/// The response to a request with these header fields, including `Host`.
fn ask(to: SocketAddr, request: &str, fields: &[&str]) -> Response {
    let mut head = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
    for field in fields {
        head += field;
        head += "\r\n";
    }
    let mut client = Client::plain(to);
    client.send(head + "\r\n");
    let method = request.split(' ').next().unwrap();
    client.try_response(method).unwrap()
}

const FREE: [&str; 4] = ["/live", "/ready", "/health", "/metrics"];
const OTHERS: [&str; 4] = ["/config", "/status", "/targets", "/nowhere"];

#[test]
fn other_hosts_and_sites_are_refused() {
    let elbow = serving(&["--admin-host", "elbow.internal"]);
    let admin = elbow.admin();
    let code = |request: &str, fields: &[&str]| ask(admin, request, fields).status;
    let rebound = format!("Host: evil.example:{}", admin.port());
    for path in FREE {
        assert_eq!(code(&format!("GET {path}"), &[&rebound]), 200, "{path}");
    }
    for path in OTHERS {
        assert_eq!(code(&format!("GET {path}"), &[&rebound]), 421, "{path}");
    }
    let own = format!("Host: {admin}");
    let stop = "POST /demo/pods/minio-0/stop";
    let length = "Content-Length: 0";
    assert_eq!(code(stop, &[&rebound, length]), 421);
    for foreign in ["Origin: https://evil.example", "Origin: null"] {
        assert_eq!(code(stop, &[&own, length, foreign]), 403, "{foreign}");
        assert_eq!(code("GET /config", &[&own, foreign]), 403, "{foreign}");
    }
    assert_eq!(
        code(stop, &[&own, length, "Sec-Fetch-Site: cross-site"]),
        403
    );
    // A request like curl's is accepted, but there are no pods here.
    assert_eq!(code(stop, &[&own, length]), 404);
    for host in ["localhost", "a.localhost:9901", "elbow.internal", "[::1]"] {
        let host = format!("Host: {host}");
        assert_eq!(code("GET /config", &[&host]), 200, "{host}");
    }
    let page = ask(admin, "GET /config", &[&own]);
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        page.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
    for reason in ["host", "site"] {
        let label = format!("reason=\"{reason}\"");
        elbow.wait_for_metric("elbow_admin_refused_requests_total", &[&label], 5.0);
    }
}

#[test]
fn token_is_required_except_for_free_pages() {
    let dir = TempDir::new();
    let token = dir.write("token", "s3cret\n");
    let token = token.to_str().unwrap();
    let probes = SocketAddr::from((address(), 9902));
    let at = probes.to_string();
    let elbow = serving(&["--admin-token", token, "--probes", &at]);
    let admin = elbow.admin();
    for to in [admin, probes] {
        let code = |path: &str, fields: &[&str]| {
            let host = format!("Host: {to}");
            let fields: Vec<&str> = [&*host].into_iter().chain(fields.iter().copied()).collect();
            ask(to, &format!("GET {path}"), &fields).status
        };
        for path in FREE {
            assert_eq!(code(path, &[]), 200, "{path}");
        }
        for path in OTHERS {
            assert_eq!(code(path, &[]), 401, "{path}");
            let wrong = code(path, &["Authorization: Bearer s3cre7"]);
            assert_eq!(wrong, 401, "{path}");
        }
        assert_eq!(code("/config", &["Authorization: Bearer s3cret"]), 200);
        assert_eq!(code("/config", &["X-Elbow-Admin-Token: s3cret"]), 200);
    }
    let admin = admin.to_string();
    let get = ["get", "load-balancers", "--admin", &admin];
    let without = output(&mut elbow::command(&get));
    let error = texts(&without).1;
    assert_eq!(without.status.code(), Some(3), "{error}");
    assert!(
        error.contains("admin token") && error.contains("--admin-token"),
        "{error}"
    );
    let mut with = elbow::command(&get);
    assert!(stdout(with.args(["--admin-token", token])).contains("alb"));
    let mut with = elbow::command(&get);
    assert!(stdout(with.env("ELBOW_ADMIN_TOKEN", token)).contains("alb"));
}

#[test]
fn probe_address_without_a_token_serves_only_free_pages() {
    let probes = SocketAddr::from((address(), 9902));
    let elbow = serving(&["--probes", &probes.to_string()]);
    for path in FREE {
        let page = admin_ask(probes, "GET", path).unwrap();
        assert_eq!(page.status, 200, "{path}");
    }
    for path in OTHERS {
        let page = admin_ask(probes, "GET", path).unwrap();
        assert_eq!(page.status, 403, "{path}");
        assert!(page.text().contains("--admin"), "{}", page.text());
    }
    assert_eq!(elbow.page("/config").status, 200);
}

#[test]
fn token_auto_is_created_for_the_user() {
    let home = TempDir::new();
    let file = home.join("elbow/admin-token");
    let config = config_text();
    let dir = TempDir::new();
    let path = dir.write("elbow.yaml", config);
    let admin = SocketAddr::from((address(), 9901)).to_string();
    let user = |args: &[&str]| {
        let mut command = elbow::command(args);
        command.env("ELBOW_CA_DIR", home.join("elbow"));
        command.args(["--admin", &admin, "--admin-token", "auto"]);
        command
    };
    let mut refused = user(&["get", "targets"]);
    let refused = output(&mut refused);
    assert_eq!(refused.status.code(), Some(3), "{}", texts(&refused).1);
    let mut run = user(&["run", "--config", path.to_str().unwrap()]);
    let mut running = elbow_tests::command::Running::start(&mut run);
    let to: SocketAddr = admin.parse().unwrap();
    elbow_tests::wait::until("the admin address", || {
        running.assert_running();
        admin_ask(to, "GET", "/live")
    });
    assert_eq!(admin_ask(to, "GET", "/targets").unwrap().status, 401);
    stdout(&mut user(&["get", "load-balancers"]));
    assert_eq!(std::fs::read_to_string(file).unwrap().len(), 65);
}

fn config_text() -> String {
    let http = listener(8080, "HTTP", &fixed(200, "hi"));
    file(&[alb("alb", address(), &[http])], &[]).to_string()
}

/// The header that Prometheus 2.42 sends.
const PROMETHEUS: &str = "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
    text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

#[test]
fn metrics_are_openmetrics_only_if_the_client_asks() {
    let elbow = serving(&[]);
    let host = format!("Host: {}", elbow.admin());
    let text = ask(elbow.admin(), "GET /metrics", &[&host, "Accept: */*"]);
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    let text = text.text();
    assert!(text.contains("# TYPE elbow_connections_total counter\n"));
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    let open = ask(elbow.admin(), "GET /metrics", &[&host, PROMETHEUS]);
    assert_eq!(
        open.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    let open = open.text();
    assert!(open.contains("# TYPE elbow_connections counter\n"));
    assert!(open.ends_with("# EOF\n"));
}

#[test]
fn promtool_accepts_the_metrics() {
    let promtool = need!("promtool");
    let elbow = serving(&[]);
    let text = elbow.page("/metrics").text();
    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let checked = check.wait_with_output().unwrap();
    let (out, err) = texts(&checked);
    assert!(checked.status.success(), "{out}{err}\n{text}");
}
