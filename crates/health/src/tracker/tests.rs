use elbow_model::{HealthCheckSpec, Protocol};
use elbow_net::Resource;
use proptest::prelude::*;

use super::*;

fn check(healthy: u32, unhealthy: u32) -> HealthCheck {
    let spec = HealthCheckSpec::default();
    let mut check = HealthCheck::new(&spec, Protocol::Http).value.unwrap();
    (check.healthy_threshold, check.unhealthy_threshold) = (healthy, unhealthy);
    check
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

/// An exhausted local resource counts neither as a pass nor as a failure.
#[test]
fn skipped_check_changes_nothing() {
    let skipped = Outcome::Skipped(Resource::OpenFiles);
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
fn new_target_is_initial() {
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

/// Parity 1.9: from initial the first pass is enough, regardless of the threshold; healthy has no reason.
#[test]
fn first_pass_makes_an_initial_target_healthy() {
    let mut tracker = Tracker::new(&check(10, 2));
    assert!(tracker.on_result(&PASS));
    assert_eq!(
        (tracker.state(), tracker.reason()),
        (TargetState::Healthy, None)
    );
    assert!(!tracker.on_result(&PASS));

    let mut late = Tracker::new(&check(10, 3));
    assert_eq!(
        states(&mut late, &[failed(), failed(), PASS]),
        ["initial", "initial", "healthy"]
    );
}

/// Parity 1.9: a target that fails from the start.
#[test]
fn consecutive_failures_make_an_initial_target_unhealthy() {
    let mut tracker = Tracker::new(&check(5, 3));
    assert!(!tracker.on_result(&failed()));
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

/// Parity 1.9: both thresholds count consecutive results.
#[test]
fn thresholds_count_consecutive_results() {
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
fn failure_has_its_reason() {
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
    // The last failure sets the reason, even without a change of state.
    for (outcome, code, description) in table {
        tracker.on_result(&outcome);
        let reason = tracker.reason().unwrap();
        assert_eq!((reason.code, &*reason.description), (code, description));
        assert_eq!(tracker.state(), TargetState::Unhealthy);
    }
}

/// Parity 1.9: the other descriptions.
#[test]
fn reasons_have_the_descriptions_of_aws() {
    for (reason, code, description) in [
        (
            Reason::DEREGISTRATION_IN_PROGRESS,
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        ),
        (
            Reason::NOT_IN_USE,
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        ),
    ] {
        assert_eq!((reason.code, &*reason.description), (code, description));
    }
}

#[test]
fn reconfigured_target_keeps_its_state() {
    let mut tracker = Tracker::new(&check(2, 5));
    states(&mut tracker, &[PASS, failed(), failed()]);
    tracker.reconfigure(&check(2, 3));
    assert_eq!(tracker.state(), TargetState::Healthy);
    assert_eq!(states(&mut tracker, &[failed()]), ["unhealthy"]);
}

proptest! {
    /// For any results, the state changes exactly when the rules say so.
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
            let changed = tracker.on_result(&outcome);
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
            prop_assert_eq!(changed, from != to);
            // Never healthy without a pass, never without a reason when not healthy.
            prop_assert!(to != TargetState::Healthy || seen.contains(&true));
            prop_assert_eq!(tracker.reason().is_none(), to == TargetState::Healthy);
        }
    }
}

/// Only active checks make the target healthy again.
#[test]
fn passive_failure_counts_at_once_and_only_while_healthy() {
    let mut tracker = Tracker::new(&check(2, 2));
    assert!(!tracker.on_passive_failure());
    assert_eq!(tracker.state(), TargetState::Initial);
    tracker.on_result(&PASS);
    assert!(tracker.on_passive_failure());
    assert_eq!(code(&tracker), Some("Target.FailedHealthChecks"));
    assert!(!tracker.on_passive_failure());
    assert_eq!(
        states(&mut tracker, &[PASS, PASS]),
        ["unhealthy", "healthy"]
    );
}
