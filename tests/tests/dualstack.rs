//! Dualstack load balancers without an address of their own.

use elbow_tests::address::Ports;
use elbow_tests::config::{alb, file, fixed, listener};
use elbow_tests::{Client, Elbow, address, client};
use serde_json::Value;
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
