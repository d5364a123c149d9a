//! Slow start of targets (ALB guide: edit target group attributes, slow start).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use elbow_balance::{Group, Share, SlowStart, Target};
use elbow_model::TargetState;
use tokio::time::{Instant, sleep};
use tracing::info;

use crate::task::Task;

/// How many steps a slow start has.
const STEPS: u32 = 100;

/// The slow start of a target, while there is one.
#[derive(Clone, Default)]
pub(super) struct Ramp(Rc<RefCell<Option<Task>>>);

impl Ramp {
    /// Starts or ends the slow start of `target`, whose state is about to become `state`.
    pub(super) fn follow(&self, group: &Group, target: &Arc<Target>, state: TargetState) {
        let slow_start = group.config.attributes.slow_start;
        let begins = state == TargetState::Healthy && group.starts_slowly(target);
        // A target that was unhealthy starts slowly afterwards, also one of the first targets.
        target.set_skips_slow_start(target.skips_slow_start() && state == TargetState::Healthy);
        let Some(duration) = slow_start.filter(|_| begins) else {
            *self.0.borrow_mut() = None;
            target.set_share(Share::FULL);
            return;
        };
        info!(
            target_group = %group.config.name,
            id = %target.registered.id,
            port = target.registered.port,
            seconds = duration.as_secs(),
            "target starts slowly"
        );
        let slow_start = SlowStart::new(Instant::now().into_std(), duration);
        target.set_share(Share::NONE);
        let target = Arc::clone(target);
        let task = Task::spawn(async move {
            while !target.share().is_full() {
                sleep(duration / STEPS).await;
                target.set_share(slow_start.share(Instant::now().into_std()));
            }
        });
        *self.0.borrow_mut() = Some(task);
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use elbow_model::{TargetGroup, TargetGroupSpec};
    use tokio::task::LocalSet;

    use super::*;
    use TargetState::{Healthy, Unhealthy};

    fn group() -> Group {
        let spec = TargetGroupSpec {
            name: Some("g".to_owned()),
            protocol: Some("HTTP".to_owned()),
            port: Some(80),
            attributes: [("slow_start.duration_seconds".to_owned(), "100".to_owned())].into(),
            ..TargetGroupSpec::default()
        };
        let config = TargetGroup::new(&spec).value.unwrap();
        let target = |last| {
            let address = SocketAddr::from(([10, 0, 0, last], 80));
            let registered = elbow_model::Target::at(address);
            Arc::new(Target::new(registered, address))
        };
        Group::new(Arc::new(config), vec![target(1), target(2)], 1)
    }

    fn enter(ramp: &Ramp, group: &Group, index: usize, state: TargetState) {
        ramp.follow(group, &group.targets[index], state);
        group.targets[index].set_state(state);
    }

    #[tokio::test(start_paused = true)]
    async fn share_grows_linearly_to_full() {
        LocalSet::new()
            .run_until(async {
                let (group, ramps) = (group(), [Ramp::default(), Ramp::default()]);
                enter(&ramps[0], &group, 0, Healthy);
                enter(&ramps[1], &group, 1, Healthy);
                let percent = |index: usize| group.targets[index].share().percent();
                assert_eq!((percent(0), percent(1)), (100, 0));
                let mut seen = Vec::new();
                for _ in 0..4 {
                    sleep(Duration::from_millis(25_300)).await;
                    seen.push(percent(1));
                }
                assert_eq!(seen, [25, 50, 75, 100]);
            })
            .await;
    }

    #[tokio::test(start_paused = true)]
    async fn unhealthy_target_leaves_slow_start_and_begins_again() {
        LocalSet::new()
            .run_until(async {
                let (group, ramps) = (group(), [Ramp::default(), Ramp::default()]);
                let share = |index: usize| group.targets[index].share();
                enter(&ramps[0], &group, 0, Healthy);
                enter(&ramps[1], &group, 1, Healthy);
                sleep(Duration::from_secs(50)).await;
                enter(&ramps[1], &group, 1, Unhealthy);
                assert!(share(1).is_full());
                sleep(Duration::from_secs(5)).await;
                assert!(share(1).is_full(), "the old slow start has ended");
                enter(&ramps[1], &group, 1, Healthy);
                assert_eq!(share(1), Share::NONE);
                // The first target had no slow start, but has one when it recovers.
                sleep(Duration::from_secs(101)).await;
                group.targets[0].set_skips_slow_start(true);
                enter(&ramps[0], &group, 0, Unhealthy);
                enter(&ramps[0], &group, 0, Healthy);
                assert_eq!(share(0), Share::NONE);
            })
            .await;
    }
}
