use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use elbow_model::{MinimumHealthy, TargetGroupSpec};
use proptest::prelude::*;

use super::*;
use crate::Share;

use TargetState::{Draining, Healthy, Initial, Unavailable, Unhealthy, UnhealthyDraining, Unused};

const STATES: [TargetState; 7] = [
    Unused,
    Initial,
    Healthy,
    Unhealthy,
    Draining,
    Unavailable,
    UnhealthyDraining,
];

fn group(algorithm: Algorithm, states: &[TargetState], workers: usize) -> Group {
    let spec = TargetGroupSpec {
        name: Some("g".to_owned()),
        protocol: Some("HTTP".to_owned()),
        port: Some(80),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    let mut config = TargetGroup::new(&spec).value.unwrap();
    config.attributes.algorithm = algorithm;
    let target = |(i, state): (usize, &TargetState)| {
        let address = SocketAddr::from(([10, 0, (i >> 8) as u8, i as u8], 80));
        let registered = elbow_model::Target::at(address);
        let target = Target::new(registered, address);
        target.set_state(*state);
        Arc::new(target)
    };
    let targets = states.iter().enumerate().map(target).collect();
    Group::new(Arc::new(config), targets, workers)
}

/// The index of the chosen target.
fn index(group: &Group, chosen: Option<Chosen<'_>>) -> Option<usize> {
    let serial = chosen?.target.serial;
    group.targets.iter().position(|t| t.serial == serial)
}

fn choices(group: &Group, worker: usize, count: usize) -> Vec<usize> {
    (0..count)
        .map(|_| index(group, group.choose(worker, 0)).unwrap())
        .collect()
}

/// ALB guide, edit target group attributes: sequential over healthy targets, per node.
#[test]
fn round_robin_uses_healthy_targets_in_order() {
    let group = group(
        Algorithm::RoundRobin,
        &[Healthy, Unhealthy, Healthy, Initial, Healthy, Draining],
        2,
    );
    assert_eq!(choices(&group, 0, 7), [0, 2, 4, 0, 2, 4, 0]);
    assert_eq!(
        choices(&group, 1, 4),
        [2, 4, 0, 2],
        "each worker has its own position"
    );
    group.targets[2].set_state(Unhealthy);
    assert_eq!(choices(&group, 0, 3), [4, 0, 4]);
}

// Parity 1.8, unhealthy routing: below either limit, all targets are used.
#[test]
fn too_few_healthy_targets_cause_fail_open() {
    let states = [Healthy, Healthy, Unhealthy, Initial, Draining, Unused];
    for (count, percentage, opens) in [
        (1, 0, false),
        (2, 50, false),
        (3, 0, true),
        (1, 51, true),
        (1, 100, true),
        (1000, 0, true),
    ] {
        let group = group(Algorithm::RoundRobin, &states, 1);
        let mut config = TargetGroup::clone(&group.config);
        config.attributes.minimum_healthy = MinimumHealthy { count, percentage };
        let group = Group::new(Arc::new(config), group.targets.clone(), 1);
        let mut used = HashSet::new();
        for _ in 0..8 {
            let chosen = group.choose(0, 0);
            assert_eq!(chosen.unwrap().fail_open, opens, "{count} {percentage}");
            used.insert(index(&group, chosen).unwrap());
        }
        let expected = if opens { 0..4 } else { 0..2 };
        assert_eq!(used, expected.collect(), "{count} {percentage}");
    }
}

// A sticky target is chosen as long as it is eligible.
#[test]
fn target_is_chosen_by_key_while_eligible() {
    let group = group(Algorithm::RoundRobin, &[Healthy, Unhealthy, Draining], 1);
    let known = |i: usize| index(&group, group.choose_by_key(group.targets[i].key()));
    assert_eq!((known(0), known(1), known(2)), (Some(0), None, None));
    group.targets[0].set_state(Unhealthy);
    assert_eq!((known(0), known(1), known(2)), (Some(0), Some(1), None));
    assert!(group.choose_by_key(7).is_none());
}

/// ALB guide, target groups: if all targets are unhealthy, all registered ones are used.
#[test]
fn fail_open_uses_all_registered_targets() {
    let states = [Unhealthy, Draining, Initial, Unused];
    for algorithm in [
        Algorithm::RoundRobin,
        Algorithm::LeastOutstandingRequests,
        Algorithm::WeightedRandom,
    ] {
        let group = group(algorithm, &states, 1);
        let seen: HashSet<_> = (0..8)
            .map(|i| {
                let chosen = group.choose(0, i).unwrap();
                assert!(chosen.fail_open);
                index(&group, Some(chosen)).unwrap()
            })
            .collect();
        assert_eq!(seen, HashSet::from([0, 2]), "{algorithm:?}");
        let seen: HashSet<_> = (0..100)
            .map(|hash| index(&group, group.choose_flow(hash)).unwrap())
            .collect();
        assert_eq!(seen, HashSet::from([0, 2]));
        group.targets[0].set_state(Healthy);
        let chosen = group.choose(0, 1).unwrap();
        assert!(!chosen.fail_open);
        assert_eq!(index(&group, Some(chosen)), Some(0));
    }
}

#[test]
fn without_registered_targets_nothing_is_chosen() {
    for states in [&[][..], &[Draining, Unused][..]] {
        for algorithm in [
            Algorithm::RoundRobin,
            Algorithm::LeastOutstandingRequests,
            Algorithm::WeightedRandom,
        ] {
            let group = group(algorithm, states, 1);
            assert!(group.choose(0, 7).is_none());
            assert!(group.choose_flow(7).is_none());
        }
    }
}

/// DescribeTargetHealth, unavailable: health checks are off.
#[test]
fn targets_without_health_checks_are_used() {
    let group = group(Algorithm::RoundRobin, &[Unavailable, Unhealthy], 1);
    let chosen = group.choose(0, 0).unwrap();
    assert!(!chosen.fail_open);
    assert_eq!(index(&group, Some(chosen)), Some(0));
}

/// ALB guide, edit target group attributes: the fewest requests in progress.
#[test]
fn least_outstanding_requests_takes_turns_among_equals() {
    let group = group(
        Algorithm::LeastOutstandingRequests,
        &[Healthy, Healthy, Healthy, Draining],
        1,
    );
    assert_eq!(choices(&group, 0, 4), [0, 1, 2, 0]);
    let busy: Vec<_> = [0, 0, 1].map(|i| group.targets[i].start()).into();
    assert_eq!(choices(&group, 0, 2), [2, 2]);
    let one = group.targets[2].start();
    assert_eq!(choices(&group, 0, 3), [1, 2, 1]);
    drop((busy, one));
    assert_eq!(choices(&group, 0, 3), [2, 0, 1]);
}

#[test]
fn unknown_worker_is_served() {
    let group = group(Algorithm::RoundRobin, &[Unhealthy, Healthy], 0);
    assert_eq!(index(&group, group.choose(9, 0)), Some(1));
}

/// ALB guide, action types: weights 0-999, share = weight / sum, 0 gets nothing.
#[test]
fn weights_are_proportional_shares() {
    let mut counts = [0; 4];
    for random in 0..1000 {
        counts[choose_weighted([1, 0, 3, 6].into_iter(), random).unwrap()] += 1;
    }
    assert_eq!(counts, [100, 0, 300, 600]);
    assert_eq!(choose_weighted([0, 0].into_iter(), 3), None);
    assert_eq!(choose_weighted([].into_iter(), 3), None);
}

/// With 8 targets and 80,000 flows, each target gets 10,000, plus or minus 5 %.
#[test]
fn flows_spread_evenly() {
    let group = group(Algorithm::RoundRobin, &[Healthy; 8], 1);
    let mut counts = [0_u32; 8];
    for flow in 0..80_000_u64 {
        counts[index(&group, group.choose_flow(flow)).unwrap()] += 1;
    }
    assert!(
        counts.iter().all(|c| (9_500..=10_500).contains(c)),
        "{counts:?}"
    );
}

fn states() -> impl Strategy<Value = Vec<TargetState>> {
    prop::collection::vec(prop::sample::select(&STATES[..]), 0..24)
}

proptest! {
    #[test]
    fn round_robin_gives_every_healthy_target_an_equal_share(
        states in states(), rounds in 1_usize..5, worker in 0_usize..3,
    ) {
        let group = group(Algorithm::RoundRobin, &states, 3);
        let healthy: Vec<usize> = (0..states.len()).filter(|i| is_healthy(states[*i])).collect();
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for _ in 0..healthy.len() * rounds {
            *counts.entry(index(&group, group.choose(worker, 0)).unwrap()).or_default() += 1;
        }
        prop_assert_eq!(counts, healthy.into_iter().map(|i| (i, rounds)).collect());
    }

    #[test]
    fn draining_or_unused_target_is_never_chosen(
        states in states(), random in any::<u64>(), algorithm in 0_usize..3,
    ) {
        let algorithm = [
            Algorithm::RoundRobin,
            Algorithm::LeastOutstandingRequests,
            Algorithm::WeightedRandom,
        ][algorithm];
        let group = group(algorithm, &states, 1);
        let any_healthy = states.iter().any(|s| is_healthy(*s));
        let any_registered = states.iter().any(|s| s.is_registered());
        for chosen in [group.choose(0, random), group.choose_flow(random)] {
            prop_assert_eq!(chosen.is_some(), any_registered);
            let Some(chosen) = chosen else { continue };
            prop_assert_eq!(chosen.fail_open, !any_healthy);
            let state = chosen.target.state();
            let fit = if any_healthy { is_healthy(state) } else { state.is_registered() };
            prop_assert!(fit);
        }
    }

    #[test]
    fn weighted_random_is_even(count in 1_usize..12) {
        let group = group(Algorithm::WeightedRandom, &vec![Healthy; count], 1);
        let mut counts = vec![0; count];
        for random in 0..(count as u64 * 10) {
            counts[index(&group, group.choose(0, random)).unwrap()] += 1;
        }
        prop_assert_eq!(counts, vec![10; count]);
    }

    #[test]
    fn flow_moves_only_when_its_target_is_removed(
        mut states in states(), hash in any::<u64>(), other in any::<prop::sample::Index>(),
    ) {
        states.extend([Healthy, Healthy]);
        let group = group(Algorithm::RoundRobin, &states, 1);
        let first = index(&group, group.choose_flow(hash)).unwrap();
        prop_assert_eq!(index(&group, group.choose_flow(hash)), Some(first));
        let other = other.index(states.len());
        group.targets[other].set_state(Unhealthy);
        let second = index(&group, group.choose_flow(hash)).unwrap();
        prop_assert_eq!(second == first, other != first);
        group.targets[other].set_state(states[other]);
        prop_assert_eq!(index(&group, group.choose_flow(hash)), Some(first));
    }

    #[test]
    fn zero_weight_is_never_chosen(
        weights in prop::collection::vec(0_u32..1000, 0..6), random in any::<u64>(),
    ) {
        match choose_weighted(weights.iter().copied(), random) {
            Some(i) => prop_assert!(weights[i] > 0),
            None => prop_assert!(weights.iter().all(|w| *w == 0)),
        }
    }
}

/// After a refused connection: each other target once, then none.
#[test]
fn other_targets_are_tried_once_each() {
    let group = group(
        Algorithm::LeastOutstandingRequests,
        &[Healthy, Healthy, Unhealthy, Healthy],
        1,
    );
    let mut tried = Vec::new();
    let mut order = Vec::new();
    for _ in 0..6 {
        let other = group.choose_other(0, &tried);
        tried.extend(other.map(|other| other.target.serial));
        order.extend(index(&group, other));
    }
    assert_eq!(order, [0, 1, 3]);
}

/// CLB guide, HTTP errors (503): unhealthy instances get no requests, even if all are unhealthy.
#[test]
fn classic_load_balancer_does_not_fail_open() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests] {
        let like = group(algorithm, &[Unhealthy, Initial, Draining], 1);
        let group = like.with_personality(&Personality::CLASSIC);
        assert!(group.choose(0, 0).is_none());
        assert!(group.choose_other(0, &[]).is_none());
        group.targets[1].set_state(Healthy);
        assert_eq!(choices(&group, 0, 3), [1, 1, 1]);
    }
}

