//! Log files in a bucket behind the S3 API, on real MinIO, through an ALB of another elbow.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;

use elbow_tests::command::stdout;
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::log_files::{ACCESS_LOG, LogFile};
use elbow_tests::s3::{ACCESS_KEY, S3, SECRET_KEY};
use elbow_tests::{Client, Elbow, TempDir, address, client, need, wait};
use serde_json::{Value, json};

/// An ALB whose access log goes to the bucket `shop-logs`, a file each second.
fn logged(address: Ipv4Addr) -> Value {
    let mut balancer = alb("web", address, &[listener(8080, "HTTP", &fixed(200, "ok"))]);
    balancer["attributes"] = json!({"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "shop-logs",
        "access_logs.s3.prefix": "prod", "elbow.log_interval.seconds": "1"});
    file(&[balancer], &[])
}

fn ask(at: Ipv4Addr, path: &str) {
    let mut client = Client::plain(SocketAddr::from((at, 8080)));
    client.send(client::get("shop.example", path));
    assert_eq!(client.response().status, 200);
}

/// `mc` with the ALB as `lb`.
struct Mc<'a> {
    program: &'a Path,
    s3: &'a S3,
}

impl Mc<'_> {
    fn run(&self, args: &[&str]) -> String {
        let config = self.s3.dir().join("mc");
        let options = [
            "--insecure",
            "--quiet",
            "--config-dir",
            config.to_str().unwrap(),
        ];
        stdout(Command::new(self.program).args(options).args(args))
    }

    fn connect(&self) {
        let url = self.s3.endpoints()[0].url_by_address();
        self.run(&[
            "alias", "set", "lb", &url, ACCESS_KEY, SECRET_KEY, "--api", "S3v4",
        ]);
    }

    /// What is in the bucket.
    fn files(&self) -> Vec<LogFile> {
        let copy = TempDir::new();
        self.run(&["mirror", "lb/shop-logs", copy.path().to_str().unwrap()]);
        LogFile::below(copy.path())
    }
}

/// A bucket that is missing at first costs no request and no line.
fn ship(s3: &S3, mc: &Path) {
    let mc = Mc { program: mc, s3 };
    mc.connect();
    let (dir, at) = (TempDir::new(), address());
    dir.write("ca.pem", s3.ca.pem());
    let bucket = json!({"name": "shop-logs", "endpoint": format!("https://{}:8443", s3.alb), "caFile": "ca.pem",
        "accessKeyId": ACCESS_KEY, "secretAccessKey": SECRET_KEY});
    let environment = dir.write(
        "environment.yaml",
        json!({"logBuckets": [bucket]}).to_string(),
    );
    let arguments = ["--environment", environment.to_str().unwrap()];
    let mut elbow = Elbow::run_in(dir, &logged(at), &arguments);
    ask(at, "/first");
    wait::until("the bucket to refuse a file", || {
        let failures = elbow.metric("elbow_log_delivery_failures_total", &[]);
        failures.filter(|failures| *failures > 0.0)
    });
    let refused = "bucket \"shop-logs\" does not take a file; it is tried again";
    let log = elbow.log_with(&[refused]);
    assert!(!log.contains(SECRET_KEY), "{log}");
    mc.run(&["mb", "lb/shop-logs"]);
    ask(at, "/second");
    let delivered = ["result=\"delivered\""];
    elbow.wait_for_metric("elbow_log_file_lines_total", &delivered, 2.0);
    // The last one is delivered when elbow stops.
    ask(at, "/third");
    let lines = elbow.access_log(3);
    let id = lines[0].split(' ').nth(2).unwrap().replace('/', ".");
    assert!(elbow.terminate().success());
    let mut files = mc.files();
    for file in &files {
        file.assert_key("prod/", "", &id, &format!("{at}_"), ".log.gz");
    }
    let rows: Vec<Vec<String>> = files
        .iter()
        .flat_map(|file| file.rows(ACCESS_LOG))
        .collect();
    let mut urls: Vec<&str> = rows
        .iter()
        .map(|row| row[15].rsplit('/').next().unwrap())
        .collect();
    urls.sort_unstable();
    assert_eq!(urls, ["first", "second", "third"]);
    let mut shipped: Vec<String> = files
        .iter_mut()
        .flat_map(|file| file.lines.drain(..))
        .collect();
    let mut written = lines;
    shipped.sort();
    written.sort();
    assert_eq!(shipped, written);
}

#[test]
fn access_log_is_shipped_to_minio() {
    let (minio, mc) = (need!("minio"), need!("mc"));
    ship(&S3::minio(minio), &mc);
}
