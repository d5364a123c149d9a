//! Classic load balancers: layer 4, health, policies, reloads, the command line
//! (parity section 4).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use elbow_tests::certificates::{client_that_trusts_all, self_signed_expired};
use elbow_tests::command::{output, stdout, texts};
use elbow_tests::config::{classic, file, to_instances};
use elbow_tests::target::{HEALTH_PORT, Peer};
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, elbow, wait};
use serde_json::{Value, json};

/// The group of layer 4 instances.
const TCP: &str = "clb/TCP:9000";

fn addrs(targets: &[&Target]) -> Vec<SocketAddr> {
    targets.iter().map(|t| t.addr()).collect()
}

/// A file with one load balancer.
fn one(ip: Ipv4Addr, listeners: &[Value], targets: &[&Target]) -> Value {
    file(&[classic("clb", ip, listeners, &addrs(targets))], &[])
}

/// The same with a certificate `main` for `clb.example`, and the folder with its files.
fn with_certificate(mut config: Value) -> (TempDir, Value) {
    let dir = TempDir::new();
    Ca::new().leaf(&["clb.example"]).write(&dir, "main");
    config["certificates"] =
        json!([{"name": "main", "certificateFile": "main.pem", "privateKeyFile": "main.key"}]);
    (dir, config)
}

fn secure(mut listener: Value) -> Value {
    listener["certificates"] = json!(["main"]);
    listener
}

/// Echoes what it receives, once the peer has finished sending.
fn echo(peer: &mut Peer) -> std::io::Result<()> {
    let bytes = peer.rest()?;
    peer.send(bytes)
}

/// The response to `text` without further data.
fn echoed(mut client: Client, text: &str) -> String {
    client.send(text).finish();
    String::from_utf8(client.rest().unwrap()).unwrap()
}

#[test]
fn tcp_and_ssl_listeners_reach_instances_with_and_without_tls() {
    let plain = Target::start(echo);
    // Certificates of instances are not verified (CLB guide: HTTPS LB).
    let tls = Target::start_tls(self_signed_expired(&["x.example"]).server(&[]), echo);
    for (instances, protocol) in [(&plain, "TCP"), (&tls, "SSL")] {
        let ip = address();
        let listeners = [
            to_instances(8000, "TCP", protocol),
            secure(to_instances(8443, "SSL", protocol)),
        ];
        let (dir, config) = with_certificate(one(ip, &listeners, &[instances]));
        let elbow = Elbow::run_in(dir, &config, &[]);
        let group = format!("clb/{protocol}:9000");
        elbow.wait_for_state(&group, instances.addr(), "InService");
        assert_eq!(echoed(Client::plain((ip, 8000)), "in clear"), "in clear");
        let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &["h2", "http/1.1"]);
        let client = Client::tls((ip, 8443), "other.example", &trusting).unwrap();
        // Predefined policies end at TLS 1.2; there is neither ALPN nor SNI.
        let state = client.tls_state().unwrap();
        assert_eq!(state.alpn_protocol(), None);
        assert_eq!(
            state.protocol_version(),
            Some(rustls::ProtocolVersion::TLSv1_2)
        );
        assert_eq!(echoed(client, "under TLS"), "under TLS");
    }
}

