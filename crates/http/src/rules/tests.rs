use elbow_model::{Action, Protocol, ProtocolVersion, WeightedTargetGroup};

use super::*;
use crate::listener::Listener;
use crate::test_kit::{
    field, fixed, get, group, hosts, listener, listener_with, paths, redirect_config, rule,
};

/// The priority of the rule that takes `GET target` with this Host.
fn priority(listener: &Listener, host: &str, target: &str) -> u32 {
    let fields = [field("Host", host)];
    listener.route(&get(target, &fields)).priority
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
    assert_eq!(listener.route(&get("/", &twice)).priority, 0);
    let first = [field("host", "a.example"), field("Host", "b.example")];
    assert_eq!(listener.route(&get("/", &first)).priority, 1);
    assert_eq!(priority(&listener, "b.example", "http://A.example:80/"), 1);
    assert_eq!(priority(&listener, "a.example", "http://b.example/"), 0);
    assert_eq!(listener.route(&get("/", &[])).priority, 0);
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

fn groups() -> Vec<(Arc<Group>, u32)> {
    ["a", "b"]
        .map(|name| {
            let config = Arc::new(group(name, ProtocolVersion::Http1));
            Arc::new(Group::new(config, Vec::new(), 1))
        })
        .into_iter()
        .zip([10, 20])
        .collect()
}

// Parity check 29 and 1.4: shares are by weight; nothing fails over.
#[test]
fn groups_are_chosen_by_weight() {
    let groups = groups();
    let of_first = (0..30)
        .filter(|&random| &*choose_group(&groups, random).unwrap().config.name == "a")
        .count();
    assert_eq!(of_first, 10);
    let none = [(Arc::clone(&groups[0].0), 0)];
    assert!(choose_group(&none, 7).is_none());
    assert!(choose_group(&[], 7).is_none());
    assert!(choose_group(&groups[..1], u64::MAX).is_some());
}

#[test]
fn actions_compile_to_routes_with_their_names_for_the_log() {
    let groups = groups();
    let forward = Action::Forward(vec![
        WeightedTargetGroup {
            target_group: "a".into(),
            weight: 10,
        },
        WeightedTargetGroup {
            target_group: "gone".into(),
            weight: 1,
        },
    ]);
    let find = |name: &str| (name == "a").then(|| Arc::clone(&groups[0].0));
    let rules = vec![
        rule(1, vec![paths(&["/f"])], forward),
        rule(2, vec![paths(&["/r"])], Action::Redirect(redirect_config())),
    ];
    let listener = listener_with(Protocol::Https, 443, rules, fixed(404, ""), find);
    assert!(listener.https);
    let f = get("/f", &[]);
    let Route::Forward(found) = listener.route(&f).action else {
        panic!("a forward");
    };
    assert!(matches!(&found[..], [(group, 10)] if &*group.config.name == "a"));
    for (target, name) in [
        ("/f", "forward"),
        ("/r", "redirect"),
        ("/", "fixed-response"),
    ] {
        assert_eq!(listener.route(&get(target, &[])).action.name(), name);
    }
}
