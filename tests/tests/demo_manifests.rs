//! `elbow demo -f`: EKS manifests without backends, served in front of pods.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use elbow_tests::certificates::{client_that_trusts, client_that_trusts_all};
use elbow_tests::command::{Running, output, stdout, texts};
use elbow_tests::{Client, Response, TempDir, client, eks, elbow, need};
use rustix::process::Signal;
use rustls::ClientConfig;
use serde_json::Value;

/// An Ingress for S3 and the console, both over HTTP, with a certificate that only AWS has.
const INGRESS: &str = "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: minio
  annotations:
    kubernetes.io/ingress.class: alb
    alb.ingress.kubernetes.io/load-balancer-name: front
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/listen-ports: '[{\"HTTPS\": 443}]'
    alb.ingress.kubernetes.io/certificate-arn: arn:aws:acm:us-east-1:111122223333:certificate/none
    alb.ingress.kubernetes.io/success-codes: 200,403
spec:
  rules:
  - host: s3.example.localhost
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: minio, port: {number: 80}}}}]}
  - host: console.example.localhost
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: minio-console, port: {name: http-console}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: minio}
spec: {ports: [{name: http-minio, port: 80, targetPort: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: minio-console}
spec: {ports: [{name: http-console, port: 9090}]}
";

/// A running demo of manifests.
struct Demo {
    running: Running,
    json: Value,
    dir: TempDir,
}

impl Demo {
    fn start(paths: &[&str]) -> Self {
        let dir = TempDir::new();
        let mut command = elbow::demo(&["-o", "json", "--pods", "2", "-f"]);
        let running = Running::start(command.args(paths).env("TMPDIR", dir.path()));
        let line = running.line_within(Duration::from_secs(90));
        let json: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        Self { running, json, dir }
    }

    /// Kind, port and socket of every listener.
    fn listeners(&self) -> Vec<(String, u64, SocketAddr)> {
        let balancers = self.json["loadBalancers"].as_array().unwrap();
        let mut listeners = Vec::new();
        for balancer in balancers {
            for listener in balancer["listeners"].as_array().unwrap() {
                listeners.push((
                    balancer["type"].as_str().unwrap().to_owned(),
                    listener["port"].as_u64().unwrap(),
                    listener["bound"].as_str().unwrap().parse().unwrap(),
                ));
            }
        }
        listeners.sort();
        listeners
    }

    fn trust(&self) -> Arc<ClientConfig> {
        client_that_trusts(&fs::read(self.json["caFile"].as_str().unwrap()).unwrap())
    }

    /// Ends it and asserts that nothing is left.
    fn end(mut self) {
        let sockets: Vec<SocketAddr> = self.listeners().into_iter().map(|l| l.2).collect();
        self.running.signal(Signal::INT);
        let code = self.running.wait().code();
        assert_eq!(code, Some(0), "{}", self.running.stderr());
        for socket in sockets {
            assert!(TcpStream::connect(socket).is_err(), "{socket} is open");
        }
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 0);
    }
}

fn get(at: SocketAddr, host: &str, trust: &Arc<ClientConfig>) -> Response {
    let mut connection = Client::tls(at, host, trust).unwrap();
    connection.ask(client::get(host, "/"))
}

#[track_caller]
fn is_s3(answer: &Response) {
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("<Code>AccessDenied</Code>"));
}

#[track_caller]
fn is_console(answer: &Response) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("The console of an S3 pod"));
}

fn anyone() -> Arc<ClientConfig> {
    client_that_trusts_all(rustls::ALL_VERSIONS, &[])
}

/// S1: a Tenant on Classic load balancers with TLS passthrough; its endpoints are unreachable
/// examples.
#[test]
fn tenant_on_classic_load_balancers() {
    let folder = eks::folder("s01-tenant-clb");
    let demo = Demo::start(&[folder.to_str().unwrap()]);
    let listeners = demo.listeners();
    let shape: Vec<_> = listeners.iter().map(|(k, p, _)| (&**k, *p)).collect();
    assert_eq!(shape, [("classic", 443), ("classic", 9443)]);
    is_s3(&get(listeners[0].2, "minio", &anyone()));
    is_console(&get(listeners[1].2, "console", &anyone()));
    let pods: Vec<_> = demo.json["targets"].as_array().unwrap().iter().collect();
    assert!(pods.iter().all(|t| t["pod"].is_string()), "{pods:?}");
    demo.end();
}

/// S13: a Tenant on NLBs.
#[test]
fn tenant_on_network_load_balancers() {
    let folder = eks::folder("s13-nlb-tenant");
    let demo = Demo::start(&[folder.to_str().unwrap()]);
    let listeners = demo.listeners();
    let shape: Vec<_> = listeners.iter().map(|(k, p, _)| (&**k, *p)).collect();
    assert_eq!(shape, [("network", 443), ("network", 9443)]);
    is_s3(&get(listeners[0].2, "minio", &anyone()));
    is_console(&get(listeners[1].2, "console", &anyone()));
    demo.end();
}

