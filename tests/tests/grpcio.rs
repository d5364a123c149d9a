//! Real gRPC: servers and clients of grpcio on both sides of an HTTPS listener (ALB guide: target groups).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::io::{PipeWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{env, io};

use elbow_tests::command::{Running, stdout};
use elbow_tests::config::{alb, file, forward, listener};
use elbow_tests::elbow::log_fields;
use elbow_tests::tools::client_script;
use elbow_tests::{Ca, Elbow, TempDir, address, need_python, wait};
use rustix::process::Signal;
use serde_json::json;

const SCRIPT: &str = "calls.py";
/// How long a test waits for thousands of calls, on a busy machine.
const LONG: Duration = Duration::from_secs(600);
/// The status names and how many calls ended with each.
type Outcomes = BTreeMap<String, usize>;

/// A server, and elbow in front of it.
struct Calls {
    python: PathBuf,
    elbow: Elbow,
    server: Running,
    of_server: SocketAddr,
    of_elbow: SocketAddr,
    ca_file: PathBuf,
}

impl Calls {
    /// With a target group of protocol HTTP, or HTTPS.
    fn start(python: PathBuf, protocol: &str) -> Self {
        let (dir, ca) = (TempDir::new(), Ca::new());
        ca.leaf(&["a.example"]).write(&dir, "main");
        let ca_file = dir.write("ca.pem", ca.pem());
        let tls = (protocol == "HTTPS").then(|| ca.leaf(&["target.example"]).write(&dir, "target"));
        let of_server = SocketAddr::new(address().into(), 50_051);
        let server = serve(&python, of_server, tls.as_ref());
        let ip = IpAddr::from(address());
        let mut listener = listener(8443, "HTTPS", &forward("calls"));
        listener["certificates"] = json!(["main"]);
        let group = json!({"name": "calls", "protocol": protocol, "protocolVersion": "GRPC", "port": of_server.port(),
            "targetType": "ip", "healthCheckConfig": {"protocol": protocol, "intervalSeconds": 5, "timeoutSeconds": 2},
            "targets": [{"id": of_server.ip()}]});
        let mut config = file(&[alb("alb", ip, &[listener])], &[group]);
        config["certificates"] =
            json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
        let elbow = Elbow::run_in(dir, &config, &[]);
        elbow.wait_for_state("calls", of_server, "healthy");
        Self {
            python,
            elbow,
            server,
            of_server,
            of_elbow: (ip, 8443).into(),
            ca_file,
        }
    }

    /// A client that runs `scenario`.
    fn client(&self, scenario: &str, more: &[&str]) -> std::process::Command {
        let mut command = client_script(&self.python, SCRIPT);
        command
            .args([scenario, &self.of_elbow.to_string()])
            .arg(&self.ca_file)
            .args(more);
        command
    }

    /// A client that runs `scenario`, and what it waits for.
    fn attended(&self, scenario: &str) -> (Running, PipeWriter) {
        let (stdin, go) = io::pipe().unwrap();
        let client = Running::start_with(&mut self.client(scenario, &[]), Stdio::from(stdin));
        (client, go)
    }

    /// The statuses of one line.
    fn many(&self, channels: usize, calls: usize) -> Running {
        let more = [channels.to_string(), calls.to_string()];
        Running::start(&mut self.client("many", &more.each_ref().map(String::as_str)))
    }
}

fn serve(python: &Path, address: SocketAddr, tls: Option<&(PathBuf, PathBuf)>) -> Running {
    let mut command = client_script(python, SCRIPT);
    command.args(["serve", &address.to_string()]);
    if let Some((certificate, key)) = tls {
        command.args([certificate, key]);
    }
    let server = Running::start(&mut command);
    assert_eq!(server.line(), "serves");
    server
}

fn outcomes(line: &str) -> Outcomes {
    serde_json::from_str(line).unwrap()
}

