//! NLB passthrough of datagrams (NLB guide: introduction, listeners, target groups).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use elbow_tests::config::{file, forward, group, listener, nlb, with_attribute};
use elbow_tests::datagram::{Echo, UdpClient};
use elbow_tests::{Elbow, Target, TempDir, address, target, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The port of the listeners.
const PORT: u16 = 5300;

/// How long a test waits for an answer that may be missing, before it asks again.
const MOMENT: Duration = Duration::from_millis(200);

/// A UDP target with a health check.
struct Pod {
    echo: Option<Echo>,
    name: &'static str,
    health: Target,
}

impl Pod {
    fn start(name: &'static str) -> Self {
        let health = Target::refusing();
        Self {
            echo: Some(Echo::at(name, health.addr())),
            name,
            health,
        }
    }

    fn addr(&self) -> SocketAddr {
        self.health.addr()
    }

    fn stop(&mut self) {
        self.echo = None;
    }

    fn restart(&mut self) {
        self.echo = Some(Echo::at(self.name, self.addr()));
    }

    /// Where its datagrams came from.
    fn sources(&self) -> Vec<SocketAddr> {
        self.echo.as_ref().map_or_else(Vec::new, Echo::sources)
    }
}

fn pods_group(protocol: &str, pods: &[&Pod]) -> Value {
    let addrs: Vec<SocketAddr> = pods.iter().map(|pod| pod.addr()).collect();
    group("pods", protocol, &addrs)
}

fn config(ip: Ipv4Addr, group: Value) -> Value {
    let lb = nlb("nlb", ip, &[listener(PORT, "UDP", &forward("pods"))]);
    file(&[lb], &[group])
}

/// An elbow with a UDP listener for these pods, once they are healthy.
struct Scene {
    elbow: Elbow,
    lb: SocketAddr,
}

impl Scene {
    fn start(pods: &[&Pod]) -> Self {
        Self::with(pods, |_| {})
    }

    fn with(pods: &[&Pod], change: impl FnOnce(&mut Value)) -> Self {
        let ip = address();
        let mut group = pods_group("UDP", pods);
        change(&mut group);
        let scene = Self {
            elbow: Elbow::run(&config(ip, group)),
            lb: (ip, PORT).into(),
        };
        for pod in pods {
            scene.elbow.wait_for_state("pods", pod.addr(), "healthy");
        }
        scene
    }

    fn reload(&self, group: Value) {
        let ip = match self.lb.ip() {
            std::net::IpAddr::V4(ip) => ip,
            std::net::IpAddr::V6(_) => Ipv4Addr::LOCALHOST,
        };
        self.elbow.reload(&config(ip, group));
    }

    fn metric(&self, name: &str) -> f64 {
        let labels = ["load_balancer=\"nlb\""];
        self.elbow.metric(name, &labels).unwrap_or_default()
    }
}

/// Asks until the answer comes from `pod`.
fn wait_for_answer_of(client: &UdpClient, pod: &str) {
    wait::until(&format!("an answer of {pod}"), || {
        let answer = client.try_ask("?", MOMENT)?;
        (answer == format!("{pod}:?")).then_some(())
    });
}

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
    // Each flow has a socket of its own.
    let sources: HashSet<SocketAddr> = a.sources().into_iter().chain(b.sources()).collect();
    assert_eq!(sources.len(), 64);
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
fn sticky_group_sends_all_flows_of_an_address_to_one_target() {
    let pods = [Pod::start("a"), Pod::start("b"), Pod::start("c")];
    let scene = Scene::with(&pods.each_ref(), |group| {
        *group = with_attribute(group.take(), "stickiness.enabled", "true");
        *group = with_attribute(group.take(), "stickiness.type", "source_ip");
    });
    let pods_of = |ip: Ipv4Addr| -> HashSet<String> {
        (0..8)
            .map(|_| UdpClient::at(ip, scene.lb).ask("?"))
            .collect()
    };
    let mut seen = HashSet::new();
    for last in 1..=20 {
        let own = pods_of(Ipv4Addr::new(127, 9, 9, last));
        assert_eq!(own.len(), 1, "{own:?}");
        seen.extend(own);
    }
    assert!(seen.len() > 1, "other addresses have other targets");
}

#[test]
fn flow_moves_when_its_target_becomes_unhealthy() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a, &b]);
    let client = UdpClient::of(scene.lb);
    let first = client.ask("?");
    let (own, other) = if first == "a:?" { (&a, "b") } else { (&b, "a") };
    own.health.set_health(500);
    scene.elbow.wait_for_state("pods", own.addr(), "unhealthy");
    wait_for_answer_of(&client, other);
}

