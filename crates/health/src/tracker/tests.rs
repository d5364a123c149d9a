use std::time::Duration;

use elbow_model::{HealthCheckPort, HealthCheckProtocol, Matcher};
use elbow_net::Lack;
use proptest::prelude::*;

use super::*;

fn check(healthy: u32, unhealthy: u32) -> HealthCheck {
    HealthCheck {
        protocol: HealthCheckProtocol::Http,
        port: HealthCheckPort::TrafficPort,
        path: "/".into(),
        matcher: Matcher(vec![200..=200]),
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(5),
        healthy_threshold: healthy,
        unhealthy_threshold: unhealthy,
    }
}

const PASS: Outcome = Outcome::Pass { code: Some(200) };

fn failed() -> Outcome {
    Outcome::Failed("connection refused".to_owned())
}

/// The states after each of `outcomes`.
fn states(tracker: &mut Tracker, outcomes: &[Outcome]) -> Vec<&'static str> {
    let state = |outcome| {
        tracker.on_result(outcome);
        tracker.state().as_str()
    };
    outcomes.iter().map(state).collect()
}

fn code(tracker: &Tracker) -> Option<&'static str> {
    tracker.reason().map(|reason| reason.code)
}

/// A shortage of elbow's own does not count as a pass or as a failure.
#[test]
fn a_skipped_check_changes_nothing() {
    let skipped = Outcome::Skipped(Lack::OpenFiles);
    let mut tracker = Tracker::new(&check(2, 2));
    let before = tracker.reason().cloned();
    assert_eq!(
        states(&mut tracker, &vec![skipped.clone(); 5]),
        ["initial"; 5]
    );
    assert_eq!(tracker.reason().cloned(), before);
    let outcomes = [
        PASS,
        skipped.clone(),
        skipped.clone(),
        failed(),
        skipped.clone(),
        failed(),
        skipped.clone(),
        PASS,
        skipped,
        PASS,
    ];
    let healthy = ["healthy"; 5];
    let unhealthy = ["unhealthy"; 4];
    let want = [&healthy[..], &unhealthy, &["healthy"]].concat();
    assert_eq!(states(&mut tracker, &outcomes), want);
}

/// Parity 1.9: initial, registered, first result pending.
#[test]
fn a_target_starts_as_initial() {
    let tracker = Tracker::new(&check(5, 2));
    assert_eq!(tracker.state(), TargetState::Initial);
    let reason = tracker.reason().unwrap();
    assert_eq!(
        (reason.code, &*reason.description),
        (
            "Elb.RegistrationInProgress",
            "Target registration is in progress"
        )
    );
}

/// Parity 1.9: from initial the first pass is enough, whatever the threshold; healthy has no reason.
#[test]
fn the_first_pass_makes_an_initial_target_healthy() {
    let mut tracker = Tracker::new(&check(10, 2));
    let transition = tracker.on_result(&PASS);
    assert_eq!(
        transition,
        Some(Transition {
            from: TargetState::Initial,
            to: TargetState::Healthy,
            reason: None
        })
    );
    assert_eq!(tracker.reason(), None);

    let mut late = Tracker::new(&check(10, 3));
    assert_eq!(
        states(&mut late, &[failed(), failed(), PASS]),
        ["initial", "initial", "healthy"]
    );
}

/// Parity 1.9: a target that fails from the start.
#[test]
fn failures_in_a_row_make_an_initial_target_unhealthy() {
    let mut tracker = Tracker::new(&check(5, 3));
    assert_eq!(tracker.on_result(&failed()), None);
    let reason = tracker.reason().unwrap();
    assert_eq!(
        (reason.code, &*reason.description),
        (
            "Elb.InitialHealthChecking",
            "Initial health checks in progress"
        )
    );
    assert_eq!(
        states(&mut tracker, &[failed(), failed()]),
        ["initial", "unhealthy"]
    );
    assert_eq!(code(&tracker), Some("Target.FailedHealthChecks"));
}

