//! Nodes of load balancers in zones (ELB guide: how it works; ALB guide and NLB guide: target group health).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::slice;

use elbow_tests::address::network;
use elbow_tests::config::{alb, file, forward, group, listener, nlb, with_attribute};
use elbow_tests::datagram::{Echo, UdpClient};
use elbow_tests::dns::{look_up, look_up_from};
use elbow_tests::{Client, Elbow, Target, TempDir, address, client, wait};
use serde_json::{Value, json};

const CROSS_ZONE: &str = "load_balancing.cross_zone.enabled";
const PORT: u16 = 8080;

/// The body of the response that the node at `ip` gives, and its status.
fn ask(ip: IpAddr) -> (u16, String) {
    let answer = Client::plain((ip, PORT)).ask(client::get("example.com", "/"));
    (answer.status, answer.text())
}

/// The bodies of ten responses, each once.
fn answers(ip: IpAddr) -> Vec<String> {
    let mut all: Vec<String> = (0..10).map(|_| ask(ip).1).collect();
    all.sort();
    all.dedup();
    all
}

/// A group of one target in each of the zones a, b, and so on.
fn zonal_group(protocol: &str, targets: &[&Target]) -> Value {
    let addrs: Vec<SocketAddr> = targets.iter().map(|target| target.addr()).collect();
    let mut group = group("web", protocol, &addrs);
    for (number, zone) in ["a", "b", "c"].iter().take(targets.len()).enumerate() {
        group["targets"][number]["availabilityZone"] = json!(zone);
    }
    group
}

/// `balancer` with a node in each zone; `None` for an address of the pool.
fn with_nodes(mut balancer: Value, nodes: &[(&str, Option<Ipv4Addr>)]) -> Value {
    let node = |(zone, ip): &(&str, Option<Ipv4Addr>)| match ip {
        Some(ip) => json!({"zoneName": zone, "loadBalancerAddresses": [{"ipAddress": ip}]}),
        None => json!({"zoneName": zone}),
    };
    balancer["availabilityZones"] = nodes.iter().map(node).collect();
    balancer.as_object_mut().unwrap().remove("addresses");
    balancer
}

fn balancer(elbow: &Elbow) -> Value {
    elbow.json("/status")["loadBalancers"][0].clone()
}

/// The addresses of the nodes of a load balancer.
fn nodes(balancer: &Value) -> Vec<IpAddr> {
    let zones = balancer["availabilityZones"].as_array().unwrap().iter();
    let address = |zone: &Value| {
        let text = zone["loadBalancerAddresses"][0]["ipAddress"].as_str();
        text.unwrap().parse().unwrap()
    };
    zones.map(address).collect()
}

/// NLB guide, load balancers: a node uses the targets of its zone, and leaves DNS without a healthy one.
#[test]
fn nlb_keeps_to_zones_and_zones_without_healthy_targets_leave_dns() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let dns = SocketAddr::from((address(), 5353));
    let (a, b) = (address(), address());
    let lb = |cross_zone| {
        let lb = nlb("nlb", a, &[listener(PORT, "TCP", &forward("web"))]);
        let lb = with_nodes(lb, &[("a", Some(a)), ("b", Some(b))]);
        with_attribute(lb, CROSS_ZONE, cross_zone)
    };
    let group = zonal_group("TCP", &targets.each_ref());
    let args = ["--dns", &dns.to_string()];
    let elbow = Elbow::run_with(&file(&[lb("false")], slice::from_ref(&group)), &args);
    for target in &targets {
        elbow.wait_for_state("web", target.addr(), "healthy");
    }
    let (a, b) = (IpAddr::from(a), IpAddr::from(b));
    assert_eq!(
        (answers(a), answers(b)),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    let name = balancer(&elbow)["dnsName"].as_str().unwrap().to_owned();
    let zonal = |zone: &str| look_up(dns, &format!("{zone}.{name}"));
    assert_eq!(look_up(dns, &name), Ok(vec![a, b]));
    assert_eq!((zonal("a"), zonal("b")), (Ok(vec![a]), Ok(vec![b])));
    assert!(zonal("c").is_err());
    let healthy = |zone: &str| elbow.metric("elbow_zone_healthy", &[&format!("\"{zone}\"")]);
    assert_eq!((healthy("a"), healthy("b")), (Some(1.0), Some(1.0)));

    targets[0].set_health(503);
    elbow.wait_for_state("web", targets[0].addr(), "unhealthy");
    assert_eq!(look_up(dns, &name), Ok(vec![b]));
    assert_eq!((healthy("a"), healthy("b")), (Some(0.0), Some(1.0)));
    let zones = balancer(&elbow)["availabilityZones"].clone();
    assert_eq!(
        (&zones[0]["healthy"], &zones[1]["healthy"]),
        (&json!(false), &json!(true))
    );
    // The node itself fails open within its zone.
    assert_eq!(answers(a), ["a"]);
    targets[1].set_health(503);
    elbow.wait_for_state("web", targets[1].addr(), "unhealthy");
    assert_eq!(
        look_up(dns, &name),
        Ok(vec![a, b]),
        "all zones are unhealthy"
    );
    targets[1].set_health(200);
    elbow.wait_for_state("web", targets[1].addr(), "healthy");
    assert_eq!(look_up(dns, &name), Ok(vec![b]));

    // With cross-zone load balancing, the healthy target serves both nodes.
    elbow.reload(&file(&[lb("true")], &[group]));
    wait::until("the node in zone a to use the target in zone b", || {
        (answers(a) == ["b"]).then_some(())
    });
    assert_eq!(look_up(dns, &name), Ok(vec![a, b]));
}

