//! Logs in files as AWS delivers them: names, contents, and when they appear.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use elbow_tests::command::Running;
use elbow_tests::config::{alb, classic, file, fixed, forward, group, listener, to_instances};
use elbow_tests::log_files::{ACCESS_LOG, CONNECTION_LOG, LogFile};
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, elbow, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// An ALB whose access log goes to the bucket `shop-logs`.
fn logged(address: Ipv4Addr, action: &Value) -> Value {
    let mut balancer = alb("web", address, &[listener(8080, "HTTP", action)]);
    balancer["attributes"] = json!({"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "shop-logs",
        "access_logs.s3.prefix": "prod/web"});
    balancer
}

/// The environment file that maps the bucket to a folder beside it.
fn environment(dir: &TempDir) -> String {
    let text = "logBuckets: [{name: shop-logs, folder: bucket}]\n";
    dir.write("environment.yaml", text).display().to_string()
}

fn ask(at: (Ipv4Addr, u16), path: &str) -> u16 {
    let mut client = Client::plain(SocketAddr::from(at));
    client.send(client::get("shop.example", path));
    client.response().status
}

/// The last part of the load balancer's ARN.
fn id(elbow: &Elbow) -> String {
    let line = elbow.access_log(1).remove(0);
    line.split(' ').nth(2).unwrap().replace('/', ".")
}

/// ALB guide, access logs: the file's name, and the fields, as Athena's table reads them.
#[test]
fn access_log_of_an_alb_is_delivered_when_elbow_stops() {
    let (dir, at) = (TempDir::new(), address());
    let bucket = dir.join("bucket");
    let environment = environment(&dir);
    let target = Target::ok("hello");
    let group = group("pods", "HTTP", &[target.addr()]);
    let config = file(&[logged(at, &forward("pods"))], &[group]);
    let mut elbow = Elbow::run_in(dir, &config, &["--environment", &environment]);
    elbow.wait_for_state("pods", target.addr(), "healthy");
    assert_eq!(ask((at, 8080), "/a?b=c d"), 200);
    assert_eq!(ask((at, 8080), "/second"), 200);
    let id = id(&elbow);
    let mut lines = elbow.access_log(2);
    assert!(elbow.terminate().success());
    let mut log = whole(&bucket, "");
    log.assert_key("prod/web/", "", &id, &format!("{at}_"), ".log.gz");
    // Two workers may write their lines in either order, and in another one to each file.
    log.lines.sort();
    lines.sort();
    assert_eq!(log.lines, lines);
    let rows = log.rows(ACCESS_LOG);
    assert_eq!(
        (&*rows[0][3], &*rows[0][5]),
        ("127.0.0.1", &*target.addr().ip().to_string())
    );
    let mut requests: Vec<_> = rows
        .iter()
        .map(|row| [&*row[14], &*row[15], &*row[16]])
        .collect();
    requests.sort_unstable();
    assert_eq!(
        requests,
        ["/a?b=c d", "/second"].map(|path| {
            [
                "GET",
                &*format!("http://shop.example:8080{path}"),
                "HTTP/1.1",
            ]
            .map(str::to_owned)
        })
    );
    assert_eq!((&*rows[1][10], &*rows[1][11]), ("200", "200"));
    assert!(rows[1][33].starts_with("TID_"), "{rows:?}");
    assert!(!elbow.log().contains("warning["), "{}", elbow.log());
}

/// CLB guide and NLB guide, access logs: other names, other compression.
#[test]
fn folder_of_the_command_line_gets_the_logs_of_all_load_balancers() {
    let (dir, web, old) = (TempDir::new(), address(), address());
    let target = Target::ok("hello");
    let config = file(
        &[
            alb("web", web, &[listener(8080, "HTTP", &fixed(200, "ok"))]),
            classic(
                "old",
                old,
                &[to_instances(8080, "HTTP", "HTTP")],
                &[target.addr()],
            ),
        ],
        &[],
    );
    let config = dir.write("elbow.yaml", config.to_string());
    let admin = SocketAddr::from((address(), 9901));
    let folder = format!("{}/", dir.join("logs").display());
    let admin_text = admin.to_string();
    let mut command = elbow::command(&["run", "--admin", &admin_text, "--access-log", &folder]);
    let mut elbow = Running::start(command.arg("--config").arg(&config));
    wait::until("the instance to be in service", || {
        elbow.assert_running();
        let page = elbow::admin_get(admin, "/targets")?;
        page.text().contains("InService").then_some(())
    });
    assert_eq!((ask((web, 8080), "/"), ask((old, 8080), "/")), (200, 200));
    elbow.signal(Signal::TERM);
    assert!(elbow.wait().success());
    let files = LogFile::below(&PathBuf::from(folder));
    assert_eq!(files.len(), 2, "{files:?}");
    let of = |end: &str| files.iter().find(|file| file.key.ends_with(end)).unwrap();
    of(".log").assert_key("", "", "old", &format!("{old}_"), ".log");
    assert!(of(".log").lines[0].contains(" old 127.0.0.1:"), "{files:?}");
    assert_eq!(of(".gz").rows(ACCESS_LOG)[0][10], "200");
}