/// A user's Ingress: hosts, HTTP targets, and a certificate of the demo's CA for the one
/// in AWS.
#[test]
fn users_ingress_is_served() {
    let written = TempDir::new();
    let file = written.write("ingress.yaml", INGRESS);
    let demo = Demo::start(&[file.to_str().unwrap()]);
    let listeners = demo.listeners();
    assert_eq!(listeners.len(), 1);
    let at = listeners[0].2;
    let hosts = &demo.json["hosts"];
    for host in ["s3.example.localhost", "console.example.localhost"] {
        assert_eq!(hosts[host], at.ip().to_string(), "{hosts}");
    }
    is_s3(&get(at, "s3.example.localhost", &demo.trust()));
    is_console(&get(at, "console.example.localhost", &demo.trust()));

    // Pods can be stopped as in the other demo.
    let admin = demo.json["admin"].as_str().unwrap().parse().unwrap();
    let stopped = elbow::admin_ask(admin, "POST", "/demo/pods/minio-0/stop").unwrap();
    assert_eq!(stopped.status, 200, "{}", stopped.text());
    is_s3(&get(at, "s3.example.localhost", &demo.trust()));
    demo.end();
}

#[test]
fn manifests_without_load_balancers_are_an_error() {
    let dir = TempDir::new();
    let file = dir.write(
        "service.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n",
    );
    let temporary = dir.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = elbow::demo(&["-o", "json", "-f", file.to_str().unwrap()]);
    let ended = output(command.env("TMPDIR", &temporary));
    let (out, err) = texts(&ended);
    assert_eq!((ended.status.code(), &*out), (Some(1), ""), "{err}");
    assert!(err.contains("error[no-load-balancers]"), "{err}");
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0);
}

/// Every row of `config/eks`: each listener leads to S3 or to a console.
#[test]
fn every_row_works() {
    let rows = eks::rows();
    // A demo mostly waits, so four run in parallel.
    thread::scope(|scope| {
        for first in 0..4 {
            let rows = rows.iter().skip(first).step_by(4);
            scope.spawn(|| rows.for_each(|row| check_row(row)));
        }
    });
}

fn check_row(row: &str) {
    let folder = eks::folder(row);
    let demo = Demo::start(&[folder.to_str().unwrap()]);
    assert!(!demo.listeners().is_empty(), "{row}");
    for balancer in demo.json["loadBalancers"].as_array().unwrap() {
        let hosts = demo.json["hosts"].as_object().unwrap();
        let mut hosts: Vec<&str> = hosts.keys().map(String::as_str).collect();
        if hosts.is_empty() {
            hosts.push(balancer["dnsName"].as_str().unwrap());
        }
        for listener in balancer["listeners"].as_array().unwrap() {
            // A security group of this row admits nobody to this port.
            if row.starts_with("s08") && listener["port"] == 9090 {
                continue;
            }
            let at: SocketAddr = listener["bound"].as_str().unwrap().parse().unwrap();
            let trust = match listener["protocol"].as_str().unwrap() {
                // A pod's own certificate.
                "TCP" => anyone(),
                _ => demo.trust(),
            };
            for host in &hosts {
                let answer = match listener["protocol"].as_str().unwrap() {
                    "HTTP" => Client::plain(at).ask(client::get(host, "/")),
                    _ => get(at, host, &trust),
                };
                match answer.status {
                    200 => is_console(&answer),
                    _ => is_s3(&answer),
                }
            }
        }
    }
    demo.end();
}

/// Printed commands can be pasted.
#[test]
fn printed_curl_commands_work() {
    need!("curl");
    let dir = TempDir::new();
    let file = dir.write("ingress.yaml", INGRESS);
    let temporary = dir.join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut command = elbow::demo(&["--pods", "1", "-f", file.to_str().unwrap()]);
    let running = Running::start(command.env("TMPDIR", &temporary));
    let mut lines = Vec::new();
    loop {
        let line = running.line_within(Duration::from_secs(90));
        match line.trim().strip_prefix("curl --cacert") {
            Some(rest) => lines.push(format!("curl -s -w ' %{{http_code}}' --cacert{rest}")),
            None if line.contains("Ctrl-C quits") => break,
            None => {}
        }
    }
    let answers: Vec<String> = lines
        .iter()
        .map(|line| stdout(Command::new("sh").arg("-c").arg(line)))
        .collect();
    assert_eq!(answers.len(), 2, "{lines:?}");
    assert!(answers[0].contains("AccessDenied") && answers[0].ends_with(" 403"));
    assert!(answers[1].contains("The console") && answers[1].ends_with(" 200"));
}
