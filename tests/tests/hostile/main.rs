//! The memory per connection that hostile clients can make elbow hold, and that it returns to the system
//! once they have left. Each kind has its own elbow; they run in parallel.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

mod endless;
mod kinds;
mod source;
mod stage;
mod ten;

use std::thread;
use std::time::Instant;

use elbow_tests::{Client, memory, wait};

use kinds::KINDS;
use stage::Stage;

/// The memory that may remain after they have left: less than is worth returning (16 MiB), and the buffers of
/// two idle workers (3 MiB each).
const LEFT_MAX: u64 = 24 << 20;

/// A kind of attack.
struct Kind {
    name: &'static str,
    /// The bound per connection in KiB, as in docs/limits.md.
    bound: u64,
    /// Connects, attacks, and returns the connections that elbow has not closed.
    attack: fn(&Stage) -> Vec<Client>,
}

/// The measurement of one kind.
struct Row {
    kind: &'static Kind,
    cost: Cost,
}

/// What an attack cost.
struct Cost {
    connections: u64,
    /// The peak, in bytes above the start.
    peak: u64,
    /// The rest after the clients left, in bytes above the start.
    left: u64,
}

impl Cost {
    fn of(attack: fn(&Stage) -> Vec<Client>) -> Self {
        let (mut elbow, stage) = Stage::new();
        let process = elbow.process().id();
        stage.assert_serves();
        let start = memory::resident(process);
        memory::forget_peak(process);
        let clients = attack(&stage);
        let peak = settled(process);
        stage.assert_serves();
        let connections = clients.len() as u64;
        drop(clients);
        let late = Instant::now() + wait::TIMEOUT / 2;
        let left = wait::until("memory to be returned", || {
            let left = memory::resident(process).saturating_sub(start);
            (left <= LEFT_MAX || Instant::now() > late).then_some(left)
        });
        Self {
            connections,
            peak: peak.saturating_sub(start),
            left,
        }
    }

    fn kib_per_connection(&self) -> u64 {
        self.peak / self.connections / 1024
    }
}

/// The peak, once it no longer rises.
fn settled(process: u32) -> u64 {
    const LOOKS: usize = 25;
    let mut peaks = [0; LOOKS];
    wait::until("memory to settle", || {
        peaks.rotate_left(1);
        peaks[LOOKS - 1] = memory::peak(process);
        (peaks[0] == peaks[LOOKS - 1]).then_some(peaks[0])
    })
}

#[test]
fn hostile_connection_stays_within_its_bound() {
    let rows: Vec<Row> = thread::scope(|scope| {
        let measuring: Vec<_> = KINDS
            .iter()
            .map(|kind| {
                scope.spawn(|| Row {
                    kind,
                    cost: Cost::of(kind.attack),
                })
            })
            .collect();
        measuring
            .into_iter()
            .map(|row| row.join().unwrap())
            .collect()
    });
    println!(
        "{:<50} {:>5} {:>10} {:>10} {:>10}",
        "kind", "n", "KiB each", "bound", "left KiB"
    );
    for row in &rows {
        println!(
            "{:<50} {:>5} {:>10} {:>10} {:>10}",
            row.kind.name,
            row.cost.connections,
            row.cost.kib_per_connection(),
            row.kind.bound,
            row.cost.left / 1024
        );
    }
    for row in &rows {
        let cost = row.cost.kib_per_connection();
        let (name, left) = (row.kind.name, row.cost.left / 1024);
        assert!(cost <= row.kind.bound, "{name}: {cost} KiB per connection");
        assert!(
            row.cost.left <= LEFT_MAX,
            "{name}: {left} KiB were not returned"
        );
    }
}

#[test]
fn ten_hostile_clients_stay_below_64_mb_together() {
    let cost = Cost::of(ten::attack);
    let (peak, left) = (cost.peak >> 10, cost.left >> 10);
    println!("ten kinds at once: {peak} KiB, then {left} KiB");
    assert!(cost.peak < 64 << 20, "{peak} KiB");
    assert!(cost.left <= LEFT_MAX, "{left} KiB were not returned");
}