/// The last healthy target can turn unhealthy between counting and choosing.
#[test]
fn target_lost_while_choosing_is_replaced_if_the_group_fails_open() {
    let fails_open = group(Algorithm::RoundRobin, &[Draining, Unhealthy], 1);
    let chosen = fails_open.chosen(None, Eligible::Healthy).unwrap();
    assert!(chosen.fail_open);
    assert_eq!(index(&fails_open, Some(chosen)), Some(1));
    let refuses = fails_open.with_personality(&Personality::CLASSIC);
    assert!(refuses.chosen(None, Eligible::Healthy).is_none());
}

#[test]
fn group_without_registered_targets_has_no_eligible_ones() {
    let group = group(Algorithm::RoundRobin, &[Draining], 1);
    assert_eq!(group.eligible(), None);
}

/// A round robin group in which slow start takes 30 s.
fn with_slow_start(states: &[TargetState]) -> Group {
    let group = group(Algorithm::RoundRobin, states, 1);
    let mut config = TargetGroup::clone(&group.config);
    config.attributes.slow_start = Some(std::time::Duration::from_secs(30));
    Group::new(Arc::new(config), group.targets, 1)
}

/// How often each of the targets is chosen.
fn counts(group: &Group, requests: u64) -> Vec<u64> {
    let mut counts = vec![0; group.targets.len()];
    for request in 0..requests {
        counts[index(group, group.choose(0, mix(request))).unwrap()] += 1;
    }
    counts
}

