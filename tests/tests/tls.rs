//! TLS termination: policies, certificates by name, ALPN (ALB guide: security policies, SSL
//! certificates; NLB guide: TLS listeners).

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

use elbow_tests::certificates::{Leaf, client_that_trusts_all};
use elbow_tests::config::{
    alb, classic, file, fixed, forward, group, listener, nlb, to_instances, with_attribute,
};
use elbow_tests::elbow::log_fields;
use elbow_tests::target::{ok, serve};
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, wait};
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

const RES: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/// An HTTPS listener with a fixed response.
fn https(policy: &str, certificates: &[&str]) -> Value {
    let mut listener = listener(8443, "HTTPS", &fixed(200, "hi"));
    listener["sslPolicy"] = json!(policy);
    listener["certificates"] = json!(certificates);
    listener
}

fn certificates(names: &[&str]) -> Value {
    let entry = |name: &&str| json!({"name": name, "certificateFile": format!("{name}.pem"), "privateKeyFile": format!("{name}.key")});
    names.iter().map(entry).collect()
}

fn with_certificates(mut config: Value, names: &[&str]) -> Value {
    config["certificates"] = certificates(names);
    config
}

/// An ALB with these certificates; returns elbow and the address.
fn run(policy: &str, leaves: &[(&str, &Leaf)]) -> (Elbow, Ipv4Addr) {
    let dir = TempDir::new();
    let names: Vec<&str> = leaves.iter().map(|(name, _)| *name).collect();
    for (name, leaf) in leaves {
        leaf.write(&dir, name);
    }
    let ip = address();
    let config = file(&[alb("alb", ip, &[https(policy, &names)])], &[]);
    (
        Elbow::run_in(dir, &with_certificates(config, &names), &[]),
        ip,
    )
}

#[test]
fn policy_limits_tls_versions() {
    let ca = Ca::new();
    let leaf = ca.leaf(&["a.example"]);
    let (v12, v13): (&[_], &[_]) = (&[&TLS12], &[&TLS13]);
    let cases: [(&str, &[&rustls::SupportedProtocolVersion]); 4] = [
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", v13),
        (RES, &[&TLS12, &TLS13]),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", &[&TLS12, &TLS13]),
        ("ELBSecurityPolicy-2016-08", v12),
    ];
    for (policy, supported) in cases {
        let (elbow, ip) = run(policy, &[("main", &leaf)]);
        let mut refused = 0.0;
        for version in [v12, v13] {
            let is_supported = supported.contains(&version[0]);
            let config = client_that_trusts_all(version, &[]);
            let connected = Client::tls((ip, 8443), "a.example", &config);
            assert_eq!(connected.is_ok(), is_supported, "{policy} {version:?}");
            refused += f64::from(!is_supported);
        }
        let errors = "elbow_tls_handshake_errors_total";
        if refused > 0.0 {
            elbow.wait_for_metric(errors, &[], refused);
        } else {
            assert_eq!(elbow.metric(errors, &[]), None);
        }
    }
}

#[test]
fn no_policy_has_chacha_with_tls_1_2() {
    let leaf = Ca::new().leaf(&["a.example"]);
    let (_elbow, ip) = run(RES, &[("main", &leaf)]);
    let mut config = (*client_that_trusts_all(&[&TLS12], &[])).clone();
    let mut provider = (**config.crypto_provider()).clone();
    provider.cipher_suites.retain(|suite| {
        format!("{:?}", suite.suite()).contains("CHACHA20") || suite.tls13().is_some()
    });
    config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    assert!(Client::tls((ip, 8443), "a.example", &config.into()).is_err());
}

