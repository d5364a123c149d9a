use std::net::{IpAddr, Ipv4Addr};

use elbow_model::Rule;

use super::*;
use crate::header::head::RequestHead;
use crate::test_kit::{field, fixed, get, hosts, paths, rule};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// Compiles `rules`; what is done with a request is the priority of its rule.
fn compile(rules: &[Rule]) -> Rules<u32> {
    Rules::new(rules, 0, |rule| rule.priority)
}

/// The priority of the rule that takes `head`.
fn priority(rules: &Rules<u32>, head: &RequestHead<'_>) -> u32 {
    let matched = rules.find(&mut Subject::new(head, CLIENT), &mut ());
    assert_eq!(matched.priority, *matched.action);
    matched.priority
}

// Parity check 26, field 21 of the access log.
#[test]
fn lowest_priority_that_matches_wins_and_the_default_is_0() {
    let rules = compile(&[
        rule(20, vec![paths(&["/a*"])], fixed(200, "20")),
        rule(10, vec![paths(&["/a/*"])], fixed(200, "10")),
    ]);
    assert_eq!(priority(&rules, &get("/a/b", &[])), 10);
    assert_eq!(priority(&rules, &get("/ab", &[])), 20);
    assert_eq!(priority(&rules, &get("/b", &[])), 0);
}

// Parity 1.3: all conditions AND, values within a condition OR.
#[test]
fn conditions_are_anded_and_their_values_ored() {
    let conditions = vec![hosts(&["a.example", "b.example"]), paths(&["/x", "/y"])];
    let rules = compile(&[rule(1, conditions, fixed(200, ""))]);
    for (host, path, expected) in [
        ("a.example", "/x", 1),
        ("b.example", "/y", 1),
        ("a.example", "/z", 0),
        ("c.example", "/x", 0),
    ] {
        let fields = [field("Host", host)];
        let found = priority(&rules, &get(path, &fields));
        assert_eq!(found, expected, "{host}{path}");
    }
}

#[test]
fn rule_without_conditions_takes_everything() {
    let rules = compile(&[rule(5, vec![], fixed(200, ""))]);
    assert_eq!(priority(&rules, &get("/", &[])), 5);
}

// ALB guide: CloudWatch metrics, RuleEvaluations.
#[test]
fn rules_are_counted_up_to_the_one_that_matches() {
    let of_path = |priority, path| rule(priority, vec![paths(&[path])], fixed(200, ""));
    let rules = compile(&[of_path(10, "/a/*"), of_path(20, "/b*"), of_path(30, "/a*")]);
    let evaluations = |path| {
        let head = get(path, &[]);
        let mut subject = Subject::new(&head, CLIENT);
        rules.find(&mut subject, &mut ()).evaluations
    };
    assert_eq!(evaluations("/a/b"), 1);
    assert_eq!(evaluations("/ab"), 3);
    assert_eq!(evaluations("/c"), 3, "the default rule is not counted");
}