#[test]
fn unhealthy_targets_serve_if_all_are_unhealthy() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a, &b]);
    for pod in [&a, &b] {
        pod.health.set_health(500);
        scene.elbow.wait_for_state("pods", pod.addr(), "unhealthy");
    }
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    assert!(scene.metric("elbow_unhealthy_routing_requests_total") >= 1.0);
}

#[test]
fn flow_survives_a_target_that_refuses_datagrams() {
    let mut pod = Pod::start("a");
    let scene = Scene::start(&[&pod]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    pod.stop();
    wait::until("a refused datagram", || {
        assert_eq!(client.try_ask("lost", MOMENT), None);
        (scene.metric("elbow_target_connect_errors_total") >= 1.0).then_some(())
    });
    pod.restart();
    wait_for_answer_of(&client, "a");
    assert_eq!(scene.metric("elbow_connections_total"), 1.0);
}

#[test]
fn flow_goes_on_through_reloads() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let scene = Scene::start(&[&a]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    // Another target, and other settings of the group.
    let mut group = pods_group("UDP", &[&a, &b]);
    group = with_attribute(group, "deregistration_delay.timeout_seconds", "77");
    scene.reload(group);
    assert_eq!(client.ask("?"), "a:?");
    let sources: HashSet<SocketAddr> = a.sources().into_iter().collect();
    assert_eq!(sources.len(), 1, "the flow keeps its socket");
    assert_eq!(scene.metric("elbow_connections_total"), 1.0);
}

#[test]
fn flow_of_a_deregistered_target_ends_after_the_delay() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let delay =
        |group, seconds| with_attribute(group, "deregistration_delay.timeout_seconds", seconds);
    let scene = Scene::with(&[&a], |group| *group = delay(group.take(), "3600"));
    let client = UdpClient::of(scene.lb);
    assert_eq!(client.ask("?"), "a:?");
    scene.reload(delay(pods_group("UDP", &[&b]), "3600"));
    scene.elbow.wait_for_state("pods", b.addr(), "healthy");
    // It is draining: old flows stay, new ones go elsewhere.
    assert_eq!(client.ask("?"), "a:?");
    assert_eq!(UdpClient::of(scene.lb).ask("?"), "b:?");
}

#[test]
fn flow_of_a_drained_target_goes_elsewhere() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let delay = |group| with_attribute(group, "deregistration_delay.timeout_seconds", "0");
    let scene = Scene::with(&[&a], |group| *group = delay(group.take()));
    let client = UdpClient::of(scene.lb);
    assert_eq!(client.ask("?"), "a:?");
    // Parity 3.4: connections are terminated by default in UDP groups.
    scene.reload(delay(pods_group("UDP", &[&b])));
    wait_for_answer_of(&client, "b");
}

#[test]
fn flow_of_a_drained_target_goes_on_without_termination() {
    let (a, b) = (Pod::start("a"), Pod::start("b"));
    let keep = |group| {
        let key = "deregistration_delay.connection_termination.enabled";
        let group = with_attribute(group, key, "false");
        with_attribute(group, "deregistration_delay.timeout_seconds", "0")
    };
    let scene = Scene::with(&[&a], |group| *group = keep(group.take()));
    let client = UdpClient::of(scene.lb);
    assert_eq!(client.ask("?"), "a:?");
    scene.reload(keep(pods_group("UDP", &[&b])));
    wait::until("the target to be drained", || {
        scene.elbow.log().contains("target drained").then_some(())
    });
    assert_eq!(client.ask("?"), "a:?");
    assert_eq!(UdpClient::of(scene.lb).ask("?"), "b:?");
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
    let port = {
        let free = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
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
    let Ok(free) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return println!("skipped: needs IPv6");
    };
    let port = free.local_addr().unwrap().port();
    drop(free);
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
    wait::until("the refusal to be counted", || {
        let refused = elbow.metric("elbow_rejected_connections_total", &[])?;
        (refused == 1.0).then_some(())
    });
    assert_eq!(outside.try_ask("?", MOMENT), None);
}