#[test]
fn certificate_is_chosen_by_sni_with_a_default() {
    let ca = Ca::new();
    let main = ca.leaf(&["main.example"]);
    let exact = ca.leaf(&["a.other.example"]);
    let wild = ca.leaf(&["*.wild.example"]);
    let (_elbow, ip) = run(RES, &[("main", &main), ("exact", &exact), ("wild", &wild)]);
    let config = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let shown = |name: &str| {
        Client::tls((ip, 8443), name, &config)
            .unwrap()
            .peer_certificate()
            .unwrap()
    };
    assert_eq!(shown("main.example"), main.der());
    assert_eq!(shown("a.other.example"), exact.der());
    assert_eq!(shown("x.wild.example"), wild.der());
    assert_eq!(
        shown("x.y.wild.example"),
        main.der(),
        "a wildcard covers one label"
    );
    assert_eq!(shown("wild.example"), main.der());
    assert_eq!(shown("nobody.example"), main.der());
    assert_eq!(shown("127.0.0.1"), main.der(), "a client without SNI");
}

#[test]
fn reloaded_certificate_is_used_for_new_connections() {
    let ca = Ca::new();
    let old = ca.leaf(&["a.example"]);
    let new = ca.leaf(&["a.example"]);
    let (mut elbow, ip) = run(RES, &[("main", &old)]);
    let config = ca.client(&[]);
    let connect = || Client::tls((ip, 8443), "a.example", &config).unwrap();
    let mut before = connect();
    assert_eq!(before.peer_certificate(), Some(old.der()));
    assert_eq!(before.ask(client::get("a.example", "/")).text(), "hi");
    new.write(elbow.dir(), "main");
    elbow.process().signal(rustix::process::Signal::HUP);
    wait::until("the new certificate", || {
        (connect().peer_certificate() == Some(new.der())).then_some(())
    });
    assert_eq!(before.ask(client::get("a.example", "/")).text(), "hi");
}

/// Parity 2.3: sessions resume only at the same load balancer. A resumed handshake shows no certificate, so a ticket must not
/// be valid at a listener that would show another one.
#[test]
fn session_resumes_only_at_its_load_balancer_and_certificate() {
    let ca = Ca::new();
    let (main, name) = (ca.leaf(&["main.example"]), ca.leaf(&["a.example"]));
    let dir = TempDir::new();
    main.write(&dir, "main");
    name.write(&dir, "name");
    let (one, two, bare) = (address(), address(), address());
    let both: &[&str] = &["main", "name"];
    let config = |of_one: &[&str]| {
        let balancers = [
            alb("one", one, &[https(RES, of_one)]),
            alb("two", two, &[https(RES, both)]),
            alb("bare", bare, &[https(RES, &["main"])]),
        ];
        with_certificates(file(&balancers, &[]), both)
    };
    let elbow = Elbow::run_in(dir, &config(both), &[]);
    for version in [&TLS12, &TLS13] {
        let client = client_that_trusts_all(&[version], &[]);
        let kind = |ip| {
            let mut client = Client::tls((ip, 8443), "a.example", &client).unwrap();
            // The ticket arrives with the response.
            assert_eq!(client.ask(client::get("a.example", "/")).text(), "hi");
            client.tls_state().unwrap().handshake_kind().unwrap()
        };
        assert_eq!(kind(one), HandshakeKind::Full);
        // On either of the two workers.
        for _ in 0..8 {
            assert_eq!(kind(one), HandshakeKind::Resumed, "{version:?}");
        }
        assert_eq!(kind(two), HandshakeKind::Full, "{version:?}");
        assert_eq!(
            kind(one),
            HandshakeKind::Full,
            "the last ticket is from two"
        );
        assert_eq!(kind(bare), HandshakeKind::Full, "{version:?}");
        kind(one);
        let mut other = config(both);
        other["loadBalancers"][0]["attributes"] = json!({"idle_timeout.timeout_seconds": "90"});
        elbow.reload(&other);
        assert_eq!(
            kind(one),
            HandshakeKind::Resumed,
            "the listener is unchanged"
        );
        elbow.reload(&config(&["main"]));
        assert_eq!(kind(one), HandshakeKind::Full, "the certificate is gone");
        elbow.reload(&config(both));
    }
}

