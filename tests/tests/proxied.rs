//! Listeners behind another proxy: `elbow.proxy_protocol.trusted_cidrs` (haproxy.org, The PROXY protocol).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use elbow_tests::certificates::client_that_trusts_all;
use elbow_tests::config::{
    alb, classic, file, fixed, forward, group, listener, nlb, to_instances, with_attribute,
};
use elbow_tests::elbow::log_fields;
use elbow_tests::target::Peer;
use elbow_tests::{Ca, Client, Elbow, Target, TempDir, address, client, wait};
use serde_json::{Value, json};

const TRUSTED: &str = "elbow.proxy_protocol.trusted_cidrs";
const V1: &[u8] = b"PROXY TCP4 198.51.100.7 203.0.113.1 5001 443\r\n";
/// The same without TLVs.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x07\xcb\0\x71\x01\x13\x89\x01\xbb";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
const NAMED: &str = "198.51.100.7";

/// A listener whose proxies are at `cidrs`.
fn behind(cidrs: &str, port: u16, protocol: &str, action: &Value) -> Value {
    with_attribute(listener(port, protocol, action), TRUSTED, cidrs)
}

/// Requests by headers of both versions, whole and in pieces, and without a client.
#[test]
fn named_client_is_that_of_http() {
    let target = Target::ok("hi");
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["a.example"]).write(&dir, "web");
    let ip = address();
    let mut http = behind("127.0.0.0/8", 8080, "HTTP", &forward("pods"));
    http["rules"] = json!([{"priority": 1, "actions": [fixed(200, "known")], "conditions": [
        {"field": "source-ip", "sourceIPConfig": {"values": ["203.0.113.0/24"]}}]}]);
    let mut https = behind("127.0.0.0/8", 8443, "HTTPS", &forward("pods"));
    https["certificates"] = json!(["web"]);
    let mut balancer = alb("alb", ip, &[http, https]);
    // Security groups are for peers: the named client is in none.
    balancer["securityGroups"] = json!([{"groupName": "proxies", "ingress": [{"ipProtocol": "tcp",
        "fromPort": 8000, "toPort": 9000, "ipRanges": [{"cidrIP": "127.0.0.0/8"}]}]}]);
    let mut config = file(&[balancer], &[group("pods", "HTTP", &[target.addr()])]);
    config["certificates"] =
        json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "web.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("pods", target.addr(), "healthy");
    let request = client::get("a.example", "/");
    let at_once = |header: &[u8]| {
        let mut client = Client::plain((ip, 8080));
        client.ask([header, request.as_bytes()].concat());
    };
    at_once(V1);
    at_once(V2);
    at_once(LOCAL);
    at_once(b"PROXY UNKNOWN\r\n");
    let mut slow = Client::plain((ip, 8080));
    slow.send_one_by_one(V2).ask(&request);
    let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
    for header in [V1, V2] {
        let client = Client::tls_behind(header, (ip, 8443), "a.example", &trusting);
        client.unwrap().ask(&request);
    }
    let seen: Vec<String> = target
        .requests()
        .iter()
        .map(|request| request.header("x-forwarded-for").unwrap().to_owned())
        .collect();
    assert_eq!(
        seen,
        [NAMED, NAMED, "127.0.0.1", "127.0.0.1", NAMED, NAMED, NAMED]
    );
    let lines = elbow.access_log(7);
    let clients: Vec<String> = lines
        .iter()
        .map(|line| log_fields(line)[3].clone())
        .collect();
    let named = clients
        .iter()
        .filter(|client| *client == "198.51.100.7:5001");
    assert_eq!(named.count(), 5, "{clients:?}");

    let known = b"PROXY TCP4 203.0.113.9 203.0.113.1 5001 443\r\n";
    let mut client = Client::plain((ip, 8080));
    assert_eq!(
        client.ask([known, request.as_bytes()].concat()).text(),
        "known"
    );
}