/// NLB guide, load balancers: `dns_record.client_routing_policy`.
#[test]
fn clients_learn_the_addresses_of_their_own_zone() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let dns = SocketAddr::from((address(), 5353));
    let [a, b, in_a, in_b, elsewhere] = [(); 5].map(|()| address());
    let lb = |policy| {
        let lb = nlb("nlb", a, &[listener(PORT, "TCP", &forward("web"))]);
        let lb = with_nodes(lb, &[("a", Some(a)), ("b", Some(b))]);
        with_attribute(lb, "dns_record.client_routing_policy", policy)
    };
    let group = zonal_group("TCP", &targets.each_ref());
    let config = |policy| file(&[lb(policy)], slice::from_ref(&group));
    let subnet = |zone, ip: Ipv4Addr| {
        json!({"id": format!("subnet-{zone}"), "availabilityZone": zone, "cidrBlock": format!("{ip}/32"),
            "scheme": "internal"})
    };
    let dir = TempDir::new();
    let subnets = json!({"subnets": [subnet("a", in_a), subnet("b", in_b)]});
    dir.write("environment.yaml", subnets.to_string());
    let environment = dir.join("environment.yaml");
    let args = [
        "--dns",
        &dns.to_string(),
        "--environment",
        environment.to_str().unwrap(),
    ];
    let elbow = Elbow::run_with(&config("availability_zone_affinity"), &args);
    for target in &targets {
        elbow.wait_for_state("web", target.addr(), "healthy");
    }
    let (a, b) = (IpAddr::from(a), IpAddr::from(b));
    let name = balancer(&elbow)["dnsName"].as_str().unwrap().to_owned();
    let asked = |client: Ipv4Addr| look_up_from(client.into(), dns, &name).unwrap();
    assert_eq!(
        [in_a, in_b, elsewhere].map(asked),
        [vec![a], vec![b], vec![a, b]]
    );
    // Without a healthy target, a zone is not in DNS.
    targets[0].set_health(503);
    elbow.wait_for_state("web", targets[0].addr(), "unhealthy");
    assert_eq!([in_a, in_b].map(asked), [vec![b], vec![b]]);
    targets[0].set_health(200);
    elbow.wait_for_state("web", targets[0].addr(), "healthy");
    elbow.reload(&config("any_availability_zone"));
    assert_eq!([in_a, in_b].map(asked), [vec![a, b], vec![a, b]]);
    elbow.reload(&config("partial_availability_zone_affinity"));
    let own = (0..40).filter(|_| asked(in_a) == [a]).count();
    assert_eq!(own, 34, "85 % of the answers");
}

