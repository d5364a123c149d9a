//! Rules and actions of an ALB listener (ALB guide: listener rules, condition types, action types).

use elbow_tests::config::{alb, file, fixed, forward, group, listener, rule};
use elbow_tests::elbow::log_fields;
use elbow_tests::{Client, Elbow, Response, Target, address, client};
use serde_json::{Value, json};

/// An ALB listener with these rules, and 404 by default.
struct Rules {
    elbow: Elbow,
    ip: std::net::Ipv4Addr,
}

impl Rules {
    fn new(rules: &[Value], groups: &[Value]) -> Self {
        let ip = address();
        let mut listener = listener(8080, "HTTP", &fixed(404, "default"));
        listener["rules"] = json!(rules);
        Self {
            elbow: Elbow::run(&file(&[alb("alb", ip, &[listener])], groups)),
            ip,
        }
    }

    fn get(&self, host: &str, path: &str) -> Response {
        Client::plain((self.ip, 8080)).ask(client::get(host, path))
    }

    fn text(&self, host: &str, path: &str) -> String {
        self.get(host, path).text()
    }
}

#[test]
fn host_patterns_are_case_insensitive_and_match_dots_literally() {
    let rules = Rules::new(
        &[rule(1, "host-header", "*.example.com", &fixed(200, "yes"))],
        &[],
    );
    assert_eq!(rules.text("example.com", "/"), "default");
    assert_eq!(rules.text("test.example.com", "/"), "yes");
    assert_eq!(rules.text("a.b.example.com", "/"), "yes");
    assert_eq!(rules.text("A.EXAMPLE.com", "/"), "yes");
    assert_eq!(rules.text("a.example.com:8080", "/"), "yes");
    assert_eq!(rules.text("a.example.com.evil.org", "/"), "default");
}

#[test]
fn path_patterns_are_case_sensitive_and_ignore_the_query() {
    let rules = Rules::new(
        &[rule(1, "path-pattern", "/img/*", &fixed(200, "yes"))],
        &[],
    );
    assert_eq!(rules.text("a.example", "/IMG/x"), "default");
    assert_eq!(rules.text("a.example", "/img/a/b"), "yes");
    assert_eq!(rules.text("a.example", "/img"), "default");
    assert_eq!(rules.text("a.example", "/img/x?y"), "yes");
    assert_eq!(rules.text("a.example", "/?/img/x"), "default");
}

#[test]
fn lowest_matching_priority_wins_and_is_logged() {
    let rules = Rules::new(
        &[
            rule(20, "path-pattern", "/*", &fixed(200, "twenty")),
            rule(10, "path-pattern", "/a*", &fixed(200, "ten")),
        ],
        &[],
    );
    assert_eq!(rules.text("a.example", "/abc"), "ten");
    assert_eq!(rules.text("a.example", "/b"), "twenty");
    let log = rules.elbow.access_log(2);
    let mut priorities: Vec<String> = log
        .iter()
        .map(|line| log_fields(line)[20].clone())
        .collect();
    priorities.sort_unstable();
    assert_eq!(priorities, ["10", "20"]);
}

#[test]
fn all_conditions_of_a_rule_must_match() {
    let mut both = rule(1, "host-header", "a.example", &fixed(200, "yes"));
    let path = json!({"field": "path-pattern", "pathPatternConfig": {"values": ["/x", "/y/?"]}});
    both["conditions"].as_array_mut().unwrap().push(path);
    let rules = Rules::new(&[both], &[]);
    assert_eq!(rules.text("a.example", "/x"), "yes");
    assert_eq!(rules.text("a.example", "/y/z"), "yes");
    assert_eq!(rules.text("a.example", "/y/"), "default");
    assert_eq!(rules.text("b.example", "/x"), "default");
}

/// A rule with these conditions, spelt as by AWS Load Balancer Controller.
fn rule_of(priority: u32, conditions: &Value, action: &Value) -> Value {
    json!({"priority": priority, "conditions": conditions, "actions": [action]})
}

