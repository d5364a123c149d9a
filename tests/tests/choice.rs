//! How targets are chosen (ALB guide: edit target group attributes).

use std::net::{Ipv4Addr, SocketAddr};

use elbow_tests::config::{alb, file, forward, group, listener, nlb, with_attribute};
use elbow_tests::elbow::target_row;
use elbow_tests::{Client, Elbow, Target, address, client, wait};
use serde_json::{Value, json};

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
    elbow.log_with(&["target starts slowly"]);
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

/// NLB guide, edit target group attributes: an unhealthy target keeps its connections for the draining interval.
#[test]
fn unhealthy_target_keeps_its_connections_for_the_interval() {
    let targets = [Target::ok("a"), Target::ok("b")];
    let ip = address();
    let lb = SocketAddr::from((ip, 8080));
    let mut web = group(
        "web",
        "TCP",
        &targets.each_ref().map(|target| target.addr()),
    );
    let state = "target_health_state.unhealthy";
    web = with_attribute(
        web,
        &format!("{state}.connection_termination.enabled"),
        "false",
    );
    web = with_attribute(web, &format!("{state}.draining_interval_seconds"), "20");
    let nlb = nlb("nlb", ip, &[listener(8080, "TCP", &forward("web"))]);
    let config = |delay: &str| {
        let web = with_attribute(web.clone(), "deregistration_delay.timeout_seconds", delay);
        file(std::slice::from_ref(&nlb), &[web])
    };
    let elbow = Elbow::run(&config("300"));
    for target in &targets {
        elbow.wait_for_state("web", target.addr(), "healthy");
    }
    let ask = |client: &mut Client| client.ask(client::get("example.com", "/")).text();
    let connected = |name: &str| {
        wait::until("a connection to the target", || {
            let mut client = Client::plain(lb);
            (ask(&mut client) == name).then_some(client)
        })
    };
    let (mut to_a, mut to_b) = (connected("a"), connected("b"));
    targets[0].set_health(503);
    let row = elbow.wait_for_state("web", targets[0].addr(), "unhealthy.draining");
    assert_eq!(row["reason"], "Target.FailedHealthChecks", "{row}");
    assert_eq!(ask(&mut to_a), "a");
    // A reload does not end the interval.
    elbow.reload(&config("200"));
    let row = target_row(&elbow.json("/targets"), "web", targets[0].addr()).unwrap();
    assert_eq!(row["state"], "unhealthy.draining", "{row}");
    for _ in 0..10 {
        assert_eq!(get(lb), "b");
    }
    elbow.wait_for_state("web", targets[0].addr(), "unhealthy");
    to_a.expect_reset();
    assert_eq!(ask(&mut to_b), "b");
    targets[0].set_health(200);
    elbow.wait_for_state("web", targets[0].addr(), "healthy");
}

/// NLB guide, listeners: connections to a target group end a short time after its weight is set to 0.
#[test]
fn connections_to_a_group_end_after_its_weight_is_set_to_0() {
    let (blue, green) = (Target::ok("blue"), Target::ok("green"));
    let ip = address();
    let lb = SocketAddr::from((ip, 8080));
    let config = |blue_weight: u32, green_weight: u32| {
        let groups = json!([{"targetGroup": "blue", "weight": blue_weight},
            {"targetGroup": "green", "weight": green_weight}]);
        let action = json!({"type": "forward", "forwardConfig": {"targetGroups": groups}});
        let nlb = nlb("nlb", ip, &[listener(8080, "TCP", &action)]);
        let group = |name, target: &Target| group(name, "TCP", &[target.addr()]);
        file(&[nlb], &[group("blue", &blue), group("green", &green)])
    };
    let elbow = Elbow::run(&config(1, 0));
    elbow.wait_for_state("blue", blue.addr(), "healthy");
    elbow.wait_for_state("green", green.addr(), "healthy");
    let mut old = Client::plain(lb);
    assert_eq!(old.ask(client::get("example.com", "/")).text(), "blue");
    elbow.reload(&config(0, 1));
    wait::until("new connections to go to green", || {
        (get(lb) == "green").then_some(())
    });
    let mut new = Client::plain(lb);
    assert_eq!(new.ask(client::get("example.com", "/")).text(), "green");
    old.expect_reset();
    assert_eq!(new.ask(client::get("example.com", "/")).text(), "green");
}
