//! Instances that authenticate by their public keys.

use elbow_tests::certificates::{client_that_trusts_all, self_signed_expired};
use elbow_tests::config::{classic, file, to_instances};
use elbow_tests::target::{ok, serve};
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, wait};
use serde_json::json;

/// CLB guide, HTTPS load balancers: with authentication, only instances with a public key of the policy get requests.
#[test]
fn instance_gets_requests_only_with_a_public_key_of_the_policy() {
    let ip = address();
    let (instance, other) = (
        self_signed_expired(&["x.example"]),
        self_signed_expired(&["x.example"]),
    );
    let target = Target::start_tls(instance.server(&[]), serve(|_| ok("hello")));
    let mut listener = to_instances(8443, "HTTPS", "HTTPS");
    listener["certificates"] = json!(["main"]);
    let mut config = file(&[classic("clb", ip, &[listener], &[target.addr()])], &[]);
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    config["loadBalancers"][0]["backendServerAuthentication"] =
        json!({"9000": {"publicKeyFiles": ["instance.pem"]}});
    let dir = TempDir::new();
    Ca::new().leaf(&["clb.example"]).write(&dir, "main");
    dir.write("instance.pem", &instance.certificate);
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("clb/HTTPS:9000", target.addr(), "InService");
    let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let connect = || Client::tls((ip, 8443), "clb.example", &trusting).unwrap();
    let get = |client: &mut Client| {
        let answer = client.ask(client::get("a.example", "/"));
        (answer.status, answer.text())
    };
    let served = (200, "hello".to_owned());
    let refused = (503, String::new());
    let mut first = connect();
    assert_eq!(get(&mut first), served);

    // Neither an open connection of the client nor one of the pool outlives the key.
    elbow.dir().write("instance.pem", other.public_key());
    elbow.log_with(&[
        "instance.pem: content changed from PEM ",
        "reloaded, 1 public key changed",
    ]);
    assert_eq!(get(&mut first), refused);
    assert_eq!(get(&mut connect()), refused);
    elbow.wait_for_metric("elbow_target_public_key_errors_total", &[], 2.0);
    elbow.wait_for_metric("elbow_target_tls_errors_total", &[], 2.0);
    let kind = ["kind=\"target_public_key\"", "side=\"target\""];
    elbow.wait_for_metric("elbow_request_errors_total", &kind, 2.0);
    let told = format!(
        "connection to target refused: the target's public key is not in the policy; see docs/classic.md \
         load_balancer=clb port=8443 target={}",
        target.addr()
    );
    elbow.log_with(&[&told]);

    // A file that cannot be used changes nothing.
    elbow.dir().write("instance.pem", "no key");
    elbow.log_with(&["bad-public-key", "instance.pem: contains no public key"]);
    assert_eq!(get(&mut first), refused);

    // The form in which AWS takes keys: without the first and the last line.
    let key = instance.public_key();
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    elbow.dir().write("instance.pem", lines.join("\n"));
    wait::until("the key of the instance", || {
        (get(&mut first) == served).then_some(())
    });

    let keys = |files: &[&str]| json!({"9000": {"publicKeyFiles": files}});
    elbow.dir().write("other.pem", other.public_key());
    config["loadBalancers"][0]["backendServerAuthentication"] = keys(&["other.pem"]);
    elbow.reload(&config);
    assert_eq!(get(&mut first), refused);
    config["loadBalancers"][0]["backendServerAuthentication"] =
        keys(&["other.pem", "instance.pem"]);
    elbow.reload(&config);
    assert_eq!(get(&mut first), served);
    config["loadBalancers"][0]["backendServerAuthentication"] = keys(&["other.pem"]);
    elbow.reload(&config);
    assert_eq!(get(&mut first), refused);
    config["loadBalancers"][0]["backendServerAuthentication"] = json!({});
    elbow.reload(&config);
    assert_eq!(get(&mut first), served);
}
