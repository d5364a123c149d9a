//! CPU usage of a process, as the kernel counts it.

use std::fs;
use std::ops::Sub;
use std::path::Path;
use std::time::Duration;

/// CPU time and wake-ups of all threads of a process since they started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Time on a CPU.
    pub cpu: Duration,
    /// The number of times a thread waited and was woken (voluntary context switches).
    pub wakeups: u64,
}

impl Usage {
    /// The usage of process `pid` so far.
    pub fn of(pid: u32) -> Self {
        let mut usage = Self {
            cpu: Duration::ZERO,
            wakeups: 0,
        };
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
            // A thread may end meanwhile.
            if let Some((cpu, wakeups)) = task.ok().and_then(|task| of_thread(&task.path())) {
                usage.cpu += cpu;
                usage.wakeups += wakeups;
            }
        }
        usage
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(before.cpu),
            wakeups: self.wakeups.saturating_sub(before.wakeups),
        }
    }
}

/// proc(5): the first number of `schedstat` is the time on a CPU in nanoseconds.
fn of_thread(task: &Path) -> Option<(Duration, u64)> {
    let schedstat = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanoseconds = schedstat.split_whitespace().next()?.parse().ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    let mut lines = status.lines();
    let switches = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    Some((
        Duration::from_nanos(nanoseconds),
        switches.trim().parse().ok()?,
    ))
}