/// A file appears at the end of its interval, while elbow runs.
#[test]
fn file_is_delivered_at_the_end_of_its_interval() {
    let (dir, at) = (TempDir::new(), address());
    let bucket = dir.join("bucket");
    let environment = environment(&dir);
    let mut balancer = logged(at, &fixed(200, "ok"));
    balancer["attributes"]["elbow.log_interval.seconds"] = json!("1");
    let config = file(&[balancer], &[]);
    let elbow = Elbow::run_in(dir, &config, &["--environment", &environment]);
    assert_eq!(ask((at, 8080), "/"), 200);
    let files = wait::until("a log file", || {
        let files = LogFile::below(&bucket);
        (!files.is_empty()).then_some(files)
    });
    assert_eq!(files[0].rows(ACCESS_LOG).len(), 1);
    elbow.wait_for_metric("elbow_log_files_delivered_total", &[], 1.0);
    let delivered = ["result=\"delivered\""];
    elbow.wait_for_metric("elbow_log_file_lines_total", &delivered, 1.0);
    elbow.wait_for_metric("elbow_log_files_pending_bytes", &[], 0.0);
}

/// A log that is enabled by a reload has the next request of a connection that is open.
#[test]
fn reload_turns_the_log_of_open_connections_on_and_off() {
    let (dir, at) = (TempDir::new(), address());
    let bucket = dir.join("bucket");
    let environment = environment(&dir);
    let on = file(&[logged(at, &fixed(200, "ok"))], &[]);
    let mut off = on.clone();
    off["loadBalancers"][0]["attributes"]["access_logs.s3.enabled"] = json!("false");
    let mut elbow = Elbow::run_in(dir, &off, &["--environment", &environment]);
    let mut open = Client::plain((at, 8080));
    let mut ask = |path: &str| {
        open.send(client::get("shop.example", path));
        assert_eq!(open.response().status, 200);
    };
    ask("/before");
    elbow.reload(&on);
    ask("/during");
    elbow.reload(&off);
    ask("/after");
    assert!(elbow.terminate().success());
    let rows = LogFile::below(&bucket).remove(0).rows(ACCESS_LOG);
    let urls: Vec<&str> = rows.iter().map(|row| &*row[15]).collect();
    assert_eq!(urls, ["http://shop.example:8080/during"]);
}

/// Requests are served whatever becomes of their lines: a bucket that nothing maps, and one that takes nothing.
#[test]
fn lines_without_a_bucket_are_counted_and_cost_no_request() {
    let (dir, at) = (TempDir::new(), address());
    let mut balancer = logged(at, &fixed(200, "ok"));
    balancer["attributes"]["access_logs.s3.bucket"] = json!("nowhere");
    let environment = environment(&dir);
    let elbow = Elbow::run_in(
        dir,
        &file(&[balancer], &[]),
        &["--environment", &environment],
    );
    elbow.log_with(&["warning[no-effect]", "\"nowhere\""]);
    assert_eq!(ask((at, 8080), "/"), 200);
    let dropped = ["result=\"dropped\""];
    elbow.wait_for_metric("elbow_log_file_lines_total", &dropped, 1.0);
}

/// The files below `root` whose names begin with `prefix`, as one: an interval may end between two lines.
fn whole(root: &Path, prefix: &str) -> LogFile {
    let mut files = LogFile::below(root);
    files.retain(|file| {
        let (_, name) = file.key.rsplit_once('/').unwrap();
        name.starts_with(prefix)
    });
    let mut files = files.into_iter();
    let mut first = files.next().unwrap();
    first.lines.extend(files.flat_map(|file| file.lines));
    first
}