/// ALB guide, edit target group attributes: the share of a target in slow start grows linearly.
#[test]
fn target_in_slow_start_gets_its_share_and_the_others_are_even() {
    let group = with_slow_start(&[Healthy, Healthy, Healthy, Unhealthy]);
    for (part, whole) in [(0, 1), (1, 4), (1, 2), (1, 1)] {
        group.targets[1].set_share(Share::ratio(part, whole));
        let counts = counts(&group, 40_000);
        // In one round the slow target has part / whole of a turn, the two others have one each.
        let (slow, others) = (
            40_000 * part / (part + 2 * whole),
            40_000 * whole / (part + 2 * whole),
        );
        let close = |count: u64, expected: u128| u128::from(count).abs_diff(expected) <= 400;
        assert!(close(counts[1], slow), "{part}/{whole}: {counts:?}");
        // What the slow target skips is not given to the target behind it.
        assert!(
            close(counts[0], others) && close(counts[2], others),
            "{part}/{whole}: {counts:?}"
        );
        assert_eq!(counts[3], 0);
    }
}

#[test]
fn two_targets_in_slow_start_skip_turns_independently() {
    let group = with_slow_start(&[Healthy; 3]);
    group.targets[0].set_share(Share::ratio(1, 2));
    group.targets[1].set_share(Share::ratio(1, 2));
    let counts = counts(&group, 40_000);
    // 1/2 + 1/2 + 1 turns in a round.
    assert!(
        counts[0].abs_diff(10_000) < 400 && counts[1].abs_diff(10_000) < 400,
        "{counts:?}"
    );
}

