use elbow_model::{Account, Forward, LoadBalancerAttributes, ProtocolVersion, WeightedTargetGroup};

use super::*;
use crate::test_kit::{fixed, group, redirect_config};

/// A forward action to groups with these weights.
fn forwarding(weights: &[(&str, u32)]) -> Forwarding {
    let members = weights.iter().map(|(name, weight)| {
        let config = Arc::new(group(name, ProtocolVersion::Http1));
        Member::new(
            Arc::new(Group::new(config, Vec::new(), 1)),
            *weight,
            &Account::default(),
            Telemetry::new(1).group("pods"),
        )
    });
    Forwarding {
        members: members.collect(),
        ..Forwarding::default()
    }
}

// Parity check 29 and 1.4: shares are by weight; nothing fails over.
#[test]
fn groups_are_chosen_by_weight() {
    let of = |forwarding: &Forwarding, random| {
        let member = forwarding.member_by_weight(|| random);
        member.map(|member| String::from(&*member.group.config.name))
    };
    let both = forwarding(&[("a", 10), ("b", 20)]);
    let of_first = (0..30)
        .filter(|&random| of(&both, random).unwrap() == "a")
        .count();
    assert_eq!(of_first, 10);
    assert_eq!(of(&forwarding(&[("a", 0)]), 7), None);
    assert_eq!(of(&forwarding(&[]), 7), None);
    assert!(of(&forwarding(&[("a", 10)]), u64::MAX).is_some());
}

#[test]
fn single_group_is_chosen_without_a_random_number() {
    let single = forwarding(&[("a", 1)]);
    let member = single.member_by_weight(|| panic!("no number is needed"));
    assert!(member.is_some());
}

// Parity 1.4: a group of weight 0 gets nothing, not even from its own clients.
#[test]
fn group_is_found_by_the_key_of_its_cookie_while_it_has_a_weight() {
    let both = forwarding(&[("a", 1), ("b", 0)]);
    let [a, b] = [key_of("a"), key_of("b")];
    assert_eq!(both.member(a).map(|member| member.key), Some(a));
    assert!(both.member(b).is_none());
    assert!(both.member(0).is_none());
}

#[test]
fn actions_compile_with_the_groups_that_exist() {
    let known = forwarding(&[("a", 1)]);
    let find = |name: &str| (name == "a").then(|| Arc::clone(&known.members[0].group));
    let compile = |actions: &[elbow_model::Action]| {
        let surroundings = Surroundings {
            id: "app/web/1",
            arn: &"".into(),
            account: &Account::default(),
            providers: &Providers::default(),
            telemetry: &Telemetry::new(1),
            to_instances: None,
            authentication: LoadBalancerAttributes::default().authentication,
            group: find,
        };
        let compiled = Actions::new(actions, &Transforms::default(), &surroundings);
        assert!(compiled.gate.is_none());
        compiled.then
    };
    let weighted = [("a", 10), ("gone", 1)].map(|(name, weight)| WeightedTargetGroup {
        target_group: name.into(),
        weight,
    });
    let forward = elbow_model::Action::Forward(Forward {
        target_groups: weighted.into(),
        stickiness: None,
    });
    let Action::Forward(found) = compile(&[fixed(200, "not the last"), forward]) else {
        panic!("expected a forward action");
    };
    assert!(found.sticky.is_none() && found.transforms.is_none());
    assert!(
        matches!(&found.members[..], [member] if &*member.group.config.name == "a" && member.weight == 10)
    );
    let redirect = elbow_model::Action::Redirect(redirect_config());
    assert!(matches!(compile(&[redirect]), Action::Redirect(_)));
    let Action::FixedResponse(response) = compile(&[fixed(418, "tea")]) else {
        panic!("expected a fixed response");
    };
    assert_eq!((response.status, &response.body[..]), (418, &b"tea"[..]));
    let Action::Forward(nowhere) = compile(&[]) else {
        panic!("expected a forward action");
    };
    assert!(nowhere.members.is_empty());
}