/// CLB guide, HTTPS load balancers: a connection goes to an instance with a public key of the policy alone. Health checks do not
/// authenticate.
#[test]
fn ssl_connections_reach_only_instances_with_a_public_key_of_the_policy() {
    let ip = address();
    let [listed, other] = [(); 2].map(|()| self_signed_expired(&["x.example"]));
    let name = |text: &'static str| {
        move |peer: &mut Peer| {
            let bytes = peer.rest()?;
            peer.send([text.as_bytes(), &bytes].concat())
        }
    };
    let trusted = Target::start_tls(listed.server(&[]), name("trusted "));
    let stranger = Target::start_tls(other.server(&[]), name("stranger "));
    let listeners = [secure(to_instances(8443, "SSL", "SSL"))];
    let both = [&stranger, &trusted];
    let (dir, mut config) = with_certificate(one(ip, &listeners, &both));
    config["loadBalancers"][0]["healthCheck"]["target"] = json!("SSL:9000");
    config["loadBalancers"][0]["backendServerAuthentication"] =
        json!({"9000": {"publicKeyFiles": ["instance.pub"]}});
    dir.write("instance.pub", listed.public_key());
    let elbow = Elbow::run_in(dir, &config, &[]);
    for target in both {
        elbow.wait_for_state("clb/SSL:9000", target.addr(), "InService");
    }
    let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let connect = || Client::tls((ip, 8443), "clb.example", &trusting).unwrap();
    for _ in 0..4 {
        assert_eq!(echoed(connect(), "hello"), "trusted hello");
    }
    let refused = || {
        elbow
            .metric("elbow_target_public_key_errors_total", &[])
            .unwrap()
    };
    let before = refused();
    // Each worker uses the instances in turn, and one of two has served two connections or more.
    assert!((1.0..=3.0).contains(&before), "{before}");

    config["loadBalancers"][0]["instances"] = json!([{"id": stranger.addr().ip()}]);
    elbow.reload(&config);
    let mut client = connect();
    // The reset may come before the first byte is sent.
    let sent = client.try_send("hello");
    assert!(sent.is_err() || client.rest().is_err(), "reset");
    assert_eq!(refused(), before + 1.0);
    let told = "connection to target refused: the target's public key is not in the policy";
    elbow.log_with(&[told]);
}

/// CLB guide: SSL negotiation configurations. Without Server-Defined-Cipher-Order, the client's order counts.
#[test]
fn security_policy_of_a_listener_s_own_decides_suites_and_their_order() {
    let (aes128, aes256) = (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    );
    let order = "Server-Defined-Cipher-Order";
    let policies: [&[&str]; 3] = [&[aes128, aes256], &[aes128, aes256, order], &[aes256]];
    let ip = address();
    let target = Target::start(echo);
    let listeners = (8443..).zip(policies).map(|(port, names)| {
        let mut listener = secure(to_instances(port, "SSL", "TCP"));
        listener["sslNegotiationPolicy"] = json!({"Protocol-TLSv1.2": true});
        for name in names {
            listener["sslNegotiationPolicy"][*name] = true.into();
        }
        listener
    });
    let listeners: Vec<Value> = listeners.collect();
    let (dir, config) = with_certificate(one(ip, &listeners, &[&target]));
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state(TCP, target.addr(), "InService");
    // rustls prefers AES-256.
    let both = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let mut provider = (**both.crypto_provider()).clone();
    provider.cipher_suites.retain(|suite| {
        let name = format!("{:?}", suite.suite());
        suite.tls13().is_none() && name.contains("AES_128")
    });
    let only_128 = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let suite = |port| {
        let client = Client::tls((ip, port), "clb.example", &both).unwrap();
        let suite = client.tls_state().unwrap().negotiated_cipher_suite();
        format!("{:?}", suite.unwrap().suite())
    };
    assert!(suite(8443).contains("AES_256"), "the client's order");
    assert!(suite(8444).contains("AES_128"), "the server's order");
    assert!(suite(8445).contains("AES_256"), "the only suite");
    assert!(Client::tls((ip, 8445), "clb.example", &only_128.into()).is_err());
    let reason = ["reason=\"no_shared_suite\""];
    wait::until("the refusal to be counted", || {
        let count = elbow.metric("elbow_tls_handshake_errors_total", &reason);
        (count == Some(1.0)).then_some(())
    });
}

#[test]
fn refused_connection_goes_to_another_instance() {
    let name = |text: &'static str| {
        Target::start(move |peer: &mut Peer| {
            peer.send(text)?;
            peer.finish()
        })
    };
    // Health checks use another port, so it is in service although it refuses.
    let (first, second, refusing) = (name("one"), name("two"), Target::refusing());
    let (ip, all) = (address(), [&first, &refusing, &second]);
    let elbow = Elbow::run(&one(ip, &[to_instances(8000, "TCP", "TCP")], &all));
    for target in all {
        elbow.wait_for_state(TCP, target.addr(), "InService");
    }
    let mut seen = Vec::new();
    for _ in 0..12 {
        let text = Client::plain((ip, 8000)).rest().unwrap();
        seen.push(String::from_utf8(text).unwrap());
    }
    assert!(seen.iter().all(|text| text == "one" || text == "two"));
    assert!(seen.contains(&"one".to_owned()) && seen.contains(&"two".to_owned()));
    assert_eq!(first.connections() + second.connections(), 12);
}

