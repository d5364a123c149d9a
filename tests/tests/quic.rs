//! NLB passthrough of QUIC by connection ID (NLB guide: introduction, listeners, target groups).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{Ipv4Addr, SocketAddr};

use elbow_tests::config::{file, forward, group, listener, nlb};
use elbow_tests::datagram::{Echo, UdpClient};
use elbow_tests::target::HEALTH_PORT;
use elbow_tests::udp_scene::MOMENT;
use elbow_tests::{Elbow, Target, TempDir, address, wait};
use serde_json::json;

const PORT: u16 = 4433;

/// Two targets with the server IDs 0xa1 and 0xb2.
struct Scene {
    lb: SocketAddr,
    elbow: Elbow,
    _targets: [(Target, Echo); 2],
}

impl Scene {
    fn start(protocol: &str) -> Self {
        let targets = ["a", "b"].map(|name| {
            let health = Target::refusing();
            let echo = Echo::at(name, health.addr());
            (health, echo)
        });
        let addrs = targets.each_ref().map(|(_, echo)| echo.addr());
        let mut pods = group("pods", protocol, &addrs);
        for (target, id) in [(0, "0x00000000000000a1"), (1, "0x00000000000000b2")] {
            pods["targets"][target]["quicServerId"] = json!(id);
        }
        let ip = address();
        let lb = nlb("nlb", ip, &[listener(PORT, protocol, &forward("pods"))]);
        let elbow = Elbow::run(&file(&[lb], &[pods]));
        for addr in addrs {
            elbow.wait_for_state("pods", addr, "healthy");
        }
        Self {
            lb: (ip, PORT).into(),
            elbow,
            _targets: targets,
        }
    }

    /// The target that answers.
    fn ask(client: &UdpClient, datagram: &[u8]) -> char {
        client.send(datagram);
        let answer = client.receive();
        assert_eq!(&answer[2..], datagram);
        char::from(answer[0])
    }
}

/// A connection ID with a server ID.
fn connection_id(server: u8) -> Vec<u8> {
    let mut id = vec![0x10, 0, 0, 0, 0, 0, 0, 0, server];
    id.extend([9; 8]);
    id
}

/// The beginning of a datagram with a long header.
fn long(id: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0xc3, 0, 0, 0, 1, id.len() as u8];
    datagram.extend(id);
    datagram.extend([7; 40]);
    datagram
}

/// The same with a short header.
fn short(id: &[u8]) -> Vec<u8> {
    [&[0x43], id, b"data"].concat()
}

#[test]
fn connection_keeps_its_target_when_the_address_of_the_client_changes() {
    let scene = Scene::start("QUIC");
    for (server, name) in [(0xa1, 'a'), (0xb2, 'b')] {
        for last in 1..=10 {
            let client = UdpClient::at(Ipv4Addr::new(127, 3, server, last), scene.lb);
            assert_eq!(Scene::ask(&client, &short(&connection_id(server))), name);
            assert_eq!(Scene::ask(&client, &long(&connection_id(server))), name);
        }
    }
}

#[test]
fn handshake_stays_with_the_target_of_its_first_datagram() {
    let scene = Scene::start("TCP_QUIC");
    let mut seen = std::collections::HashSet::new();
    for number in 0..20 {
        let client = UdpClient::of(scene.lb);
        // The client makes up the first connection ID.
        let initial = long(&[number, 200, 13, 77, 1, 2, 3, 4, 5, 6, 7, 8]);
        let target = Scene::ask(&client, &initial);
        let server = if target == 'a' { 0xa1 } else { 0xb2 };
        for datagram in [
            initial.clone(),
            long(&connection_id(server)),
            short(&connection_id(server)),
            initial,
        ] {
            assert_eq!(Scene::ask(&client, &datagram), target);
        }
        seen.insert(target);
    }
    assert_eq!(seen.len(), 2);
    // One flow for each client: its target sees one address.
    let flows = scene
        .elbow
        .metric("elbow_connections_total", &["load_balancer=\"nlb\""]);
    assert_eq!(flows, Some(20.0));
}

/// NLB guide, listeners: the connections of a group end a short time after its weight is set to 0.
#[test]
fn server_ids_of_a_group_without_weight_have_no_effect() {
    let targets = ["a", "b"].map(|name| {
        let health = Target::refusing();
        let echo = Echo::at(name, health.addr());
        (health, echo)
    });
    let ip = address();
    let config = |weights: [u32; 2]| {
        let forward = json!({"type": "forward", "forwardConfig": {"targetGroups": [
            {"targetGroup": "one", "weight": weights[0]}, {"targetGroup": "two", "weight": weights[1]}]}});
        let lb = nlb("nlb", ip, &[listener(PORT, "QUIC", &forward)]);
        let ids = ["0x00000000000000a1", "0x00000000000000b2"];
        let groups = [0, 1].map(|number| {
            let mut made = group(["one", "two"][number], "QUIC", &[targets[number].1.addr()]);
            made["targets"][0]["quicServerId"] = json!(ids[number]);
            made
        });
        file(&[lb], &groups)
    };
    let elbow = Elbow::run(&config([1, 1]));
    elbow.wait_for_state("one", targets[0].1.addr(), "healthy");
    elbow.wait_for_state("two", targets[1].1.addr(), "healthy");
    let client = UdpClient::of((ip, PORT).into());
    let datagram = short(&connection_id(0xa1));
    assert_eq!(Scene::ask(&client, &datagram), 'a');
    elbow.reload(&config([0, 1]));
    // An answer that is under way when the connection ends is lost.
    wait::until("the connection to end", || {
        let answer = client.try_ask(&datagram, MOMENT)?;
        answer.starts_with("b:").then_some(())
    });
}