/// ALB guide, connection logs: 13 fields, one line for each attempt, as Athena's table reads them.
#[test]
fn connection_log_has_every_attempt() {
    let (dir, at) = (TempDir::new(), address());
    let bucket = dir.join("bucket");
    let environment = environment(&dir);
    let ca = Ca::new();
    ca.leaf(&["shop.example"]).write(&dir, "web");
    let mut secure = listener(8443, "HTTPS", &fixed(200, "ok"));
    secure["certificates"] = json!(["web"]);
    secure["sslPolicy"] = json!("ELBSecurityPolicy-TLS13-1-2-2021-06");
    let mut balancer = alb(
        "web",
        at,
        &[listener(8080, "HTTP", &fixed(200, "ok")), secure],
    );
    balancer["attributes"] = json!({"connection_logs.s3.enabled": "true", "connection_logs.s3.bucket": "shop-logs",
        "access_logs.s3.enabled": "true", "access_logs.s3.bucket": "shop-logs"});
    let mut config = file(&[balancer], &[]);
    config["certificates"] =
        json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "web.key"}]);
    let mut elbow = Elbow::run_in(dir, &config, &["--environment", &environment]);
    assert_eq!(ask((at, 8080), "/"), 200);
    let mut client = Client::tls((at, 8443), "shop.example", &ca.client(&["http/1.1"])).unwrap();
    client.send(client::get("shop.example", "/"));
    assert_eq!(client.response().status, 200);
    let mut confused = Client::plain((at, 8443));
    confused.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(confused.response().status, 400);
    confused.expect_end();
    let lines = elbow.access_log(3);
    let id = id(&elbow);
    assert!(elbow.terminate().success());
    let log = whole(&bucket, "conn_log_");
    log.assert_key("", "conn_log_", &id, &format!("{at}_"), ".log.gz");
    let rows = log.rows(CONNECTION_LOG);
    let of = |port: &str, status: &str| {
        let mut all = rows
            .iter()
            .filter(|row| row[3] == port && row[10] == status);
        all.next()
            .unwrap_or_else(|| panic!("no {status} at {port} in {rows:?}"))
            .clone()
    };
    assert_eq!(rows.len(), 3, "{rows:?}");
    let plain = of("8080", "-");
    assert_eq!(
        (&*plain[1], &*plain[4], &*plain[6]),
        ("127.0.0.1", "-", "-")
    );
    let secure = of("8443", "Success");
    assert_eq!(
        (&*secure[4], &*secure[5]),
        ("TLSv1.3", "TLS_AES_128_GCM_SHA256")
    );
    assert!(secure[6].parse::<f64>().is_ok(), "{secure:?}");
    let failed = of("8443", "Failed:UnmappedConnectionError");
    assert_eq!((&*failed[4], &*failed[6], &*failed[7]), ("-", "-", "-"));
    // A line of the access log names its connection.
    for row in [plain, secure, failed] {
        let id = &row[11];
        assert!(
            lines.iter().any(|line| line.contains(&format!(" {id} "))),
            "{id}: {lines:?}"
        );
    }
}

/// ALB guide, health check logs: 8 fields, and the reason of a failure.
#[test]
fn health_check_log_has_every_check() {
    let (dir, at) = (TempDir::new(), address());
    let bucket = dir.join("bucket");
    let environment = environment(&dir);
    let target = Target::ok("hello");
    let group = group("pods", "HTTP", &[target.addr()]);
    let mut balancer = alb("web", at, &[listener(8080, "HTTP", &forward("pods"))]);
    balancer["attributes"] =
        json!({"health_check_logs.s3.enabled": "true", "health_check_logs.s3.bucket": "shop-logs"});
    let config = file(&[balancer], &[group]);
    let mut elbow = Elbow::run_in(dir, &config, &["--environment", &environment]);
    elbow.wait_for_state("pods", target.addr(), "healthy");
    target.set_health(503);
    elbow.wait_for_state("pods", target.addr(), "unhealthy");
    assert!(elbow.terminate().success());
    let log = whole(&bucket, "health_check_log_");
    let address = format!(
        "{}:{}",
        target.addr().ip(),
        elbow_tests::target::HEALTH_PORT
    );
    let rows: Vec<Vec<&str>> = log
        .lines
        .iter()
        .map(|line| line.split(' ').collect())
        .collect();
    for row in &rows {
        assert_eq!(
            (row.len(), row[0], row[3], row[4]),
            (8, "http", &*address, "pods"),
            "{rows:?}"
        );
        let (_, nanoseconds) = row[2].split_once('.').unwrap();
        assert_eq!(nanoseconds.len(), 9, "{rows:?}");
    }
    let results: Vec<&[&str]> = rows.iter().map(|row| &row[5..]).collect();
    assert_eq!(results[0], ["PASS", "200", "-"]);
    assert_eq!(results[results.len() - 1], ["FAIL", "503", "TargetError"]);
}
