use std::net::SocketAddr;
use std::time::Duration;

use elbow_model::HealthCheck;
use elbow_net::Connect;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{Outcome, Prober, probe};

#[cfg(test)]
mod tests;

/// Checks `target` repeatedly until dropped: first after `delay`, which spreads the checks of many
/// targets, then every interval, measured from start to start.
pub async fn run<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    prober: &Prober,
    delay: Duration,
    mut on_result: impl FnMut(Outcome),
) {
    let mut ticks = interval_at(Instant::now() + delay, check.interval);
    // If a check takes longer than the interval, the missed ones are skipped.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        // Boxed, so that a target waiting for its next check uses little memory.
        on_result(Box::pin(probe(connector, check, target, prober)).await);
    }
}