#[test]
fn targets_of_layer_4_are_told_the_named_client() {
    let seen: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let log = Arc::clone(&seen);
    let target = Target::start(move |peer: &mut Peer| {
        let bytes = peer.rest()?;
        log.lock().unwrap().push(bytes);
        Ok(())
    });
    let ca = Ca::new();
    let dir = TempDir::new();
    ca.leaf(&["a.example"]).write(&dir, "web");
    let (ip, classic_ip) = (address(), address());
    let mut tls = behind("127.0.0.1/32", 8443, "TLS", &forward("pods"));
    tls["certificates"] = json!(["web"]);
    let tcp = behind("127.0.0.1/32", 8000, "TCP", &forward("pods"));
    let pods = group("pods", "TCP", &[target.addr()]);
    let pods = with_attribute(pods, "proxy_protocol_v2.enabled", "true");
    let old = classic(
        "old",
        classic_ip,
        &[to_instances(8000, "TCP", "TCP")],
        &[target.addr()],
    );
    let old = with_attribute(old, TRUSTED, "127.0.0.1/32");
    let mut config = file(&[nlb("nlb", ip, &[tcp, tls]), old], &[pods]);
    config["certificates"] =
        json!([{"name": "web", "certificateFile": "web.pem", "privateKeyFile": "web.key"}]);
    let elbow = Elbow::run_in(dir, &config, &[]);
    elbow.wait_for_state("pods", target.addr(), "healthy");
    elbow.wait_for_state("old/TCP:9000", target.addr(), "InService");
    let next = || wait::until("the bytes at the target", || seen.lock().unwrap().pop());
    let of_nlb = |port: u16, bytes: &[u8]| {
        // Addresses and ports behind the signature, the command, the family and the length.
        assert_eq!(bytes[16..20], [198, 51, 100, 7]);
        assert_eq!(bytes[20..24], ip.octets());
        assert_eq!(
            bytes[24..28],
            [5001_u16.to_be_bytes(), port.to_be_bytes()].concat()
        );
        assert_eq!(&bytes[100..], b"hello");
    };
    for header in [V1, V2] {
        Client::plain((ip, 8000))
            .send([header, b"hello"].concat())
            .finish();
        of_nlb(8000, &next());
        let trusting = client_that_trusts_all(rustls::ALL_VERSIONS, &[]);
        let client = Client::tls_behind(header, (ip, 8443), "a.example", &trusting);
        client.unwrap().send("hello").finish();
        of_nlb(8443, &next());
        Client::plain((classic_ip, 8000))
            .send([header, b"hello"].concat())
            .finish();
        assert_eq!(next(), b"hello");
    }
    // Two of TLS, two of the Classic load balancer.
    for line in elbow.access_log(4) {
        assert!(line.contains(" 198.51.100.7:5001 "), "{line}");
    }
}

/// An NLB tells its client to an ALB of the same process without a header.
#[test]
fn client_is_told_through_both_load_balancers() {
    let target = Target::ok("hi");
    let (front, back) = (address(), address());
    let to_alb = json!({"name": "front", "protocol": "TCP", "port": 8080, "targetType": "alb", "targets": [{"id": "alb"}],
        "healthCheckConfig": {"protocol": "HTTP", "port": "8081", "path": "/"}});
    let config = file(
        &[
            nlb(
                "nlb",
                front,
                &[behind("127.0.0.0/8", 8000, "TCP", &forward("front"))],
            ),
            alb(
                "alb",
                back,
                &[
                    behind("127.0.0.0/8", 8080, "HTTP", &forward("pods")),
                    listener(8081, "HTTP", &fixed(200, "healthy")),
                ],
            ),
        ],
        &[to_alb, group("pods", "HTTP", &[target.addr()])],
    );
    let elbow = Elbow::run(&config);
    elbow.wait_for_state("pods", target.addr(), "healthy");
    elbow.wait_for_state("front", (back, 8080).into(), "healthy");
    let request = client::get("a.example", "/");
    Client::plain((front, 8000)).ask([V1, request.as_bytes()].concat());
    assert_eq!(target.request().header("x-forwarded-for"), Some(NAMED));
}

#[test]
fn connection_without_an_acceptable_header_is_refused() {
    let target = Target::start(|peer: &mut Peer| peer.rest().map(drop));
    let (ip, hasty) = (address(), address());
    let trusting = behind("127.0.0.1/32", 8000, "TCP", &forward("pods"));
    let listeners = [
        trusting.clone(),
        behind("192.0.2.0/24, 2001:db8::/32", 8001, "TCP", &forward("pods")),
    ];
    let balancers = [
        nlb("nlb", ip, &listeners),
        with_attribute(
            nlb("hasty", hasty, &[trusting]),
            "elbow.tls_handshake_timeout.seconds",
            "1",
        ),
    ];
    let elbow = Elbow::run(&file(&balancers, &[group("pods", "TCP", &[target.addr()])]));
    elbow.wait_for_state("pods", target.addr(), "healthy");
    let counted = |reason: &str| {
        let label = format!("reason=\"{reason}\"");
        elbow.wait_for_metric("elbow_proxy_protocol_errors_total", &[&label], 1.0);
    };
    let client = |to: Ipv4Addr, port| Client::plain((to, port));
    // It is refused before its header, which it may be too late to send.
    Client::assert_reset_by((ip, 8001));
    counted("untrusted");
    let told = "connection refused; see docs/client-address.md";
    elbow.log_with(&[told]);
    client(ip, 8000).send("GET / HTTP/1.1\r\n").expect_reset();
    counted("malformed");
    client(hasty, 8000).send(&V2[..20]).expect_reset();
    counted("timeout");
    let mut cut = client(ip, 8000);
    cut.send(&V1[..20]).finish().expect_end();
    counted("closed");
    // As health checks of proxies do.
    client(ip, 8000).finish().expect_end();
    assert_eq!(
        elbow.metric("elbow_proxy_protocol_errors_total", &[]),
        Some(4.0)
    );
    assert_eq!(target.connections(), 0);
}