// Parity 1.3: every kind of condition, over real connections.
#[test]
fn every_condition_field_matches() {
    let ip = json!([{"field": "source-ip", "sourceIPConfig": {"values": ["127.99.0.0/16", "::1/128"]}},
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X-Source", "values": ["*"]}}]);
    let header = json!([{"field": "http-header",
        "httpHeaderConfig": {"httpHeaderName": "user-agent", "values": ["*Chrome*", "prod"]}}]);
    let method =
        json!([{"field": "http-request-method", "httpRequestMethodConfig": {"values": ["PURGE"]}}]);
    let query = json!([{"field": "query-string",
        "queryStringConfig": {"values": [{"key": "version", "value": "v1"}, {"value": "*example*"}]}}]);
    let regex =
        json!([{"field": "path-pattern", "pathPatternConfig": {"regexValues": ["^/v[0-9]+/x$"]}}]);
    let local = json!([{"field": "source-ip", "sourceIPConfig": {"values": ["127.0.0.1/32"]}},
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "X-Source", "values": ["*"]}}]);
    let rules: Vec<Value> = [&ip, &header, &method, &query, &regex, &local]
        .iter()
        .zip(["far", "header", "method", "query", "regex", "near"])
        .enumerate()
        .map(|(i, (conditions, name))| rule_of(i as u32 + 1, conditions, &fixed(200, name)))
        .collect();
    let rules = Rules::new(&rules, &[]);
    let ask = |line: &str, field: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: h\r\n{field}\r\n\r\n");
        Client::plain((rules.ip, 8080)).ask(request).text()
    };
    assert_eq!(ask("GET /", "User-Agent: a chrome b"), "header");
    assert_eq!(ask("GET /", "User-Agent: production"), "default");
    assert_eq!(ask("PURGE /", "A: b"), "method");
    assert_eq!(ask("purge /", "A: b"), "default");
    assert_eq!(ask("GET /?a=1&VERSION=V1", "A: b"), "query");
    assert_eq!(ask("GET /?a=an.EXAMPLE.com", "A: b"), "query");
    assert_eq!(ask("GET /version=v1", "A: b"), "default");
    assert_eq!(ask("GET /v12/x?y", "A: b"), "regex");
    assert_eq!(ask("GET /V12/x", "A: b"), "default");
    // The peer address counts, not the X-Forwarded-For header.
    let forwarded = "X-Source: a\r\nX-Forwarded-For: 127.99.0.1";
    assert_eq!(ask("GET /", forwarded), "near");
}