#[test]
fn client_talks_to_several_servers_from_one_port() {
    let scene = Scene::start("QUIC");
    let client = UdpClient::of(scene.lb);
    for _ in 0..3 {
        assert_eq!(Scene::ask(&client, &short(&connection_id(0xa1))), 'a');
        assert_eq!(Scene::ask(&client, &short(&connection_id(0xb2))), 'b');
    }
    let flows = scene
        .elbow
        .metric("elbow_connections_total", &["load_balancer=\"nlb\""]);
    assert_eq!(flows, Some(2.0));
}

/// A Service with a QUIC listener behind the load balancer `web`. Its pods have the addresses of `targets`, and the server IDs
/// that follow them, in base64.
fn manifest(targets: &[(SocketAddr, Option<&str>)]) -> String {
    let mut text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-name: web
    service.beta.kubernetes.io/aws-load-balancer-nlb-target-type: ip
    service.beta.kubernetes.io/aws-load-balancer-quic-enabled-ports: '{PORT}'
    service.beta.kubernetes.io/aws-load-balancer-disable-nlb-sg: 'true'
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol: HTTP
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-port: '{HEALTH_PORT}'
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-path: /
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval: '5'
    service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout: '2'
spec:
  type: LoadBalancer
  loadBalancerClass: service.k8s.aws/nlb
  ports: [{{name: h3, port: {PORT}, targetPort: {}, protocol: UDP}}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: h3, port: {}, protocol: UDP}}]
endpoints:
",
        elbow_tests::target::PORT,
        elbow_tests::target::PORT,
    );
    for (number, (addr, _)) in targets.iter().enumerate() {
        let ip = addr.ip();
        text += &format!("- {{addresses: [{ip}], targetRef: {{kind: Pod, name: web-{number}}}}}\n");
    }
    for (number, (_, id)) in targets.iter().enumerate() {
        let env = id.map(|id| format!("env: [{{name: AWS_LBC_QUIC_SERVER_ID, value: '{id}'}}]"));
        text += &format!(
            "---
apiVersion: v1
kind: Pod
metadata:
  name: web-{number}
  annotations: {{service.beta.kubernetes.io/aws-load-balancer-quic-enabled-containers: web}}
spec: {{containers: [{{name: web, image: web, {}}}]}}
",
            env.unwrap_or_default()
        );
    }
    text
}

#[test]
fn pods_of_a_manifest_are_found_by_their_server_ids() {
    let targets = ["a", "b", "c"].map(|name| {
        let health = Target::refusing();
        let echo = Echo::at(name, health.addr());
        (health, echo)
    });
    let [a, b, c] = targets.each_ref().map(|(_, echo)| echo.addr());
    let dir = TempDir::new();
    let (a1, b2) = (Some("AAAAAAAAAKE="), Some("AAAAAAAAALI="));
    dir.write("web.yaml", manifest(&[(a, a1), (b, b2), (c, None)]));
    let elbow = Elbow::run_manifests(dir, &[]);
    let lb = wait::until("the listener", || elbow.bound("web", PORT));
    let group = elbow.json("/config")["targetGroups"][0].clone();
    let ids = group["targets"].as_array().unwrap().iter();
    let ids: Vec<_> = ids.map(|target| &target["quicServerId"]).collect();
    assert_eq!(ids, ["0x00000000000000a1", "0x00000000000000b2"]);
    elbow.log_with(&["Pod default/web-2 has no QUIC server ID: it is not registered"]);
    let name = group["name"].as_str().unwrap();
    for addr in [a, b] {
        elbow.wait_for_state(name, addr, "healthy");
    }
    let ask_all = |expected: [(u8, char); 2]| {
        for (server, name) in expected {
            for last in 1..=5 {
                let client = UdpClient::at(Ipv4Addr::new(127, 4, server, last), lb);
                let short = short(&connection_id(server));
                assert_eq!(Scene::ask(&client, &short), name);
            }
        }
    };
    ask_all([(0xa1, 'a'), (0xb2, 'b')]);

    // The pods are created again, and have the IDs in another order.
    elbow.write_manifest("web.yaml", &manifest(&[(a, b2), (b, a1), (c, None)]));
    // The flows of earlier clients go on.
    wait::until("the new IDs to be in force", || {
        let answered = Scene::ask(&UdpClient::of(lb), &short(&connection_id(0xa1)));
        (answered == 'b').then_some(())
    });
}
