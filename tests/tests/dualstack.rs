//! Dualstack load balancers without an address of their own.

use elbow_tests::address::Ports;
use elbow_tests::config::{alb, file, fixed, forward, group, listener, nlb};
use elbow_tests::datagram::{Echo, UdpClient};
use elbow_tests::{Client, Elbow, Target, address, client};
use serde_json::{Value, json};
use std::net::{Ipv6Addr, SocketAddr};

/// The IPv6 pool is not local unless someone adds a route, so `::1` stands in.
#[test]
fn a_dualstack_load_balancer_is_served_over_ipv6() {
    let Some(ports) = Ports::claim_at(Ipv6Addr::LOCALHOST.into()) else {
        return println!("skipped: this machine has no IPv6");
    };
    let port = ports.first;
    let mut balancer = alb(
        "web",
        address(),
        &[listener(port, "HTTP", &fixed(200, "web"))],
    );
    balancer["ipAddressType"] = "dualstack".into();
    balancer["addresses"] = Value::Null;
    let pool = address::network();
    let not_local = [
        "--address-pool-v6",
        "2001:db8::/64",
        "--address-pool",
        &pool,
    ];
    let elbow = Elbow::run_with(&file(&[balancer], &[]), &not_local);
    for at in [
        elbow.bound("web", port),
        Some(SocketAddr::from((Ipv6Addr::LOCALHOST, port))),
    ] {
        let answer = Client::plain(at.expect("the listener is bound")).ask(client::get("a", "/"));
        assert_eq!((answer.status, &*answer.text()), (200, "web"));
    }
    elbow.log_with(&["ip -6 route add local"]);
}

/// NLB guide, listener rules: connections and datagrams of clients with IPv6 addresses go to a group of their own.
#[test]
fn rules_of_an_nlb_tell_ipv4_and_ipv6_clients_apart() {
    let Some(ports) = Ports::claim_at(Ipv6Addr::LOCALHOST.into()) else {
        return println!("skipped: this machine has no IPv6");
    };
    let port = ports.first;
    let start = |name: &'static str| {
        let tcp = Target::start(move |peer| {
            let bytes = peer.rest()?;
            peer.send([name.as_bytes(), b":", &bytes].concat())
        });
        let udp = Echo::at(name, tcp.addr());
        (tcp, udp)
    };
    let (four, six) = (start("four"), start("six"));
    let ip = address();
    let of_six = |group: &str| {
        let condition = json!({"field": "source-ip", "sourceIPConfig": {"ipAddressType": "ipv6"}});
        json!([{"priority": 1, "conditions": [condition], "actions": [forward(group)]}])
    };
    let config = |group_of_six: &str| {
        let mut listener = listener(port, "TCP_UDP", &forward("four"));
        listener["rules"] = of_six(group_of_six);
        let mut balancer = nlb("nlb", ip, &[listener]);
        balancer["ipAddressType"] = "dualstack".into();
        balancer["addresses"] = json!([ip, Ipv6Addr::LOCALHOST]);
        let groups = [
            group("four", "TCP_UDP", &[four.0.addr()]),
            group("six", "TCP_UDP", &[six.0.addr()]),
        ];
        file(&[balancer], &groups)
    };
    let elbow = Elbow::run(&config("six"));
    elbow.wait_for_state("four", four.0.addr(), "healthy");
    elbow.wait_for_state("six", six.0.addr(), "healthy");
    let answers = |at: SocketAddr| {
        let mut client = Client::plain(at);
        client.send("tcp").finish();
        let tcp = String::from_utf8(client.rest().unwrap()).unwrap();
        [tcp, UdpClient::of(at).ask("udp")]
    };
    let (of_four, of_six) = ((ip, port).into(), (Ipv6Addr::LOCALHOST, port).into());
    assert_eq!(answers(of_four), ["four:tcp", "four:udp"]);
    assert_eq!(answers(of_six), ["six:tcp", "six:udp"]);
    // New flows follow a change of the rule.
    elbow.reload(&config("four"));
    assert_eq!(answers(of_six), ["four:tcp", "four:udp"]);
}