/// Parity 1.9: both thresholds count results in a row.
#[test]
fn thresholds_count_results_in_a_row() {
    let mut tracker = Tracker::new(&check(3, 2));
    let outcomes = [
        PASS,
        failed(),
        PASS,
        failed(),
        failed(),
        PASS,
        PASS,
        failed(),
        PASS,
        PASS,
        PASS,
        failed(),
    ];
    let want = [
        "healthy",
        "healthy",
        "healthy",
        "healthy",
        "unhealthy",
        "unhealthy",
        "unhealthy",
        "unhealthy",
        "unhealthy",
        "unhealthy",
        "healthy",
        "healthy",
    ];
    assert_eq!(states(&mut tracker, &outcomes), want);
    assert_eq!(tracker.reason(), None);
}

/// Parity 1.9: codes and descriptions.
#[test]
fn a_failure_has_its_reason() {
    let table = [
        (
            Outcome::Mismatch(503),
            "Target.ResponseCodeMismatch",
            "Health checks failed with these codes: [503]",
        ),
        (Outcome::Timeout, "Target.Timeout", "Request timed out"),
        (
            failed(),
            "Target.FailedHealthChecks",
            "Health checks failed",
        ),
    ];
    let mut tracker = Tracker::new(&check(2, 1));
    tracker.on_result(&PASS);
    // The last failure counts, without a change of state too.
    for (outcome, code, description) in table {
        tracker.on_result(&outcome);
        let reason = tracker.reason().unwrap();
        assert_eq!((reason.code, &*reason.description), (code, description));
        assert_eq!(tracker.state(), TargetState::Unhealthy);
    }
}

/// Parity 1.9: draining, and checks no longer count.
#[test]
fn a_deregistered_target_drains() {
    let mut tracker = Tracker::new(&check(2, 2));
    tracker.on_result(&PASS);
    let transition = tracker.on_deregister().unwrap();
    assert_eq!(
        (transition.from, transition.to),
        (TargetState::Healthy, TargetState::Draining)
    );
    let reason = transition.reason.unwrap();
    assert_eq!(
        (reason.code, &*reason.description),
        (
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress"
        )
    );
    assert_eq!(
        states(&mut tracker, &[PASS, PASS, failed(), failed()]),
        ["draining"; 4]
    );
    assert_eq!(tracker.on_deregister(), None);
}

/// Parity 1.9: the other descriptions.
#[test]
fn reasons_are_aws_words() {
    for (reason, code, description) in [
        (
            Reason::HEALTH_CHECK_DISABLED,
            "Target.HealthCheckDisabled",
            "Health checks are disabled",
        ),
        (
            Reason::NOT_IN_USE,
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        ),
        (
            Reason::NOT_REGISTERED,
            "Target.NotRegistered",
            "Target is not registered to the target group",
        ),
    ] {
        assert_eq!((reason.code, &*reason.description), (code, description));
    }
}

#[test]
fn a_target_that_stays_keeps_its_state() {
    let mut tracker = Tracker::new(&check(2, 5));
    states(&mut tracker, &[PASS, failed(), failed()]);
    tracker.reconfigure(&check(2, 3));
    assert_eq!(tracker.state(), TargetState::Healthy);
    assert_eq!(states(&mut tracker, &[failed()]), ["unhealthy"]);
}

proptest! {
    /// Whatever the results are: a state is left for the reason the rules give, and for no other.
    #[test]
    fn states_follow_the_last_results(
        passes in proptest::collection::vec(any::<bool>(), 0..60),
        healthy in 2_u32..=10,
        unhealthy in 2_u32..=10,
    ) {
        let mut tracker = Tracker::new(&check(healthy, unhealthy));
        for end in 1..=passes.len() {
            let seen = &passes[..end];
            let from = tracker.state();
            let outcome = if seen[end - 1] { PASS } else { failed() };
            let transition = tracker.on_result(&outcome);
            let to = tracker.state();

            let row = seen.iter().rev().take_while(|pass| *pass == &seen[end - 1]).count() as u32;
            let want = match (from, seen[end - 1]) {
                (TargetState::Initial, true) => TargetState::Healthy,
                (TargetState::Unhealthy, true) if row >= healthy => TargetState::Healthy,
                (TargetState::Initial | TargetState::Healthy, false) if row >= unhealthy => {
                    TargetState::Unhealthy
                }
                _ => from,
            };
            prop_assert_eq!(to, want);
            prop_assert_eq!(transition.is_some(), from != to);
            // Never healthy without a pass, never without a reason when not healthy.
            prop_assert!(to != TargetState::Healthy || seen.contains(&true));
            prop_assert_eq!(tracker.reason().is_none(), to == TargetState::Healthy);
        }
    }
}
