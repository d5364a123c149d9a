use std::net::SocketAddr;
use std::time::Duration;

use elbow_model::HealthCheck;
use elbow_net::Connect;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{Asker, Outcome, probe};

#[cfg(test)]
mod tests;

/// Checks `target` until it is dropped: first after `delay` (which spreads the checks of many
/// targets), then every interval, counted from start to start however long an answer takes.
pub async fn run<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    asker: &Asker,
    delay: Duration,
    mut on_result: impl FnMut(Outcome),
) {
    let mut ticks = interval_at(Instant::now() + delay, check.interval);
    // After an answer that took longer than the interval, the next check waits for its turn.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        // In a box, so that a target that waits for its turn takes little memory.
        on_result(Box::pin(probe(connector, check, target, asker)).await);
    }
}