/// Clients that come back after a restart resume their sessions; a file that is broken is replaced, and the log says so.
#[test]
fn ticket_keys_outlive_a_restart() {
    let leaf = Ca::new().leaf(&["a.example"]);
    let ip = address();
    let folder = TempDir::new();
    let keys = folder.join("keys");
    let args = ["--ticket-keys", keys.to_str().unwrap()];
    let start = || {
        let dir = TempDir::new();
        leaf.write(&dir, "main");
        let config = file(&[alb("alb", ip, &[https(RES, &["main"])])], &[]);
        Elbow::run_in(dir, &with_certificates(config, &["main"]), &args)
    };
    let clients = [&TLS12, &TLS13].map(|version| client_that_trusts_all(&[version], &[]));
    let kinds = || {
        clients.each_ref().map(|config| {
            let mut client = Client::tls((ip, 8443), "a.example", config).unwrap();
            // The ticket arrives with the response.
            assert_eq!(client.ask(client::get("a.example", "/")).text(), "hi");
            client.tls_state().unwrap().handshake_kind().unwrap()
        })
    };
    let saved = || fs::read_to_string(&keys).unwrap();

    let mut elbow = start();
    assert_eq!(kinds(), [HandshakeKind::Full; 2]);
    wait::until("the keys to be saved", || keys.exists().then_some(()));
    let mode = fs::metadata(&keys).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let before = saved();
    assert!(elbow.terminate().success());

    let mut elbow = start();
    assert_eq!(kinds(), [HandshakeKind::Resumed; 2]);
    assert_eq!(saved(), before);
    assert!(!elbow.log().contains("ticket keys"), "{}", elbow.log());
    assert!(elbow.terminate().success());

    fs::write(&keys, "broken\n").unwrap();
    let elbow = start();
    assert_eq!(kinds(), [HandshakeKind::Full; 2]);
    wait::until("the file to be replaced", || {
        (saved() != "broken\n").then_some(())
    });
    elbow.log_with(&["ticket keys cannot be used", "line 1: not a key"]);
}

#[test]
fn h2_is_preferred_and_can_be_disabled() {
    let ca = Ca::new();
    let leaf = ca.leaf(&["a.example"]);
    let alpn = |ip: Ipv4Addr, offered: &[&str]| {
        let client = Client::tls((ip, 8443), "a.example", &ca.client(offered)).unwrap();
        client
            .tls_state()
            .unwrap()
            .alpn_protocol()
            .map(<[u8]>::to_vec)
    };
    let (_on, ip) = run(RES, &[("main", &leaf)]);
    assert_eq!(alpn(ip, &["http/1.1", "h2"]).as_deref(), Some(&b"h2"[..]));
    assert_eq!(alpn(ip, &["http/1.1"]).as_deref(), Some(&b"http/1.1"[..]));
    assert_eq!(alpn(ip, &[]), None);
    let dir = TempDir::new();
    leaf.write(&dir, "main");
    let ip = address();
    let lb = alb("alb", ip, &[https(RES, &["main"])]);
    let lb = with_attribute(lb, "routing.http2.enabled", "false");
    let _off = Elbow::run_in(dir, &with_certificates(file(&[lb], &[]), &["main"]), &[]);
    assert_eq!(
        alpn(ip, &["h2", "http/1.1"]).as_deref(),
        Some(&b"http/1.1"[..])
    );
}

#[test]
fn nlb_terminates_tls_for_plain_and_tls_targets() {
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["nlb.example"]).write(&dir, "main");
    let plain = Target::http(|_| ok("plain"));
    let pod = elbow_tests::certificates::self_signed_expired(&["pod"]);
    let tls = Target::start_tls(pod.server(&[]), serve(|_| ok("tls")));
    let ip = address();
    let tls_listener = |port, group: &str| {
        let mut listener = listener(port, "TLS", &forward(group));
        listener["sslPolicy"] = json!(RES);
        listener["certificates"] = json!(["main"]);
        listener
    };
    let config = file(
        &[nlb(
            "nlb",
            ip,
            &[tls_listener(8443, "plain"), tls_listener(8444, "tls")],
        )],
        &[
            group("plain", "TCP", &[plain.addr()]),
            group("tls", "TLS", &[tls.addr()]),
        ],
    );
    let elbow = Elbow::run_in(dir, &with_certificates(config, &["main"]), &[]);
    elbow.wait_for_state("plain", plain.addr(), "healthy");
    elbow.wait_for_state("tls", tls.addr(), "healthy");
    for (port, text) in [(8443, "plain"), (8444, "tls")] {
        let mut client = Client::tls((ip, port), "nlb.example", &ca.client(&[])).unwrap();
        // The client's Host is unchanged: an NLB does not parse HTTP.
        assert_eq!(client.ask(client::get("Nlb.Example", "/")).text(), text);
    }
    assert_eq!(plain.request().header("host"), Some("Nlb.Example"));
    assert_eq!(plain.request().header("x-forwarded-for"), None);
}

