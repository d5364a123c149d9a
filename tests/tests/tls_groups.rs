//! The hybrid groups of post-quantum policies, with Go's TLS as the client (ALB guide: security policies).

use std::net::Ipv4Addr;
use std::process::{Command, Output};

use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::{Ca, Elbow, TempDir, address, need};
use serde_json::json;

const HYBRID: [&str; 3] = ["X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024"];

/// A listener at port 8443 with a post-quantum policy, and one at 8444 without.
fn run() -> (Elbow, Ipv4Addr) {
    let (dir, ip) = (TempDir::new(), address());
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let listeners = [
        (8443, "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"),
        (8444, "ELBSecurityPolicy-TLS13-1-2-Res-2021-06"),
    ]
    .map(|(port, policy)| {
        let mut listener = listener(port, "HTTPS", &fixed(200, "hi"));
        listener["sslPolicy"] = json!(policy);
        listener["certificates"] = json!(["main"]);
        listener
    });
    let mut config = file(&[alb("alb", ip, &listeners)], &[]);
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    (Elbow::run_in(dir, &config, &[]), ip)
}

#[test]
fn post_quantum_policies_have_each_hybrid_group_and_others_none() {
    let client = need!("tls-group");
    let (_elbow, ip) = run();
    let ask = |port: u16, group: &str| -> Output {
        let mut command = Command::new(&client);
        command.args([format!("{ip}:{port}"), group.to_owned()]);
        command.output().unwrap()
    };
    let groups = HYBRID.into_iter().chain(["X25519", "CurveP256"]);
    for group in groups {
        let output = ask(8443, group);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{group}: {error}");
        assert_eq!(output.stdout, format!("{group}\n").as_bytes());
        let output = ask(8444, group);
        if HYBRID.contains(&group) {
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(error, "remote error: tls: handshake failure\n", "{group}");
        } else {
            assert_eq!(output.stdout, format!("{group}\n").as_bytes());
        }
    }
}