#[test]
fn redirect_fills_in_placeholders() {
    let action = json!({"type": "redirect", "redirectConfig": {"protocol": "HTTPS", "port": "443",
        "path": "/#{path}", "query": "#{query}", "statusCode": "HTTP_301"}});
    let rules = Rules::new(&[rule(1, "path-pattern", "/*", &action)], &[]);
    let response = rules.get("h.example", "/a/b?x=1");
    assert_eq!(response.status, 301);
    assert_eq!(
        response.header("location"),
        Some("https://h.example:443/a/b?x=1")
    );
    assert_eq!(response.header("server"), Some("awselb/2.0"));
    assert_eq!(response.header("content-length"), Some("134"));
    let line = &rules.elbow.access_log(1)[0];
    assert!(
        line.contains(r#" "redirect" "https://h.example:443/a/b?x=1" "#),
        "{line}"
    );
}

#[test]
fn fixed_response_reaches_no_target() {
    let target = Target::ok("never");
    let rules = Rules::new(
        &[
            rule(1, "path-pattern", "/no", &fixed(403, "no")),
            rule(2, "path-pattern", "/*", &forward("web")),
        ],
        &[group("web", "HTTP", &[target.addr()])],
    );
    let response = rules.get("a.example", "/no");
    assert_eq!((response.status, response.text()), (403, "no".into()));
    assert!(
        response
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    assert_eq!(target.requests().len(), 0);
    let counted = "elbow_fixed_responses_total";
    rules.elbow.wait_for_metric(counted, &[], 1.0);
}

#[test]
fn weighted_forward_shares_requests_and_empty_group_is_503() {
    let (one, two) = (Target::ok("one"), Target::ok("two"));
    let weighted = |a: &str, b: &str| {
        json!({"type": "forward", "forwardConfig": {"targetGroups": [
            {"targetGroup": a, "weight": 10}, {"targetGroup": b, "weight": 20}]}})
    };
    let rules = Rules::new(
        &[
            rule(1, "path-pattern", "/full", &weighted("one", "two")),
            rule(2, "path-pattern", "/half", &weighted("empty", "two")),
        ],
        &[
            group("one", "HTTP", &[one.addr()]),
            group("two", "HTTP", &[two.addr()]),
            group("empty", "HTTP", &[]),
        ],
    );
    rules.elbow.wait_for_state("one", one.addr(), "healthy");
    rules.elbow.wait_for_state("two", two.addr(), "healthy");
    let mut client = Client::plain((rules.ip, 8080));
    let mut count = |path: &str, wanted: &dyn Fn(&Response) -> bool| {
        (0..3000)
            .filter(|_| wanted(&client.ask(client::get("a.example", path))))
            .count()
    };
    // A third of 3,000, within six standard deviations.
    let ones = count("/full", &|r| r.text() == "one");
    assert!((845..1155).contains(&ones), "{ones}");
    let missing = count("/half", &|r| r.status == 503);
    assert!((845..1155).contains(&missing), "{missing}");
}

// Parity 1.4, transforms: the target sees the result, and the log has it.
#[test]
fn transforms_change_the_request_at_the_target() {
    let target = Target::ok("web");
    let transformed = |priority: u32, path: &str, transforms: &Value| {
        let mut rule = rule(priority, "path-pattern", path, &forward("web"));
        rule["transforms"] = transforms.clone();
        rule
    };
    let url = |regex: &str, replace: &str| {
        json!({"type": "url-rewrite",
            "urlRewriteConfig": {"rewrites": [{"regex": regex, "replace": replace}]}})
    };
    let host = |regex: &str, replace: &str| {
        json!({"type": "host-header-rewrite",
            "hostHeaderRewriteConfig": {"rewrites": [{"regex": regex, "replace": replace}]}})
    };
    let both = json!([
        url("^/old/(.*)$", "/new/$1"),
        host("^(.*)[.]example$", "$1.internal")
    ]);
    let rules = Rules::new(
        &[
            transformed(1, "/old/*", &both),
            transformed(2, "/broken", &json!([url("^/", "")])),
        ],
        &[group("web", "HTTP", &[target.addr()])],
    );
    rules.elbow.wait_for_state("web", target.addr(), "healthy");
    assert_eq!(rules.text("a.example", "/old/x?y=z"), "web");
    let seen = target.request();
    assert_eq!(seen.line(), "GET /new/x?y=z HTTP/1.1");
    assert_eq!(seen.header("host"), Some("a.internal:8080"));
    // A match with an invalid result.
    assert_eq!(rules.get("a.example", "/broken").status, 500);
    let log = rules.elbow.access_log(2);
    let fields = |i: usize| log_fields(&log[i]);
    let (line, failed) = if fields(0)[8] == "200" {
        (fields(0), fields(1))
    } else {
        (fields(1), fields(0))
    };
    assert!(line[12].contains("/old/x?y=z"), "{line:?}");
    assert_eq!(line[22].trim_matches('"'), "rewrite,forward");
    let last = |fields: &[String]| -> Vec<String> {
        fields[30..33]
            .iter()
            .map(|f| f.trim_matches('"').to_owned())
            .collect()
    };
    assert_eq!(
        last(&line),
        ["a.internal", "/new/x?y=z", "TransformSuccess"]
    );
    assert_eq!(last(&failed), ["-", "-", "TransformInvalidPath"]);
}