#[test]
fn all_kinds_of_calls_pass_in_clear_and_over_tls() {
    let python = need_python!();
    for protocol in ["HTTP", "HTTPS"] {
        let calls = Calls::start(python.clone(), protocol);
        let passed = stdout(&mut calls.client("interop", &[]));
        let expected = "messages_both_ways\nping_pong\nmetadata\nstatuses\n";
        assert_eq!(passed, expected, "{protocol}");
    }
}

#[test]
fn compressed_messages_stay_compressed() {
    let calls = Calls::start(need_python!(), "HTTP");
    assert_eq!(stdout(&mut calls.client("gzip", &[])), "True\n");
    let fields = log_fields(&calls.elbow.access_log(1)[0]);
    // A megabyte of zeros.
    for (name, n) in [("received", 10), ("sent", 11)] {
        let bytes: usize = fields[n].parse().unwrap();
        assert!((1000..20_000).contains(&bytes), "{name}: {bytes}");
    }
}

#[test]
fn deadline_passes_on_and_cancels_at_the_server() {
    let calls = Calls::start(need_python!(), "HTTP");
    let said = stdout(&mut calls.client("deadline", &[]));
    assert_eq!(said, "DEADLINE_EXCEEDED\n");
    let of_server = [calls.server.line(), calls.server.line()];
    assert_eq!(of_server, ["waits within True", "cancelled"]);
}

#[test]
fn cancel_reaches_the_server_before_and_amid_a_response() {
    let calls = Calls::start(need_python!(), "HTTP");
    let (client, mut go) = calls.attended("cancel");
    for first in ["called", "first"] {
        assert_eq!(client.line(), first);
        assert_eq!(calls.server.line(), "waits");
        go.write_all(b"\n").unwrap();
        assert_eq!(client.line(), "CANCELLED");
        assert_eq!(calls.server.line(), "cancelled");
    }
    let log = calls.elbow.access_log(2);
    let statuses: Vec<_> = log.iter().map(|line| log_fields(line).remove(8)).collect();
    assert_eq!(statuses, ["460", "200"]);
}

// A connection ends with GOAWAY after 10,000 requests; no call may notice. With `ELBOW_TEST_CALLS=100000` there are as many.
#[test]
fn no_call_is_lost_beyond_the_requests_of_a_connection() {
    let calls = Calls::start(need_python!(), "HTTP");
    let n = env::var("ELBOW_TEST_CALLS").map_or(24_000, |n| n.parse().unwrap());
    let client = calls.many(2, n);
    assert_eq!(client.line(), "500 calls");
    let ended = client.line_within(LONG);
    assert_eq!(outcomes(&ended), Outcomes::from([("OK".to_owned(), n)]));
    let counted = "elbow_grpc_requests_total";
    calls.elbow.wait_for_metric(counted, &[], n as f64);
}

#[test]
fn calls_of_a_killed_server_are_unavailable_until_it_is_back() {
    let mut calls = Calls::start(need_python!(), "HTTP");
    let stream = Running::start(&mut calls.client("stream", &[]));
    assert_eq!(stream.line(), "first");
    let many = calls.many(2, 20_000);
    assert_eq!(many.line(), "500 calls");
    calls.server.end(Signal::KILL);
    // The response had begun, so its stream is reset.
    assert_eq!(stream.line(), "INTERNAL");
    let ended = outcomes(&many.line_within(LONG));
    assert_eq!(ended.values().sum::<usize>(), 20_000, "{ended:?}");
    for outcome in ended.keys() {
        let known = ["OK", "UNAVAILABLE", "INTERNAL"];
        assert!(known.contains(&&**outcome), "{ended:?}");
    }
    assert!(ended["OK"] >= 500 && ended["UNAVAILABLE"] > 0, "{ended:?}");
    calls.server = serve(&calls.python, calls.of_server, None);
    wait::until("calls to pass again", || {
        let all = Outcomes::from([("OK".to_owned(), 100)]);
        let again = calls.many(1, 100);
        (outcomes(&again.line()) == all).then_some(())
    });
}