#[test]
fn passthrough_shows_the_targets_certificate() {
    let pod = Ca::new().leaf(&["pod"]);
    let target = Target::start_tls(pod.server(&[]), serve(|_| ok("pod")));
    let scene = elbow_tests::Scene::tcp(&[&target]);
    let config = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    let mut client = Client::tls(scene.lb, "anything", &config).unwrap();
    assert_eq!(client.peer_certificate(), Some(pod.der()));
    assert_eq!(client.ask(client::get("anything", "/")).text(), "pod");
}

// `elbow.tls_handshake_timeout.seconds` for all three types; the idle timeouts are 60 s and 350 s.
#[test]
fn handshake_timeout_closes_the_connection() {
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["a.example"]).write(&dir, "main");
    let target = Target::ok("hi");
    let (a, n, c) = (address(), address(), address());
    let tls = |protocol| {
        let mut tls = listener(8443, protocol, &forward("web"));
        tls["certificates"] = json!(["main"]);
        tls
    };
    let mut ssl = to_instances(8443, "SSL", "TCP");
    ssl["certificates"] = json!(["main"]);
    let with_timeout = |lb| with_attribute(lb, "elbow.tls_handshake_timeout.seconds", "1");
    let balancers = [
        with_timeout(alb("alb", a, &[https(RES, &["main"])])),
        with_timeout(nlb("nlb", n, &[tls("TLS")])),
        with_timeout(classic("clb", c, &[ssl], &[target.addr()])),
    ];
    let groups = [group("web", "TCP", &[target.addr()])];
    let config = with_certificates(file(&balancers, &groups), &["main"]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    for ip in [a, n, c] {
        let mut half = Client::plain((ip, 8443));
        half.send([22, 3, 1, 2]);
        half.expect_close();
    }
    elbow.wait_for_metric("elbow_tls_handshake_errors_total", &[], 3.0);
}

/// Parity 1.10: a page of its own, in clear, and the connection ends. The client gets it whole, however much it sends.
#[test]
fn plain_http_at_an_https_listener_is_told_so() {
    let ca = Ca::new();
    let (elbow, ip) = run(RES, &[("main", &ca.leaf(&["a.example"]))]);
    let large = format!(
        "POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 300000\r\n\r\n{}",
        "x".repeat(300_000)
    );
    for request in ["GET /a HTTP/1.0\r\nHost: a.example\r\n\r\n", &large] {
        let mut client = Client::plain((ip, 8443));
        // In two segments, so that the handshake reads only a part of it.
        let (start, rest) = request.split_at(10);
        client.send(start).send(rest);
        let response = client.response();
        assert_eq!(response.status, 400);
        assert_eq!(response.header("server"), Some("awselb/2.0"));
        assert_eq!(response.header("connection"), Some("close"));
        let expected = "<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n\
            <body>\r\n<center><h1>400 Bad Request</h1></center>\r\n\
            <center>The plain HTTP request was sent to HTTPS port</center>\r\n</body>\r\n</html>\r\n";
        assert_eq!(response.text(), expected);
        client.expect_close();
    }
    for line in elbow.access_log(2) {
        let fields = log_fields(&line);
        let (status, request) = (&*fields[8], &*fields[12]);
        assert_eq!((&*fields[0], status), ("https", "400"), "{line}");
        assert!(request.contains("https://a.example:8443/a"), "{line}");
    }
    let not_tls = ["reason=\"not_tls\""];
    elbow.wait_for_metric("elbow_tls_handshake_errors_total", &not_tls, 2.0);
    let answered = ["code=\"400\"", "source=\"elb\""];
    elbow.wait_for_metric("elbow_requests_total", &answered, 2.0);
}