#[test]
fn flood_of_new_clients_ends_old_flows_and_is_counted() {
    let pod = Pod::start("a");
    let tcp = Target::ok("still here");
    let ip = address();
    let lb = nlb(
        "nlb",
        ip,
        &[
            listener(PORT, "UDP", &forward("pods")),
            listener(80, "TCP", &forward("web")),
        ],
    );
    let groups = [
        pods_group("UDP", &[&pod]),
        group("web", "TCP", &[tcp.addr()]),
    ];
    let elbow = Elbow::run_with_open_files(&file(&[lb], &groups), 256);
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    elbow.wait_for_state("web", tcp.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    let shed = || elbow.metric("elbow_shed_total", &["reason=\"udp_flows\""]);
    for _ in 0..400 {
        UdpClient::of(lb).ask("?");
    }
    wait::until("flows to be shed", || (shed()? > 200.0).then_some(()));
    let active = elbow.metric("elbow_active_connections", &["listener=\"5300\""]);
    assert!(active.unwrap() < 128.0, "{active:?}");
    // The others have their half of the descriptors.
    let answer = elbow_tests::Client::plain((ip, 80)).ask(elbow_tests::client::get("a", "/"));
    assert_eq!(answer.text(), "still here");
    assert_eq!(UdpClient::of(lb).ask("?"), "a:?");
}

#[test]
fn limit_of_the_load_balancer_refuses_new_flows() {
    let pod = Pod::start("a");
    let ip = address();
    let mut config = config(ip, pods_group("UDP", &[&pod]));
    config["loadBalancers"][0]["attributes"] = json!({"elbow.max_connections": "2"});
    let elbow = Elbow::run(&config);
    elbow.wait_for_state("pods", pod.addr(), "healthy");
    let lb = SocketAddr::from((ip, PORT));
    let clients = [UdpClient::of(lb), UdpClient::of(lb)];
    for client in &clients {
        client.ask("?");
    }
    assert_eq!(UdpClient::of(lb).try_ask("?", MOMENT), None);
    for client in &clients {
        client.ask("?");
    }
    let reason = "reason=\"load_balancer_max_connections\"";
    assert_eq!(elbow.metric("elbow_shed_total", &[reason]), Some(1.0));
    assert_eq!(
        elbow.metric("elbow_dropped_datagrams_total", &[]),
        Some(1.0)
    );
}

#[test]
fn drain_serves_flows_until_they_are_quiet() {
    let pod = Pod::start("a");
    let mut scene = Scene::start(&[&pod]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    scene.elbow.process().signal(Signal::TERM);
    wait::until("the drain", || {
        scene.elbow.log().contains("draining").then_some(())
    });
    assert_eq!(client.ask("?"), "a:?");
    assert_eq!(UdpClient::of(scene.lb).try_ask("?", MOMENT), None);
    let status = scene.elbow.process().wait();
    assert!(status.success(), "{status}");
    assert!(!scene.elbow.log().contains("ending open connections"));
}

#[test]
fn removed_listener_ends_its_flows() {
    let pod = Pod::start("a");
    let scene = Scene::start(&[&pod]);
    let client = UdpClient::of(scene.lb);
    client.ask("?");
    let ip = address();
    let lb = nlb("nlb", ip, &[listener(PORT + 1, "UDP", &forward("pods"))]);
    scene
        .elbow
        .reload(&file(&[lb], &[pods_group("UDP", &[&pod])]));
    wait::until("the flow to end", || {
        let active = scene.elbow.metric("elbow_active_connections", &[])?;
        (active == 0.0).then_some(())
    });
    // The port is free for others.
    UdpSocket::bind(scene.lb).unwrap();
    assert_eq!(UdpClient::of((ip, PORT + 1).into()).ask("?"), "a:?");
}

#[test]
fn port_of_another_process_is_refused() {
    let pod = Pod::start("a");
    let ip = address();
    let _taken = UdpSocket::bind((ip, PORT)).unwrap();
    let dir = TempDir::new();
    let file = dir.write(
        "elbow.yaml",
        config(ip, pods_group("UDP", &[&pod])).to_string(),
    );
    let admin = SocketAddr::from((address(), 9901)).to_string();
    let args = ["run", "--config", file.to_str().unwrap(), "--admin", &admin];
    let output = elbow_tests::command::output(&mut elbow_tests::elbow::command(&args));
    let (_, stderr) = elbow_tests::command::texts(&output);
    assert!(!output.status.success());
    assert!(
        stderr.contains(&format!("cannot listen on {ip}:{PORT}")),
        "{stderr}"
    );
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
