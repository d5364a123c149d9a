//! How targets are chosen (ALB guide: edit target group attributes).

use std::net::{Ipv4Addr, SocketAddr};

use elbow_tests::config::{alb, file, forward, group, listener, with_attribute};
use elbow_tests::elbow::target_row;
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

/// ALB guide, target groups, anomaly detection and mitigation.
#[test]
fn failing_target_is_anomalous_and_gets_fewer_requests() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let bad = Target::http(|_| {
        let body = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 3\r\n\r\nbad";
        body.into()
    });
    let ip = address();
    let lb = SocketAddr::from((ip, 8080));
    let all = [&targets[0], &bad, &targets[1]];
    let mitigation = [
        ("load_balancing.algorithm.type", "weighted_random"),
        ("load_balancing.algorithm.anomaly_mitigation", "on"),
    ];
    let elbow = Elbow::run(&config(ip, &all, &mitigation));
    for target in all {
        let row = elbow.wait_for_state("web", target.addr(), "healthy");
        assert_eq!(row["anomalyDetection"]["result"], "normal", "{row}");
        assert_eq!(row["anomalyDetection"]["mitigationInEffect"], "no", "{row}");
        let state = &row["administrativeOverride"]["state"];
        assert_eq!(state, "no_override", "{row}");
    }
    let row = |target: &Target| target_row(&elbow.json("/targets"), "web", target.addr()).unwrap();
    wait::until("the failing target to get its smallest share", || {
        for _ in 0..10 {
            get(lb);
        }
        (row(&bad)["requestShare"] == 6).then_some(())
    });
    let found = row(&bad);
    assert_eq!(found["state"], "healthy", "{found}");
    assert_eq!(found["anomalyDetection"]["result"], "anomalous", "{found}");
    assert_eq!(
        found["anomalyDetection"]["mitigationInEffect"], "yes",
        "{found}"
    );
    for target in &targets {
        let found = row(target);
        assert_eq!(found["anomalyDetection"]["result"], "normal", "{found}");
    }
    let failed = (0..99).filter(|_| get(lb) == "bad").count();
    // It would be 33 without mitigation, and is 3 with it.
    assert!(failed < 15, "{failed}");
    for metric in ["elbow_anomalous_hosts", "elbow_mitigated_hosts"] {
        assert_eq!(elbow.metric(metric, &["web"]), Some(1.0), "{metric}");
    }
}

/// ALB guide, target groups, anomaly detection: it is always on, and does not change health.
#[test]
fn target_that_refuses_connections_is_anomalous() {
    let (a, b, c) = (Target::ok("a"), Target::ok("b"), Target::refusing());
    let ip = address();
    let lb = SocketAddr::from((ip, 8080));
    let elbow = Elbow::run(&config(ip, &[&a, &b, &c], &[]));
    let row = |target: &Target| target_row(&elbow.json("/targets"), "web", target.addr()).unwrap();
    elbow.wait_for_state("web", c.addr(), "healthy");
    wait::until("the target to be anomalous", || {
        for _ in 0..10 {
            get(lb);
        }
        (row(&c)["anomalyDetection"]["result"] == "anomalous").then_some(())
    });
    let found = row(&c);
    assert_eq!(
        (&found["state"], &found["requestShare"]),
        (&"healthy".into(), &Value::Null),
        "{found}"
    );
}
