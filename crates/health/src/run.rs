use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use elbow_model::HealthCheck;
use elbow_net::Connect;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{Outcome, Prober, probe};

#[cfg(test)]
mod tests;

/// One check that is over.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// Its result.
    pub outcome: Outcome,
    /// When it began.
    pub time: SystemTime,
    /// How long it took.
    pub latency: Duration,
}

/// Checks `target` repeatedly until dropped: first after `delay`, which spreads the checks of many
/// targets, then every interval, measured from start to start.
pub async fn run<C: Connect>(
    connector: &C,
    check: &HealthCheck,
    target: SocketAddr,
    prober: &Prober,
    delay: Duration,
    mut on_result: impl FnMut(Checkup),
) {
    let mut ticks = interval_at(Instant::now() + delay, check.interval);
    // If a check takes longer than the interval, the missed ones are skipped.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let (time, start) = (SystemTime::now(), Instant::now());
        // Boxed, so that a target waiting for its next check uses little memory.
        let outcome = Box::pin(probe(connector, check, target, prober)).await;
        on_result(Checkup {
            outcome,
            time,
            latency: start.elapsed(),
        });
    }
}