// There is one health check per load balancer: if the first port is down, all listeners are.
#[test]
fn instance_health_applies_to_all_listeners() {
    let mut target = Target::ok("hello");
    let ip = address();
    let mut config = one(
        ip,
        &[
            to_instances(8000, "TCP", "TCP"),
            json!({"port": 8080, "protocol": "HTTP", "instanceProtocol": "HTTP", "instancePort": HEALTH_PORT}),
        ],
        &[&target],
    );
    config["loadBalancers"][0]["healthCheck"]["target"] = json!("TCP:9000");
    let elbow = Elbow::run(&config);
    let first = target.addr();
    let second: SocketAddr = (first.ip(), HEALTH_PORT).into();
    let both_are = |state: &str| {
        elbow.wait_for_state(TCP, first, state);
        elbow.wait_for_state("clb/HTTP:9001", second, state)
    };
    let row = both_are("InService");
    assert_eq!(row.get("reason"), None, "{row}");
    let get = || Client::plain((ip, 8080)).ask(client::get("a.example", "/"));
    assert_eq!(get().status, 200);

    // The first port is down; the other one still answers.
    target.stop();
    let other_port = TcpListener::bind(second).unwrap();
    other_port.set_nonblocking(true).unwrap();
    let row = both_are("OutOfService");
    assert_eq!(row["reason"], "Instance");
    assert_eq!(
        row["description"],
        "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
    );
    assert_eq!(get().status, 503);
    Client::assert_reset_by((ip, 8000));
    assert!(other_port.accept().is_err(), "an unexpected connection");
    let health = |state: &str| elbow.metric("elbow_target_health", &[state]);
    assert_eq!(health("state=\"OutOfService\""), Some(0.0));
}

// CLB guide, health checks: HTTP passes only on 200; a new instance is in service after its first pass.
#[test]
fn health_check_runs_once_per_interval_and_passes_only_on_200() {
    let target = Target::ok("hello");
    let ip = address();
    let listeners = [
        to_instances(8000, "TCP", "TCP"),
        to_instances(8080, "HTTP", "HTTP"),
    ];
    let mut config = one(ip, &listeners, &[&target]);
    let check = &mut config["loadBalancers"][0]["healthCheck"];
    check["target"] = json!("HTTP:9000/health?deep=1");
    check["interval"] = json!(300);
    check["healthyThreshold"] = json!(10);
    let elbow = Elbow::run(&config);
    for group in [TCP, "clb/HTTP:9000"] {
        elbow.wait_for_state(group, target.addr(), "InService");
    }
    let checks = target.health_checks();
    assert_eq!(
        checks.len(),
        1,
        "expected one check for both listeners: {checks:#?}"
    );
    assert_eq!(
        checks[0].head,
        format!(
            "GET /health?deep=1 HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             User-Agent: ELB-HealthChecker/1.0\r\n\r\n",
            target.addr()
        )
    );

    // An NLB would accept 204.
    let other = Target::ok("hello");
    other.set_health(204);
    let ip = address();
    let listeners = [to_instances(8000, "TCP", "TCP")];
    let elbow = Elbow::run(&one(ip, &listeners, &[&other]));
    elbow.wait_for_state(TCP, other.addr(), "OutOfService");
    let row = wait::until("its threshold to be reached", || {
        let row = elbow.wait_for_state(TCP, other.addr(), "OutOfService");
        (row["reason"] == "Instance").then_some(row)
    });
    assert_eq!(row["state"], "OutOfService");
    other.set_health(200);
    elbow.wait_for_state(TCP, other.addr(), "InService");
}

