//! Certificates that the local CA issues, and `elbow cert`.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use elbow_tests::certificates::{client_that_trusts, client_that_trusts_all, self_signed_expired};
use elbow_tests::command::{Running, stdout};
use elbow_tests::{Client, TempDir, address, client, elbow, wait};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

/// An `elbow run` with its own local CA.
struct Served {
    _running: Running,
    admin: SocketAddr,
    at: SocketAddr,
}

/// The native file of an HTTPS listener with `certificate`, named `own`, and a fixed response.
fn config(at: SocketAddr, mut certificate: Value) -> Value {
    certificate["name"] = "own".into();
    json!({
        "loadBalancers": [{
            "name": "alb", "type": "application", "addresses": [at.ip()],
            "listeners": [{
                "port": at.port(), "protocol": "HTTPS", "certificates": ["own"],
                "defaultActions": [{"type": "fixed-response", "fixedResponseConfig": {
                    "statusCode": "200", "contentType": "text/plain", "messageBody": "elbow"}}],
            }],
        }],
        "certificates": [certificate],
    })
}

impl Served {
    fn start(dir: &TempDir, certificate: Value) -> Self {
        let at = SocketAddr::from((address(), 443));
        let admin = SocketAddr::from((address(), 9901));
        let file = dir.write("elbow.yaml", config(at, certificate).to_string());
        let admin_text = admin.to_string();
        let args = [
            "run",
            "--config",
            file.to_str().unwrap(),
            "--admin",
            &admin_text,
        ];
        let mut running = Running::start(elbow::command(&args).env("ELBOW_CA_DIR", dir.join("ca")));
        wait::until("elbow to serve", || {
            running.assert_running();
            elbow::admin_get(admin, "/health").filter(|r| r.status == 200)
        });
        Self {
            _running: running,
            admin,
            at,
        }
    }

    /// The certificate that is served for `host`, without verification.
    fn certificate(&self, host: &str) -> CertificateDer<'static> {
        let config = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
        let client = Client::tls(self.at, host, &config).unwrap();
        client.peer_certificate().unwrap()
    }
}

/// `elbow cert` with the CA in `ca`.
fn cert(ca: &Path, args: &[&str]) -> String {
    let mut command = elbow::command(&["cert", "--dir", ca.to_str().unwrap()]);
    stdout(command.args(args))
}

/// The certificate verifies against the CA, survives a restart, and is renewed without one.
#[test]
fn self_signed_listener_gets_a_certificate() {
    let dir = TempDir::new();
    let ca = dir.join("ca");
    let hosts = json!({"selfSigned": ["own.example.localhost", "*.own.example.localhost"]});
    let served = Served::start(&dir, hosts.clone());
    let trust = client_that_trusts(cert(&ca, &["ca"]).as_bytes());
    for host in ["own.example.localhost", "x.own.example.localhost"] {
        let mut client = Client::tls(served.at, host, &trust).unwrap();
        assert_eq!(client.ask(client::get(host, "/")).text(), "elbow");
    }
    let first = served.certificate("own.example.localhost");
    drop(served);

    let served = Served::start(&dir, hosts);
    assert_eq!(served.certificate("own.example.localhost"), first);
    assert_eq!(cert(&ca, &["renew"]), "1 issued again\n");
    wait::until("the new certificate", || {
        (served.certificate("own.example.localhost") != first).then_some(())
    });

    let admin = served.admin.to_string();
    let args = ["get", "certificates", "-o", "json", "--admin", &admin];
    let shown: Value = serde_json::from_str(&stdout(&mut elbow::command(&args))).unwrap();
    let issuer = shown[0]["issuer"].as_str().unwrap();
    assert!(issuer.starts_with("CN=elbow local authority "), "{shown}");
    let listed: Value = serde_json::from_str(&cert(&ca, &["list", "-o", "json"])).unwrap();
    assert_eq!(shown[0]["expires"], listed["certificates"][0]["expires"]);
    let line = format!(
        "elbow_certificate_expiry_timestamp_seconds{{certificate=\
         \"arn:aws:acm:us-east-1:000000000000:certificate/own\"}} {}",
        shown[0]["notAfter"]
    );
    wait::until(&line, || {
        let metrics = elbow::admin_get(served.admin, "/metrics")?.text();
        metrics.lines().any(|l| l == line).then_some(())
    });
}

#[test]
fn check_creates_no_ca() {
    let dir = TempDir::new();
    let at = SocketAddr::from(([127, 0, 0, 1], 443));
    let file = dir.write(
        "elbow.yaml",
        config(at, json!({"selfSigned": ["a"]})).to_string(),
    );
    let mut command = elbow::command(&["check", "--config", file.to_str().unwrap()]);
    stdout(command.env("ELBOW_CA_DIR", dir.join("ca")));
    assert!(!dir.join("ca").exists());
}

/// A certificate in the file is served. Its key is never shown, and its expiry is logged.
#[test]
fn inline_key_is_hidden_and_expiry_is_logged() {
    let dir = TempDir::new();
    let (certificate, key) = self_signed_expired(&["old.example"]).write(&dir, "old");
    let pem = fs::read_to_string(certificate).unwrap();
    let key = fs::read_to_string(key).unwrap();
    let served = Served::start(&dir, json!({"certificate": pem, "privateKey": key}));
    served.certificate("old.example");
    let shown = elbow::admin_get(served.admin, "/config").unwrap().text();
    let secret = key.lines().nth(1).unwrap();
    assert!(shown.contains("(not shown)") && !shown.contains(secret));
    wait::until("the warning", || {
        let log = served._running.stderr();
        assert!(!log.contains(secret));
        log.contains("this certificate expired on").then_some(())
    });
}

#[test]
fn cert_issues_lists_and_prints_the_trust_command() {
    let dir = TempDir::new();
    let ca = dir.join("ca");
    let out = dir.join("out");
    let written = cert(
        &ca,
        &[
            "issue",
            "a.example",
            "10.0.0.1",
            "--out",
            out.to_str().unwrap(),
        ],
    );
    let files: Vec<&Path> = written.lines().map(Path::new).collect();
    assert_eq!(files, [out.join("10.0.0.1.pem"), out.join("10.0.0.1.key")]);
    let mode = fs::metadata(files[1]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let listed: Value = serde_json::from_str(&cert(&ca, &["list", "-o", "json"])).unwrap();
    let leaf = &listed["certificates"][0];
    assert_eq!(leaf["hosts"], json!(["10.0.0.1", "a.example"]));
    assert!(
        (388..=390).contains(&leaf["daysLeft"].as_i64().unwrap()),
        "{leaf}"
    );
    let table = cert(&ca, &["list"]);
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("HOSTS"), "{table}");

    let pem = ca.join("ca.pem");
    assert_eq!(
        cert(&ca, &["ca", "--path"]).trim_end(),
        pem.to_str().unwrap()
    );
    assert_eq!(
        cert(&ca, &["ca"]).trim_end(),
        fs::read_to_string(&pem).unwrap().trim_end()
    );
    let trust = cert(&ca, &["trust"]);
    let lines: Vec<&str> = trust.lines().filter(|l| !l.starts_with('#')).collect();
    assert_eq!(lines.len(), 1, "{trust}");
    assert!(lines[0].contains(pem.to_str().unwrap()), "{trust}");
}