/// Only an ALB answers; another load balancer closes.
#[test]
fn plain_http_at_other_tls_listeners_is_closed() {
    let (dir, target) = (TempDir::new(), Target::ok("hi"));
    Ca::new().leaf(&["a.example"]).write(&dir, "main");
    let (n, c) = (address(), address());
    let mut tls = listener(8443, "TLS", &forward("web"));
    tls["certificates"] = json!(["main"]);
    let mut https = to_instances(8443, "HTTPS", "HTTP");
    https["certificates"] = json!(["main"]);
    let balancers = [
        nlb("nlb", n, &[tls]),
        classic("clb", c, &[https], &[target.addr()]),
    ];
    let groups = [group("web", "TCP", &[target.addr()])];
    let config = with_certificates(file(&balancers, &groups), &["main"]);
    let _elbow = Elbow::run_in(dir, &config, &[]);
    for ip in [n, c] {
        let mut client = Client::plain((ip, 8443));
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        client.expect_close();
    }
}

#[test]
fn stalled_handshakes_do_not_block_others() {
    let ca = Ca::new();
    let (_elbow, ip) = run(RES, &[("main", &ca.leaf(&["a.example"]))]);
    let _silent: Vec<Client> = (0..50).map(|_| Client::plain((ip, 8443))).collect();
    let mut half = Client::plain((ip, 8443));
    half.send([22, 3, 1, 2]);
    let mut client = Client::tls((ip, 8443), "a.example", &ca.client(&[])).unwrap();
    assert_eq!(client.ask(client::get("a.example", "/")).text(), "hi");
}

/// One line for each connection to a TLS listener, none for a TCP listener (NLB guide: access logs).
#[test]
fn network_load_balancer_logs_tls_connections_only() {
    let target = Target::ok("hello");
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["a.example"]).write(&dir, "main");
    let ip = address();
    let mut tls = listener(8443, "TLS", &forward("pods"));
    tls["sslPolicy"] = json!(RES);
    tls["certificates"] = json!(["main"]);
    let plain = listener(8080, "TCP", &forward("pods"));
    let groups = [group("pods", "TCP", &[target.addr()])];
    let config = file(&[nlb("nlb", ip, &[tls, plain])], &groups);
    let elbow = Elbow::run_in(dir, &with_certificates(config, &["main"]), &[]);

    let trusting = client_that_trusts_all(&[&TLS13], &[]);
    let request = client::get("a.example", "/");
    assert_eq!(Client::plain((ip, 8080)).ask(&request).status, 200);
    let mut client = Client::tls((ip, 8443), "a.example", &trusting).unwrap();
    assert_eq!(client.ask(&request).status, 200);
    drop(client);
    elbow.access_log(1);
    Client::plain((ip, 8443)).send(&request);

    let lines = elbow.access_log(2);
    let fields: Vec<&str> = lines[0].split(' ').collect();
    assert_eq!(fields.len(), 22, "{lines:?}");
    assert_eq!(fields[..2], ["tls", "2.0"]);
    assert!(fields[3].starts_with("net/nlb/"), "{}", fields[3]);
    assert_eq!(fields[6], format!("{ip}:8443"));
    assert_eq!(fields[9], request.len().to_string());
    assert_eq!(
        fields[12],
        "arn:aws:acm:us-east-1:000000000000:certificate/main"
    );
    assert_eq!(fields[15], "tlsv13");
    assert_eq!(fields[17], "a.example");
    // A handshake that fails has no time (field 9).
    let fields: Vec<&str> = lines[1].split(' ').collect();
    assert_eq!((fields[0], fields[8]), ("tls", "-"), "{lines:?}");
}
