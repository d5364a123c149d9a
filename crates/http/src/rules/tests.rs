use elbow_model::{
    Action, Condition, Forward, Patterns, Protocol, ProtocolVersion, WeightedTargetGroup,
};

use std::net::Ipv4Addr;

use super::*;
use crate::listener::Listener;
use crate::test_kit::{
    field, fixed, get, group, hosts, listener, listener_with, paths, redirect_config, rule,
    wildcards,
};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// The priority of the rule that takes `GET target` with this Host.
fn priority(listener: &Listener, host: &str, target: &str) -> u32 {
    let fields = [field("Host", host)];
    listener.route(&get(target, &fields), CLIENT).priority
}

// Parity check 26, field 21 of the access log.
#[test]
fn the_lowest_priority_that_matches_wins_and_the_default_is_0() {
    let rules = vec![
        rule(20, vec![paths(&["/a*"])], fixed(200, "20")),
        rule(10, vec![paths(&["/a/*"])], fixed(200, "10")),
    ];
    let listener = listener(Protocol::Http, 80, rules);
    assert_eq!(priority(&listener, "h.example", "/a/b"), 10);
    assert_eq!(priority(&listener, "h.example", "/ab"), 20);
    assert_eq!(priority(&listener, "h.example", "/b"), 0);
}

// Parity 1.3: all conditions AND, values within a condition OR.
#[test]
fn conditions_are_anded_and_their_values_ored() {
    let conditions = vec![hosts(&["a.example", "b.example"]), paths(&["/x", "/y"])];
    let listener = listener(
        Protocol::Http,
        80,
        vec![rule(1, conditions, fixed(200, ""))],
    );
    for (host, path, expected) in [
        ("a.example", "/x", 1),
        ("b.example", "/y", 1),
        ("a.example", "/z", 0),
        ("c.example", "/x", 0),
    ] {
        assert_eq!(priority(&listener, host, path), expected, "{host}{path}");
    }
}

// Parity check 23 and 1.3, host-header.
#[test]
fn hosts_match_without_port_and_in_any_case() {
    let rules = vec![
        rule(1, vec![hosts(&["*.example.com"])], fixed(200, "")),
        rule(2, vec![hosts(&["[::1]"])], fixed(200, "")),
    ];
    let listener = listener(Protocol::Http, 80, rules);
    for (host, expected) in [
        ("example.com", 0),
        ("a.b.example.com", 1),
        ("A.EXAMPLE.com", 1),
        ("a.example.com:8443", 1),
        ("a.example.com:", 1),
        ("a.example.com.", 0),
        ("a\u{1}.example.com", 0),
        ("[::1]", 2),
        ("[::1]:80", 2),
        ("", 0),
    ] {
        assert_eq!(priority(&listener, host, "/"), expected, "{host}");
    }
}

// Parity 1.3: only the first Host header; 1.11: an absolute target's authority is the host.
#[test]
fn the_first_host_counts_unless_the_target_names_one() {
    let rules = vec![rule(1, vec![hosts(&["a.example"])], fixed(200, ""))];
    let listener = listener(Protocol::Http, 80, rules);
    let twice = [field("host", "b.example"), field("Host", "a.example")];
    assert_eq!(listener.route(&get("/", &twice), CLIENT).priority, 0);
    let first = [field("host", "a.example"), field("Host", "b.example")];
    assert_eq!(listener.route(&get("/", &first), CLIENT).priority, 1);
    assert_eq!(priority(&listener, "b.example", "http://A.example:80/"), 1);
    assert_eq!(priority(&listener, "a.example", "http://b.example/"), 0);
    assert_eq!(listener.route(&get("/", &[]), CLIENT).priority, 0);
}

