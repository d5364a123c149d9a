//! Sticky sessions (ALB guide: sticky sessions; NLB guide: target groups).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::collections::HashSet;

use elbow_tests::config::{alb, file, fixed, forward, group, listener, nlb, rule, with_attribute};
use elbow_tests::elbow::log_fields;
use elbow_tests::{Client, Elbow, Response, Target, address, client, wait};
use serde_json::{Value, json};

/// All values of Set-Cookie.
fn set_cookies(response: &Response) -> Vec<&str> {
    let lines = response.head.lines();
    lines
        .filter_map(|line| line.strip_prefix("Set-Cookie: "))
        .collect()
}

/// `NAME=VALUE` of the cookie `name` that a response sets.
fn cookie(response: &Response, name: &str) -> String {
    let start = format!("{name}=");
    let line = set_cookies(response)
        .into_iter()
        .find(|line| line.starts_with(&start));
    let line = line.unwrap_or_else(|| panic!("no {name} in {response:?}"));
    line.split(';').next().unwrap().to_owned()
}

fn get(ip: std::net::Ipv4Addr, cookies: &str) -> Response {
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nCookie: {cookies}\r\n\r\n");
    Client::plain((ip, 8080)).ask(request)
}

/// A group of three targets that respond with their names.
struct Three {
    targets: Vec<Target>,
    names: [&'static str; 3],
}

impl Three {
    fn new() -> Self {
        let names = ["one", "two", "three"];
        Self {
            targets: names.map(Target::ok).into(),
            names,
        }
    }

    fn group(&self, attributes: &Value) -> Value {
        let addresses: Vec<_> = self.targets.iter().map(Target::addr).collect();
        let mut group = group("web", "HTTP", &addresses);
        group["attributes"] = attributes.clone();
        group
    }

    fn wait(&self, elbow: &Elbow) {
        for target in &self.targets {
            elbow.wait_for_state("web", target.addr(), "healthy");
        }
    }

    fn named(&self, name: &str) -> &Target {
        let at = self.names.iter().position(|n| *n == name).unwrap();
        &self.targets[at]
    }
}

// Parity 1.8 and check 30.
#[test]
fn lb_cookie_keeps_its_target() {
    let three = Three::new();
    let ip = address();
    let listener = listener(8080, "HTTP", &forward("web"));
    let group = three.group(
        &json!({"stickiness.enabled": "true", "stickiness.type": "lb_cookie",
        "stickiness.lb_cookie.duration_seconds": "60"}),
    );
    let config = file(&[alb("alb", ip, &[listener])], &[group]);
    let elbow = Elbow::run(&config);
    three.wait(&elbow);

    let first = get(ip, "a=b");
    let lines = set_cookies(&first);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let value = |line: &str| {
        line.split_once('=')
            .unwrap()
            .1
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    };
    let plain = lines.iter().find(|l| l.starts_with("AWSALB=")).unwrap();
    let cross = lines.iter().find(|l| l.starts_with("AWSALBCORS=")).unwrap();
    assert_eq!(value(plain), value(cross));
    assert!(plain.ends_with(" GMT; Path=/"), "{plain}");
    assert!(
        cross.ends_with(" GMT; Path=/; SameSite=None; Secure"),
        "{cross}"
    );

    // Round robin would use all three.
    let session = cookie(&first, "AWSALB");
    let mut last = session.clone();
    for _ in 0..7 {
        let response = get(ip, &format!("x=y; {last}"));
        assert_eq!(response.text(), first.text());
        last = cookie(&response, "AWSALB");
    }
    // Other clients are not bound.
    let others: HashSet<_> = (0..9).map(|_| get(ip, "AWSALB=garbage").text()).collect();
    assert_eq!(others.len(), 3);
    // The cookie for cross-site requests takes precedence.
    let elsewhere = loop {
        let response = get(ip, "a=b");
        if response.text() != first.text() {
            break response;
        }
    };
    let both = format!("{session}; {}", cookie(&elsewhere, "AWSALBCORS"));
    assert_eq!(get(ip, &both).text(), elsewhere.text());
    wait::until("the others to be counted", || {
        let counted = elbow.metric("elbow_non_sticky_requests_total", &[])?;
        (counted >= 10.0).then_some(())
    });

    // Another process with the same configuration accepts the cookie.
    drop(elbow);
    let elbow = Elbow::run(&config);
    three.wait(&elbow);
    assert_eq!(get(ip, &session).text(), first.text());
    // If the target is unhealthy, the session moves to another target with a new cookie.
    let target = three.named(&first.text());
    target.set_health(500);
    elbow.wait_for_state("web", target.addr(), "unhealthy");
    let moved = get(ip, &session);
    assert_ne!(moved.text(), first.text());
    let next = get(ip, &cookie(&moved, "AWSALB"));
    assert_eq!(next.text(), moved.text());
}

// Parity 1.8: app_cookie.
#[test]
fn app_cookie_keeps_its_target() {
    let answer = |name: &'static str| {
        Target::http(move |request| {
            let cookie = if request.line().contains("/login") {
                "Set-Cookie: sid=1; Path=/\r\n"
            } else {
                ""
            };
            format!(
                "HTTP/1.1 200 OK\r\n{cookie}Content-Length: {}\r\n\r\n{name}",
                name.len()
            )
            .into()
        })
    };
    let names = ["one", "two", "three"];
    let three = Three {
        targets: names.map(answer).into(),
        names,
    };
    let ip = address();
    let listener = listener(8080, "HTTP", &forward("web"));
    let group = three.group(
        &json!({"stickiness.enabled": "true", "stickiness.type": "app_cookie",
        "stickiness.app_cookie.cookie_name": "sid"}),
    );
    let elbow = Elbow::run(&file(&[alb("alb", ip, &[listener])], &[group]));
    three.wait(&elbow);
    let response = get(ip, "a=b");
    let outside = set_cookies(&response);
    assert_eq!(outside.len(), 4);
    for (part, cookie) in outside.iter().enumerate() {
        let removed = format!("AWSALBAPP-{part}=_remove_; ");
        assert!(cookie.starts_with(&removed), "{cookie}");
    }
    let login = Client::plain((ip, 8080)).ask(client::get("h", "/login"));
    let ours = cookie(&login, "AWSALBAPP-0");
    for _ in 0..5 {
        let response = get(ip, &format!("sid=1; {ours}"));
        assert_eq!(response.text(), login.text());
        assert!(set_cookies(&response).is_empty());
    }
    // One cookie alone binds nothing.
    let alone: HashSet<_> = (0..6).map(|_| get(ip, &ours).text()).collect();
    assert_eq!(alone.len(), 3);
}

