//! How targets are chosen (ALB guide: edit target group attributes).

use std::net::{Ipv4Addr, SocketAddr};

use elbow_tests::config::{alb, file, forward, group, listener, with_attribute};
use elbow_tests::{Client, Elbow, Target, address, client, wait};
use serde_json::Value;

/// An ALB on port 8080 with one group of `targets`.
fn config(ip: Ipv4Addr, targets: &[&Target], attributes: &[(&str, &str)]) -> Value {
    let targets: Vec<SocketAddr> = targets.iter().map(|target| target.addr()).collect();
    let mut web = group("web", "HTTP", &targets);
    for (key, value) in attributes {
        web = with_attribute(web, key, value);
    }
    file(
        &[alb("alb", ip, &[listener(8080, "HTTP", &forward("web"))])],
        &[web],
    )
}

fn get(lb: SocketAddr) -> String {
    Client::plain(lb)
        .ask(client::get("example.com", "/"))
        .text()
}

/// ALB guide, edit target group attributes, slow start.
#[test]
fn new_target_starts_slowly() {
    let (first, second, new) = (Target::ok("first"), Target::ok("second"), Target::ok("new"));
    let ip = address();
    let lb = SocketAddr::from((ip, 8080));
    let slow_start = [("slow_start.duration_seconds", "30")];
    let elbow = Elbow::run(&config(ip, &[&first, &second], &slow_start));
    // The first targets of an empty group get their full share at once.
    for target in [&first, &second] {
        let row = elbow.wait_for_state("web", target.addr(), "healthy");
        assert_eq!(row["requestShare"], Value::Null, "{row}");
    }
    elbow.reload(&config(ip, &[&first, &second, &new], &slow_start));
    let row = elbow.wait_for_state("web", new.addr(), "healthy");
    assert!(
        row["requestShare"]
            .as_u64()
            .is_some_and(|percent| percent < 100),
        "{row}"
    );
    for _ in 0..60 {
        get(lb);
    }
    // It would have 20 of the 60.
    assert!(new.requests().len() < 15, "{}", new.requests().len());
    wait::until("the new target to get a request", || {
        (get(lb) == "new").then_some(())
    });
    assert!(
        elbow.log().contains("target starts slowly"),
        "{}",
        elbow.log()
    );
}