// Parity check 24 and 1.3, path-pattern.
#[test]
fn paths_match_by_case_without_query_and_normalised() {
    let rules = vec![rule(1, vec![paths(&["/img/*"])], fixed(200, ""))];
    let listener = listener(Protocol::Http, 80, rules);
    for (target, expected) in [
        ("/IMG/x", 0),
        ("/img/a/b", 1),
        ("/img", 0),
        ("/img/x?y", 1),
        ("/x?/img/y", 0),
        ("/%69mg/x", 1),
        ("/a/../img/x", 1),
        ("/img/../x", 0),
        ("/img/%2e%2e/x", 0),
        ("/img%2Fx", 0),
        ("/img/\u{7f}", 0),
        ("http://h/img/x", 1),
    ] {
        assert_eq!(priority(&listener, "h", target), expected, "{target}");
    }
}

#[test]
fn a_rule_without_conditions_takes_everything() {
    let listener = listener(Protocol::Http, 80, vec![rule(5, vec![], fixed(200, ""))]);
    assert_eq!(priority(&listener, "h", "/"), 5);
}

/// Whether a rule with `condition` alone takes a request.
fn holds(condition: Condition, head: &RequestHead<'_>, client: &str) -> bool {
    let rules = vec![rule(1, vec![condition], fixed(200, ""))];
    let listener = listener(Protocol::Http, 80, rules);
    listener.route(head, client.parse().unwrap()).priority == 1
}

// Parity 1.3, http-header.
#[test]
fn headers_match_in_any_case_and_each_of_their_lines_counts() {
    let fields = [
        field("x-env", "Staging"),
        field("X-Env", "PROD eu"),
        field("X-Bad", "a\u{1}b"),
    ];
    for (name, value, expected) in [
        ("X-ENV", "staging", true),
        ("x-env", "prod*", true),
        ("x-env", "prod", false),
        ("x-env", "?rod ??", true),
        ("x-en*", "staging", false),
        ("x-none", "*", false),
        ("x-bad", "*", false),
    ] {
        let condition = Condition::HttpHeader {
            name: name.into(),
            values: wildcards(&[value]),
        };
        assert_eq!(
            holds(condition, &get("/", &fields), "::1"),
            expected,
            "{name}: {value}"
        );
    }
}

// Parity 1.3, http-request-method: exact.
#[test]
fn methods_match_exactly() {
    let condition = Condition::HttpRequestMethod(vec!["PUT".into(), "GET".into()]);
    let mut head = get("/", &[]);
    assert!(holds(condition.clone(), &head, "::1"));
    head.method = "get";
    assert!(!holds(condition.clone(), &head, "::1"));
    head.method = "POST";
    assert!(!holds(condition, &head, "::1"));
}

// Parity 1.3 and check 25, query-string.
#[test]
fn queries_match_by_key_and_value_in_any_case() {
    let version = [(Some("version"), "v1"), (None, "*example*")];
    type Pair = (Option<&'static str>, &'static str);
    let table: &[(&[Pair], &str, bool)] = &[
        (&version, "/?VERSION=V1", true),
        (&version, "/?x=1&version=v1", true),
        (&version, "/?version=v12", false),
        (&version, "/?any=an.Example.com", true),
        (&version, "/?example=1", false),
        (&version, "/version=v1", false),
        (&version, "/#?version=v1", false),
        (&version, "/?a#version=v1", false),
        (&version, "/?a?version=v1", false),
        (&version, "/", false),
        (&[(Some("a"), "")], "/?a", true),
        (&[(Some("a"), "")], "/?a=", true),
        (&[(Some("a"), "")], "/?a=b", false),
        (&[(Some("a*"), "b=?")], "/?ab=b=c", true),
        (&[(None, r"\*")], "/?a=*", true),
        (&[(None, r"\*")], "/?a=b", false),
        (&[(None, "*")], "/?&&", false),
    ];
    for (pairs, target, expected) in table {
        let pairs = pairs.iter().map(|(key, value)| elbow_model::QueryPair {
            key: key.map(Arc::from),
            value: (*value).into(),
        });
        let condition = Condition::QueryString(pairs.collect());
        assert_eq!(
            holds(condition, &get(target, &[]), "::1"),
            *expected,
            "{target}"
        );
    }
}