#[test]
fn reload_adds_and_removes_instances() {
    let (first, second) = (Target::start(echo), Target::start(echo));
    let ip = address();
    let listeners = [to_instances(8000, "TCP", "TCP")];
    let elbow = Elbow::run(&one(ip, &listeners, &[&first]));
    elbow.wait_for_state(TCP, first.addr(), "InService");
    let mut open = Client::plain((ip, 8000));
    wait::until("the connection to reach the instance", || {
        (first.connections() == 1).then_some(())
    });
    elbow.reload(&one(ip, &listeners, &[&first, &second]));
    elbow.wait_for_state(TCP, second.addr(), "InService");
    // Draining is off by default: the connection is cut at once.
    elbow.reload(&one(ip, &listeners, &[&second]));
    open.expect_reset();
    assert_eq!(echoed(Client::plain((ip, 8000)), "hello"), "hello");
    assert_eq!(second.connections(), 1);

    // With draining, existing connections may finish, and new ones go elsewhere.
    let draining = |targets: &[&Target]| {
        let mut config = one(ip, &listeners, targets);
        config["loadBalancers"][0]["attributes"] = json!({"connection_draining.enabled": "true"});
        config
    };
    elbow.reload(&draining(&[&first, &second]));
    elbow.wait_for_state(TCP, first.addr(), "InService");
    let mut on_second = Vec::new();
    while on_second.len() < 2 {
        // Read before connecting: an instance may be fast.
        let (to_first, to_second) = (first.connections(), second.connections());
        let client = Client::plain((ip, 8000));
        wait::until("an instance to take it", || {
            (first.connections() > to_first || second.connections() > to_second).then_some(())
        });
        if second.connections() > to_second {
            on_second.push(client);
        }
    }
    elbow.reload(&draining(&[&first]));
    let row = wait::until("the instance to drain", || {
        let targets = elbow.json("/targets");
        let row = elbow::target_row(&targets, TCP, second.addr())?;
        row.get("description").is_some().then_some(row)
    });
    assert_eq!(row["state"], "InService");
    assert_eq!(
        row["description"],
        "Instance deregistration currently in progress."
    );
    let seen = second.connections();
    assert_eq!(echoed(on_second.remove(0), "still here"), "still here");
    for _ in 0..4 {
        assert_eq!(echoed(Client::plain((ip, 8000)), "elsewhere"), "elsewhere");
    }
    assert_eq!(second.connections(), seen);
}

// CLB guide, proxy protocol: set by a policy on the instance port, for TCP and SSL.
#[test]
fn proxy_protocol_line_comes_first() {
    let target = Target::start(|peer: &mut Peer| {
        let mut first = [0; 64];
        let n = peer.read(&mut first)?;
        peer.send(&first[..n])
    });
    let ip = address();
    let listeners = [to_instances(8000, "TCP", "TCP")];
    let mut config = one(ip, &listeners, &[&target]);
    config["loadBalancers"][0]["backendServerPolicies"] =
        json!({"9000": ["k8s-proxyprotocol-enabled"]});
    let elbow = Elbow::run(&config);
    elbow.wait_for_state(TCP, target.addr(), "InService");
    let mut client = Client::plain((ip, 8000));
    let port = client.local_addr().port();
    let expected = format!(
        "PROXY TCP4 {} {ip} {port} 8000\r\n",
        client.local_addr().ip()
    );
    assert_eq!(String::from_utf8(client.rest().unwrap()).unwrap(), expected);

    // With TLS to the instance, it comes before the handshake.
    config["loadBalancers"][0]["listeners"] = json!([to_instances(8000, "TCP", "SSL")]);
    elbow.reload(&config);
    let seen = Target::start(|peer: &mut Peer| {
        let mut all = vec![0; 128];
        peer.read_exact(&mut all)?;
        let line = all.iter().position(|b| *b == b'\n').unwrap_or_default() + 1;
        let (line, hello) = all.split_at(line);
        assert!(line.starts_with(b"PROXY TCP4 ") && line.ends_with(b" 8000\r\n"));
        assert_eq!(hello[..2], [0x16, 0x03], "a TLS record");
        peer.send("")
    });
    config["loadBalancers"][0]["instances"] = json!([{"id": seen.addr().ip()}]);
    elbow.reload(&config);
    elbow.wait_for_state("clb/SSL:9000", seen.addr(), "InService");
    drop(Client::plain((ip, 8000)).rest());
    assert_eq!(seen.connections(), 1);
}