#[test]
fn targets_in_slow_start_serve_when_the_others_are_gone() {
    let group = with_slow_start(&[Healthy, Healthy, Unhealthy]);
    for target in &group.targets[..2] {
        target.set_share(Share::NONE);
    }
    assert_eq!(counts(&group, 10), [5, 5, 0]);
    // With fail-open, shares do not matter either.
    group.targets[0].set_state(Unhealthy);
    group.targets[1].set_state(Unhealthy);
    assert_eq!(counts(&group, 9), [3, 3, 3]);
}

#[test]
fn shares_have_no_effect_without_slow_start() {
    let group = group(Algorithm::RoundRobin, &[Healthy, Healthy], 1);
    group.targets[0].set_share(Share::NONE);
    assert_eq!(choices(&group, 0, 4), [0, 1, 0, 1]);
    group.targets[0].set_share(Share::FULL);
    assert!(!group.starts_slowly(&group.targets[1]));
}

/// ALB guide, edit target group attributes: slow start needs a healthy target that is not in slow start.
#[test]
fn slow_start_needs_another_target_at_its_full_share() {
    let group = with_slow_start(&[Healthy, Initial, Healthy]);
    let [first, new, third] = [0, 1, 2].map(|i| &group.targets[i]);
    let starts_slowly = || group.starts_slowly(new);
    assert!(starts_slowly());
    new.set_skips_slow_start(true);
    assert!(!starts_slowly(), "it was registered in an empty group");
    new.set_skips_slow_start(false);
    third.set_share(Share::ratio(1, 2));
    assert!(starts_slowly(), "the first target is at its full share");
    first.set_state(Unhealthy);
    assert!(
        !starts_slowly(),
        "the only other healthy target is in slow start"
    );
    third.set_share(Share::FULL);
    third.set_state(Draining);
    assert!(!starts_slowly(), "the target itself does not count");
}

