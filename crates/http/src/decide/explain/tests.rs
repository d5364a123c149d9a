use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use elbow_balance::Group;
use elbow_model::{Condition, Forward, Protocol, ProtocolVersion, QueryPair, WeightedTargetGroup};
use proptest::prelude::*;

use super::*;
use crate::action::sticky::{Session, Sticky};
use crate::header::seal::key_of;
use crate::test_kit::{
    field, fixed, get, group, hosts, listener, listener_with, paths, redirect_config, rule, target,
    wildcards,
};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const NOW: u64 = 1_709_042_513;

/// A rule as explained: priority, whether it matches, and per condition whether it holds and what
/// it looked at.
fn shown(rule: &RuleTrace) -> (u32, bool, Vec<(bool, String)>) {
    let conditions = rule.conditions.iter();
    let conditions = conditions.map(|c| (c.holds, c.seen.join(" | ")));
    (rule.priority, rule.matches, conditions.collect())
}

#[test]
fn every_condition_of_every_rule_up_to_the_match_is_explained() {
    let header = Condition::HttpHeader {
        name: "x-env".into(),
        values: wildcards(&["prod"]),
    };
    let query = Condition::QueryString(vec![QueryPair {
        key: Some("v".into()),
        value: "1".into(),
    }]);
    let source = Condition::SourceIp(vec!["10.0.0.0/8".parse().unwrap()]);
    let method = Condition::HttpRequestMethod(vec!["POST".into()]);
    let rules = vec![
        rule(
            10,
            vec![hosts(&["admin.*"]), paths(&["/api/*"])],
            fixed(200, ""),
        ),
        rule(20, vec![method, source, header, query], fixed(200, "")),
        rule(30, vec![paths(&["/api/*"])], fixed(200, "")),
        rule(40, vec![], fixed(200, "")),
    ];
    let listener = listener(Protocol::Http, 80, rules);
    let fields = [
        field("Host", "shop.example.com:80"),
        field("X-Env", "dev"),
        field("x-env", "prod"),
        field("x-env", "test"),
    ];
    let head = get("/api/%63art?a=b&v=2", &fields);
    let found = explain(&listener, &head, CLIENT, NOW);
    let text = |text: &str| String::from(text);
    assert_eq!(
        found.rules.iter().map(shown).collect::<Vec<_>>(),
        [
            (
                10,
                false,
                vec![(false, text("shop.example.com")), (true, text("/api/cart"))]
            ),
            (
                20,
                false,
                vec![
                    (false, text("GET")),
                    (false, text("192.0.2.7")),
                    (true, text("dev | prod")),
                    (false, text("a=b | v=2"))
                ]
            ),
            (30, true, vec![(true, text("/api/cart"))]),
        ]
    );
    assert_eq!(
        (found.priority, found.action),
        (30, ActionKind::FixedResponse)
    );
    assert_eq!((found.refused, found.groups), (None, Vec::new()));
}

#[test]
fn default_action_and_refusals_are_explained() {
    let redirect = elbow_model::Action::Redirect(redirect_config());
    let listener = listener_with(Protocol::Http, 80, Vec::new(), redirect, |_| None);
    let trace = RequestHead {
        method: "TRACE",
        ..get("/", &[])
    };
    let found = explain(&listener, &trace, CLIENT, NOW);
    assert_eq!(found.refused, Some(ErrorKind::MethodNotAllowed));
    assert_eq!((found.priority, found.action), (0, ActionKind::Redirect));
    assert_eq!(found.rules, []);
}

#[test]
fn groups_are_explained_with_their_weights_and_the_cookie() {
    let groups = ["a", "b"].map(|name| {
        let config = Arc::new(group(name, ProtocolVersion::Http1));
        Arc::new(Group::new(config, vec![target("10.0.0.1:80")], 1))
    });
    let hour = Duration::from_secs(3600);
    let target_groups = [("a", 90), ("b", 10)].map(|(name, weight)| WeightedTargetGroup {
        target_group: name.into(),
        weight,
    });
    let action = elbow_model::Action::Forward(Forward {
        target_groups: target_groups.into(),
        stickiness: Some(hour),
    });
    let listener = listener_with(Protocol::Http, 80, Vec::new(), action, |name| {
        groups.iter().find(|g| *g.config.name == *name).cloned()
    });
    let explained = |cookie: &str| {
        let fields = [field("Cookie", cookie)];
        let found = explain(&listener, &get("/", &fields), CLIENT, NOW);
        let groups = found.groups.into_iter();
        let groups: Vec<_> = groups.map(|g| (g.name, g.weight, g.kept)).collect();
        (found.action, groups)
    };
    let expected = |kept| {
        let groups = [("a", 90, false), ("b", 10, kept)];
        let groups = groups.map(|(name, weight, kept)| (String::from(name), weight, kept));
        (ActionKind::Forward, groups.to_vec())
    };
    assert_eq!(explained(""), expected(false));
    assert_eq!(explained("AWSALBTG=x"), expected(false));
    let sticky = Sticky::to_groups(&listener.load_balancer_id, hour);
    let session = Session::new(Some((&sticky, key_of("b"))), None, &get("/", &[]), NOW);
    let cookies = session.unwrap().cookies(&groups[1].targets[0], NOW);
    let (cookie, _) = cookies.always[0].split_once(';').unwrap();
    assert_eq!(explained(cookie), expected(true));
    assert_eq!(groups[1].targets[0].requests(), 0, "nothing is counted");
}

proptest! {
    // There is one matcher: what is explained is what is served.
    #[test]
    fn explained_rule_is_the_one_that_serves(
        rules in prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec!["/a*", "/b", "*c", "/a/?"]), 0..3),
            0..5,
        ),
        target in "/[abc]?/?[abc]?",
    ) {
        let rules = rules.iter().zip(1..).map(|(patterns, priority)| {
            let conditions = patterns.iter().map(|pattern| paths(&[pattern]));
            rule(priority, conditions.collect(), fixed(200, ""))
        });
        let listener = listener(Protocol::Http, 80, rules.collect());
        let head = get(&target, &[]);
        let explained = explain(&listener, &head, CLIENT, NOW);
        prop_assert_eq!(explained.priority, listener.route(&head, CLIENT).priority);
        let matching = explained.rules.iter().filter(|rule| rule.matches);
        let matching: Vec<_> = matching.map(|rule| rule.priority).collect();
        let expected: Vec<_> = Some(explained.priority).filter(|&p| p > 0).into_iter().collect();
        prop_assert_eq!(matching, expected);
        for rule in &explained.rules {
            prop_assert_eq!(rule.matches, rule.conditions.iter().all(|c| c.holds));
        }
    }
}
