//! Stickiness by cookies.

use std::net::Ipv4Addr;

use elbow_tests::{Client, Elbow, Target, address};
use serde_json::{Value, json};

use super::{GROUP, one};

/// As [`one`], with this stickiness policy.
fn sticky(ip: Ipv4Addr, targets: &[&Target], policy: &Value) -> Value {
    let mut config = one(ip, targets, &[]);
    let listener = &mut config["loadBalancers"][0]["listeners"][0];
    for (name, value) in policy.as_object().unwrap() {
        listener[name] = value.clone();
    }
    config
}

/// The value of the cookie `AWSELB` that `response` sets.
fn awselb(response: &elbow_tests::Response) -> Option<String> {
    let fields = response
        .head
        .lines()
        .filter_map(|line| line.split_once(": "));
    let mut cookies = fields.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    let cookie = cookies.find_map(|(_, value)| value.strip_prefix("AWSELB="))?;
    Some(cookie.split(';').next().unwrap().to_owned())
}

// CLB guide, sticky sessions: duration-based. The client stays until its instance is out of service.
#[test]
fn client_stays_with_an_instance_by_awselb() {
    let targets = [Target::ok("one"), Target::ok("two"), Target::ok("three")];
    let targets = targets.each_ref();
    let ip = address();
    let policy = json!({"lbCookieStickinessPolicy": {"cookieExpirationPeriod": 60}});
    let elbow = Elbow::run(&sticky(ip, &targets, &policy));
    for target in targets {
        elbow.wait_for_state(GROUP, target.addr(), "InService");
    }
    let ask = |cookie: &str| {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{cookie}\r\n");
        Client::plain((ip, 8080)).ask(request)
    };
    let first = ask("");
    let value = awselb(&first).unwrap();
    assert!(first.head.contains(&format!(
        "\r\nSet-Cookie: AWSELB={value};PATH=/;MAX-AGE=60\r\n"
    )));
    let cross =
        format!("\r\nSet-Cookie: AWSELBCORS={value};PATH=/;MAX-AGE=60;SECURE;SAMESITE=None\r\n");
    assert!(first.head.contains(&cross), "{}", first.head);
    assert_eq!(
        first.header("cache-control"),
        Some("no-cache=\"set-cookie\"")
    );
    for _ in 0..6 {
        let again = ask(&format!("Cookie: a=b; AWSELB={value}\r\n"));
        assert_eq!(again.text(), first.text());
        assert_eq!(awselb(&again), None, "it is not renewed");
        assert_eq!(again.header("cache-control"), None);
    }
    let own = targets.iter().find(|target| !target.requests().is_empty());
    let own = own.unwrap();
    own.set_health(500);
    elbow.wait_for_state(GROUP, own.addr(), "OutOfService");
    let moved = ask(&format!("Cookie: AWSELB={value}\r\n"));
    assert_ne!(moved.text(), first.text());
    assert!(awselb(&moved).is_some_and(|other| other != value));
}

// CLB guide, sticky sessions: application-controlled. The cookie comes with the application's and has its attributes.
#[test]
fn client_stays_as_long_as_the_cookie_of_the_application() {
    let answer = |name: &'static str| {
        Target::http(move |request| {
            let cookie = if request.head.starts_with("GET /login ") {
                "Set-Cookie: sid=7; Path=/my_app; HttpOnly; Priority=High\r\n"
            } else {
                ""
            };
            let length = name.len();
            format!("HTTP/1.1 200 OK\r\n{cookie}Content-Length: {length}\r\n\r\n{name}")
                .into_bytes()
        })
    };
    let targets = [answer("one"), answer("two"), answer("three")];
    let targets = targets.each_ref();
    let ip = address();
    let policy = json!({"appCookieStickinessPolicy": {"cookieName": "sid"}});
    let elbow = Elbow::run(&sticky(ip, &targets, &policy));
    for target in targets {
        elbow.wait_for_state(GROUP, target.addr(), "InService");
    }
    let ask = |path: &str, cookie: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{cookie}\r\n");
        Client::plain((ip, 8080)).ask(request)
    };
    assert_eq!(awselb(&ask("/", "")), None);
    let login = ask("/login", "");
    let value = awselb(&login).unwrap();
    let line = format!("\r\nSet-Cookie: AWSELB={value};Path=/my%5Fapp;HttpOnly\r\n");
    assert!(login.head.contains(&line), "{}", login.head);
    for _ in 0..6 {
        let again = ask("/", &format!("Cookie: sid=7; AWSELB={value}\r\n"));
        assert_eq!(again.text(), login.text());
        assert_eq!(awselb(&again), None);
    }
    // Without the application's cookie the session is over.
    let names: std::collections::HashSet<_> = (0..40)
        .map(|_| ask("/", &format!("Cookie: AWSELB={value}\r\n")).text())
        .collect();
    assert!(names.len() > 1, "{names:?}");
}
