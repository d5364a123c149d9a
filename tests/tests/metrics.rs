//! Metrics of an ALB, each seen to change for its reason (ALB guide: CloudWatch metrics).
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::net::{IpAddr, Ipv6Addr};

use elbow_tests::address::Ports;
use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule, with_attribute};
use elbow_tests::{Client, Elbow, Target, address, client};
use serde_json::{Value, json};

const PORT: u16 = 8080;

/// An ALB whose rules lead to a target, to nobody, and to a URL that is too long.
struct Site {
    elbow: Elbow,
    ip: IpAddr,
    port: u16,
    _target: Target,
}

impl Site {
    fn start(ip: IpAddr, port: u16, drops_invalid_fields: bool) -> Self {
        let path = format!("/{}#{{path}}", "x".repeat(120));
        let far =
            json!({"type": "redirect", "redirectConfig": {"path": path, "statusCode": "HTTP_302"}});
        let mut listener = listener(port, "HTTP", &fixed(404, "default"));
        listener["rules"] = json!([
            rule(1, "path-pattern", "/web*", &forward("web")),
            rule(2, "path-pattern", "/none*", &forward("none")),
            rule(3, "path-pattern", "/far*", &far),
        ]);
        let target = Target::ok("here");
        let gone = Target::ok("gone").addr();
        let groups: [Value; 2] = [("web", target.addr()), ("none", gone)]
            .map(|(name, target)| group(name, "HTTP", &[target]));
        let drops = drops_invalid_fields.to_string();
        let mut alb = alb("alb", ip, &[listener]);
        if ip.is_ipv6() {
            alb["ipAddressType"] = json!("dualstack");
        }
        let alb = with_attribute(
            alb,
            "routing.http.drop_invalid_header_fields.enabled",
            &drops,
        );
        let elbow = Elbow::run(&file(&[alb], &groups));
        elbow.wait_for_state("web", target.addr(), "healthy");
        Self {
            elbow,
            ip,
            port,
            _target: target,
        }
    }

    fn get(&self, path: &str) -> u16 {
        let request = client::get("alb.example", path);
        Client::plain((self.ip, self.port)).ask(request).status
    }

    fn assert(&self, name: &str, labels: &[&str], value: f64) {
        self.elbow.wait_for_metric(name, labels, value);
    }
}

#[test]
fn requests_count_in_their_group_and_by_what_failed() {
    let site = Site::start(address().into(), PORT, false);
    for (path, status) in [("/web", 200), ("/web/2", 200), ("/none", 502), ("/", 404)] {
        assert_eq!(site.get(path), status, "{path}");
    }
    let far = format!("/far{}", "y".repeat(8_100));
    assert_eq!(site.get(&far), 507);
    site.assert("elbow_group_requests_total", &["\"web\""], 2.0);
    site.assert("elbow_group_responses_total", &["\"web\"", "\"2xx\""], 2.0);
    site.assert("elbow_group_response_time_seconds_count", &["\"web\""], 2.0);
    site.assert("elbow_group_requests_total", &["\"none\""], 1.0);
    site.assert("elbow_group_connect_errors_total", &["\"none\""], 1.0);
    site.assert("elbow_group_connect_errors_total", &["\"web\""], 0.0);
    let of_target = ["kind=\"connect_failed\"", "side=\"target\""];
    site.assert("elbow_request_errors_total", &of_target, 1.0);
    let too_long = ["kind=\"redirect_too_long\"", "side=\"elb\""];
    site.assert("elbow_request_errors_total", &too_long, 1.0);
    // 1 + 1 + 2 + 3 and, for the long URL, 3.
    site.assert("elbow_rule_evaluations_total", &[], 10.0);
    site.assert("elbow_ipv6_requests_total", &[], 0.0);
}

#[test]
fn requests_with_invalid_field_names_are_counted() {
    for (drops, counted, other) in [
        (true, "dropped", "forwarded"),
        (false, "forwarded", "dropped"),
    ] {
        let site = Site::start(address().into(), PORT, drops);
        let request = "GET /web HTTP/1.1\r\nHost: a\r\nx_a: 1\r\nx_b: 2\r\n\r\n";
        let response = Client::plain((site.ip, site.port)).ask(request);
        assert_eq!(response.status, 200);
        assert_eq!(site.get("/web"), 200);
        let label = |fields| format!("fields=\"{fields}\"");
        let name = "elbow_invalid_header_requests_total";
        site.assert(name, &[&label(counted)], 1.0);
        site.assert(name, &[&label(other)], 0.0);
    }
}

#[test]
fn clients_with_ipv6_addresses_are_counted() {
    let Some(ports) = Ports::claim_at(Ipv6Addr::LOCALHOST.into()) else {
        return println!("skipped: this machine has no IPv6");
    };
    let site = Site::start(Ipv6Addr::LOCALHOST.into(), ports.first, false);
    assert_eq!(site.get("/web"), 200);
    site.assert("elbow_ipv6_requests_total", &[], 1.0);
    // The connection has ended, so that no byte is counted any more.
    site.assert("elbow_active_connections", &[], 0.0);
    let processed = site.elbow.metric("elbow_ipv6_processed_bytes_total", &[]);
    let both = ["elbow_received_bytes_total", "elbow_sent_bytes_total"]
        .map(|name| site.elbow.metric(name, &[]).unwrap());
    assert_eq!(processed, Some(both.iter().sum()));
}