// Parity 1.4: stickiness of the group of a weighted forward.
#[test]
fn target_group_cookie_keeps_the_group_of_a_weighted_forward() {
    let (one, two) = (Target::ok("one"), Target::ok("two"));
    let ip = address();
    let action = json!({"type": "forward", "forwardConfig": {
        "targetGroups": [{"targetGroup": "one", "weight": 1}, {"targetGroup": "two", "weight": 1}],
        "targetGroupStickinessConfig": {"enabled": true, "durationSeconds": 60}}});
    let mut listener = listener(8080, "HTTP", &fixed(404, ""));
    listener["rules"] = json!([rule(1, "path-pattern", "/*", &action)]);
    let elbow = Elbow::run(&file(
        &[alb("alb", ip, &[listener])],
        &[
            group("one", "HTTP", &[one.addr()]),
            group("two", "HTTP", &[two.addr()]),
        ],
    ));
    elbow.wait_for_state("one", one.addr(), "healthy");
    elbow.wait_for_state("two", two.addr(), "healthy");
    let first = get(ip, "a=b");
    assert_eq!(set_cookies(&first).len(), 2);
    let session = cookie(&first, "AWSALBTG");
    assert!(cookie(&first, "AWSALBTGCORS").ends_with(session.split_once('=').unwrap().1));
    for _ in 0..20 {
        assert_eq!(get(ip, &session).text(), first.text());
    }
    get(ip, "AWSALBTG=garbage");
    let log = elbow.access_log(22);
    // Field 25, error_reason.
    let reasons: Vec<_> = log
        .iter()
        .map(|line| log_fields(line)[24].clone())
        .collect();
    let invalid = reasons
        .iter()
        .filter(|r| r.contains("AWSALBTGCookieInvalid"));
    assert_eq!(invalid.count(), 1, "{reasons:?}");
}

// Parity 3.4: stickiness.type source_ip.
#[test]
fn nlb_source_ip_stickiness_keeps_the_target() {
    let three = Three::new();
    let ip = address();
    let addresses: Vec<_> = three.targets.iter().map(Target::addr).collect();
    let mut web = group("web", "TCP", &addresses);
    web = with_attribute(web, "stickiness.enabled", "true");
    web = with_attribute(web, "stickiness.type", "source_ip");
    let listener = listener(8080, "TCP", &forward("web"));
    let elbow = Elbow::run(&file(&[nlb("nlb", ip, &[listener])], &[web]));
    three.wait(&elbow);
    let met: HashSet<_> = (0..12).map(|_| get(ip, "a=b").text()).collect();
    assert_eq!(met.len(), 1);
}