/// ALB guide, target groups: anomaly mitigation lowers the share of a target.
#[test]
fn weighted_random_follows_shares_with_mitigation_alone() {
    let group = group(
        Algorithm::WeightedRandom,
        &[Healthy, Unhealthy, Healthy, Healthy],
        1,
    );
    let mut config = TargetGroup::clone(&group.config);
    config.attributes.anomaly_mitigation = true;
    group.targets[2].set_share(Share::ratio(1, 16));
    // 16 + 1 + 16 parts of 1/16 each.
    let count = |group: &Group, step: u64| {
        let mut counts = [0; 4];
        for random in 0..33 {
            counts[index(group, group.choose(0, random * step)).unwrap()] += 1;
        }
        counts
    };
    let mitigated = Group::new(Arc::new(config), group.targets.clone(), 1);
    assert_eq!(count(&mitigated, 1 << 12), [16, 0, 1, 16]);
    assert_eq!(count(&group, 1), [11, 0, 11, 11]);
    // With fail-open, all are alike.
    for target in &mitigated.targets {
        target.set_state(Unhealthy);
    }
    assert_eq!(count(&mitigated, 1), [9, 8, 8, 8]);
}

#[test]
fn part_of_a_group_has_its_own_health_and_turns() {
    let group = group(
        Algorithm::RoundRobin,
        &[Healthy, Unhealthy, Healthy, Unhealthy],
        2,
    );
    let serial = |index: usize| group.targets[index].serial;
    let bad = [serial(1), serial(3)];
    let part = group.with_targets(|target| bad.contains(&target.serial));
    let chosen = |worker| {
        part.choose(worker, 0)
            .map(|c| (c.target.serial, c.fail_open))
    };
    // None of its targets is healthy, so it uses both; each worker starts at another one.
    assert_eq!(
        [chosen(0), chosen(0)],
        [Some((bad[0], true)), Some((bad[1], true))]
    );
    assert_eq!(chosen(1), Some((bad[1], true)));
    let minimum = |count, percentage| MinimumHealthy { count, percentage };
    assert!(group.meets(minimum(2, 50)) && part.meets(minimum(0, 0)));
    assert!(
        !group.meets(minimum(3, 0)) && !group.meets(minimum(0, 51)) && !part.meets(minimum(1, 0))
    );
    let classic = group.with_personality(&Personality::CLASSIC);
    let part = classic.with_targets(|target| bad.contains(&target.serial));
    assert!(part.choose(0, 0).is_none());
    let nothing = classic.with_targets(|_| false);
    assert!(!nothing.meets(minimum(1, 0)) && nothing.meets(minimum(0, 100)));
}
