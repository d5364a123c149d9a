use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::*;
use crate::rules::subject::Seen;
use crate::rules::{Recorder, Rules};
use crate::test_kit::{field, fixed, get, hosts, paths, rule};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

/// Has every rule asked, without the index.
struct Walk;

impl Recorder for Walk {
    const EVERYTHING: bool = true;

    fn seen(&mut self, _: Seen<'_>) {}

    fn condition(&mut self, _: bool) {}

    fn rule(&mut self, _: u32, _: bool) {}
}

/// Rules with these hosts and paths, either of which may be absent, with priorities from 1 on.
fn compile(conditions: &[(Vec<String>, Vec<String>)]) -> Rules<()> {
    let rules = conditions.iter().zip(1..).map(|((host, path), priority)| {
        let mut all = Vec::new();
        for (values, of) in [(host, hosts as fn(&[&str]) -> _), (path, paths)] {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            all.extend((!values.is_empty()).then(|| of(&values)));
        }
        rule(priority, all, fixed(200, ""))
    });
    Rules::new(&rules.collect::<Vec<_>>(), (), |_| ())
}

/// The priorities of the rules that the index names for `GET path` of `host`.
fn named(rules: &Rules<()>, host: &str, path: &str) -> Vec<usize> {
    let fields = [field("Host", host)];
    let head = get(path, &fields);
    let mut subject = Subject::new(&head, CLIENT);
    rules
        .index
        .candidates(&mut subject)
        .map(|at| at + 1)
        .collect()
}

/// `many` rules of a host and a path of their own each.
fn own(many: usize) -> Vec<(Vec<String>, Vec<String>)> {
    let rules = (1..=many).map(|i| (vec![format!("H{i}.example")], vec![format!("/p{i}/*")]));
    rules.collect()
}

#[test]
fn of_a_thousand_rules_the_one_with_the_host_or_the_path_is_asked() {
    let mut all = own(1000);
    let by_host = compile(&all);
    assert_eq!(named(&by_host, "h500.EXAMPLE:80", "/"), [500]);
    assert!(named(&by_host, "500.example", "/p500/").is_empty());
    for (hosts, _) in &mut all {
        *hosts = vec!["*.example".to_owned()];
    }
    let by_path = compile(&all);
    assert_eq!(named(&by_path, "a.example", "/p500/x"), [500]);
    assert!(named(&by_path, "a.example", "/p500").is_empty());
    assert!(named(&by_path, "a.example", "/p500\u{7f}/").is_empty());
}

#[test]
fn rules_without_a_literal_are_always_asked_and_in_order() {
    let mut all = own(20);
    all[0] = (vec![], vec!["*".to_owned()]);
    all[9] = (vec![], vec![]);
    all[14] = (vec![], vec!["/p5/x".to_owned(), "/p5/*/y".to_owned()]);
    let rules = compile(&all);
    assert_eq!(named(&rules, "h5.example", "/p5/x"), [1, 5, 10, 15]);
    assert_eq!(named(&rules, "h5.example", "/p5/z"), [1, 5, 10, 15]);
    assert_eq!(named(&rules, "h12.example", "/p12/"), [1, 10, 12]);
}

#[test]
fn few_rules_are_all_asked() {
    let all: Vec<usize> = (1..RULES_MIN).collect();
    assert_eq!(named(&compile(&own(RULES_MIN - 1)), "x", "/"), all);
    assert!(named(&compile(&own(RULES_MIN)), "x", "/").is_empty());
}

/// Short texts of few letters, so that one is often the start of another.
fn pattern(letters: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(letters, 0..3)
}

proptest! {
    /// The index leaves out no rule that takes the request.
    #[test]
    fn finds_what_asking_every_rule_finds(
        conditions in prop::collection::vec((pattern("[aA.*?]{1,4}"), pattern("/[ab/*?]{0,4}")), 0..60),
        requests in prop::collection::vec(("[aA.]{0,4}", "/[ab/]{0,4}"), 1..20),
    ) {
        let rules = compile(&conditions);
        for (host, path) in &requests {
            let fields = [field("Host", host)];
            let head = get(path, &fields);
            let find = |recorder: &mut Walk| rules.find(&mut Subject::new(&head, CLIENT), recorder).priority;
            let found = rules.find(&mut Subject::new(&head, CLIENT), &mut ()).priority;
            prop_assert_eq!(found, find(&mut Walk), "{} {}", host, path);
        }
    }
}
