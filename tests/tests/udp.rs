//! NLB passthrough of datagrams (NLB guide: introduction, listeners).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use elbow_tests::address::Ports;
use elbow_tests::command::Running;
use elbow_tests::config::{file, forward, group, listener, nlb};
use elbow_tests::datagram::{Echo, UdpClient};
use elbow_tests::udp_scene::{MOMENT, PORT, Pod, Scene, config, pods_group};
use elbow_tests::{Elbow, Target, TempDir, address, target, wait};
use rustix::net::{AddressFamily, SocketType, socket, sockopt};
use serde_json::json;

#[test]
fn clients_get_their_own_answers_from_the_listener() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a, &b]);
    let clients: Vec<UdpClient> = (0..64).map(|_| UdpClient::of(scene.lb)).collect();
    let mut owners: Vec<String> = Vec::new();
    for round in 0..3 {
        for (number, client) in clients.iter().enumerate() {
            client.send(format!("{number} in {round}"));
        }
        let answers: Vec<String> = clients
            .iter()
            .map(|client| String::from_utf8(client.receive()).unwrap())
            .collect();
        let mut now = Vec::new();
        for (number, answer) in answers.iter().enumerate() {
            let (pod, text) = answer.split_once(':').unwrap();
            assert_eq!(text, format!("{number} in {round}"));
            now.push(pod.to_owned());
        }
        // A flow has one target (parity 3.2).
        assert!(owners.is_empty() || owners == now);
        owners = now;
    }
    let targets: HashSet<&String> = owners.iter().collect();
    assert_eq!(targets.len(), 2, "both targets have flows");
    // Each flow has a socket of its own, at the address of the load balancer.
    let sources: HashSet<SocketAddr> = a.sources().into_iter().chain(b.sources()).collect();
    assert_eq!(sources.len(), 64);
    assert!(sources.iter().all(|source| source.ip() == scene.lb.ip()));
    for (name, expected) in [
        ("elbow_active_connections", 64.0),
        ("elbow_connections_total", 64.0),
        ("elbow_received_datagrams_total", 192.0),
        ("elbow_sent_datagrams_total", 192.0),
        ("elbow_dropped_datagrams_total", 0.0),
    ] {
        wait::until(name, || (scene.metric(name) == expected).then_some(()));
    }
}

#[test]
fn datagrams_of_every_length_pass() {
    let pod = Target::refusing();
    let server = UdpSocket::bind(pod.addr()).unwrap();
    server.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    let ip = address();
    let elbow = Elbow::run(&config(ip, group("pods", "UDP", &[pod.addr()])));
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    let client = UdpClient::of((ip, PORT).into());
    let mut buffer = vec![0; 65_536];
    for len in [0, 1, 512, 1472, 9000, 65_507] {
        let bytes: Vec<u8> = (0..len).map(|i: usize| (i % 251) as u8).collect();
        client.send(&bytes);
        let (n, from) = server.recv_from(&mut buffer).unwrap();
        assert!(buffer[..n] == bytes[..], "{len} bytes arrive as {n}");
        server.send_to(&buffer[..n], from).unwrap();
        assert!(client.receive() == bytes, "{len} bytes come back");
    }
}