/// The same for UDP: a flow of a node stays in its zone.
#[test]
fn udp_flows_keep_to_the_zone_of_their_node() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let _echoes = [
        Echo::at("a", targets[0].addr()),
        Echo::at("b", targets[1].addr()),
    ];
    let (a, b) = (address(), address());
    let lb = |cross_zone| {
        let lb = nlb("nlb", a, &[listener(PORT, "UDP", &forward("web"))]);
        let lb = with_nodes(lb, &[("a", Some(a)), ("b", Some(b))]);
        with_attribute(lb, CROSS_ZONE, cross_zone)
    };
    let group = zonal_group("UDP", &targets.each_ref());
    let elbow = Elbow::run(&file(&[lb("false")], slice::from_ref(&group)));
    for target in &targets {
        elbow.wait_for_state("web", target.addr(), "healthy");
    }
    let answers = |node: Ipv4Addr| {
        let ask = |_| UdpClient::of((node, PORT).into()).ask("?");
        (0..20).map(ask).collect::<BTreeSet<String>>()
    };
    let only = |answer: &str| BTreeSet::from([answer.to_owned()]);
    assert_eq!((answers(a), answers(b)), (only("a:?"), only("b:?")));
    // Without a healthy target in its zone a node uses all of that zone, and none of another.
    targets[0].set_health(503);
    elbow.wait_for_state("web", targets[0].addr(), "unhealthy");
    assert_eq!((answers(a), answers(b)), (only("a:?"), only("b:?")));
    // With cross-zone load balancing, the healthy target serves both nodes.
    elbow.reload(&file(&[lb("true")], &[group]));
    assert_eq!((answers(a), answers(b)), (only("b:?"), only("b:?")));
    targets[0].set_health(200);
    elbow.wait_for_state("web", targets[0].addr(), "healthy");
    let both = BTreeSet::from(["a:?".to_owned(), "b:?".to_owned()]);
    assert_eq!((answers(a), answers(b)), (both.clone(), both));
}

/// ALB guide, edit target group attributes: cross-zone load balancing can be off for a target group.
#[test]
fn alb_has_an_address_of_the_pool_in_each_zone() {
    let targets = [Target::ok("a"), Target::ok("b"), Target::ok("c")];
    let lb = alb("alb", address(), &[listener(PORT, "HTTP", &forward("web"))]);
    let lb = with_nodes(lb, &[("a", None), ("b", None), ("d", None)]);
    let group = zonal_group("HTTP", &targets.each_ref());
    let config = |cross_zone| {
        let group = with_attribute(group.clone(), CROSS_ZONE, cross_zone);
        file(slice::from_ref(&lb), &[group])
    };
    let pool = network();
    let elbow = Elbow::run_with(
        &config("use_load_balancer_configuration"),
        &["--address-pool", &pool],
    );
    for target in &targets[..2] {
        elbow.wait_for_state("web", target.addr(), "healthy");
    }
    // No node is in its zone (ALB guide: target groups, unused).
    let row = elbow.wait_for_state("web", targets[2].addr(), "unused");
    assert_eq!(row["reason"], "Target.NotInUse");
    let text = "Target is in an Availability Zone that is not enabled for the load balancer";
    assert_eq!(row["description"], text);
    let found = balancer(&elbow);
    let nodes = nodes(&found);
    assert_eq!(found["address"], json!(nodes[0]));
    for node in &nodes {
        assert_eq!(answers(*node), ["a", "b"]);
    }
    elbow.reload(&config("false"));
    wait::until("the node in zone a to keep to its zone", || {
        (answers(nodes[0]) == ["a"]).then_some(())
    });
    assert_eq!(answers(nodes[1]), ["b"]);
    assert_eq!(ask(nodes[2]).0, 503);
}

/// The zones of manifests are those of the environment file; endpoints have zones, too.
#[test]
fn service_has_a_node_in_each_zone_of_the_environment() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let dir = TempDir::new();
    let subnets: String = ["a", "b"]
        .iter()
        .enumerate()
        .map(|(number, zone)| {
            format!(
                "- {{id: subnet-{zone}, availabilityZone: us-east-1{zone}, cidrBlock: 10.0.{number}.0/24, scheme: internal, \
                 tags: {{kubernetes.io/role/internal-elb: \"1\"}}}}\n"
            )
        })
        .collect();
    dir.write("environment.yaml", format!("subnets:\n{subnets}"));
    let endpoint =
        |target: &Target, zone: &str| json!({"addresses": [target.addr().ip()], "zone": zone});
    let service = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "annotations": {
            "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
            "service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval": "5",
            "service.beta.kubernetes.io/aws-load-balancer-healthcheck-timeout": "2"}},
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "selector": {"app": "web"},
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]}});
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "web", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "ports": [{"name": "http", "port": targets[0].addr().port()}],
        "endpoints": [endpoint(&targets[0], "us-east-1a"), endpoint(&targets[1], "us-east-1b")]});
    dir.write("service.yaml", service.to_string());
    dir.write("slice.yaml", slice.to_string());
    let elbow = Elbow::run_manifests(dir, &[]);
    let nodes = nodes(&balancer(&elbow));
    assert_eq!(nodes.len(), 2);
    for (node, name) in nodes.iter().zip(["a", "b"]) {
        wait::until(&format!("the node to reach target {name}"), || {
            (answers(*node) == [name]).then_some(())
        });
    }
}
