use std::net::SocketAddr;
use std::sync::Arc;

use elbow_model::{TargetGroup, TargetGroupSpec, TargetState};

use super::*;

fn group(targets: u8, mitigation: &str) -> Group {
    let attributes = [
        ("load_balancing.algorithm.type", "weighted_random"),
        ("load_balancing.algorithm.anomaly_mitigation", mitigation),
    ];
    let owned = |(key, text): (&str, &str)| (key.to_owned(), text.to_owned());
    let spec = TargetGroupSpec {
        name: Some("g".to_owned()),
        protocol: Some("HTTP".to_owned()),
        port: Some(80),
        attributes: attributes.map(owned).into(),
        ..TargetGroupSpec::default()
    };
    let config = TargetGroup::new(&spec).value.unwrap();
    let target = |last| {
        let address = SocketAddr::from(([10, 0, 0, last], 80));
        let target = Target::new(elbow_model::Target::at(address), address);
        target.set_state(TargetState::Healthy);
        Arc::new(target)
    };
    let targets = (0..targets).map(target).collect();
    Group::new(Arc::new(config), targets, 1)
}

/// One interval: the requests and failures of each target, then a comparison. Returns the changed targets.
fn interval(detector: &mut Detector, group: &Group, tallies: &[(u64, u64)]) -> usize {
    for (target, (requests, failures)) in group.targets.iter().zip(tallies) {
        for _ in 0..*requests {
            drop(target.start());
        }
        for _ in 0..*failures {
            target.count_failure();
        }
    }
    let mut changed = 0;
    detector.compare(group, |_| changed += 1);
    changed
}

fn anomalous(group: &Group) -> Vec<bool> {
    group.targets.iter().map(|t| t.is_anomalous()).collect()
}

fn shares(group: &Group) -> Vec<u32> {
    let parts = |target: &Arc<Target>| Share::FULL.parts() / target.share().parts();
    group.targets.iter().map(parts).collect()
}

#[test]
fn target_is_anomalous_when_it_fails_more_than_its_peers() {
    let tally = |(requests, failures)| Tally { requests, failures };
    for (own, peers, expected) in [
        ((100, 50), (200, 2), true),
        ((100, 0), (200, 0), false),
        ((10, 10), (20, 0), true),
        // Few failures may be chance.
        ((5, 5), (10, 0), true),
        ((4, 4), (10, 0), false),
        // All fail.
        ((100, 100), (200, 200), false),
        ((100, 90), (200, 80), true),
        ((100, 60), (200, 80), false),
        // A difference of 5 points is needed, however many requests there are.
        ((100_000, 4_900), (200_000, 0), false),
        ((100_000, 5_000), (200_000, 0), true),
        // The same rates: 1.5 and 4.9 standard errors.
        ((20, 5), (40, 4), false),
        ((200, 50), (400, 40), true),
        // Nobody to compare with.
        ((100, 100), (0, 0), false),
        ((100, 2), (200, 100), false),
    ] {
        let is_anomalous = tally(own).is_anomalous(tally(peers));
        assert_eq!(is_anomalous, expected, "{own:?} beside {peers:?}");
    }
}

#[test]
fn mitigation_lowers_the_share_to_a_minimum_and_raises_it_again() {
    let (group, mut detector) = (group(3, "on"), Detector::default());
    interval(&mut detector, &group, &[]);
    let mut seen = Vec::new();
    for _ in 0..6 {
        interval(&mut detector, &group, &[(50, 0), (50, 50), (50, 1)]);
        seen.push(shares(&group)[1]);
        assert_eq!(anomalous(&group), [false, true, false]);
    }
    assert_eq!(seen, [2, 4, 8, 16, 16, 16]);
    assert_eq!((shares(&group)[0], shares(&group)[2]), (1, 1));
    // The failures of the past are forgotten step by step.
    let mut seen = Vec::new();
    for _ in 0..12 {
        interval(&mut detector, &group, &[(50, 0), (50, 0), (50, 0)]);
        seen.push(shares(&group)[1]);
    }
    assert!(seen.is_sorted_by(|a, b| a >= b), "{seen:?}");
    assert_eq!(seen.last(), Some(&1));
    assert!(seen.contains(&8) && seen.contains(&4) && seen.contains(&2));
    assert_eq!(anomalous(&group), [false; 3]);
}

#[test]
fn changes_are_told_once() {
    let (group, mut detector) = (group(3, "off"), Detector::default());
    let bad = [(50, 0), (50, 50), (50, 0)];
    assert_eq!(
        interval(&mut detector, &group, &bad),
        0,
        "nothing to compare with"
    );
    assert_eq!(interval(&mut detector, &group, &bad), 1);
    assert_eq!(interval(&mut detector, &group, &bad), 0);
    let told = (0..12).map(|_| interval(&mut detector, &group, &[(50, 0); 3]));
    assert_eq!(told.sum::<usize>(), 1);
    // Without mitigation, shares stay.
    assert_eq!(shares(&group), [1, 1, 1]);
}

/// ALB guide, target groups: detection takes three healthy targets.
#[test]
fn two_healthy_targets_are_not_compared() {
    let (group, mut detector) = (group(3, "on"), Detector::default());
    let bad = [(50, 0), (50, 50), (50, 0)];
    interval(&mut detector, &group, &bad);
    interval(&mut detector, &group, &bad);
    assert_eq!(anomalous(&group), [false, true, false]);
    group.targets[0].set_state(TargetState::Unhealthy);
    interval(&mut detector, &group, &bad);
    assert_eq!(anomalous(&group), [false; 3]);
    assert_eq!(shares(&group), [1, 1, 1]);
}

#[test]
fn unhealthy_target_is_neither_compared_nor_a_peer() {
    let (group, mut detector) = (group(4, "on"), Detector::default());
    group.targets[3].set_state(TargetState::Unhealthy);
    // With the failures of the last target, the peers would fail as often.
    let tallies = [(50, 0), (50, 20), (50, 0), (500, 500)];
    interval(&mut detector, &group, &tallies);
    interval(&mut detector, &group, &tallies);
    assert_eq!(anomalous(&group), [false, true, false, false]);
}

/// A request is counted when it begins, its failure when it ends.
#[test]
fn failures_of_earlier_requests_count() {
    let (group, mut detector) = (group(3, "off"), Detector::default());
    interval(&mut detector, &group, &[]);
    interval(&mut detector, &group, &[(40, 0), (40, 0), (40, 0)]);
    interval(&mut detector, &group, &[(40, 0), (0, 40), (40, 0)]);
    assert_eq!(anomalous(&group), [false, true, false]);
}

#[test]
fn removed_targets_are_forgotten() {
    let (group, mut detector) = (group(3, "off"), Detector::default());
    interval(&mut detector, &group, &[]);
    let smaller = Group::new(Arc::clone(&group.config), group.targets[..1].to_vec(), 1);
    detector.compare(&smaller, |_| {});
    assert_eq!(detector.targets.len(), 1);
}