// Parity 1.3, source-ip: the TCP peer, never X-Forwarded-For.
#[test]
fn sources_are_the_peers_of_connections() {
    let networks = ["10.1.0.0/16", "2001:db8::/32"].map(|n| n.parse().unwrap());
    let fields = [field("X-Forwarded-For", "10.1.2.3")];
    for (client, expected) in [
        ("10.1.255.1", true),
        ("::ffff:10.1.2.3", true),
        ("10.2.0.1", false),
        ("2001:db8:1::1", true),
        ("2001:db9::1", false),
    ] {
        let condition = Condition::SourceIp(networks.to_vec());
        assert_eq!(
            holds(condition, &get("/", &fields), client),
            expected,
            "{client}"
        );
    }
}

// Parity 1.3: RegexValues are found anywhere; hosts and headers in any case, paths by case.
#[test]
fn regular_expressions_match_hosts_paths_and_headers() {
    let regexes = |text: &str, ignore_case| {
        Patterns::Regexes(vec![
            elbow_model::Expression::new(text, ignore_case).unwrap(),
        ])
    };
    let fields = [field("Host", "API.example.com:80"), field("X-Env", "Prod")];
    let head = get("/a/../v12/x?y", &fields);
    for (condition, expected) in [
        (Condition::PathPattern(regexes("^/v[0-9]+/", false)), true),
        (Condition::PathPattern(regexes("^/V[0-9]+/", false)), false),
        (Condition::PathPattern(regexes("y$", false)), false),
        (
            Condition::HostHeader(regexes("^api[.].*[.]com$", true)),
            true,
        ),
        (
            Condition::HttpHeader {
                name: "x-env".into(),
                values: regexes("^prod$", true),
            },
            true,
        ),
    ] {
        let shown = condition.to_string();
        assert_eq!(holds(condition, &head, "::1"), expected, "{shown}");
    }
}

fn groups() -> Vec<Member> {
    ["a", "b"]
        .map(|name| {
            let config = Arc::new(group(name, ProtocolVersion::Http1));
            Arc::new(Group::new(config, Vec::new(), 1))
        })
        .into_iter()
        .zip([10, 20])
        .map(|(group, weight)| Member::new(group, weight))
        .collect()
}

// Parity check 29 and 1.4: shares are by weight; nothing fails over.
#[test]
fn groups_are_chosen_by_weight() {
    let groups = groups();
    let of_first = (0..30)
        .filter(|&random| &*choose_group(&groups, random).unwrap().group.config.name == "a")
        .count();
    assert_eq!(of_first, 10);
    let none = [Member::new(Arc::clone(&groups[0].group), 0)];
    assert!(choose_group(&none, 7).is_none());
    assert!(choose_group(&[], 7).is_none());
    assert!(choose_group(&groups[..1], u64::MAX).is_some());
}

#[test]
fn actions_compile_to_routes_with_their_names_for_the_log() {
    let groups = groups();
    let weighted = [("a", 10), ("gone", 1)].map(|(name, weight)| WeightedTargetGroup {
        target_group: name.into(),
        weight,
    });
    let forward = Action::Forward(Forward {
        target_groups: weighted.into(),
        stickiness: None,
    });
    let find = |name: &str| (name == "a").then(|| Arc::clone(&groups[0].group));
    let rules = vec![
        rule(1, vec![paths(&["/f"])], forward),
        rule(2, vec![paths(&["/r"])], Action::Redirect(redirect_config())),
    ];
    let listener = listener_with(Protocol::Https, 443, rules, fixed(404, ""), find);
    assert!(listener.https);
    let f = get("/f", &[]);
    let Route::Forward(found) = listener.route(&f, CLIENT).action else {
        panic!("a forward");
    };
    assert!(
        matches!(&found.members[..], [member] if &*member.group.config.name == "a" && member.weight == 10)
    );
    for (target, name) in [
        ("/f", "forward"),
        ("/r", "redirect"),
        ("/", "fixed-response"),
    ] {
        assert_eq!(
            listener.route(&get(target, &[]), CLIENT).action.name(),
            name
        );
    }
}