#[test]
fn tcp_and_udp_share_a_port() {
    let tcp = Target::start(|peer| {
        let mut text = [0; 5];
        std::io::Read::read_exact(peer, &mut text)?;
        peer.send(text)
    });
    let _udp = Echo::at("a", tcp.addr());
    let ip = address();
    let lb = nlb("nlb", ip, &[listener(PORT, "TCP_UDP", &forward("pods"))]);
    let elbow = Elbow::run(&file(&[lb], &[group("pods", "TCP_UDP", &[tcp.addr()])]));
    elbow.wait_for_state("pods", tcp.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    assert_eq!(UdpClient::of(lb).ask("hello"), "a:hello");
    let mut client = elbow_tests::Client::plain(lb);
    client.send("hello");
    assert_eq!(client.exactly(5), b"hello");
}

#[test]
fn answers_leave_from_the_address_that_the_client_sent_to() {
    let pod = Pod::start("a");
    let ports = Ports::claim_at(Ipv4Addr::UNSPECIFIED.into()).unwrap();
    let port = ports.first;
    let lb = nlb(
        "nlb",
        Ipv4Addr::UNSPECIFIED,
        &[listener(port, "UDP", &forward("pods"))],
    );
    let elbow = Elbow::run(&file(&[lb], &[pods_group("UDP", &[&pod])]));
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    client.set_read_timeout(Some(wait::TIMEOUT)).unwrap();
    // The same client is another flow at each address.
    for last in [1, 2, 3] {
        let to = SocketAddr::from((Ipv4Addr::new(127, 8, 8, last), port));
        client.send_to(b"?", to).unwrap();
        let mut answer = [0; 9];
        let (n, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!((&answer[..n], from), (&b"a:?"[..], to));
    }
    let sources: HashSet<SocketAddr> = pod.sources().into_iter().collect();
    assert_eq!(sources.len(), 3);
}

#[test]
fn ipv6_clients_reach_ipv6_targets() {
    let Some(ports) = Ports::claim_at(Ipv6Addr::LOCALHOST.into()) else {
        return println!("skipped: needs IPv6");
    };
    let port = ports.first;
    let echo = Echo::at("six", (Ipv6Addr::LOCALHOST, 0).into());
    let mut lb = nlb(
        "nlb",
        Ipv6Addr::LOCALHOST,
        &[listener(port, "UDP", &forward("pods"))],
    );
    lb["ipAddressType"] = json!("dualstack");
    // Nothing answers its checks: all targets are used.
    let elbow = Elbow::run(&file(&[lb], &[group("pods", "UDP", &[echo.addr()])]));
    let client = UdpClient::of((Ipv6Addr::LOCALHOST, port).into());
    assert_eq!(client.ask("?"), "six:?");
    drop(elbow);
}

#[test]
fn clients_outside_the_security_group_get_no_answer() {
    let pod = Pod::start("a");
    let ip = address();
    let mut config = config(ip, pods_group("UDP", &[&pod]));
    config["loadBalancers"][0]["securityGroups"] = json!([{"groupName": "dns", "ingress": [
        {"ipProtocol": "udp", "fromPort": PORT, "toPort": PORT, "ipRanges": [{"cidrIP": "127.9.9.0/24"}]}]}]);
    let elbow = Elbow::run(&config);
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    let outside = UdpClient::of(lb);
    outside.send("?");
    let inside = UdpClient::at(Ipv4Addr::new(127, 9, 9, 1), lb);
    assert_eq!(inside.ask("?"), "a:?");
    elbow.wait_for_metric("elbow_rejected_connections_total", &[], 1.0);
    assert_eq!(outside.try_ask("?", MOMENT), None);
}

#[test]
fn port_of_another_process_is_refused() {
    let pod = Pod::start("a");
    let ip = address();
    // As another elbow has it: the kernel would let both share the port.
    let taken = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    sockopt::set_socket_reuseport(&taken, true).unwrap();
    rustix::net::bind(&taken, &SocketAddr::from((ip, PORT))).unwrap();
    let dir = TempDir::new();
    let file = dir.write(
        "elbow.yaml",
        config(ip, pods_group("UDP", &[&pod])).to_string(),
    );
    let admin = SocketAddr::from((address(), 9901)).to_string();
    let args = ["run", "--config", file.to_str().unwrap(), "--admin", &admin];
    let mut refused = Running::start(&mut elbow_tests::elbow::command(&args));
    assert!(!refused.wait().success());
    refused.stderr_with(&[&format!("cannot listen on {ip}:{PORT}")]);
}

#[test]
fn service_with_a_udp_port_is_served() {
    let pod = Pod::start("a");
    let dir = TempDir::new();
    let manifest = format!(
        "
apiVersion: v1
kind: Service
metadata:
  name: dns
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: '{health}'
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: HTTP
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{{name: dns, port: 53, targetPort: {port}, protocol: UDP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: dns-1, labels: {{kubernetes.io/service-name: dns}}}}
addressType: IPv4
ports: [{{name: dns, port: {port}, protocol: UDP}}]
endpoints: [{{addresses: ['{ip}'], conditions: {{ready: true}}}}]
",
        health = target::HEALTH_PORT,
        port = pod.addr().port(),
        ip = pod.addr().ip(),
    );
    dir.write("dns.yaml", manifest);
    let elbow = Elbow::run_manifests(dir, &["--port-offset", "20000"]);
    let listeners = elbow.json("/status");
    let listener = &listeners["loadBalancers"][0]["listeners"][0];
    assert_eq!(listener["protocol"], "UDP", "{listeners}");
    let bound = listener["bound"].as_str().unwrap();
    let bound = bound.strip_suffix("/udp").unwrap().parse().unwrap();
    assert_eq!(UdpClient::of(bound).ask("?"), "a:?");
}