#[test]
fn connection_is_one_line_of_the_access_log() {
    let target = Target::start(echo);
    let ip = address();
    let listeners = [secure(to_instances(8443, "SSL", "TCP"))];
    let (dir, config) = with_certificate(one(ip, &listeners, &[&target]));
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state(TCP, target.addr(), "InService");
    let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let client = Client::tls((ip, 8443), "clb.example", &trusting).unwrap();
    let from = client.local_addr();
    assert_eq!(echoed(client, "hello"), "hello");
    let line = elbow.access_log(1).remove(0);
    assert_eq!(
        elbow::classic_log_tail(&line, "clb", from, target.addr()),
        "- - 5 5 \"- - - \" \"-\" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2"
    );
}

#[test]
fn command_line_shows_classic_load_balancers() {
    let target = Target::ok("hello");
    let ip = address();
    let mut config = one(ip, &[to_instances(8080, "HTTP", "HTTP")], &[&target]);
    config["loadBalancers"][0]["scheme"] = json!("internal");
    let elbow = Elbow::run(&config);
    elbow.wait_for_state("clb/HTTP:9000", target.addr(), "InService");
    let admin = elbow.admin().to_string();
    let get = |what: &str| {
        stdout(&mut elbow::command(&[
            "get", what, "-o", "wide", "--admin", &admin,
        ]))
    };
    let balancers = get("load-balancers");
    assert!(
        balancers.contains("internal-clb-") && balancers.contains("classic"),
        "{balancers}"
    );
    let targets = get("targets");
    assert!(
        targets.contains("clb/HTTP:9000") && targets.contains("InService"),
        "{targets}"
    );
    let rules = get("rules");
    assert!(rules.contains("forward to clb/HTTP:9000"), "{rules}");
}

#[test]
fn check_names_the_file_of_a_public_key_and_its_place() {
    let dir = TempDir::new();
    Ca::new().leaf(&["clb.example"]).write(&dir, "main");
    dir.write("empty.pem", "");
    let path = dir.write(
        "elbow.yaml",
        "loadBalancers:
- name: clb
  type: classic
  listeners:
  - {port: 443, protocol: SSL, instanceProtocol: SSL, instancePort: 30443, certificates: [main]}
  backendServerAuthentication:
    30443:
      publicKeyFiles: [main.pem, empty.pem, absent.pem]
certificates: [{name: main, certificateFile: main.pem, privateKeyFile: main.key}]
",
    );
    let checked = output(elbow::command(&["check", "--config"]).arg(&path));
    assert_eq!(checked.status.code(), Some(1));
    let (_, stderr) = texts(&checked);
    let file = path.display();
    for line in [
        format!("error[bad-public-key] {file}:8:34: "),
        "empty.pem: contains no public key; expected a certificate".to_owned(),
        format!("error[bad-public-key] {file}:8:45: "),
        "absent.pem: cannot be read: No such file".to_owned(),
    ] {
        assert!(stderr.contains(&line), "{line}\n{stderr}");
    }
    assert!(!stderr.contains("main.pem: "), "{stderr}");
}

#[test]
fn error_has_position_and_hint() {
    let dir = TempDir::new();
    let path = dir.write(
        "elbow.yaml",
        "loadBalancers:
- name: clb
  type: classic
  listeners:
  - {port: 443, protocol: SSL, instanceProtocol: HTTP, instancePort: 30443, certificates: [main]}
  healthCheck: {target: 'HTTP:30443'}
certificates: [{name: main, certificateFile: main.pem, privateKeyFile: main.key}]
",
    );
    let checked = output(elbow::command(&["check", "--config"]).arg(&path));
    assert_eq!(checked.status.code(), Some(1));
    let (_, stderr) = texts(&checked);
    let file = path.display();
    for line in [
        format!(
            "error[invalid-combination] {file}:5:50: a listener that speaks SSL to clients cannot speak \
             HTTP to instances"
        ),
        "  hint: it speaks TCP or SSL".to_owned(),
        format!(
            "error[invalid-target] {file}:6:25: \"HTTP:30443\" is not the target of a health check"
        ),
        "  hint: write TCP:port, SSL:port, HTTP:port/path or HTTPS:port/path".to_owned(),
    ] {
        assert!(stderr.lines().any(|l| l == line), "{line}\n{stderr}");
    }
}
