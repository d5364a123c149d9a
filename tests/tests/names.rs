//! The DNS names of load balancers with `--dns`.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{SocketAddr, UdpSocket};

use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::dns::look_up;
use elbow_tests::{Elbow, address, command, elbow, wait};
use hickory_proto::op::ResponseCode;
use rustix::process::Signal;
use serde_json::json;

fn dns_name(elbow: &Elbow, load_balancer: &str) -> String {
    let all = elbow.json("/status")["loadBalancers"].clone();
    let mut all = all.as_array().unwrap().iter();
    let found = all.find(|one| one["name"] == load_balancer).unwrap();
    found["dnsName"].as_str().unwrap().to_owned()
}

#[test]
fn names_resolve_as_load_balancers_change() {
    let dns = SocketAddr::from((address(), 5353));
    let balancer = |name: &str, ip| alb(name, ip, &[listener(80, "HTTP", &fixed(200, name))]);
    let (first, second) = (address(), address());
    let one = file(&[balancer("One", first)], &[]);
    let elbow = Elbow::run_with(&one, &["--dns", &dns.to_string()]);
    let name = dns_name(&elbow, "One");
    assert!(name.starts_with("one-"), "{name}");
    assert_eq!(look_up(dns, &name), Ok(vec![first.into()]));
    assert_eq!(
        look_up(dns, &name.replace("one-", "two-")),
        Err(ResponseCode::NXDomain)
    );
    assert_eq!(look_up(dns, "example.com"), Err(ResponseCode::Refused));

    elbow.reload(&file(&[balancer("Two", second)], &[]));
    let two = wait::until("the second load balancer", || {
        let all = elbow.json("/status")["loadBalancers"].to_string();
        all.contains("\"Two\"").then(|| dns_name(&elbow, "Two"))
    });
    assert_eq!(look_up(dns, &two), Ok(vec![second.into()]));
    assert_eq!(look_up(dns, &name), Err(ResponseCode::NXDomain));
}

/// Browsers and resolvers resolve `.localhost` to this machine without a query, so the suffix is configurable.
#[test]
fn region_and_suffix_come_from_the_environment() {
    let dir = elbow_tests::TempDir::new();
    dir.write(
        "environment.yaml",
        "region: eu-west-1\ndnsSuffix: elb.test\n",
    );
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "a"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}
    });
    dir.write("service.yaml", service.to_string());
    let dns = SocketAddr::from((address(), 5353));
    let args = ["--port-offset", "8000", "--dns", &dns.to_string()];
    let elbow = Elbow::run_manifests(dir, &args);
    let found = elbow.json("/status")["loadBalancers"][0].clone();
    let name = found["dnsName"].as_str().unwrap();
    assert!(name.ends_with(".elb.eu-west-1.elb.test"), "{name}");
    let ip = found["address"].as_str().unwrap().parse().unwrap();
    assert_eq!(look_up(dns, name), Ok(vec![ip]));
    assert_eq!(look_up(dns, "a.localhost"), Err(ResponseCode::Refused));
}

#[test]
fn busy_dns_address_is_an_error() {
    let taken = UdpSocket::bind((address(), 0)).unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let dir = elbow_tests::TempDir::new();
    let config = dir.write("elbow.yaml", file(&[], &[]).to_string());
    let out = command::output(
        elbow::command(&["run", "--admin", "off", "--dns", &at, "--config"]).arg(config),
    );
    let (_, stderr) = command::texts(&out);
    assert_eq!(out.status.code(), Some(3), "{stderr}");
    assert!(stderr.contains(&format!("DNS address {at}: ")), "{stderr}");
    assert!(
        stderr.contains("choose another with --dns ADDR"),
        "{stderr}"
    );
}

/// Malformed input from clients is not logged by default: the DNS parser would log 5.9 KB for each
/// truncated option.
#[test]
fn malformed_queries_are_not_logged() {
    let dns = SocketAddr::from((address(), 5353));
    let web = alb("web", address(), &[listener(80, "HTTP", &fixed(200, "a"))]);
    let mut elbow = Elbow::run_with(&file(&[web], &[]), &["--dns", &dns.to_string()]);
    let name = dns_name(&elbow, "web");
    // Lines are written in their order, so that all that were queued before this one are there.
    let mut log_with_reloads = |count| {
        elbow.process().signal(Signal::HUP);
        wait::until("the end of the reload", || {
            let log = elbow.log();
            let is_reload = |line: &&str| line.contains("reloaded, nothing changed");
            (log.lines().filter(is_reload).count() == count).then_some(log)
        })
    };
    let before = log_with_reloads(1);
    // One question, and an option that ends after 1,150 of its 1,154 bytes (RFC 6891, 6.1.2).
    let mut broken =
        b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01n\x03elb\x09localhost\0\0\x01\0\x01".to_vec();
    broken.extend(b"\0\0\x29\x04\xd0\0\0\0\0\x04\x82\xfd\xe9\x04\x82");
    broken.extend([0xff; 1150]);
    let socket = UdpSocket::bind((dns.ip(), 0)).unwrap();
    for _ in 0..20 {
        socket.send_to(&broken, dns).unwrap();
    }
    // This query is answered after all earlier ones.
    assert!(look_up(dns, &name).is_ok());
    let after = log_with_reloads(2);
    let more = after.strip_prefix(&before).unwrap();
    assert_eq!(more.lines().count(), 1, "{more}");
}
